"""tests/unit mirrors src: who changes a module finds its tests by its name."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
SRC = HERE.parents[1] / "src" / "platter_setuptools"
# What is about the whole, and about the repository around it.
WHOLE = {"benchmarks", "distribution", "expressions", "hints", "layout", "limits", "security_page"}


def test_each_file_is_about_a_module_or_a_folder_of_modules() -> None:
    strays = []
    for path in HERE.rglob("test_*.py"):
        name = path.relative_to(HERE).with_name(path.name.removeprefix("test_"))
        if not (SRC / name).exists() and name.stem not in {SRC.joinpath(name).parent.name.lstrip("_"), *WHOLE}:
            strays.append(str(path.relative_to(HERE)))
    assert strays == []
