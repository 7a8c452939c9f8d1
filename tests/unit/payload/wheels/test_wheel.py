from __future__ import annotations

import base64
import csv
import hashlib
import os
import struct
import sys
from pathlib import Path

import pytest

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.install import environment
from platter_setuptools.payload.install.tree import Tree
from platter_setuptools.payload.wheels import record, wheel
from support import handmade
from support.handmade import Member

PYTHON = (3, 11)


@pytest.fixture
def scheme(tmp_path: Path) -> environment.Scheme:
    """As Fedora has it: purelib and platlib are two folders."""
    root = tmp_path / "venv"
    pure, plat = root / "lib" / "site-packages", root / "lib64" / "site-packages"
    (root / "bin").mkdir(parents=True)
    return environment.Scheme(
        str(root), str(root / "bin/python"), str(pure), str(plat), str(root / "bin"), str(root / "include"), str(root)
    )


def source(path: Path, *, requested: bool = False) -> wheel.Source:
    return wheel.Source(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), requested)


def install(path: Path, scheme: environment.Scheme, *, requested: bool = False) -> Path:
    tree = Tree(frozenset())
    wheel.install(source(path, requested=requested), scheme, tree, PYTHON)
    assert tree.contested == []
    return Path(scheme.root)


def rows(root: Path, dist_info: str) -> dict[str, list[str]]:
    text = next(root.rglob(dist_info + "/RECORD")).read_text()
    return {row[0]: row[1:] for row in csv.reader(text.splitlines())}


@pytest.mark.parametrize("pure", [True, False])
def test_record_names_everything(tmp_path: Path, scheme: environment.Scheme, pure: bool) -> None:
    path = handmade.wheel(
        tmp_path,
        "some-app",
        files={"some/__init__.py": "", "some/x,y.txt": "comma"},
        scripts={"tool": "#!python\n1\n", "binary": b"\x7fELF"},
        data={"share/doc.txt": "d"},
        headers={"some.h": "h"},
        purelib={"p/pure.py": "1"},
        platlib={"p/plat.py": "2"},
        entry_points="[console_scripts]\nsome = some:main\n",
        pure=pure,
    )
    root = install(path, scheme, requested=True)
    home = Path(scheme.purelib if pure else scheme.platlib)
    found = rows(root, "some_app-1.0.dist-info")
    listed = {os.path.normpath(home / name) for name in found}
    assert listed == {str(one) for one in root.rglob("*") if one.is_file()}
    for name, (digest, size) in found.items():
        if not name.endswith("/RECORD"):
            content = (home / name).read_bytes()
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(content)))
    assert found["some_app-1.0.dist-info/RECORD"] == ["", ""]
    assert "../../bin/tool" in found
    assert (Path(scheme.purelib) / "p" / "pure.py").exists()
    assert (Path(scheme.platlib) / "p" / "plat.py").exists()
    assert (Path(scheme.headers) / "some_app" / "some.h").exists()
    assert (root / "bin" / "tool").read_text().startswith(f"#!{scheme.python}\n")
    assert (root / "bin" / "binary").read_bytes() == b"\x7fELF"


def test_times_and_modes(tmp_path: Path, scheme: environment.Scheme) -> None:
    before = os.umask(0o022)
    try:
        extra = [Member(name="run.sh", mode=0o100755), Member(name="odd.py", mode=0, time=(1980, 0, 0, 0, 0, 0))]
        root = install(handmade.wheel(tmp_path, "app", extra=extra), scheme)
    finally:
        os.umask(before)
    module = next(root.rglob("app.py"))
    assert module.stat().st_mtime == 1709210096
    assert module.stat().st_mode & 0o777 == 0o644
    assert next(root.rglob("run.sh")).stat().st_mode & 0o777 == 0o755


def test_what_the_wheel_says_of_its_installer_is_replaced(tmp_path: Path, scheme: environment.Scheme) -> None:
    extra = [Member(name=f"app-1.0.dist-info/{name}", content=b"x") for name in ("INSTALLER", "REQUESTED")]
    root = install(handmade.wheel(tmp_path, "app", extra=extra), scheme)
    info = next(root.rglob("app-1.0.dist-info"))
    assert (info / "INSTALLER").read_text() == "platter\n"
    assert not (info / "REQUESTED").exists()


