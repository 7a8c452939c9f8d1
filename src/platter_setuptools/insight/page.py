"""A portrait as one self-contained page: page.html, with its data filled in. It asks for nothing over a network."""

from __future__ import annotations

import html
import json
import re
from importlib import resources
from typing import TYPE_CHECKING

from platter_setuptools.insight.report import as_json

if TYPE_CHECKING:
    from platter_setuptools.insight.portrait import Portrait


def page(portrait: Portrait) -> str:
    """The page's text."""
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    filled = {
        "title": html.escape(f"{portrait.about.title} for {portrait.about.platform}"),
        # Within a script element only this character could end it.
        "data": json.dumps(as_json(portrait)).replace("<", r"\u003c"),
    }
    return re.sub(r"\{\{(title|data)\}\}", lambda match: filled[match[1]], template)
