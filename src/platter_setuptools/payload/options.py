"""The command line of install.sh, and functions that ROOT/platter shares."""

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import UsageError

AUTO, CLONE, HARDLINK, COPY = "auto", "clone", "hardlink", "copy"
_LINK_MODES = (AUTO, CLONE, HARDLINK, COPY)
_FLAGS = {
    "--check": "check",
    "--describe": "describe",
    "--verify": "verify",
    "--force": "force",
    "--compile": "compile",
    "--no-activate": "no-activate",
    "--no-health-check": "no-health-check",
    "--no-reload": "no-reload",
    "--no-ready": "no-ready",
    "--new-signer": "new-signer",
    "-q": "quiet",
    "--quiet": "quiet",
}
_VALUES = {
    "-p": "python",
    "--python": "python",
    "--allowed-signers": "allowed-signers",
    "--root": "root",
    "--extract": "extract",
    "--keep": "keep",
    "--health-check": "health-check",
    "--reload": "reload",
    "--ready": "ready",
    "--ready-timeout": "ready-timeout",
    "--command-timeout": "command-timeout",
    "--link-mode": "link-mode",
}
_FOR_ROOTS = (
    *("no-activate", "keep", "health-check", "no-health-check", "reload", "no-reload", "ready", "no-ready"),
    *("ready-timeout", "new-signer", "link-mode"),
)
_DIGITS = 6  # of a number of seconds
_ALONE = ("describe", "verify", "extract")  # they install nothing
_WITH_THESE = ("python", "allowed-signers", "quiet")


class Given(NamedTuple):
    """What the operator says of the commands around a switch, and of time limits in seconds.

    None means as in the last deployment, an empty command none (`--no-reload`).
    """

    health_check: Optional[str] = None
    reload: Optional[str] = None
    ready: Optional[str] = None
    ready_timeout: Optional[int] = None
    command_timeout: Optional[int] = None


class Options(NamedTuple):
    """One of `destination`, `root`, `describe`, `verify` and `extract` (a folder) is set; `keep` is 0 without `--keep`.

    `signer` is the principal (ssh-keygen(1)) that signed the bundle, with `--allowed-signers`. `unpacked` is the folder
    into which install.sh has unpacked the bundle's interpreter, if it has. `link_mode`: how files are taken from
    `releases`, the folders of complete ones in the root.
    """

    destination: str
    check: bool = False
    describe: bool = False
    verify: bool = False
    extract: str = ""
    force: bool = False
    quiet: bool = False
    compiling: bool = False
    root: str = ""
    no_activate: bool = False
    keep: int = 0
    commands: Given = Given()
    signer: str = ""
    new_signer: bool = False
    link_mode: str = AUTO
    releases: Tuple[str, ...] = ()
    unpacked: str = ""


def parse(arguments: Sequence[str], signer: str = "", call: str = "./install.sh") -> Options:
    """Return the options of install.sh, without those that the script has handled. Raises UsageError.

    `call` is the command that has them, for hints.
    """
    hint = "%s --help lists the options" % call
    given, operands = scan(arguments, _FLAGS, _VALUES, hint)
    if not given.keys().isdisjoint(_ALONE):
        return _without_installing(given, operands, hint)
    _check_place(given, operands, hint)
    if "new-signer" in given and "allowed-signers" not in given:
        raise UsageError("--new-signer needs --allowed-signers", hint=hint)
    link_mode = given.get("link-mode", AUTO)
    if link_mode not in _LINK_MODES:
        raise UsageError(
            "--link-mode needs one of %s, found %s" % (", ".join(_LINK_MODES), ascii(link_mode)),
            hint=did_you_mean(link_mode, _LINK_MODES) or hint,
        )
    return Options(
        destination=operands[0] if operands else "",
        check="check" in given,
        force="force" in given,
        quiet="quiet" in given,
        compiling="compile" in given,
        root=given.get("root", ""),
        no_activate="no-activate" in given,
        keep=number("--keep", given["keep"], hint) if "keep" in given else 0,
        commands=commands(given, hint),
        signer=signer,
        new_signer="new-signer" in given,
        link_mode=link_mode,
    )


