"""What is different on the server. Chosen by DJANGO_SETTINGS_MODULE in app.env, which also has what is secret."""

import os
import sys
from pathlib import Path

from .settings import *
from .settings import MIDDLEWARE

# The virtualenv of this release. In it, media and db are links to folders that all releases share.
RELEASE = Path(sys.prefix)

DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split()

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": RELEASE / "db" / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}

MEDIA_ROOT = RELEASE / "media"

# Collected when the bundle is built, and a part of each release.
STATIC_ROOT = os.environ.get("STATIC_ROOT", RELEASE / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
MIDDLEWARE = [MIDDLEWARE[0], "whitenoise.middleware.WhiteNoiseMiddleware", *MIDDLEWARE[1:]]

# A proxy in front speaks HTTPS, and says so.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
