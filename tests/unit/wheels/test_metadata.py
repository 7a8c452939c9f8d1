"""Looking into wheels: honest ones, sloppy ones, and files that are none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from platter_setuptools.errors import WheelError
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheels.metadata import Description, describe, interpret, open_wheel, read_facts, tags_of
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


APP = "app-1.0-py3-none-any.whl"


def custom(folder: Path, metadata: str, name: str = APP, info: str = "app-1.0.dist-info") -> Path:
    """Write a wheel of this METADATA and a WHEEL."""
    members = {"METADATA": metadata, "WHEEL": "Wheel-Version: 1.0\n"}
    return handmade.archive(
        folder / name,
        [handmade.Member(name=f"{info}/{file}", content=text.encode()) for file, text in members.items()],
    )


def described(path: Path) -> Description:
    return describe(open_wheel(path, Origin.FETCHED))


class TestOpening:
    def test_name_version_and_hash(self, tmp_path: Path) -> None:
        path = handmade.wheel(tmp_path, "My.App", "1!2.0+g12ab")
        content = path.read_bytes()
        assert open_wheel(path, Origin.BUILT) == Wheel(
            path=path,
            name="my-app",  # type: ignore[arg-type]
            version=Version("1!2.0+g12ab"),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            origin=Origin.BUILT,
        )

    def test_a_known_hash_is_not_taken_again(self, tmp_path: Path) -> None:
        wheel = open_wheel(handmade.wheel(tmp_path), Origin.STORE, sha256="known")
        assert (wheel.sha256, wheel.size) == ("known", wheel.path.stat().st_size)

    @pytest.mark.parametrize("name", ["app.whl", "app-1.0.whl", "app-1.0-py3-none-any.zip", "app-one-py3-none-any.whl"])
    def test_names_that_are_none(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).touch()
        with pytest.raises(WheelError, match="is no name for a wheel"):
            open_wheel(tmp_path / name, Origin.STORE)

    def test_tags(self, tmp_path: Path) -> None:
        wheel = open_wheel(handmade.wheel(tmp_path, tag="py2.py3-none-any"), Origin.STORE)
        assert {str(tag) for tag in tags_of(wheel)} == {"py2-none-any", "py3-none-any"}


class TestDescribing:
    def test_everything(self, tmp_path: Path) -> None:
        path = custom(
            tmp_path,
            "Metadata-Version: 2.1\nName: App\nVersion: 1.0\nRequires-Python: >=3.9\n"
            "Requires-Dist: dep[x]>=1 ; extra == 'fast'\nRequires-Dist: other\nProvides-Extra: fast\n\nLong text.\n",
        )
        description = described(path)
        assert description.name == "App"
        assert description.requires_python == SpecifierSet(">=3.9")
        assert [str(one) for one in description.requires] == ['dep[x]>=1; extra == "fast"', "other"]
        assert description.extras == ("fast",)

    def test_what_it_takes_when_installed(self, tmp_path: Path) -> None:
        path = handmade.wheel(
            tmp_path, files={"a.py": "x" * 1000, "b/c.py": ""}, extra=[handmade.Member(name="b/", mode=0o040755)]
        )
        with zipfile.ZipFile(path) as archive:
            sizes = [one.file_size for one in archive.infolist() if not one.is_dir()]
        assert (described(path).files, described(path).size) == (len(sizes), sum(sizes))

    def test_hashes_of_what_releases_compare(self, tmp_path: Path) -> None:
        programs = [handmade.Member(name=name, mode=handmade.EXECUTABLE) for name in ("a/tool", "a/h\u00e9")]
        path = handmade.wheel(tmp_path, "a", extra=programs)
        content = zipfile.Path(path, "a-1.0.dist-info/RECORD").read_bytes()
        found = described(path)
        assert found.record_sha256 == hashlib.sha256(content).hexdigest()
        assert found.executables_sha256 == hashlib.sha256("a/h\u00e9\0a/tool\0".encode()).hexdigest()
        none = described(handmade.wheel(tmp_path, "b", drop=["b-1.0.dist-info/RECORD"]))
        assert (none.record_sha256, none.executables_sha256) == ("", hashlib.sha256().hexdigest())

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (r"sha256=(?=\S+,3\n)", "sha512="),
            (r"sha256=\S+(?=,3\n)", ""),
            (r"a/mod\.py,\S+\n", ""),
            (r"a/mod\.py,\S+\n", '"'),
            (r"a/mod\.py", "\udcff"),
        ],
        ids=["another algorithm", "no hash", "no row", "no CSV", "no UTF-8"],
    )
    def test_files_that_releases_could_not_compare(self, tmp_path: Path, old: str, new: str) -> None:
        path = handmade.wheel(tmp_path, "a", files={"a/mod.py": "1+1"})
        with zipfile.ZipFile(path) as archive:
            members = [handmade.Member(name=one, content=archive.read(one)) for one in archive.namelist()]
        text = re.sub(old, new, members[-1].content.decode(), count=1)
        assert text != members[-1].content.decode()
        changed = dataclasses.replace(members[-1], content=text.encode(errors="surrogateescape"))
        assert described(path).record_sha256
        assert described(handmade.archive(path, [*members[:-1], changed])).record_sha256 == ""

    def test_nothing_but_the_needful(self, tmp_path: Path) -> None:
        description = described(custom(tmp_path, "Metadata-Version: 1.0\nName: app\nVersion: 1.0\n"))
        assert (description.requires_python, description.requires, description.extras) == (None, (), ())

    def test_a_little_wrong_is_right_enough(self, tmp_path: Path) -> None:
        metadata = (
            "Metadata-Version: 2.1\nName: app\nVersion: 1.0\nClassifier: No :: Such\nNonsense: yes\n"
            "License: two\nLicense: of them\nDescription-Content-Type: text/nonsense\nKeywords: ,,\n"
        )
        assert described(custom(tmp_path, metadata)).name == "app"

    def test_a_folder_of_another_spelling(self, tmp_path: Path) -> None:
        path = custom(tmp_path, "Name: My.App\nVersion: 1.0\n", "my_app-1.0-py3-none-any.whl", "My.App-1.0.dist-info")
        assert described(path).name == "My.App"

    @pytest.mark.parametrize(
        ("metadata", "reason"),
        [
            ("Name: other\nVersion: 1.0\n", "says in its METADATA that it is other 1.0"),
            ("Name: app\nVersion: 2.0\n", "says in its METADATA that it is app 2.0"),
            ("Name: app\n", "lacks a name or a version"),
            ("Version: 1.0\n", "lacks a name or a version"),
            ("Name: app\nVersion: 1.0\nName: app\n", "cannot be used"),
            ("Name: app\nVersion: 1.0\nRequires-Python: three\n", "cannot be used"),
            ("Name: app\nVersion: 1.0\nRequires-Dist: not a requirement!\n", "cannot be used"),
            ("", "lacks a name or a version"),
        ],
    )
    def test_metadata_that_cannot_be_used(self, metadata: str, reason: str, tmp_path: Path) -> None:
        with pytest.raises(WheelError, match=reason) as caught:
            described(custom(tmp_path, metadata))
        assert caught.value.exit_code == 5
        assert caught.value.hint

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"app.py": ""},
            {"other-1.0.dist-info/METADATA": "Name: app\nVersion: 1.0\n"},
            {"app-1.0.dist-info/METADATA": "", "App-1.0.dist-info/METADATA": ""},
            {"deep/app-1.0.dist-info/METADATA": "Name: app\nVersion: 1.0\n"},
            {"app-1.0.dist-info/WHEEL": ""},
        ],
    )
    def test_without_a_dist_info_of_its_own(self, members: Mapping[str, str], tmp_path: Path) -> None:
        path = handmade.archive(
            tmp_path / "app-1.0-py3-none-any.whl",
            [handmade.Member(name=name, content=text.encode()) for name, text in members.items()],
        )
        with pytest.raises(WheelError, match=r"app-1\.0-py3-none-any\.whl"):
            described(path)

    def test_all_ways_of_being_damaged(self, tmp_path: Path) -> None:
        metadata = "Name: app\nVersion: 1.0\nSummary: " + "words and words " * 40
        whole = custom(tmp_path, metadata).read_bytes()
        path = tmp_path / "app-2.0-py3-none-any.whl"
        # Each half of the file gone, and each single byte of the only member turned round.
        damaged = [b"", whole[: len(whole) // 2], whole[len(whole) // 2 :]]
        damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole) - 22)]
        for content in damaged:
            path.write_bytes(content)
            with pytest.raises(WheelError):
                described(path)  # its version is wrong in any case

    def test_encrypted_and_unheard_of_compression(self, tmp_path: Path) -> None:
        whole = bytearray(custom(tmp_path, "Name: app\nVersion: 1.0\n").read_bytes())
        central = whole.index(b"PK\x01\x02")
        for offset, value in ((8, 1), (10, 97)):  # the flag bits, the method
            broken = bytearray(whole)
            broken[central + offset] = value
            broken[offset - 2] = value
            path = tmp_path / "app-1.0-py3-none-any.whl"
            path.write_bytes(broken)
            with pytest.raises(WheelError, match=r"is encrypted|not supported"):
                described(path)

    def test_one_that_is_gone(self, tmp_path: Path) -> None:
        wheel = open_wheel(handmade.wheel(tmp_path), Origin.STORE)
        wheel.path.unlink()
        with pytest.raises(WheelError, match="No such file"):
            describe(wheel)


def test_facts_survive_json(tmp_path: Path) -> None:
    requires = ("b >=1,<2 ; extra == 'x'", "c[d] @ https://example.invalid/c.whl", "e; python_version<'4'")
    points = "[console_scripts]\na = a:main [x]\nb = a:main\n"
    wheel = open_wheel(handmade.wheel(tmp_path, "a", requires=requires, entry_points=points), Origin.STORE)
    assert interpret(wheel, json.loads(json.dumps(read_facts(wheel)))) == describe(wheel)


class TestLicences:
    @pytest.mark.parametrize(
        ("fields", "licence"),
        [
            ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("License: BSD", "BSD"),
            ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
            ("License-Expression: neither nor\nLicense: the other", "the other"),
            ("License: A text\n        of many lines\nClassifier: License :: Public Domain", "Public Domain"),
            ("License: " + "x" * 101, ""),
            ("Classifier: License :: One\nClassifier: License :: Two\nClassifier: Framework :: Three", "One, Two"),
            ("", ""),
        ],
    )
    def test_the_first_short_field_counts(self, fields: str, licence: str, tmp_path: Path) -> None:
        text = f"Metadata-Version: 2.4\nName: app\nVersion: 1.0\n{fields}\n"
        assert described(custom(tmp_path, text)).licence == licence


class TestScripts:
    def test_commands_and_windows(self, tmp_path: Path) -> None:
        points = (
            "[console_scripts]\nzap = app:zap\nadd = app:add\n[gui_scripts]\nshow = app:show\n[others]\nx = app:x\n"
        )
        assert [one.name for one in described(handmade.wheel(tmp_path, "app", entry_points=points)).scripts] == [
            "add",
            "show",
            "zap",
        ]

    def test_none(self, tmp_path: Path) -> None:
        assert described(handmade.wheel(tmp_path, "app")).scripts == ()

    def test_a_name_that_leads_elsewhere(self, tmp_path: Path) -> None:
        path = handmade.wheel(tmp_path, "app", entry_points="[console_scripts]\n../evil = app:main\n")
        with pytest.raises(WheelError, match="not an entry point"):
            described(path)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("Requires-Python", ">=3.6.*", ">=3.6"),
        ("Requires-Python", ">= '2.7'", ">=2.7"),
        ("Requires-Python", ">=3.6,", ">=3.6"),
        ("Requires-Python", "~=3", "~=3.0"),
        ("Requires-Python", ">=2.7!=3.0.*", "!=3.0.*,>=2.7"),
        ("Requires-Dist", "foo (>=1.0.*)", "foo>=1.0"),
        ("Requires-Dist", "foo>dev; extra == 'a'", 'foo>0.0.0.dev0; extra == "a"'),
    ],
)
def test_specifiers_that_are_older_than_their_rules(field: str, value: str, expected: str, tmp_path: Path) -> None:
    metadata = f"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nProvides-Extra: a b\n{field}: {value}\n"
    found = describe(open_wheel(handmade.wheel(tmp_path, metadata=metadata), Origin.STORE))
    assert [str(found.requires_python or ""), *map(str, found.requires)][-1] == expected
    assert found.extras == ("a b",)
    # What packaging takes as it stands needs no repair.
    assert found.repaired == (() if value.endswith(",") else ((value, expected),))
