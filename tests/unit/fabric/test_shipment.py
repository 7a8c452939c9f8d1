"""What is sent to a host: which thin bundles are made, and that each is made once."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.errors import ArchiveError, UsageError
from platter_setuptools.fabric.shipment import Shipment, Shipments
from platter_setuptools.payload import checksums
from platter_setuptools.thinning import make_thin
from support import handmade
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MTIME = 315532800


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return an archive of a project with two dependencies, and its checksums."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "bootstrap" / "virtualenv").mkdir(parents=True)
    wheels = [handmade.wheel(folder, name) for name in ("tiny", "leaf", "branch")]
    bundle = handmade.bundle(folder / "full", wheels, bytecode=True, bootstrap=folder / "bootstrap")
    path = write_archive(list(from_folder(bundle.path)), bundle.path.name, "tar.gz", folder / "dist", MTIME)[0]
    return path, checksums.read(str(bundle.path))


@pytest.fixture(name="shipments")
def _shipments(made: tuple[Path, dict[str, str]], tmp_path: Path) -> Shipments:
    return Shipments(made[0], tmp_path / "work", MTIME)


@pytest.fixture(name="line")
def _line(made: tuple[Path, dict[str, str]]) -> Callable[[str], str]:
    """Return a function that returns what a host says that has a wheel."""
    _, sums = made
    return lambda name: f"{sums[f'data/{name}-1.0-py3-none-any.whl']}  wheel  {name}\n"


class TestBeginning:
    @pytest.mark.parametrize("size", [0, 1, 99, 100])
    def test_of_a_file(self, tmp_path: Path, size: int) -> None:
        content = bytes(range(100))
        (path := tmp_path / "file").write_bytes(content)
        sent = Shipment.of(path)
        assert (sent.sha256, sent.size, sent.about) == (hashlib.sha256(content).hexdigest(), 100, "100 B")
        assert sent.begins_with(size, hashlib.sha256(content[:size]).hexdigest())
        assert not sent.begins_with(size, hashlib.sha256(content[:size] + b"x").hexdigest())

    def test_longer_than_the_file(self, tmp_path: Path) -> None:
        (path := tmp_path / "file").write_bytes(b"x")
        assert not Shipment.of(path).begins_with(2, hashlib.sha256(b"x").hexdigest())


class TestThinBundles:
    def test_one_for_each_set_of_files(self, shipments: Shipments, line: Callable[[str], str]) -> None:
        leaf = shipments.without(line("leaf"))
        assert leaf
        assert leaf.path.name == shipments.full.path.name.replace(".tar.gz", "-thin.tar.gz")
        assert (leaf.sha256, leaf.size) == (
            hashlib.sha256(leaf.path.read_bytes()).hexdigest(),
            leaf.path.stat().st_size,
        )
        assert leaf.about.startswith("2 of 3 wheels, ")
        elsewhere = f"{'ab' * 32}  wheel  of-another-release\n"
        assert shipments.without(elsewhere + line("leaf")) is leaf
        both = shipments.without(line("leaf") + line("branch"))
        assert both
        assert both.about.startswith("1 of 3 wheels, ")
        assert both.path != leaf.path

    @pytest.mark.parametrize("answer", ["", f"{'ab' * 32}  wheel  other\n"])
    def test_none_for_a_host_that_has_nothing(self, shipments: Shipments, answer: str) -> None:
        assert shipments.without(answer) is None

    def test_none_if_everything_is_needed(
        self, shipments: Shipments, made: tuple[Path, dict[str, str]], line: Callable[[str], str]
    ) -> None:
        """Bytecode of a wheel that the host does not have is of no use."""
        _, sums = made
        (sha256,) = (sums[name] for name in sums if name.startswith("data/bytecode/leaf-"))
        assert shipments.without(f"{sha256}  bytecode  leaf\n") is None
        assert shipments.without(line("leaf"))

    @pytest.mark.parametrize(
        "answer", ["<html>\n", f"{'AB' * 32}  wheel  x\n", f"{'ab' * 32}\n", f"{'a' * 65} wheel x\n"]
    )
    def test_an_answer_that_is_no_list(self, shipments: Shipments, answer: str) -> None:
        with pytest.raises(UsageError, match="its list of what it has, line 1: not a SHA-256 and a kind"):
            shipments.without(answer)

    def test_a_bundle_that_is_none(self, tmp_path: Path, line: Callable[[str], str]) -> None:
        (path := tmp_path / "tiny-1.0-linux-x86_64.tar.gz").write_bytes(b"nothing")
        with pytest.raises(ArchiveError):
            Shipments(path, tmp_path / "work", MTIME).without(line("leaf"))

    def test_made_once_for_hosts_that_ask_at_once(
        self, shipments: Shipments, line: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls, begun = list[str](), threading.Event()

        def slowly(*arguments: object, **named: object) -> object:
            calls.append("")
            begun.wait(20)
            return make_thin(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr("platter_setuptools.fabric.shipment.make_thin", slowly)
        found = list[Shipment | None]()
        threads = [threading.Thread(target=lambda: found.append(shipments.without(line("leaf")))) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.set()
        for thread in threads:
            thread.join()
        assert len(calls) == 1
        assert found[0]
        assert found == [found[0]] * 4
