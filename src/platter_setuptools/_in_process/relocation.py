"""Describe where the interpreter that runs this file finds its parts, as one JSON object on standard output.

Runs under the interpreter that is to go into a bundle as `python -I relocation.py MODULE…`, without input. Keys:
prefix, folders (where it looks for modules, and what sysconfig.get_paths() returns), build (folders in sysconfig's
variables, which builds of extension modules and virtualenv use), missing (of the modules, with the reason).
"""

import json
import os
import sys
import sysconfig
from importlib import import_module
from typing import Any, Dict, List

_BUILD = ("BINDIR", "INCLUDEPY", "LIBDEST", "LIBDIR")


def describe(modules: List[str]) -> Dict[str, Any]:
    missing = {}
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:  # noqa: PERF203 - of each of them
            missing[name] = str(error)
    found = {*sysconfig.get_paths().values(), *sys.path[1:], os.path.dirname(os.__file__), sys.base_prefix}
    return {
        "prefix": sys.prefix,
        "folders": sorted(found - {""}),
        "build": {name: sysconfig.get_config_var(name) or "" for name in _BUILD},
        "missing": missing,
    }


if __name__ == "__main__":
    json.dump(describe(sys.argv[1:]), sys.stdout)
