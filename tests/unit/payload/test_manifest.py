from __future__ import annotations

import copy
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import checksums, manifest
from platter_setuptools.payload.errors import BundleError
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    folder = tmp_path_factory.mktemp("manifest")
    wheels = [handmade.wheel(folder, "one"), handmade.wheel(folder, "two")]
    return handmade.bundle(folder, wheels, bootstrap=tmp_path_factory.mktemp("none"))


def test_reads_what_a_bundle_holds(made: handmade.Bundle) -> None:
    plan = manifest.read(str(made.path))
    assert plan.title == "one 1.0"
    assert [wheel.name for wheel in plan.wheels] == ["one", "two"]
    assert [wheel.requested for wheel in plan.wheels] == [True, False]
    assert plan.targets[0].implementation == "cpython"


def remove(*path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


def put(value: object, *path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (remove("name"), "name"),
        (remove("wheels", 1, "sha256"), r"wheels\[1\]: sha256"),
        (put(2, "format"), "format 2"),
        (put([], "targets"), "targets"),
        (put("x", "wheels"), "wheels"),
        (put(["x"], "wheels"), r"wheels\[0\]: not a JSON object"),
        (put(True, "installed_size"), "installed_size"),
        (put(1, "wheels", 0, "requested"), "requested"),
        (put("HEAD", "revision"), "revision: expected a git commit"),
        (put(7, "revision"), "revision"),
        (put("../x.whl", "wheels", 0, "file"), "file"),
        (put("x.zip", "wheels", 0, "file"), "file"),
        (put("/etc/x.zip", "wheels", 0, "bytecode"), "could leave"),
        (lambda data: data["wheels"].append(data["wheels"][0]), "one is bundled twice"),
        (put("One", "wheels", 1, "name"), r"wheels\[1\]: file: expected a wheel of One"),
        (put("abc", "targets", 0, "python"), r"targets\[0\]: python"),
        (put("3.7", "targets", 0, "python"), "python: expected the Python of a target"),
        (put("\ud800", "name"), "name: expected a line"),
        (put("one\x1b[31m", "name"), "name: expected a line"),
        (put("one is in order", "name"), "name: expected a name"),
        (put("one 1", "version"), "version: expected a version"),
        (put("1" * 101, "version"), "version: expected a version"),
        (put(["\x1b[31mX"], "excluded"), "excluded: expected strings"),
        (put(["a b"], "extras"), "extras: expected names"),
        (put(["x"] * 2001, "excluded"), "at most 2000"),
        (put(-5, "installed_size"), "installed_size: expected a number from 0"),
        (put(10**308, "installed_size"), "installed_size: expected a number from 0"),
        (put(7, "installed_files"), "installed_files: expected 8, the sum of the wheels'"),
        (put(">=" + "9" * 5000, "requires_python"), "requires_python: expected a line"),
        (put("three", "requires_python"), "requires_python: expected version specifiers"),
        (put(">=", "requires_python"), "requires_python: expected version specifiers"),
        (put(">=3.8,<<4", "requires_python"), "requires_python: expected version specifiers"),
        (put("A" * 64, "wheels", 0, "sha256"), r"wheels\[0\]: sha256"),
        (put("new", "wheels", 0, "libc"), r"wheels\[0\]: libc"),
        (put("one-1.0.whl", "wheels", 0, "file"), r"wheels\[0\]: file"),
        (put("x" * 252 + ".whl", "wheels", 0, "file"), "or a part of it than 255"),
        (put("data.zip", "wheels", 0, "bytecode"), r"wheels\[0\]: bytecode"),
        (lambda data: data["wheels"].extend([{}] * 2000), "wheels: expected at most 2000"),
        (put(5, "requires_python"), "requires_python"),
        (put(2.34, "wheels", 0, "libc"), r"wheels\[0\]: libc"),
        (put("libpq.so.5", "wheels", 0, "libraries"), r"wheels\[0\]: libraries"),
        (put(["libpq.so.5", 5], "wheels", 1, "libraries"), r"wheels\[1\]: libraries: expected strings"),
        (put("media/", "shared"), "shared: expected list"),
        (put([7], "shared"), "shared: expected strings"),
        (put(["../media/"], "shared"), r"info.json: shared: '../media/': it has a part that is empty, . or .."),
        (put(["media/", "media"], "shared"), r"info.json: shared: 'media': 'media/' is the same path"),
    ],
)
def test_refuses_what_is_not_one(made: handmade.Bundle, change: Callable[[Any], None], where: str) -> None:
    data = copy.deepcopy(made.info)
    change(data)
    with pytest.raises(BundleError, match=where):
        manifest.parse(data)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        manifest.read(str(tmp_path))
    (tmp_path / "info.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        manifest.read(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, "byte order mark"),
        (lambda text: text.decode().encode("utf-16"), "codec can't decode"),
        (lambda text: text.replace(b"handmade", b"hand\xff"), "codec can't decode"),
        (lambda text: json.dumps(json.loads(text)).encode(), "python: expected it on a line of its own"),
        (lambda text: text.replace(b"{", b'{"a": {\n  "python": "2.7"},', 1), "on a line of its own"),
        (lambda text: text.replace(b"{", b'{"name": "other",', 1), "an object has a key twice"),
        (lambda text: text[:-1] + b', "z": [{"a": 1, "\\u0061": 1}]}', "an object has a key twice"),
        (lambda text: text[:-1] + b', "z": 1e999}', "1e999 is not a number"),
        (lambda text: text[:-1] + b', "z": 1.' + b"0" * 5000 + b"}", "more than 20 digits"),
        (lambda text: text[:-1] + b', "z": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "more than 50 levels deep"),
        (lambda text: text[:-1] + b', "z": ' + b"9" * 5000 + b"}", "more than 20 digits"),
        (lambda text: text[:-1] + b', "z": NaN}', "NaN is not a number"),
        (lambda text: text + b" " * (2 << 20), "longer than 2097152 bytes"),
        (lambda _text: b"", "cannot be read"),
    ],
)
def test_texts(made: handmade.Bundle, change: Callable[[bytes], bytes], reason: str) -> None:
    text = json.dumps(made.info, indent=2).encode()
    assert manifest.load(text).name == "one"
    with pytest.raises(BundleError, match=reason) as caught:
        manifest.load(change(text))
    assert caught.value.hint


def test_braces_in_strings_are_not_nested(made: handmade.Bundle) -> None:
    info = {**made.info, "more": '\\"' + "[{" * 100}
    assert manifest.load(json.dumps(info, indent=2).encode()).name == "one"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "info.json")
    with pytest.raises(BundleError, match="it is not a file"):
        manifest.read(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("file", "one-2.0-py3-none-any.whl", "one-2.0-py3-none-any.whl is not listed in SHA256SUMS"),
        ("bytecode", "bytecode/gone.zip", "bytecode/gone.zip is not listed in SHA256SUMS"),
        ("sha256", "0" * 64, "one-1.0-py3-none-any.whl has another hash in SHA256SUMS"),
    ],
)
def test_what_sha256sums_does_not_list(
    made: handmade.Bundle, tmp_path: Path, key: str, value: str, reason: str
) -> None:
    copied = handmade.Bundle(path=tmp_path / "copy", info=copy.deepcopy(made.info))
    shutil.copytree(made.path, copied.path)
    copied.info["wheels"][0][key] = value
    copied.seal()
    with pytest.raises(BundleError, match=reason):
        manifest.read_verified(str(copied.path), checksums.read(str(copied.path)))
