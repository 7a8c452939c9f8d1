"""How Sphinx makes the manual: `nox -s docs`, or `make docs`, writes it to build/docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import platter_setuptools

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "platter-setuptools"
author = "The platter-setuptools authors"
project_copyright = author
version = release = platter_setuptools.__version__

extensions = ["myst_parser"]
myst_heading_anchors = 3  # links to headings work as they do on the forge
nitpicky = True

smartquotes = False  # or `--root` outside of code would become a dash and a word

html_theme = "furo"
html_title = f"platter-setuptools {release}"
html_show_sphinx = False
html_copy_source = False

# Files beside this folder that are pages of the manual. What lies here in their place leads to them on the forge.
BESIDE = {
    "security": "SECURITY.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "benchmark": "benchmarks/README.md",
}


def read_beside(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the files in their place, and let the links of all pages lead there."""
    if page in BESIDE:
        path = Path(app.srcdir).parent / BESIDE[page]
        app.env.note_dependency(str(path))
        folder = Path("..", BESIDE[page]).parent.as_posix()
        text = re.sub(r"\]\((?!\w+:|#)", f"]({folder}/", path.read_text("utf-8"))
        source[0] = text.replace("](../docs/", "](")
    for name, file in BESIDE.items():
        source[0] = source[0].replace(f"](../{file}", f"]({name}.md")


def setup(app: Sphinx) -> None:
    app.connect("source-read", read_beside)
