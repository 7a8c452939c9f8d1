#!/bin/sh -e
# shellcheck source=/dev/null
# On the server, in the new release, before anything is switched to it. If a migration fails, nothing is.
set -a
. "$PLATTER_ROOT/shared/app.env"
set +a
mysite migrate --noinput
