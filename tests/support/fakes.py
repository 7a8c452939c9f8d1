"""Stand-ins for what the steps are handed: a runner that starts nothing, a progress that keeps what it is told."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from platter_setuptools.errors import CommandError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.runtime.progress import Progress
from platter_setuptools.targets.find import find_interpreter
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheels.check import WheelWithMetadata
from platter_setuptools.wheels.metadata import Description

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from platter_setuptools.config.option_sources import Source
    from platter_setuptools.runtime.progress import Tell
    from platter_setuptools.targets.target import Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a Runner was asked to start."""

    command: tuple[str, ...]
    cwd: Path | None
    env: Mapping[str, str]
    stdin: str
    terminal: bool = False

    def after(self, flag: str) -> list[str]:
        """The arguments that come right after each occurrence of a flag."""
        return [two for one, two in zip(self.command, self.command[1:], strict=False) if one == flag]


@dataclass(slots=True)
class FakeRunner(Runner):
    """Records commands. `answer` does what the tool would do and gives its standard output."""

    answer: Callable[[Call], str] = lambda _call: ""
    calls: list[Call] = field(default_factory=list)
    stopped: bool = False

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: str = "",
        terminal: bool = False,
        secret: bool = False,  # noqa: ARG002 - nobody is told here
    ) -> str:
        words = tuple(os.fspath(word) for word in command)
        environ = {name: value for name, value in (env or {}).items() if value is not None}
        call = Call(command=words, cwd=cwd, env=environ, stdin=stdin, terminal=terminal)
        self.calls.append(call)
        return self.answer(call)

    def stop(self) -> None:
        self.stopped = True


def failing(*output: str, returncode: int = 1) -> FakeRunner:
    """A Runner under which every command fails after these last lines."""

    def answer(call: Call) -> str:
        raise CommandError(f"`{call.command[0]}` ended", returncode=returncode, output=output)

    return FakeRunner(answer)


class Diary(Progress):
    """A Progress that keeps what it was told, each as (kind, text)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        self.entries.append(("step", text))
        yield lambda text: self.entries.append(("advance", text))

    hand_over = step

    def detail(self, line: str) -> None:
        self.entries.append(("detail", line))

    def warn(self, text: str) -> None:
        if ("warn", text) not in self.entries:
            self.entries.append(("warn", text))

    def done(self, text: str) -> None:
        self.entries.append(("done", text))

    def said(self, kind: str) -> list[str]:
        return [text for one, text in self.entries if one == kind]


def choices(source: Source) -> dict[str, Any]:
    """The values of the options that a place sets."""
    return {name: choice.value for name, choice in source.items()}


def target(*, environment: Mapping[str, str] | None = None, **changes: Any) -> Interpreter:
    """The running interpreter as a target, with some of its facts changed."""
    here = find_interpreter(None, FakeRunner())
    return dataclasses.replace(here, environment={**here.environment, **(environment or {})}, **changes)


def described(
    filename: str,
    *requires: str,
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    origin: Origin = Origin.STORE,
) -> WheelWithMetadata:
    """A wheel that is only claimed to exist."""
    name, version, _build, _tags = parse_wheel_filename(filename)
    wheel = Wheel(path=Path("/", filename), name=name, version=version, sha256="0" * 64, size=1, origin=origin)
    description = Description(
        name=str(canonicalize_name(name)),
        requires_python=None if requires_python is None else SpecifierSet(requires_python),
        requires=tuple(map(Requirement, requires)),
        extras=tuple(extras),
        files=1,
        size=1,
    )
    return WheelWithMetadata(wheel=wheel, description=description)
