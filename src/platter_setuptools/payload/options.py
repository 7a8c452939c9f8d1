"""The command line. install.sh answers --help and --version itself and hands on all the rest unchanged."""

from typing import List, NamedTuple, Sequence

from .errors import UsageError

_HINT = "./install.sh --help lists the options"
# By install.sh: what each of these needs.
_HEEDED = {"-p": "an interpreter", "--python": "an interpreter", "--allowed-signers": "a file"}


class Options(NamedTuple):
    destination: str
    check: bool = False
    force: bool = False
    quiet: bool = False
    compiling: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """Options. Those that install.sh has heeded already are only stepped over."""
    flags = {"--check": False, "--force": False, "--quiet": False, "--compile": False}
    operands: List[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            operands.extend(rest)
        elif argument in _HEEDED:
            if next(rest, "") == "":
                raise UsageError("%s needs %s" % (argument, _HEEDED[argument]), hint=_HINT)
        elif argument in flags:
            flags[argument] = True
        elif argument == "-q":
            flags["--quiet"] = True
        elif argument.startswith(("--python=", "--allowed-signers=")) or (
            argument.startswith("-p") and argument != "-p"
        ):
            continue
        elif argument.startswith("-") and argument != "-":
            raise UsageError("unknown option %s" % argument, hint=_HINT)
        else:
            operands.append(argument)
    if len(operands) != 1 or not operands[0]:
        found = "none" if not operands else "%d" % len(operands) if operands[0] else "an empty name"
        raise UsageError("expected one folder to install into, found %s" % found, hint=_HINT)
    return Options(operands[0], flags["--check"], flags["--force"], flags["--quiet"], flags["--compile"])