def _check_place(given: Mapping[str, str], operands: Sequence[str], hint: str) -> None:
    """Raise UsageError unless there is a root or one folder to install into, with options that go with it."""
    if "root" in given:
        if operands:
            raise UsageError("--root takes no further folder, found %s" % operands[0], hint=hint)
        for name in ("reload", "ready"):
            if "no-activate" in given and name in given:
                raise UsageError("--%s and --no-activate exclude each other" % name, hint=hint)
    else:
        for name in _FOR_ROOTS:
            if name in given:
                raise UsageError("--%s needs --root" % name, hint=hint)
        if len(operands) != 1 or not operands[0]:
            found = "none" if not operands else "%d" % len(operands) if operands[0] else "an empty name"
            raise UsageError("expected one folder to install into, found %s" % found, hint=hint)


def _without_installing(given: Mapping[str, str], operands: Sequence[str], hint: str) -> Options:
    name = next(name for name in _ALONE if name in given)
    allowed = (name, *_WITH_THESE)
    more = [*sorted("--" + one for one in given if one not in allowed), *operands]
    if more:
        raise UsageError("--%s takes only -p, found %s" % (name, more[0]), hint=hint)
    return Options(
        "",
        describe="describe" in given,
        verify="verify" in given,
        extract=given.get("extract", ""),
        quiet="quiet" in given,
    )


def scan(
    arguments: Sequence[str], flags: Mapping[str, str], values: Mapping[str, str], hint: str
) -> Tuple[Dict[str, str], List[str]]:
    """Return the value of each option, empty for flags, and the operands. Raises UsageError.

    `flags` and `values` map the spellings of an option to its name.
    """
    given: Dict[str, str] = {}
    operands: List[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if argument == "--":
            operands.extend(rest)
        elif argument in flags:
            given[flags[argument]] = ""
        elif argument in values or (equals and option.startswith("--") and option in values):
            value = value if equals else next(rest, "")
            if not value:
                raise UsageError("%s needs a value" % option, hint=hint)
            given[values[option]] = value
        elif not argument.startswith("--") and argument[:2] in values:
            given[values[argument[:2]]] = argument[2:]
        elif argument.startswith("-") and argument != "-":
            raise UsageError("unknown option %s" % argument, hint=did_you_mean(option, [*flags, *values]) or hint)
        else:
            operands.append(argument)
    return given, operands


def commands(given: Mapping[str, str], hint: str) -> Given:
    """Return what the options say of commands and time limits. Raises UsageError."""
    return Given(
        health_check=_command(given, "health-check", hint),
        reload=_command(given, "reload", hint),
        ready=_command(given, "ready", hint),
        ready_timeout=_seconds(given, "ready-timeout", hint),
        command_timeout=_seconds(given, "command-timeout", hint),
    )


def _command(given: Mapping[str, str], name: str, hint: str) -> Optional[str]:
    if "no-" + name not in given:
        return given.get(name)
    if name in given:
        raise UsageError("--%s and --no-%s exclude each other" % (name, name), hint=hint)
    return ""


def _seconds(given: Mapping[str, str], name: str, hint: str) -> Optional[int]:
    if name not in given:
        return None
    text = given[name]
    if not (text.isdecimal() and text.isascii() and 0 < len(text) <= _DIGITS and int(text)):
        raise UsageError(
            "--%s needs a whole number of seconds from 1 to %s, found %s" % (name, "9" * _DIGITS, ascii(text[:80])),
            hint=hint,
        )
    return int(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar known word; empty if there is none."""
    import difflib  # noqa: PLC0415 - only for mistakes

    close = difflib.get_close_matches(word, list(known), n=1)
    return "did you mean %s?" % close[0] if close else ""


def number(option: str, text: str, hint: str) -> int:
    if not (text.isdecimal() and text.isascii() and int(text) > 0):
        raise UsageError("%s needs a number of at least 1, found %s" % (option, ascii(text)), hint=hint)
    return int(text)
