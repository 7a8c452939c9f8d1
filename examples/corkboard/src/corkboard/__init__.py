"""Corkboard: pin a note, and find it again, typos and all."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask

from corkboard.board import Board, database_path
from corkboard.views import pages

if TYPE_CHECKING:
    from pathlib import Path

__version__ = version("corkboard")


def create_app(database: Path | None = None) -> Flask:
    """Make the web application; its database is made as well when it is not there yet."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=64 * 1024, VERSION=__version__)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["board"] = Board(database or database_path())
    app.register_blueprint(pages)
    return app
