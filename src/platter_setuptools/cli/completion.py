"""Completion scripts for bash, zsh and fish, from the outline of the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.cli.outline import Argument, Command

_BASH = """\
# Completion of platter in bash: eval "$(platter completion bash)"
_platter() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" word
    COMPREPLY=()
    if [ "$current" = = ]; then  # bash takes --option=value apart
        current=""
    elif [ "$previous" = = ]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$command $word" in
            @WORDS@) command="${command:+$command }$word" ;;
        esac
    done
    case "$command $previous" in
@VALUES@
    esac
    case "$command" in
@COMMANDS@
    esac
}
complete -o default -o bashdefault -F _platter platter
"""

_ZSH = """\
#compdef platter
# Completion of platter in zsh: source <(platter completion zsh), or as a file _platter in a folder of $fpath
_platter() {
    local command="" word
    local -a commands
    local -i depth=0
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$command $word" in
            @WORDS@) command="${command:+$command }$word"; (( depth += 1 )) ;;
            *) break ;;
        esac
    done
    words=(platter "${(@)words[depth+2,-1]}"); (( CURRENT -= depth ))  # _arguments counts from the last command word
    case "$command" in
@COMMANDS@
    esac
}
if [ "$funcstack[1]" = _platter ]; then
    _platter "$@"
else
    compdef _platter platter
fi
"""

_FISH = """\
# Completion of platter in fish: platter completion fish | source
function __platter_at
    set -l command
    for word in (commandline -opc)[2..]
        switch "$command $word"
            case @WORDS@
                set command (string trim "$command $word")
        end
    end
    test "$command" = "$argv"
end
complete -c platter -f
"""


def bash(program: Command) -> str:
    """Return the script for bash, which completes file names where the script offers nothing."""
    values, commands = [], []
    for command in program.walk():
        words = " ".join(command.words)
        for option in command.options:
            if option.choices:
                patterns = "|".join(f'"{words} {name}"' for name in option.names)
                values.append(f"        {patterns}) {_compgen(option.choices)}; return ;;")
        without_value = " ".join(name for option in command.options for name in option.names)
        lines = [f'        "{words}")', f"            if [[ $current == -* ]]; then {_compgen([without_value])}"]
        offered = [one.words[-1] for one in command.commands]
        offered += [choice for one in command.positional for choice in one.choices]
        if offered:
            lines[1] += f"; else {_compgen(offered)}"
        commands += [f"{lines[0]}\n{lines[1]}; fi ;;"]
    known = _known(program, '"{}"', "|")
    return _filled(_BASH, WORDS=known, VALUES="\n".join(values), COMMANDS="\n".join(commands))


def _compgen(words: tuple[str, ...] | list[str]) -> str:
    return f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"))'


def zsh(program: Command) -> str:
    """Return the script for zsh, with a description of everything."""
    cases = "\n".join(line for command in program.walk() for line in _zsh_case(command))
    return _filled(_ZSH, WORDS=_known(program, '"{}"', "|"), COMMANDS=cases)


def _zsh_case(command: Command) -> Iterator[str]:
    specifications = [_zsh_option(option) for option in command.options]
    specifications += [f"'{':' * (1 + one.optional)}{one.metavar}:{_zsh_value(one)}'" for one in command.positional]
    yield f'        "{" ".join(command.words)}")'
    if command.commands:
        descriptions = [f"'{one.words[-1]}:{_zsh_text(one.help)}'" for one in command.commands]
        yield f"            commands=({_continued(descriptions)})"
        specifications.append("'1: :{_describe command commands}'")
    yield f"            _arguments {_continued(specifications)} ;;"


def _zsh_option(option: Argument) -> str:
    *others, long = [f"{name}=" if option.metavar and name[1] == "-" else name for name in option.names]
    rest = f"[{_zsh_text(option.help)}]"
    if option.metavar:
        rest += f":{option.metavar}:{_zsh_value(option)}"
    again = "*" * ("(repeatable)" in option.help)
    if others:
        excluded = again or f"({' '.join(option.names)})"
        return f"'{excluded}'{{{','.join([*others, long])}}}'{rest}'"
    return f"'{again}{long}{rest}'"


def _zsh_value(argument: Argument) -> str:
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return "_files" if argument.takes_file else "_files -/" if argument.takes_folder else ""


def _zsh_text(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def _continued(words: list[str]) -> str:
    return " \\\n                ".join(words)


def fish(program: Command) -> str:
    """Return the script for fish: a line for each command, option and argument."""
    lines = [_filled(_FISH, WORDS=_known(program, "'{}'", " "))]
    for command in program.walk():
        start = f'complete -c platter -n "__platter_at {" ".join(command.words)}"'
        lines += [f"{start} -f -a {one.words[-1]} -d {_fish_text(one.help)}\n" for one in command.commands]
        for option in command.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            lines.append(f"{start} {names}{_fish_value(option)} -d {_fish_text(option.help)}\n")
        lines += [f"{start}{_fish_value(one)} -d {_fish_text(one.help)}\n" for one in command.positional]
    return "".join(lines).rstrip("\n")


def _fish_value(argument: Argument) -> str:
    if not argument.metavar:
        return ""
    if argument.choices:
        return f"{' -x' if argument.names else ' -f'} -a '{' '.join(argument.choices)}'"
    if argument.takes_folder:
        return f"{' -x' * bool(argument.names)} -a '(__fish_complete_directories)'"
    return f"{' -r' * bool(argument.names)}{' -F' * argument.takes_file}"


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _known(program: Command, form: str, between: str) -> str:
    """Return the words from one command to the next: ` cache`, `cache prune`."""
    paths = (command.words for command in program.walk() if command.words)
    return between.join(form.format(f"{' '.join(path[:-1])} {path[-1]}") for path in paths)


def _filled(template: str, **texts: str) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: texts[match[1]], template).rstrip("\n")


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
