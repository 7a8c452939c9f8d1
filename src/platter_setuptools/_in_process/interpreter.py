"""Describe the interpreter that runs this file, as one JSON object on standard output.

Runs under the target's Python as `python -I interpreter.py`, without arguments or input. Uses only the syntax of Python
3.4, so that it also works in an interpreter that is too old. Keys: executable, full_version, implementation and, if it
can be a target, those of payload/describe.py.
"""

import importlib
import json
import os
import platform
import sys
from typing import Any, Dict

_OLDEST = (3, 8)  # that the payload runs with


def describe(package: str = "platter_setuptools.payload") -> Dict[str, Any]:
    """Return the description; `package` is what the payload is imported as."""
    facts = {"executable": sys.executable, "full_version": platform.python_version()}
    if sys.version_info >= _OLDEST and sys.implementation.name == "cpython":
        facts.update(importlib.import_module(package + ".describe").describe())
    else:
        facts["implementation"] = sys.implementation.name
    return facts


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    # At the end, since names in that folder, such as inspect, are also names of the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    json.dump(describe("payload"), sys.stdout)
