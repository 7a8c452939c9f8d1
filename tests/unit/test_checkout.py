"""What git knows of a source tree, and what a bundle records of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from platter_setuptools.ground.errors import CommandError
from platter_setuptools.steps.checkout import Checkout
from support.fakes import Call, Diary, FakeRunner, failing

COMMIT = "0123456789" * 4
TREE = Path("/src/app")


def repository(revision: str, *files: str) -> FakeRunner:
    def answer(call: Call) -> str:
        assert call.command[:3] == ("git", "-C", str(TREE))
        assert call.env["GIT_OPTIONAL_LOCKS"] == "0"
        if "ls-files" in call.command:
            return "".join(f"{file}\n" for file in files)
        return f"{revision}\n"

    return FakeRunner(answer)


def recorded(runner: FakeRunner, tree: Path | None = TREE) -> tuple[str | None, list[str]]:
    diary = Diary()
    checkout = Checkout(tree, runner, record=True)
    checkout.read_revision(diary)
    return checkout.revision, diary.said("warn")


@pytest.mark.parametrize("revision", [COMMIT, f"{COMMIT}-dirty", "a1" * 32])
def test_the_commit_is_recorded(revision: str) -> None:
    assert recorded(repository(revision, "pyproject.toml", "app.py")) == (revision, [])


def test_nothing_is_recorded_unasked() -> None:
    runner = repository(COMMIT, "setup.py")
    checkout = Checkout(TREE, runner)
    checkout.read_revision(Diary())
    assert (checkout.revision, checkout.tracked) == (None, ("setup.py",))
    assert [call.command[-1] for call in runner.calls] == ["ls-files"]


@pytest.mark.parametrize(
    ("runner", "tree"),
    [
        (failing("fatal: not a git repository"), TREE),
        (failing("cannot start git: No such file or directory", returncode=127), TREE),
        (repository(COMMIT, "docs/index.md"), TREE),  # another project's repository, with ours in it
        (repository(COMMIT), TREE),
        (repository("v1.0", "setup.py"), TREE),
    ],
)
def test_where_git_does_not_know(runner: FakeRunner, tree: Path) -> None:
    revision, warnings = recorded(runner, tree)
    assert (revision, warnings) == (
        None,
        ["record-git-state: git knows no commit of /src/app; the bundle records none"],
    )


def test_a_finished_wheel_tells_nothing() -> None:
    revision, warnings = recorded(FakeRunner(lambda _call: pytest.fail("git was asked")), None)
    assert revision is None
    assert warnings == ["record-git-state: what commit a finished wheel is of is unknown; the bundle records none"]


def test_a_repository_that_cannot_be_read_any_more() -> None:
    def answer(call: Call) -> str:
        if "describe" in call.command:
            raise CommandError("git ended", returncode=128, output=())
        return "setup.py\n"

    assert recorded(FakeRunner(answer))[0] is None


@pytest.mark.parametrize(
    ("revision", "time", "files", "expected"),
    [
        (COMMIT, f"1700000000 {COMMIT}", ("setup.py",), 1700000000),
        (f"{COMMIT}-dirty", f"1700000000 {COMMIT}", ("setup.py",), None),
        (COMMIT, f"1700000000 {COMMIT}", ("docs/index.md",), None),
        ("", "", ("setup.py",), None),  # no commit yet
    ],
)
def test_the_time_of_the_commit(revision: str, time: str, files: tuple[str, ...], expected: int | None) -> None:
    known = repository(revision, *files)

    def answer(call: Call) -> str:
        return time if "rev-list" in call.command else known.answer(call)

    assert Checkout(TREE, FakeRunner(answer)).commit_time == expected
