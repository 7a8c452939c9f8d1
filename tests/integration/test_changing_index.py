"""Indexes change: releases come, are yanked and removed. A build takes what the index has now, whatever caches hold."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uv

from support import handmade, projects
from support.front_ends import wheels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Shop:
    """An index whose files change, and finished wheels of a project: what they require is locked or built."""

    yard: Yard
    folder: Path
    index: Index
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environ |= {"PIP_INDEX_URL": self.index.url, "UV_CACHE_DIR": str(self.folder / "uv")}
        self.environ["PLATTER_BUILD_WHEEL_CACHE"] = str(self.folder / "wheels")

    def project(self, *requires: str) -> Path:
        return handmade.wheel(self.folder / "project", "app", requires=requires)

    def release(self, name: str, version: str, *requires: str) -> Path:
        return handmade.wheel(self.folder / "index", name, version, requires=requires)

    def packages(self, *requires: str, words: tuple[str, ...] = (), code: int = 0) -> dict[str, Any]:
        """What `platter lock` writes, by name."""
        file = self.folder / "pylock.toml"
        self.yard.platter(
            "lock", "--upgrade", self.project(*requires), "-o", file, *words, cwd=self.folder, code=code, **self.environ
        )
        return {one["name"]: one for one in tomllib.loads(file.read_text())["packages"]} if code == 0 else {}

    def versions(self, *requires: str) -> dict[str, str]:
        return {name: package["version"] for name, package in self.packages(*requires).items()}

    def build(self, *requires: str, words: tuple[str, ...] = ()) -> dict[str, str]:
        bundle = self.yard.build(
            self.folder, "--no-pip", "--no-bytecode", *words, str(self.project(*requires)), **self.environ
        )
        return {name: version for name, version in wheels(bundle).items() if name != "app"}


@pytest.fixture
def shop(yard: Yard, tmp_path: Path, open_index: Callable[..., Index]) -> Shop:
    (tmp_path / "index").mkdir()
    return Shop(yard, tmp_path, open_index(tmp_path / "index"))


def test_releases_come_and_go(shop: Shop) -> None:
    for version in ("1.0", "2.0"):
        shop.release("core", version)
    shop.release("pinned", "1.0")
    requires = ("core", "pinned==1.0")
    assert shop.build(*requires) == {"core": "2.0", "pinned": "1.0"}
    shop.release("core", "3.0", "lower")  # a name that no earlier answer had
    lower = shop.release("lower", "1.0")
    assert shop.versions(*requires) == {"core": "3.0", "lower": "1.0", "pinned": "1.0"}
    shop.release("lower", "1.1")  # and a newer one of it
    assert shop.build(*requires) == {"core": "3.0", "lower": "1.1", "pinned": "1.0"}
    # What was in the last answer is yanked; what only a pin names is taken, although it is.
    shop.index.yanked |= {"core-3.0-py3-none-any.whl", "pinned-1.0-py3-none-any.whl"}
    assert shop.build(*requires) == {"core": "2.0", "pinned": "1.0"}
    assert shop.versions("core==3.0") == {"core": "3.0", "lower": "1.1"}
    # Removed, although its wheel and the answer are in the caches.
    (shop.folder / "index" / "core-2.0-py3-none-any.whl").unlink()
    assert shop.build(*requires) == {"core": "1.0", "pinned": "1.0"}
    lower.unlink()
    shop.packages("lower==1.0", code=4)


@pytest.mark.parametrize(
    ("algorithm", "resolver"), [("md5", "uv"), ("sha384", "uv"), ("md5", "pip"), ("sha1", "pip"), ("sha384", "pip")]
)
def test_an_index_with_other_hashes(shop: Shop, algorithm: str, resolver: str) -> None:
    shop.index.algorithm = algorithm
    wheel = shop.release("core", "1.0")
    words = ("--resolver", resolver)
    core = shop.packages("core", words=words)["core"]
    assert core["wheels"][0]["hashes"].keys() & {"sha256", "sha384"}
    shop.index.lies.add(wheel.name)
    said = shop.yard.refuse(5, shop.folder, *words, str(shop.project("core")), **shop.environ)
    assert algorithm in said.lower().replace("-", "")


def test_an_index_that_uv_does_not_read(shop: Shop) -> None:
    shop.index.algorithm = "sha1"
    shop.release("core", "1.0")
    said = shop.yard.refuse(4, shop.folder, str(shop.project("core")), **shop.environ)
    assert "Unsupported hash algorithm" in said


def test_a_lock_is_not_written_with_a_wrong_fragment(shop: Shop) -> None:
    wheel = shop.release("core", "1.0")
    url = shop.index.url.replace("simple/", f"files/{wheel.name}#sha256={'1' * 64}")
    shop.packages(f"core @ {url}", code=5)
    assert not (shop.folder / "pylock.toml").exists()


def test_a_universal_lock_holds_what_other_patch_releases_need(shop: Shop) -> None:
    """The build finds that in further rounds; a universal lock has it with markers."""
    later = f"python_full_version >= '{PYTHON}.900'"
    shop.release("core", "1.0", f"deeper ; {later}")
    shop.release("deeper", "1.0", "deepest")
    shop.release("deepest", "1.0")
    requires = ("core", f"extra ; {later}")
    shop.release("extra", "1.0")
    expected = dict.fromkeys(("core", "deeper", "deepest", "extra"), "1.0")
    assert shop.build(*requires) == expected
    for words in ((), ("--universal",)):
        assert shop.packages(*requires, words=words).keys() == expected.keys()
        assert shop.build(*requires, words=("--lock", str(shop.folder / "pylock.toml"))) == expected


def test_a_tag_that_was_moved(shop: Shop) -> None:
    tree = projects.write(
        shop.folder / "core", {"setup.py": projects.SETUP_PY.replace("leaf", ""), "hello.py": "one = 1"}
    )
    first = projects.commit(tree)
    git = ("git", "-C", str(tree), "tag", "--force", "v1")
    subprocess.run(git, check=True, capture_output=True)
    requirement = f"hello @ git+{tree.as_uri()}@v1"
    assert shop.packages(requirement)["hello"]["vcs"]["commit-id"] == first
    (tree / "hello.py").write_text("one = 2")
    second = projects.commit(tree)
    subprocess.run(git, check=True, capture_output=True)
    assert shop.packages(requirement)["hello"]["vcs"]["commit-id"] == second != first


def test_a_path_dependency_whose_requirements_changed(shop: Shop) -> None:
    """They are in a file of which uv's cache knows nothing."""
    text = "from pathlib import Path\nfrom setuptools import setup\n"
    text += "requires = Path('needs.txt').read_text().split()\n"
    text += "setup(name='near', version='1.0', install_requires=requires)\n"
    tree = projects.write(shop.folder / "near", {"setup.py": text, "needs.txt": "core"})
    for name in ("core", "other"):
        shop.release(name, "1.0")
    requirement = f"near @ {tree.as_uri()}"
    assert shop.build(requirement) == {"near": "1.0", "core": "1.0"}
    (tree / "needs.txt").write_text("core other")
    assert shop.packages(requirement).keys() == {"near", "core", "other"}
    (tree / "needs.txt").write_text("other")
    assert shop.build(requirement) == {"near": "1.0", "other": "1.0"}


