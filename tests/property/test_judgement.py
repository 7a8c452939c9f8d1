"""Whatever a bundle holds: nobody gets a bare exception, and what verify passes the installer takes."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from platter_setuptools.errors import PlatterError, WheelError
from platter_setuptools.inspect.bundle_reader import read_contents
from platter_setuptools.inspect.diff import compare
from platter_setuptools.inspect.html import as_json, summary, table
from platter_setuptools.inspect.snapshot import open_sides
from platter_setuptools.inspect.summary import summarise
from platter_setuptools.inspect.verify import verify
from platter_setuptools.payload import checksums, manifest
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.install.environment import Scheme
from platter_setuptools.payload.install.tree import Tree
from platter_setuptools.payload.wheels import wheel as unpacking
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.values import Origin
from platter_setuptools.wheels.metadata import describe, open_wheel
from platter_setuptools.wheels.record_check import check_places, examine
from support import handmade
from support.fakes import Diary, FakeRunner

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable

PAYLOAD = "data/bootstrap/platter_payload"
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["\ud800", "\x1b[31m", "../x", "/", "1.0", ">=3", "abc", "cp311", "a" * 2000, "linux_x86_64", "3.11"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
QUICK = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    """A small bundle that is in order."""
    folder = tmp_path_factory.mktemp("judgement")
    wheel = handmade.wheel(
        folder, "app", entry_points="[console_scripts]\napp = app:main\n", requires=["more; extra == 'x'"]
    )
    bundle = handmade.bundle(folder, [wheel], bootstrap=tmp_path_factory.mktemp("none"), bytecode=True)
    entry = bundle.info["wheels"][0]
    compiled = bundle.data / entry["bytecode"]
    with Archive(str(compiled)) as archive:
        sizes = {name: info.file_size for name, info in archive.members.items()}
        entry["installed_size"] += sum(size for name, size in sizes.items() if name != "RECORD")
    entry["installed_files"] *= 2
    for key in ("installed_size", "installed_files"):
        bundle.info[key] = entry[key]
    locked = {"name": wheel.name, "path": wheel.name, "size": entry["size"], "hashes": {"sha256": entry["sha256"]}}
    package = {"name": "app", "version": "1.0", "wheels": [locked]}
    lock = {"lock-version": "1.0", "created-by": "handmade", "packages": [package]}
    (bundle.data / "pylock.toml").write_text(tomli_w.dumps(lock))
    component = {"bom-ref": "app", "name": "app", "version": "1.0", "hashes": [{"content": entry["sha256"]}]}
    bill = {
        "metadata": {"component": {"bom-ref": "all"}},
        "components": [{**component, "licenses": [{"license": {"name": "MIT"}}]}],
        "dependencies": [{"ref": "all", "dependsOn": ["app"]}, {"ref": "app", "dependsOn": []}],
    }
    (bundle.data / "sbom.cdx.json").write_text(json.dumps(bill))
    bundle.seal()
    return bundle


def judge(path: Path) -> None:
    """Ask everybody about a bundle."""
    with tempfile.TemporaryDirectory() as work:
        try:
            verify(path, allowed_signers=None, run=FakeRunner(), progress=Diary(), work=Path(work))
            passed = True
        except PlatterError:
            passed = False
        disagree: object = None
        try:
            sums = checksums.read(str(path))
            manifest.read_verified(str(path), sums)
            checksums.verify(str(path), sums, frozenset())
        except InstallError as error:
            disagree = passed and error
        assert not disagree
    try:
        bundle_summary = summarise(path)
        assert json.dumps(as_json(bundle_summary))
        assert summary(bundle_summary)
        assert table(bundle_summary)
        compare(*open_sides(path, path))
    except PlatterError as error:
        disagree = passed and error
    assert not disagree


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        found += places(below, (*path, key))
    return found


@st.composite
def change(draw: st.DrawFn, data: Any) -> Any:
    """The data with something else in one place, or nothing."""
    changed = copy.deepcopy(data)
    *way, last = draw(st.sampled_from([path for path in places(data) if path]))
    target = changed
    for key in way:
        target = target[key]
    if isinstance(target, dict) and draw(st.booleans()):
        del target[last]
    else:
        target[last] = draw(ODD)
    return changed


def read_toml(text: str) -> Any:
    return tomllib.loads(text)


def write_toml(data: Any) -> str:
    try:
        return tomli_w.dumps(data)
    except (TypeError, ValueError):  # TOML has no null
        return "x = " + "[" * 3000


FILES: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "info.json": (json.loads, lambda data: json.dumps(data, indent=2)),
    "data/pylock.toml": (read_toml, write_toml),
    "data/sbom.cdx.json": (json.loads, json.dumps),
}


def test_in_order(made: handmade.Bundle, tmp_path: Path) -> None:
    assert verify(made.path, allowed_signers=None, run=FakeRunner(), progress=Diary(), work=tmp_path).wheels == 1
    judge(made.path)


@pytest.mark.parametrize("name", FILES)
@QUICK
@given(data=st.data())
def test_a_value_that_is_another(made: handmade.Bundle, name: str, data: st.DataObject) -> None:
    read, write = FILES[name]
    file = made.path / name
    before, sums = file.read_bytes(), (made.path / "SHA256SUMS").read_bytes()
    try:
        text = write(data.draw(change(read(before.decode()))))
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        reseal(made.path)
        judge(made.path)
    finally:
        file.write_bytes(before)
        (made.path / "SHA256SUMS").write_bytes(sums)


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
@QUICK
@given(data=st.data())
def test_bytes_that_are_others(made: handmade.Bundle, name: str, data: st.DataObject) -> None:
    file = made.path / name
    before, sums = file.read_bytes(), (made.path / "SHA256SUMS").read_bytes()
    try:
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(before))] * 2)))
        file.write_bytes(before[:start] + data.draw(st.binary(max_size=20)) + before[end:])
        if name != "SHA256SUMS":
            reseal(made.path)
        judge(made.path)
    finally:
        file.write_bytes(before)
        (made.path / "SHA256SUMS").write_bytes(sums)


def reseal(path: Path) -> None:
    info = path / "info.json"
    content = info.read_bytes()
    handmade.Bundle(path=path, info={}).seal()
    info.write_bytes(content)
    lines = (path / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(content).hexdigest()
    changed = [f"{digest}  info.json" if line.endswith("  info.json") else line for line in lines]
    (path / "SHA256SUMS").write_text("".join(f"{line}\n" for line in changed))


@QUICK
@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "path",
                "linkpath",
                "size",
                "mtime",
                "uid",
                "gname",
                "GNU.sparse.major",
                "GNU.sparse.map",
                "GNU.sparse.size",
                "GNU.sparse.minor",
                "GNU.sparse.name",
                "GNU.sparse.realsize",
                "hdrcharset",
                "x",
            ]
        ),
        st.text(st.characters(codec="utf-8"), max_size=10) | st.integers(-5, 10**25).map(str) | st.just("1" * 5000),
        max_size=4,
    ),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE, tarfile.DIRTYPE, b"x", b"L", b"?"]),
    flip=st.integers(0, 4000),
)
def test_headers_of_a_tar(headers: dict[str, str], kind: bytes, flip: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("app-1.0-x/info.json", "app-1.0-x/PACKAGE"):
            header = tarfile.TarInfo(name)
            header.size, header.type = 3, tarfile.REGTYPE if name.endswith("json") else kind
            header.pax_headers = {} if name.endswith("json") else headers
            tar.addfile(header, io.BytesIO(b"abc"))
    content = bytearray(stream.getvalue())
    content[flip % len(content)] ^= 1 << flip % 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "app-1.0-x.tar")
        path.write_bytes(content)
        with contextlib.suppress(PlatterError):
            read_contents(path, Path(folder))


NAMES = st.sampled_from(
    [
        "app.py",
        "App.py",
        "../x",
        "/x",
        "a//b",
        "app.py/x",
        "app-1.0.data/scripts/s",
        "app-1.0.data/scripts/python",
        "app-1.0.data/data/lib",
        "app-1.0.data/purelib/x.dist-info/RECORD",
        "app-1.0.data/none/x",
        "app-1.0.data/data/",
        "app-1.0.dist-info/entry_points.txt",
        "app-1.0.dist-info/RECORD",
        "b-1.0.dist-info/METADATA",
        "x" * 300,
        "\\",
    ]
) | st.text(max_size=8)
MEMBERS = st.builds(
    lambda name, content, mode, compression: handmade.Member(
        name=name, content=content, mode=mode, compression=compression
    ),
    NAMES,
    st.binary(max_size=40) | st.sampled_from([b"#!python\n", b"[console_scripts]\na=b:c\n", b"a,b\n", b'"' * 200_000]),
    st.sampled_from([0o100644, 0o100755, 0o120777, 0o010644, 0, 0o040755]),
    st.sampled_from([0, 8, 12, 14]),
)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(deadline=None, max_examples=150)
@given(
    members=st.lists(MEMBERS, max_size=3),
    metadata=st.none() | st.text(st.characters(codec="utf-8"), max_size=60),
    flip=st.none() | st.integers(0, 5000),
)
def test_members_of_a_wheel(members: list[handmade.Member], metadata: str | None, flip: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = "" if metadata is None else f"Metadata-Version: 2.1\nName: app\nVersion: 1.0\n{metadata}"
            path = handmade.wheel(Path(folder), "app", extra=members, metadata=said)
        except (UnicodeEncodeError, ValueError):  # no name for a member of a zip file
            return
        if flip is not None:
            content = bytearray(path.read_bytes())
            content[flip % len(content)] ^= 1 << flip % 8
            path.write_bytes(content)
        wheel = open_wheel(path, Origin.FETCHED)
        try:
            describe(wheel)
            check_places([wheel], {wheel: examine(wheel)}, Diary())
            passed = True
        except WheelError:
            passed = False
        root = f"{folder}/venv"
        site = f"{root}/lib/python3.11/site-packages"
        scheme = Scheme(root, f"{root}/bin/python", site, site, f"{root}/bin", f"{root}/include/site", root)
        source = unpacking.Source(path=str(path), sha256=wheel.sha256, requested=True)
        disagree: object = None
        try:
            unpacking.install(source, scheme, Tree(frozenset()), (3, 11))
        except InstallError as error:
            disagree = passed and error
        assert not disagree
