"""Requirements files with hashes: what counts as pinned, and what is held to the hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from platter_setuptools.ground.errors import DependencyError, WheelError
from platter_setuptools.steps.resolving.lock import Lock, parse_lock
from platter_setuptools.steps.resolving.pins import Pins, flattened, read_pins
from support import projects

ONE, TWO = "1" * 64, "2" * 64


def pins(folder: Path, **files: str) -> Pins | None:
    projects.write(folder, {f"{name}.txt": text for name, text in files.items()})
    return read_pins([folder / f"{next(iter(files))}.txt"])


def lock(*packages: dict[str, Any]) -> Lock:
    data = {"lock-version": "1.0", "created-by": "a test", "packages": list(packages)}
    return parse_lock(data, base=Path("/"), where="a test")


def file(name: str, sha256: str) -> dict[str, Any]:
    return {"url": f"https://host/{name}", "hashes": {"sha256": sha256}}


class TestReading:
    def test_without_hashes_nothing_is_pinned(self, tmp_path: Path) -> None:
        assert pins(tmp_path, main="leaf==1.0  # --hash=sha256:00\n# --hash=sha256:00\n-i https://host/\n") is None

    def test_lines_go_on_and_hashes_add_up(self, tmp_path: Path) -> None:
        found = pins(
            tmp_path,
            main=f"""
            -i https://host/simple
            My.Leaf[x]==1.0 ; python_version > "3" \\
                --hash=sha256:{ONE} \\
                --hash sha512:ABC
            """,
        )
        assert found
        assert found.hashes == {"my-leaf": {f"sha256:{ONE}", "sha512:abc"}}

    def test_files_name_files(self, tmp_path: Path) -> None:
        found = pins(
            tmp_path,
            main="-r more.txt\n-c limits.txt\n",
            more=f"--requirement=main.txt\nleaf==1 --hash=sha256:{ONE}\n",
            limits="other<2\n",
        )
        assert found
        assert set(found.hashes) == {"leaf"}

    def test_all_that_is_not_pinned_is_listed(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match="where one requirement has a hash") as caught:
            pins(
                tmp_path,
                main=f"""
                leaf==1.0 --hash=sha256:{ONE}
                loose>=1 --hash=sha256:{ONE}
                any==1.* --hash=sha256:{ONE}
                bare==1.0
                -e ./here
                other @ https://me:s3cr3t@host/other-1.0.tar.gz
                """,
            )
        assert [line.strip() for line in caught.value.message.splitlines()[1:]] == [
            "loose>=1 is not pinned with ==",
            "any==1.* is not pinned with ==",
            "bare==1.0 has no hash",
            "-e ./here has no hash",
            "other @ https://host/other-1.0.tar.gz has no hash",
        ]

    def test_hashes_can_be_required(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match=r"leaf==1.0 has no hash"):
            pins(tmp_path, main="--require-hashes\nleaf==1.0\n")
        none = read_pins([], required=True)
        assert none
        assert none.hashes == {}

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match=r"gone\.txt cannot be read"):
            pins(tmp_path, main="-r gone.txt\n")

    def test_flattened(self, tmp_path: Path) -> None:
        files = {"main.txt": "a\n-r sub/more.txt  # more\nb\n-c limits.txt\n", "sub/more.txt": "c\n-r ../main.txt\n"}
        projects.write(tmp_path, files)
        assert flattened(tmp_path / "main.txt") == "a\nc\n-r ../main.txt\nb\n"


class TestHolding:
    def test_other_files_are_left_out(self) -> None:
        wheels = [file("leaf-1.0-py3-none-any.whl", ONE), file("leaf-1.0-py2-none-any.whl", TWO)]
        given = lock({"name": "leaf", "version": "1.0", "wheels": wheels, "sdist": file("leaf-1.0.tar.gz", TWO)})
        held = Pins(files=(), hashes={"leaf": frozenset({f"sha256:{ONE}"})}).hold(given)
        (package,) = held.pylock.packages
        assert package.sdist is None
        assert [wheel.filename for wheel in package.wheels or ()] == ["leaf-1.0-py3-none-any.whl"]

    def test_the_hash_of_a_url_without_a_name(self) -> None:
        given = lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)})
        assert Pins(files=(), hashes={"": frozenset({f"sha256:{ONE}"})}).hold(given).pylock.packages[0].archive

    @pytest.mark.parametrize(
        "package",
        [
            {"name": "leaf", "version": "1.0", "wheels": [file("leaf-1.0-py3-none-any.whl", TWO)]},
            {"name": "leaf", "version": "1.0", "archive": file("leaf-1.0.zip", TWO)},
            {"name": "leaf", "version": "1.0", "vcs": {"type": "git", "url": "https://host/", "commit-id": "0"}},
        ],
    )
    def test_what_no_hash_allows(self, package: dict[str, Any]) -> None:
        with pytest.raises(WheelError, match=r"no file of leaf 1\.0 has a hash that more\.txt allows"):
            Pins(files=(Path("more.txt"),), hashes={"leaf": frozenset({f"sha256:{ONE}"})}).hold(lock(package))
