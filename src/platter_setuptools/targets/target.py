"""The target: the interpreter and platform that a bundle is for; and interpreters of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.tags import Tag

# The markers that identify a target.
FACTS = ("python_version", "platform_python_implementation", "sys_platform", "platform_machine")
OLDEST = (3, 8)  # supported by virtualenv and the payload
LAST_PATCH = 99  # later than the last that any Python will have


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a bundle is for, on whatever machine.

    `environment` are its markers (PEP 508; see markers.py for those that are not known), `tags` its tags (PEP 425), the
    best first. If only the Python version is known, `full_version` is its last patch release. What its bytecode is
    called and begins with is None as long as no such interpreter is known.
    """

    id: str  # cp311-manylinux_2_36_x86_64
    implementation: str  # cpython
    version: str  # 3.11
    full_version: str  # 3.11.7
    platform: str  # linux-x86_64, from sysconfig.get_platform()
    abi: str  # cp311
    cache_tag: str | None  # cpython-311
    magic: str | None  # of its bytecode, hexadecimal
    debug: bool
    free_threaded: bool
    libc: str | None  # glibc 2.36
    environment: Mapping[str, str]
    tags: tuple[Tag, ...]

    def __str__(self) -> str:
        return self.id

    @property
    def described(self) -> str:
        """Return what errors call its Python."""
        return f"{self.id} is Python {self.version}"

    @property
    def builder(self) -> str:
        """Return what builds wheels that fit it, for hints."""
        return f"on a machine that the bundle is for ({self.id})"

    def marker(self, facts: Iterable[str] = FACTS) -> str:
        """Return a marker for the target with these facts, for any patch release of its Python."""
        return " and ".join(f"{fact} == '{self.environment[fact]}'" for fact in facts)

    @property
    def other_patches(self) -> tuple[Mapping[str, str], ...]:
        """Return the marker values of the first and of a far later patch release of this Python version."""
        return tuple(
            {
                **self.environment,
                "python_full_version": f"{self.version}.{patch}",
                "implementation_version": f"{self.version}.{patch}",
            }
            for patch in (0, 999)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter(Target):
    """An interpreter that this machine runs. It builds, and is itself a target unless the options name another one."""

    executable: Path

    def __str__(self) -> str:
        version = self.version + "t" * self.free_threaded
        return f"{self.environment['platform_python_implementation']} {version} on {self.platform}"

    @property
    def described(self) -> str:
        return f"{self.executable} is {self.full_version}"

    @property
    def builder(self) -> str:
        return f"with the interpreter that the bundle is for ({self.executable})"
