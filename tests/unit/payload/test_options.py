from __future__ import annotations

import pytest

from platter_setuptools.payload.errors import UsageError
from platter_setuptools.payload.options import Options, parse


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/srv/a"], Options("/srv/a")),
        (["--check", "a"], Options("a", check=True)),
        (["a", "--force", "-q"], Options("a", force=True, quiet=True)),
        (["-p", "python3", "a", "--quiet"], Options("a", quiet=True)),
        (["--python", "x", "--python=y", "-pz", "a"], Options("a")),
        (["--compile", "a"], Options("a", compiling=True)),
        (["--", "--force"], Options("--force")),
        (["-"], Options("-")),
        (["a b\n"], Options("a b\n")),
    ],
)
def test_accepted(words: list[str], expected: Options) -> None:
    assert parse(words) == expected


@pytest.mark.parametrize(
    "words",
    [[], ["a", "b"], [""], ["--what", "a"], ["-x", "a"], ["-p"], ["a", "--python"], ["-p", "", "a"], ["--che", "a"]],
)
def test_refused(words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert caught.value.exit_code == 2
    assert caught.value.hint