def test_a_script_file_of_an_entry_points_name_gives_way(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(
        tmp_path, "app", scripts={"app": "#!python\nold\n"}, entry_points="[console_scripts]\napp = app:main\n"
    )
    assert "from app import main" in (install(path, scheme) / "bin" / "app").read_text()


@pytest.mark.parametrize("what", ["METADATA", "WHEEL", "RECORD"])
def test_missing_metadata(tmp_path: Path, scheme: environment.Scheme, what: str) -> None:
    path = handmade.wheel(tmp_path, "app", drop=[f"app-1.0.dist-info/{what}"])
    with pytest.raises(BundleError, match=what):
        install(path, scheme)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wheel_version": "2.0"}, "format 2.0"),
        ({"extra": [Member(name="app-1.0.data/purelib/app.py")]}, "would be one file"),
        ({"extra": [Member(name="other-1.0.dist-info/METADATA")]}, "one .dist-info"),
        ({"extra": [Member(name="app-1.0.data/secret/x")]}, "no known part"),
        ({"extra": [Member(name="app-1.0.data/scripts")]}, "no known part"),
        ({"entry_points": "[console_scripts]\n../x = a:b\n"}, "not an entry point"),
        ({"extra": [Member(name="app-1.0.dist-info/entry_points.txt", content=b"\xff")]}, "not UTF-8"),
    ],
)
def test_refused(tmp_path: Path, scheme: environment.Scheme, changes: dict[str, object], text: str) -> None:
    path = handmade.wheel(tmp_path, "app", **changes)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=text):
        install(path, scheme)


