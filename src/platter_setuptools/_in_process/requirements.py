"""Read requirements and constraints files with pip's own parser.

Runs under the target's Python (3.8 and newer), started as `python -I requirements.py` in the folder that relative paths
in the files count from. Reads one JSON object from standard input: {"pip": the path of a wheel of pip, or of the folder
that pip is installed in, "files": […], "constraints": […], "options": arguments of `pip install` for connections,
"offline": bool, "output": PATH}.

Writes to "output", since there may be passwords in it: {"error": TEXT}, or {"require_hashes": bool, "lines": […],
"opened": the paths and URLs of all files, also of those that files name}. A line has "where" ("line 3 of FILE"),
"constraint" (bool), "text" (for resolvers: one statement, no abbreviations), "shown" (as it is in the file, variables
not filled in) and "requirement": null for an option, else the fields of `Required` in resolve/requirements.py.
"""

import importlib
import json
import os
import pathlib
import re
import shlex
import sys
import urllib.parse
from typing import Any, Dict, Iterator, List, Set, Tuple

OF_A_REQUIREMENT = {"hashes", "config_settings"}
OPTIONS = (
    ("--index-url", "index_url"),
    ("--extra-index-url", "extra_index_urls"),
    ("--no-index", "no_index"),
    ("--find-links", "find_links"),
    ("--trusted-host", "trusted_hosts"),
    ("--pre", "pre"),
    ("--prefer-binary", "prefer_binary"),
    ("--require-hashes", "require_hashes"),
    ("--use-feature", "features_enabled"),
)


def _has_valid_host(place: str) -> bool:
    """Return whether it is a path, or a URL whose port, if it has one, is a number."""
    try:
        return "://" not in place or urllib.parse.urlsplit(place).port != -1
    except ValueError:
        return False


def read(asked: Dict[str, Any]) -> Dict[str, Any]:
    # A wheel comes before the pip that this Python may have; another folder is that of its own pip.
    sys.path.insert(0 if asked["pip"].endswith(".whl") else len(sys.path), asked["pip"])
    req_file = _module("pip._internal.req.req_file")
    parse = _Parse(req_file)
    parser = req_file.RequirementsFileParser(_Session(asked["options"], asked["offline"]), parse)
    parse_file, opened = parser._parse_file, []  # type: Any, List[str]  # noqa: SLF001

    def telling_where(filename: str, constraint: bool) -> Iterator[Any]:
        if not _has_valid_host(filename):
            # Whoever opens it would tell what stands there instead of a port: the beginning of a password.
            raise ValueError("%s: it is not a valid URL; encode a / in a password as %%2F" % filename)
        opened.append(filename)
        try:
            yield from parse_file(filename, constraint)
        except (req_file.RequirementsFileParseError, ValueError, LookupError) as error:  # of codecs, too
            raise ValueError("%s: %s" % (filename, error)) from error

    parser._parse_file = telling_where  # noqa: SLF001
    lines = [
        _as_line(line)
        for constraint, files in ((False, asked["files"]), (True, asked["constraints"]))
        for file in files
        for line in parser.parse(file, constraint)
    ]
    return {"require_hashes": parse.require_hashes, "lines": lines, "opened": opened}


def _module(name: str) -> Any:
    return importlib.import_module(name)


class _Parse:
    """pip's parser of a line, and what it does not keep: the line as it stands, and whether hashes are required."""

    def __init__(self, req_file: Any) -> None:
        self.require_hashes = False
        self._line = ""
        self._error, self._parse = req_file.OptionParsingError, req_file.get_line_parser(None)
        expand = req_file.expand_env_variables

        def expand_env_variables(numbered: Any) -> Iterator[Any]:
            for number, line in numbered:
                self._line = line
                yield from expand([(number, line)])

        req_file.expand_env_variables = expand_env_variables

    def __call__(self, line: str) -> Tuple[str, Any]:
        arguments, options = self._parse(line)
        if problem := _problem(arguments, options):
            raise self._error(problem)
        options.shown = self._line
        self.require_hashes = self.require_hashes or bool(options.require_hashes)
        return arguments, options


class _Session:
    """pip's own session, made when a file is to be had by URL."""

    def __init__(self, options: List[str], offline: bool) -> None:
        self._options, self._offline = options, offline
        self._session: Any = None

    def get(self, url: str) -> Any:
        if self._offline and not url.lower().startswith("file:"):
            raise ValueError("%s is not at hand, and nothing is to be downloaded" % url)
        if self._session is None:
            command = _module("pip._internal.commands").create_command("install")
            options, _ = command.parse_args(["--isolated", "--no-input", *self._options])
            self._session = command._build_session(options)  # noqa: SLF001
        return self._session.get(url)


def _problem(arguments: str, options: Any) -> str:
    """Return what is wrong with a line that pip would pass over in silence, or that uv reads in another way."""
    said = _said(options)
    if options.__dict__.get("no_require_hashes"):
        return "--no-require-hashes is not obeyed: where there are hashes, all of them count"
    if arguments or options.editables:
        allowed = OF_A_REQUIREMENT | {"require_hashes"} | (set() if arguments else {"editables"})
        alone = len(options.editables or ()) <= 1
    elif options.requirements or options.constraints:
        allowed = {"requirements", "constraints", "require_hashes"}
        alone = len([*(options.requirements or ()), *(options.constraints or ())]) == 1
    else:
        allowed = said - OF_A_REQUIREMENT
        alone = len(options.find_links or ()) <= 1
    return "" if alone and said <= allowed else "it says several things: give each of them a line of its own"


