#!/bin/sh
# Run by bdist_platter on the building machine. What lands in $INSTALL_SCRIPT is run on the server by install.sh, in the
# new virtualenv; when it fails, the installation is taken back.
set -eu
cat > "$INSTALL_SCRIPT" <<'END'
#!/bin/sh
set -eu
echo "installed: $("$VIRTUAL_ENV/bin/corkboard" --version)"
END
