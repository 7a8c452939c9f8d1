"""Run pip with arguments that no process listing shows, since they may contain passwords.

Runs under the host's Python (3.8 and newer). Reads one JSON object from standard input: {"path": folders and wheels to
import pip from before all others, "arguments": of pip, "target": null or what to resolve for instead of the interpreter
that runs this: {"version": [3, 14, 0], "markers": {…}, "tags": [best first]}}. pip starts itself to fill isolated build
environments; these processes resolve for the interpreter, and get URLs with passwords in the environment, which only
this user can read.
"""

import importlib
import inspect
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


def resolve_for(target: Dict[str, Any]) -> None:
    """Let pip take these for the facts about its interpreter. Its own options for that leave the markers as they are.

    Raises ImportError or AttributeError if this pip asks for them in another way.
    """
    markers: Any = importlib.import_module("pip._vendor.packaging.markers")
    tag = importlib.import_module("pip._vendor.packaging.tags").Tag
    target_python = importlib.import_module("pip._internal.models.target_python").TargetPython
    candidates = importlib.import_module("pip._internal.resolution.resolvelib.candidates")
    version, tags = tuple(target["version"]), [tag(*one.split("-")) for one in target["tags"]]
    _of_version(target_python, "py_version_info", version)
    _of_version(candidates.RequiresPythonCandidate, "py_version_info", version)
    for name, answer in (("get_sorted_tags", tags), ("get_unsorted_tags", set(tags))):
        if not hasattr(target_python, name):
            raise AttributeError(name)
        setattr(target_python, name, lambda _self, answer=answer: answer)
    markers.default_environment = lambda: dict(target["markers"])


def _of_version(kind: Any, parameter: str, version: Tuple[int, ...]) -> None:
    """Let objects of this class be of that version, whatever they are made with."""
    make, names = kind.__init__, list(inspect.signature(kind.__init__).parameters)[1:]
    if parameter not in names:
        raise AttributeError(parameter)

    def made(self: Any, *arguments: Any, **named: Any) -> None:
        make(self, **{**dict(zip(names, arguments)), **named, parameter: version})  # noqa: B905 - since Python 3.10

    kind.__init__ = made


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.path[:1] = asked["path"]
    sys.argv[1:] = asked["arguments"]
    if asked["target"]:
        try:
            resolve_for(asked["target"])
        except (ImportError, AttributeError, ValueError) as error:
            sys.exit("this release of pip cannot resolve for another target (%s): use resolver = uv" % error)
    subprocess.Popen = _Popen  # type: ignore[misc]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
