"""The command lines: install.sh's, and what those of the server's programs have in common."""

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import UsageError

_HINT = "./install.sh --help lists the options"
_FLAGS = {
    "--check": "check",
    "--force": "force",
    "--compile": "compile",
    "--no-activate": "no-activate",
    "--no-health-check": "no-health-check",
    "--no-reload": "no-reload",
    "--new-signer": "new-signer",
    "-q": "quiet",
    "--quiet": "quiet",
}
_VALUES = {
    "-p": "python",
    "--python": "python",
    "--allowed-signers": "allowed-signers",
    "--root": "root",
    "--keep": "keep",
    "--health-check": "health-check",
    "--reload": "reload",
}
_FOR_ROOTS = ("no-activate", "keep", "health-check", "no-health-check", "reload", "no-reload", "new-signer")


class Options(NamedTuple):
    """Either ``destination`` or ``root`` is empty; ``keep`` is 0 if nothing is to be pruned.

    ``health_check`` and ``reload``: see ``command``. ``signer`` is the principal (ssh-keygen(1)) that signed the
    bundle, where ``--allowed-signers`` asked for one.
    """

    destination: str
    check: bool = False
    force: bool = False
    quiet: bool = False
    compiling: bool = False
    root: str = ""
    no_activate: bool = False
    keep: int = 0
    health_check: Optional[str] = None
    reload: Optional[str] = None
    signer: str = ""
    new_signer: bool = False


def parse(arguments: Sequence[str], signer: str = "") -> Options:
    """Options of install.sh; those that it has heeded already are only stepped over."""
    given, operands = scan(arguments, _FLAGS, _VALUES, _HINT)
    if "root" in given:
        if operands:
            raise UsageError("with --root there is no folder to name, found %s" % operands[0], hint=_HINT)
        if "no-activate" in given and "reload" in given:
            raise UsageError("--reload follows a switch, and --no-activate asks for none", hint=_HINT)
    else:
        for name in _FOR_ROOTS:
            if name in given:
                raise UsageError("--%s needs --root" % name, hint=_HINT)
        if len(operands) != 1 or not operands[0]:
            found = "none" if not operands else "%d" % len(operands) if operands[0] else "an empty name"
            raise UsageError("expected one folder to install into, found %s" % found, hint=_HINT)
    if "new-signer" in given and "allowed-signers" not in given:
        raise UsageError("--new-signer needs --allowed-signers", hint=_HINT)
    return Options(
        destination=operands[0] if operands else "",
        check="check" in given,
        force="force" in given,
        quiet="quiet" in given,
        compiling="compile" in given,
        root=given.get("root", ""),
        no_activate="no-activate" in given,
        keep=number("--keep", given["keep"], _HINT) if "keep" in given else 0,
        health_check=command(given, "health-check", _HINT),
        reload=command(given, "reload", _HINT),
        signer=signer,
        new_signer="new-signer" in given,
    )


def scan(
    arguments: Sequence[str], flags: Mapping[str, str], values: Mapping[str, str], hint: str
) -> Tuple[Dict[str, str], List[str]]:
    """What was given for each option, flags with an empty value; and the operands.

    ``flags`` and ``values`` map the spellings of an option to its name.
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


def command(given: Mapping[str, str], name: str, hint: str) -> Optional[str]:
    """Return the command that was given for the health check or the reload.

    An empty text stands for none (``--no-reload``), None for that of the last deployment.
    """
    if "no-" + name not in given:
        return given.get(name)
    if name in given:
        raise UsageError("--%s and --no-%s exclude each other" % (name, name), hint=hint)
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the word that is most like this one; empty if none is."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    close = difflib.get_close_matches(word, list(known), n=1)
    return "did you mean %s?" % close[0] if close else ""


def number(option: str, text: str, hint: str) -> int:
    if not (text.isdecimal() and text.isascii() and int(text) > 0):
        raise UsageError("%s needs a number from 1 on, found %s" % (option, ascii(text)), hint=hint)
    return int(text)