class TestLocks:
    """uv.lock and pylock.toml of a project that uv manages."""

    @pytest.fixture
    def tree(self, shop: Shop, tmp_path: Path, open_index: Callable[..., Index]) -> Path:
        handmade.wheel(tmp_path / "private", "core")
        private = open_index(tmp_path / "private", user="me", password="s3cret")
        shop.environ |= {"UV_INDEX_OURS_USERNAME": "me", "UV_INDEX_OURS_PASSWORD": "s3cret"}
        url = private.url.replace("me:s3cret@", "")
        more = f'[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\nexplicit = true\n'
        more += '[tool.uv.sources]\ncore = { index = "ours" }\n'
        tree = projects.declared(tmp_path / "tree", "core", more=more)
        words = ("lock", "--quiet", "--default-index", shop.index.url, "--python", sys.executable)
        shop.yard.run(uv.find_uv_bin(), *words, cwd=tree, **shop.environ)  # type: ignore[arg-type]
        return tree

    def test_the_index_is_one_with_a_password(self, shop: Shop, tree: Path) -> None:
        words = ("--lock=uv.lock", "--no-pip", "--no-bytecode")
        shop.yard.refuse(4, tree, *words, **{**shop.environ, "UV_INDEX_OURS_PASSWORD": "wrong"})
        bundle = shop.yard.build(tree, *words, **shop.environ)
        assert wheels(bundle) == {"hello": "1.0", "core": "1.0"}
        assert b"s3cret" not in bundle.read_bytes()

    @pytest.mark.parametrize("name", ["uv.lock", "pylock.toml"])
    def test_a_wrong_size(self, shop: Shop, tree: Path, name: str) -> None:
        """It is refused whether the file is in the wheel cache or not; uv does not look at it."""
        if name == "pylock.toml":
            words = ("export", "--quiet", "--format", "pylock.toml", "--no-emit-project", "-o", name)
            shop.yard.run(uv.find_uv_bin(), *words, cwd=tree, **shop.environ)  # type: ignore[arg-type]
        lock = tree / name
        right = lock.read_text()
        wrong = right.replace('core-1.0-py3-none-any.whl",', 'core-1.0-py3-none-any.whl", size = 7,')
        assert wrong.count("size = ") == right.count("size = ") + 1
        lock.write_text(wrong)
        for _ in range(2):  # fetched, and then from the wheel cache
            said = shop.yard.refuse(5, tree, f"--lock={name}", **shop.environ)
            assert "long, as the lock says" in said
            lock.write_text(right)
            shop.yard.build(tree, f"--lock={name}", "--no-pip", "--no-bytecode", **shop.environ)
            lock.write_text(wrong)
