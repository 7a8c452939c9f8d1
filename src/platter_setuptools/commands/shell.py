"""`platter completion` and `platter man`: what a shell and man(1) are to know of this command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.ground.streams import print_text

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser], program: argparse.ArgumentParser) -> None:
    """Add the commands to the command line of `program`."""

    def completion(parsed: argparse.Namespace) -> None:
        from platter_setuptools.commands.completion import SHELLS  # noqa: PLC0415
        from platter_setuptools.commands.outline import outline  # noqa: PLC0415

        print_text(SHELLS[parsed.shell](outline(program)))

    def man(_parsed: argparse.Namespace) -> None:
        from platter_setuptools.commands.manual import manual  # noqa: PLC0415
        from platter_setuptools.commands.outline import outline  # noqa: PLC0415

        print_text(manual(outline(program)))

    parser = commands.add_parser(
        "completion",
        help="print a script that lets a shell complete this command",
        description='Print a script that lets a shell complete this command. For bash: eval "$(platter completion'
        ' bash)" in ~/.bashrc; for zsh: source <(platter completion zsh) in ~/.zshrc, after compinit; for fish: platter'
        " completion fish > ~/.config/fish/completions/platter.fish.",
    )
    parser.set_defaults(run=completion)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    parser = commands.add_parser(
        "man",
        help="print the manual page",
        description="Print the manual page, for man(1): platter man >~/.local/share/man/man1/platter.1",
    )
    parser.set_defaults(run=man)
