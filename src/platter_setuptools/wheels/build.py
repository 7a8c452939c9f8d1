"""Build a source tree's wheel with its build backend (PEP 517), for the target's interpreter."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.errors import CommandError, PlatterError
from platter_setuptools.runtime.reproducible import build_epoch, set_times, source_date_epoch, without_folders
from platter_setuptools.runtime.setuptools_config import builds_elsewhere, left_clean
from platter_setuptools.runtime.temporary import replacing
from platter_setuptools.wheels.build_settings import PLAIN, BuildSettings
from platter_setuptools.wheels.sources import Checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.wheels.environments import Environment, Environments

# Lines that distutils, CMake, Meson, rustc and gcc print if a compiler, a linker or a header is missing or fails.
_COMPILER_FAILED = re.compile(
    r"command '[^']*' failed|error: command .* failed|unable to execute '|fatal error: .*(No such file|not found)"
    r"|\.(c|cc|cpp|cxx|h|hpp|f90):\d+(:\d+)?: (fatal )?error:|[Cc]ommand '?\['[^']*(cc|\+\+|clang)'"
    r"|Python\.h|linker `[^`]*` not found|Unknown compiler|CMAKE_C(XX)?_COMPILER|Microsoft Visual C\+\+"
    r"|can't find Rust compiler|\b(cc|gcc|g\+\+|c\+\+|clang|rustc|gfortran): ((command )?not found|No such file)"
)
_SEE_BACKEND = "see what its build backend says above"


def compiler_failed(said: Sequence[str]) -> bool:
    """Return whether these lines say that a compiler or a file that it needs is missing, or that it failed."""
    return any(_COMPILER_FAILED.search(line) for line in said)


class BuildError(PlatterError):
    """A build backend failed; `compiler` is whether a compiler did. The caller adds the distribution and a hint."""

    compiler = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelBuilder:
    """Builds wheels in isolation, or in `shared`, the build scripts' virtualenv, when isolation is switched off."""

    environments: Environments
    run: Runner
    work: Path
    shared: Callable[[], Environment]

    def build(self, source: Path, output: Path, settings: BuildSettings = PLAIN, *, name: str = "") -> Path:
        """Build the wheel of the source tree into the folder `output`, and return its path. Raise BuildError.

        If the backend fails, all that it printed is kept in a log, named by `name` or the folder.
        """
        import build  # noqa: PLC0415 - when all wheels are at hand nothing is built
        from pyproject_hooks import BuildBackendWarning  # noqa: PLC0415

        warnings.filterwarnings("ignore", category=BuildBackendWarning)  # the backend prints them, too

        scratch = Path(tempfile.mkdtemp(prefix="build-", dir=self.work))
        try:
            with left_clean([source]):
                path = self._build(source, output, self._runner(source, scratch, settings.variables), settings)
        except build.BuildBackendException as error:
            cause = error.exception
            # pypa/build wraps errors of our runner, too.
            if isinstance(cause, PlatterError) and not isinstance(cause, CommandError):
                raise cause from None
            if not isinstance(cause, CommandError) or not cause.output:
                raise BuildError(f"its build backend failed: {error}", hint=_SEE_BACKEND) from error
            log = _keep_log(name or source.name, cause.said)
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
        _drop_log(name or source.name)
        set_times(path, source_date_epoch(os.environ))  # the same source gives the same wheel
        return path

    def _build(self, source: Path, output: Path, runner: _BackendRunner, settings: BuildSettings) -> Path:
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
        # setuptools puts stale files of an old build/ folder into the wheel: it gets a new one elsewhere. So do the
        # .egg-info folders of the user's trees, which setuptools reads and writes.
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
    """Runs the hooks of pypa/build."""

    run: Runner
    folders: Mapping[Path, str]  # these are replaced in debug information
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


def _keep_log(name: str, lines: Sequence[str]) -> Path | None:
    """Write what the failed build of `name` said to a file for this user alone. Return None if that is impossible."""
    try:
        path = _log_of(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(path) as draft:
            draft.touch(mode=0o600)
            draft.write_text("".join(f"{line}\n" for line in lines), "utf-8", errors="replace")
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return None
    return path


def _drop_log(name: str) -> None:
    """Remove what an earlier failure of the same build has left."""
    try:
        _log_of(name).unlink(missing_ok=True)
    except (OSError, RuntimeError):
        return


def _log_of(name: str) -> Path:
    import platformdirs  # noqa: PLC0415 - not needed where nothing is built

    folder = platformdirs.user_log_path("platter").expanduser()
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', name)}.log"
