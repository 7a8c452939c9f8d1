#!/bin/sh -e
# On the build machine: collect the static files, into the bundle.
pip install --quiet --no-index --find-links "$DATA_DIR" mysite
export DJANGO_SETTINGS_MODULE=mysite.production STATIC_ROOT="$DATA_DIR/static" SECRET_KEY=unused ALLOWED_HOSTS=
mysite collectstatic --noinput --verbosity 0

# On the server, once the wheels are installed: from the bundle into the release.
cat >>"$INSTALL_SCRIPT" <<'END'
cp -R "$DATA_DIR/static" "$VIRTUAL_ENV/static"
END
