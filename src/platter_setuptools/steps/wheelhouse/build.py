"""From a source tree to a wheel, by its own build backend (PEP 517), for the target's interpreter."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.debugging import without_folders
from platter_setuptools.ground.errors import CommandError, PlatterError
from platter_setuptools.ground.logs import drop_log, keep_log
from platter_setuptools.ground.setuptools_config import builds_elsewhere
from platter_setuptools.ground.times import build_epoch, source_date_epoch
from platter_setuptools.ground.ziptimes import set_times
from platter_setuptools.steps.checkout import Checkout
from platter_setuptools.steps.wheelhouse.build_settings import PLAIN, BuildSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.wheelhouse.environments import Environment, Environments

# What is printed where a compiler, a linker or a header is missing or fails: distutils, CMake, Meson, rustc, gcc.
_COMPILER_FAILED = re.compile(
    r"command '[^']*' failed|error: command .* failed|unable to execute '|fatal error: .*(No such file|not found)"
    r"|\.(c|cc|cpp|cxx|h|hpp|f90):\d+(:\d+)?: (fatal )?error:|[Cc]ommand '?\['[^']*(cc|\+\+|clang)'"
    r"|Python\.h|linker `[^`]*` not found|Unknown compiler|CMAKE_C(XX)?_COMPILER|Microsoft Visual C\+\+"
    r"|can't find Rust compiler|\b(cc|gcc|g\+\+|c\+\+|clang|rustc|gfortran): ((command )?not found|No such file)"
)
_SEE_BACKEND = "see what its build backend says above"


def compiler_failed(said: Sequence[str]) -> bool:
    """Return whether a backend printed these lines since a compiler or what it reads is missing, or failed."""
    return any(_COMPILER_FAILED.search(line) for line in said)


class BuildError(PlatterError):
    """A backend failed, or the compiler that it called. The caller knows whose wheel it was, and what to do."""

    compiler = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelBuilder:
    """Builds wheels in isolation, or in `shared`, the build scripts' virtualenv, when isolation is switched off."""

    environments: Environments
    run: Runner
    work: Path
    shared: Callable[[], Environment]

    def build(self, source: Path, output: Path, settings: BuildSettings = PLAIN, *, name: str = "") -> Path:
        """Build the wheel of the source tree into the folder `output`, and give its path. Raises BuildError.

        If it fails, all that its backend said is kept in a file, which is called as `name` says or as the folder.
        """
        import build  # noqa: PLC0415 - when all wheels are at hand nothing is built
        from pyproject_hooks import BuildBackendWarning  # noqa: PLC0415

        warnings.filterwarnings("ignore", category=BuildBackendWarning)  # they come again among the tool's lines

        scratch = Path(tempfile.mkdtemp(prefix="build-", dir=self.work))
        try:
            with _left_clean(source):
                path = self._build(source, output, self._runner(source, scratch, settings.variables), settings)
        except build.BuildBackendException as error:
            cause = error.exception
            # pypa/build takes every Exception for a backend's.
            if isinstance(cause, PlatterError) and not isinstance(cause, CommandError):
                raise cause from None
            if not isinstance(cause, CommandError) or not cause.output:
                raise BuildError(f"its build backend failed: {error}", hint=_SEE_BACKEND) from error
            log = keep_log(name or source.name, cause.said)
            where = f"; all that it said is in {log}" if log else ""
            failure = BuildError(f"its build backend failed{where}", hint=_SEE_BACKEND, output=cause.output)
            failure.compiler = compiler_failed(cause.said)
            raise failure from error
        except build.BuildException as error:
            raise BuildError(
                f"its pyproject.toml cannot be used ({error})", hint="correct its [build-system] table (PEP 518)"
            ) from error
        except CommandError as error:
            raise BuildError(
                f"its build environment cannot be made ({error.message})",
                hint="see what the installer of its build requirements says above",
                output=error.output,
            ) from error
        drop_log(name or source.name)
        set_times(path, source_date_epoch(os.environ))  # the same source gives the same wheel
        return path

    def _build(self, source: Path, output: Path, runner: _BackendRunner, settings: BuildSettings) -> Path:
        """What the source tree says that its build requires comes first; then its backend may add to that."""
        import build  # noqa: PLC0415

        if settings.isolated:
            requires = build.ProjectBuilder(source).build_system_requires.union(settings.requires)
            environment = self.environments.having(requires)
        else:
            environment = self.shared()
        builder = build.ProjectBuilder.from_isolated_env(environment, source, runner)
        if settings.isolated and (more := builder.get_requires_for_build("wheel", settings.config_settings)):
            environment = self.environments.having(requires | more)
            builder = build.ProjectBuilder.from_isolated_env(environment, source, runner)
        return Path(builder.build("wheel", output, settings.config_settings))

    def _runner(self, source: Path, scratch: Path, variables: Mapping[str, str]) -> _BackendRunner:
        # setuptools puts stale files of an old build/ folder into the wheel: give it a fresh one elsewhere. What it
        # writes down in .egg-info folders of the user's trees goes there, too, and what it has written there counts.
        ours = source.is_relative_to(self.work)
        elsewhere = builds_elsewhere(scratch, os.environ, egg_info=not ours)
        for folder in [] if ours else [*source.glob("*.egg-info"), *source.glob("*/*.egg-info")]:
            if folder.is_dir():
                shutil.copytree(folder, scratch / "egg-info" / folder.name, dirs_exist_ok=True)
        checkout = Checkout(source, self.run)
        variables = build_epoch(os.environ, checkout.commit_time) | dict(variables)
        folders = {self.environments.folder: "environments", scratch: "build", source: "."}
        return _BackendRunner(self.run, folders, {**variables, **elsewhere})


@dataclass(frozen=True, slots=True)
class _BackendRunner:
    """What pypa/build calls to run a hook: our runner in its words."""

    run: Runner
    folders: Mapping[Path, str]  # which debug information shall not tell
    variables: Mapping[str, str]

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | os.PathLike[str] | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = {
            **self.variables,
            **without_folders({**os.environ, **self.variables}, self.folders),
            **(extra_environ or {}),
        }
        self.run(cmd, cwd=Path(cwd) if cwd is not None else None, env=environ)


@contextlib.contextmanager
def _left_clean(source: Path) -> Iterator[None]:
    """Remove the folders that a setuptools before 66 leaves in a source tree, but none that was there before."""

    def present() -> set[Path]:
        return {*source.glob("*.egg-info"), *source.glob("src/*.egg-info"), *source.glob("build")}

    before = present()
    try:
        yield
    finally:
        for folder in present() - before:
            shutil.rmtree(folder, ignore_errors=True)
