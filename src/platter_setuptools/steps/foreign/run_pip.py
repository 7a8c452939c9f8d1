"""Run pip with arguments that no process listing shows: there may be passwords in them.

Runs under the target's Python (3.8 and newer). Reads one JSON object from standard input: {"path": folders and wheels
to import pip from before all others, "arguments": of pip}. pip starts itself for what isolated builds need: there, too,
URLs with passwords go by the environment, which only this user may read.
"""

import json
import os
import runpy
import subprocess
import sys
from typing import Any, Dict, List, Tuple

VARIABLES = {
    "-i": "PIP_INDEX_URL",
    "--extra-index-url": "PIP_EXTRA_INDEX_URL",
    "--find-links": "PIP_FIND_LINKS",
    "--proxy": "PIP_PROXY",
}


class _Popen(subprocess.Popen):  # type: ignore[type-arg]
    def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
        if isinstance(args, (list, tuple)) and "install" in args and args[0] == sys.executable:
            args, said = without_secrets([str(one) for one in args])
            options["env"] = {**(options.get("env") or os.environ), **said}
        super().__init__(args, *rest, **options)


def without_secrets(arguments: List[str]) -> Tuple[List[str], Dict[str, str]]:
    """Return the arguments of pip without those that may hold a password, and the variables that say the same."""
    kept: List[str] = []
    said: Dict[str, List[str]] = {}
    rest = iter(arguments)
    for one in rest:
        value = next(rest, "") if one in VARIABLES else ""
        after = value.partition("://")[2]
        if "@" in after or "?" in after:
            said.setdefault(VARIABLES[one], []).append(value.replace(" ", "%20"))
        else:
            kept += [one, value] if one in VARIABLES else [one]
    return kept, {name: " ".join(values) for name, values in said.items()}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.path[:1] = asked["path"]
    sys.argv[1:] = asked["arguments"]
    subprocess.Popen = _Popen  # type: ignore[misc]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