def _said(options: Any) -> Set[str]:
    """Return the names of what a line's options say."""
    controls = {"format_control", "release_control"}  # objects, also if the line says nothing of them
    found = {name for name, value in options.__dict__.items() if value and name != "shown"}
    return (found - controls) | (controls if _controls(options) else set())


def _controls(options: Any) -> List[Tuple[str, str]]:
    """Return the options about formats and prereleases, with their values."""
    found = []
    for name, fields in (
        ("format_control", ("no_binary", "only_binary")),
        ("release_control", ("all_releases", "only_final")),  # since pip 26
    ):
        control = options.__dict__.get(name)
        values = [(field, getattr(control, field)) for field in fields if control]
        # To pip `:all:` takes back what was said before it.
        for field, names in sorted(values, key=lambda one: ":all:" not in one[1]):
            if names:
                found.append(("--" + field.replace("_", "-"), ",".join(sorted(names))))
    return found


def _as_line(line: Any) -> Dict[str, Any]:
    try:
        text, requirement = "\n".join(_options(line)), None
        if line.requirement is not None:
            text, requirement = _as_requirement(line)
    except _module("pip._internal.exceptions").PipError as error:
        raise ValueError("%s: %s" % (_where(line), error)) from error
    return {
        "where": _where(line),
        "constraint": line.constraint,
        "text": text,
        "shown": re.sub(r"(?<!\s)\s+(?=--hash\b)", " \\\\\n    ", line.opts.shown),
        "requirement": requirement,
    }


def _as_requirement(line: Any) -> Tuple[str, Dict[str, Any]]:
    parsed = _module("pip._internal.req.req_file").handle_requirement_line(line)
    made = _module("pip._internal.req.constructors").install_req_from_parsed_requirement(parsed)
    words = []
    settings = parsed.options.get("config_settings") or {}
    for key, values in settings.items():
        each = values if isinstance(values, list) else [values]
        words += ["--config-settings=" + shlex.quote("%s=%s" % (key, value)) for value in each]
    # Last, so that uv, which does not take the settings, names them.
    words += ["--hash=%s:%s" % (kind, one) for kind, found in made.hash_options.items() for one in found]
    text = " ".join([("-e " if line.is_editable else "") + line.requirement, *words])
    return text, {**_judged(made), "config_settings": settings}


def _where(line: Any) -> str:
    return "line %d of %s" % (line.lineno, line.filename)


def _options(line: Any) -> Iterator[str]:
    """Yield the options of a line, in words that pip and uv both know."""
    for flag, name in OPTIONS:
        value = line.opts.__dict__.get(name)
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                yield flag
            elif one:
                yield "%s %s" % (flag, _located(one, line.filename) if name == "find_links" else one)
    for flag, names in _controls(line.opts):
        yield "%s %s" % (flag, names)


def _located(place: str, filename: str) -> str:
    """Return a place to find links in: a folder counts from the file that names it, or else from here, as in pip."""
    if re.match("[a-z]+:", place, re.IGNORECASE):
        return place
    beside = os.path.join(os.path.dirname(os.path.abspath(filename)), place)
    return pathlib.Path(os.path.abspath(beside if os.path.exists(beside) else place)).as_uri()


def _beside(url: str) -> str:
    """Return the URL of the folder that `NAME @ file:PATH` names from here, as uv reads it; pip takes a full path."""
    path = re.match("file:(?!/)([^#]+)", url)
    return pathlib.Path(os.path.abspath(path[1])).as_uri() if path and os.path.isdir(path[1]) else ""


def _judged(requirement: Any) -> Dict[str, Any]:
    link, required = requirement.link, requirement.req
    beside = _beside(required.url or "") if required else ""
    folder = bool(beside or (link and link.is_existing_dir()))
    operators = [one.operator for one in required.specifier if not one.version.endswith(".*")] if required else []
    return {
        "name": required.name if required else "",
        "url": beside or (link.url_without_fragment if link else ""),
        "hashable": not (folder or requirement.editable or (link and link.is_vcs)),
        "pinned": bool(link or {"==", "==="}.intersection(operators)),
        "folder": folder,
        "extras": sorted(requirement.extras),
        "marker": str(requirement.markers or ""),
        "hashes": _hashes(requirement.hash_options),
        "fragment": _hashes({link.hash_name: [link.hash]} if link and link.hash else {}),
    }


def _hashes(found: Dict[str, List[str]]) -> List[str]:
    return [("%s:%s" % (kind, value)).lower() for kind, values in found.items() for value in values]


def main() -> None:
    asked = json.load(sys.stdin)
    try:
        answer = read(asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the files cannot be read for sure
        answer = {"error": str(error) or type(error).__name__}
    with open(os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main()
