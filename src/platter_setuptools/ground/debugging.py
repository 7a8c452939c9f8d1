"""Debug information that does not tell where something was compiled, so that it is the same wherever that was."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What tools that split the variable at spaces, and shells behind them, leave as it is.
_PLAIN = re.compile(r"[\w/.,:@%+-]+", re.ASCII)


def without_folders(environ: Mapping[str, str], folders: Mapping[Path, str]) -> dict[str, str]:
    """Variables under which compilers write these names into debug information instead of these folders.

    CPPFLAGS, because what is in CFLAGS takes the place of many a package's own -O2; and this option, because every gcc
    and clang knows it. The flags that the user has set stay. A folder whose name has to be quoted is left out.
    """
    options = [
        f"-fdebug-prefix-map={os.fspath(folder)}={name}"
        for folder, name in folders.items()
        if _PLAIN.fullmatch(os.fspath(folder))
    ]
    return {"CPPFLAGS": " ".join([*filter(None, [environ.get("CPPFLAGS")]), *options])} if options else {}
