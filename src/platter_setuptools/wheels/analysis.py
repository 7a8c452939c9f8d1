"""Analyse wheels: everything that a build needs to know of a wheel, read once and kept in the wheel cache."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.errors import InterruptedBuildError, WheelError
from platter_setuptools.runtime.concurrency import OncePerKey, in_threads
from platter_setuptools.wheel_cache import WheelCache, key_of
from platter_setuptools.wheels.check import WheelWithMetadata
from platter_setuptools.wheels.metadata import Description, interpret, read_facts
from platter_setuptools.wheels.record_check import Places, examine
from platter_setuptools.wheels.system_libraries import Linkage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target
    from platter_setuptools.values import Wheel

_RULES = "7"  # raise it when an analysis is made differently, or checks more: older notes do not count then
_KIND = "analysis"
_ELF = b"\x7fELF"
_IN_MEMORY = 32 << 20  # bytes: what is larger is unpacked to disk, for some libraries take gigabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAnalysis:
    """The content of a wheel that was compared with its RECORD."""

    description: Description
    places: Places
    linkage: Linkage


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyser:
    """Analyses each wheel once, by its hash; other threads wait for the result."""

    target: Target
    cache: WheelCache
    run: Runner
    _results: OncePerKey[WheelAnalysis] = field(default_factory=OncePerKey, init=False)

    def analyse(self, wheel: Wheel) -> WheelAnalysis:
        """Return the analysis of a wheel. Raise WheelError if it is not sound."""
        return self._results.get((wheel.filename, wheel.sha256), lambda: self._recall(wheel) or self._analyse(wheel))

    def describe(self, wheel: Wheel) -> WheelWithMetadata:
        """Return the wheel with what it says of itself. Raise WheelError if it is not sound."""
        return WheelWithMetadata(wheel=wheel, description=self.analyse(wheel).description)

    def analyse_all(self, wheels: Sequence[Wheel]) -> Mapping[Wheel, WheelAnalysis]:
        """Return the analysis of each wheel. Raise WheelError for one that is not sound."""
        return dict(zip(wheels, in_threads(self.analyse, wheels, self.run), strict=True))

    def _recall(self, wheel: Wheel) -> WheelAnalysis | None:
        """Return what the wheel cache has noted, if it has."""
        note = self.cache.recall(_KIND, self._key(wheel))
        # A note may hold anything.
        with contextlib.suppress(WheelError, LookupError, TypeError, ValueError, AttributeError):
            return WheelAnalysis(
                description=interpret(wheel, note["facts"]),
                places=tuple(note["places"]),
                linkage=Linkage.from_note(**note["linkage"]),
            )
        return None

    def _analyse(self, wheel: Wheel) -> WheelAnalysis:
        facts, compiled = read_facts(wheel), CompiledFiles(self.target.platform)
        description = interpret(wheel, facts)
        # A wheel is unpacked once: its files are compared with its RECORD and read for what they link with.
        places = examine(wheel, lambda name, chunks: compiled.watch(name, self._until_stopped(chunks)))
        note = {"facts": facts, "places": places, "linkage": compiled.linkage.as_note()}
        self.cache.note(_KIND, self._key(wheel), note)
        return WheelAnalysis(description=description, places=places, linkage=compiled.linkage)

    def _key(self, wheel: Wheel) -> str:
        return key_of(_RULES, wheel.filename, wheel.sha256, self.target.platform)

    def _until_stopped(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.run.stopped:  # a large wheel takes seconds
                raise InterruptedBuildError("the build is being stopped", hint="run it again when you like")
            yield chunk


class CompiledFiles:
    """Reads the ELF files of a wheel while it is unpacked, for one kind of machine."""

    def __init__(self, platform: str) -> None:
        self.linkage = Linkage()
        self._platform = platform

    def watch(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the content of a file unchanged, and read it if it is ELF."""
        rest = iter(chunks)
        first = next(rest, b"")
        whole = itertools.chain([first], rest)
        if not first.startswith(_ELF):
            yield from whole
            return
        from platter_setuptools.wheels.elf import read_linkage  # noqa: PLC0415 - loads the library that reads ELF

        # The library reads back and forth in it.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            for chunk in whole:
                file.write(chunk)
                yield chunk
            self.linkage |= read_linkage(name, file, self._platform)