def test_another_projects_dist_info(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(tmp_path, "app").rename(tmp_path / "other-1.0-py3-none-any.whl")
    with pytest.raises(BundleError, match=r"expected one \.dist-info folder of other"):
        install(path, scheme)


def test_names_that_differ_only_in_case(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(tmp_path, "app", files={"A.py": "1", "a.py": "2"})
    site = Path(scheme.purelib)
    install(path, scheme)
    assert [(site / name).read_text() for name in ("A.py", "a.py")] == ["1", "2"]


def test_a_file_that_is_there_is_contested_not_overwritten(tmp_path: Path, scheme: environment.Scheme) -> None:
    target = tmp_path / "system"
    target.write_text("precious")
    (Path(scheme.root) / "bin" / "app").symlink_to(target)
    path = handmade.wheel(tmp_path, "app", entry_points="[console_scripts]\napp = app:main\n")
    tree = Tree(frozenset())
    wheel.install(source(path), scheme, tree, PYTHON)
    assert tree.contested == [scheme.scripts + "/app"]
    wheel.install(source(path), scheme, Tree(frozenset(), replace=True), PYTHON, only=set(tree.contested))
    assert target.read_text() == "precious"
    assert not (Path(scheme.root) / "bin" / "app").is_symlink()
    with pytest.raises(BundleError, match="belongs to the virtualenv"):
        wheel.install(source(path), scheme, Tree(frozenset(tree.contested)), PYTHON, only=set(tree.contested))


@pytest.mark.parametrize(
    ("bytecode", "expected"),
    [
        ("a/__pycache__/b.cpython-311.pyc", "a/b.py"),
        ("__pycache__/b.cpython-311.pyc", "b.py"),
        ("a/__pycache__/b.c.cpython-311.pyc", "a/b.c.py"),
        ("a/b.pyc", ""),
        ("a/__pycache__/b.py", ""),
        ("a__pycache__/b.x.pyc", ""),
    ],
)
def test_source_of_bytecode(bytecode: str, expected: str) -> None:
    assert wheel.source_of(bytecode) == expected


def test_bytecode_without_a_source_is_left_out(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(tmp_path, "app")
    code = handmade.archive(
        tmp_path / "code.zip",
        [
            Member(name="__pycache__/app.cpython-311.pyc"),
            Member(name="__pycache__/x.cpython-311.pyc"),
            Member(name="x.pth"),
        ],
    )
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    wheel.install(source(path)._replace(bytecode=str(code), bytecode_sha256=digest), scheme, Tree(frozenset()), PYTHON)
    assert [one.name for one in Path(scheme.root).rglob("*.py[cth]*")] == ["app.cpython-311.pyc"]
    assert rows(Path(scheme.root), "app-1.0.dist-info")["__pycache__/app.cpython-311.pyc"] == ["", ""]


def test_hashes_of_bytecode_are_recorded_without_sizes(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(tmp_path, "app", files={"app.py": "x = 1\n"}, purelib={"b.py": ""})
    listed = b"__pycache__/app.cpython-311.pyc,sha256=YQ,1\n__pycache__/c.cpython-311.pyc,sha256=Yg,1\n"
    members = [Member(name=f"__pycache__/{name}.cpython-311.pyc") for name in ("app", "b")]
    code = handmade.archive(tmp_path / "code.zip", [*members, Member(name="RECORD", content=listed)])
    shipped = source(path)._replace(bytecode=str(code), bytecode_sha256=hashlib.sha256(code.read_bytes()).hexdigest())
    wheel.install(shipped, scheme, Tree(frozenset()), PYTHON)
    found = rows(Path(scheme.root), "app-1.0.dist-info")
    assert found["__pycache__/app.cpython-311.pyc"] == ["sha256=YQ", ""]
    assert found["__pycache__/b.cpython-311.pyc"] == ["", ""]
    handmade.archive(code, [*members, Member(name="RECORD", content=b"\xff,,\n")])
    damaged = shipped._replace(bytecode_sha256=hashlib.sha256(code.read_bytes()).hexdigest())
    with pytest.raises(BundleError, match="its RECORD cannot be read"):
        wheel.install(damaged, scheme, Tree(frozenset(), replace=True), PYTHON)


def test_compiling_what_comes_without_bytecode(tmp_path: Path, scheme: environment.Scheme) -> None:
    files = {"app/__init__.py": "x = 1\n", "app/broken.py": "def (:\n", "app/odd.py": "'\\d'\n", "app/data.txt": ""}
    path = handmade.wheel(tmp_path, "app", files=files)
    wheel.install(source(path)._replace(compiling=True), scheme, Tree(frozenset()), PYTHON)
    tag = sys.implementation.cache_tag
    folder = next(Path(scheme.root).rglob("app"))
    compiled = {one.name: one for one in folder.rglob("*.pyc")}
    assert set(compiled) == {f"__init__.{tag}.pyc", f"odd.{tag}.pyc"}
    # Validated by time stamp and size (PEP 552): who edits the module on the server need do nothing more.
    header = compiled[f"__init__.{tag}.pyc"].read_bytes()[:16]
    status = (folder / "__init__.py").stat()
    assert struct.unpack("<3I", header[4:]) == (0, int(status.st_mtime), status.st_size)
    recorded = rows(Path(scheme.root), "app-1.0.dist-info")
    assert recorded[f"app/__pycache__/odd.{tag}.pyc"] == ["", ""]
    assert not [name for name in recorded if "broken." in name and name.endswith(".pyc")]


def test_compiling_leaves_shipped_bytecode_alone(tmp_path: Path, scheme: environment.Scheme) -> None:
    path = handmade.wheel(tmp_path, "app")
    name = f"__pycache__/app.{sys.implementation.cache_tag}.pyc"
    code = handmade.archive(tmp_path / "code.zip", [Member(name=name, content=b"shipped")])
    shipped = source(path)._replace(bytecode=str(code), bytecode_sha256=hashlib.sha256(code.read_bytes()).hexdigest())
    wheel.install(shipped._replace(compiling=True), scheme, Tree(frozenset()), PYTHON)
    assert [one.read_bytes() for one in Path(scheme.root).rglob("*.pyc")] == [b"shipped"]


def test_record_of_odd_names() -> None:
    names = ["a,b", 'a"b', "a\nb", "ü", "plain"]
    assert set(record.parse(record.dump([record.row(name, b"x") for name in names]))) == set(names)
