"""Sound wheels, unsound ones, and wheels that want the same places."""

from __future__ import annotations

import shutil
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheels.metadata import open_wheel
from platter_setuptools.wheels.record_check import check_case, check_places, check_shared, contested, examine
from support import handmade
from support.fakes import Diary
from support.handmade import Member

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "app-1.0.dist-info/RECORD"


def opened(path: Path) -> Wheel:
    return open_wheel(path, Origin.FETCHED)


def with_record(folder: Path, record: str | bytes, **contents: Any) -> Wheel:
    """A wheel whose RECORD says what the test wants."""
    member = Member(name=RECORD, content=record if isinstance(record, bytes) else record.encode())
    path = handmade.wheel(folder / "plain", "app", drop=[RECORD], **contents)
    with zipfile.ZipFile(path) as archive:
        members = [Member(name=name, content=archive.read(name)) for name in archive.namelist()]
    return opened(handmade.archive(folder / path.name, [*members, member]))


def honest_record(folder: Path) -> str:
    with zipfile.ZipFile(handmade.wheel(folder / "honest", "app")) as archive:
        return archive.read(RECORD).decode()


def test_places_are_those_of_the_installation(tmp_path: Path) -> None:
    path = handmade.wheel(
        tmp_path,
        "app",
        files={"app/__init__.py": ""},
        purelib={"more.py": ""},
        scripts={"tool": "#!python\n"},
        data={"etc/app.conf": ""},
        headers={"app.h": ""},
        entry_points="[console_scripts]\napp = app:main\n",
    )
    assert [place for place in examine(opened(path)) if ".dist-info" not in place] == [
        "bin/app",
        "bin/tool",
        "etc/app.conf",
        "include/app/app.h",
        "site-packages/app/__init__.py",
        "site-packages/more.py",
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("app.py,sha256=", "app.py,sha256=A", "app.py is not what its RECORD says"),
        ("app.py,sha256=", "app.py,md5=", r"app.py has no hash in RECORD that could be trusted \(md5\)"),
        (",31\n", ",32\n", "app.py is not what its RECORD says"),
        ("app.py,", "other.py,", "other.py is in its RECORD, but not in the wheel"),
        ("app.py,", "gone.py,,\napp.py,", "gone.py is in its RECORD, but not in the wheel"),
        ("app.py,", "../app.py,", "../app.py is in its RECORD, but not in the wheel"),
        ("app.py,", "app.py ", "app.py is not in its RECORD"),
        ("app.py", '"app.py', "app.py is not in its RECORD"),
        ("app.py", "\xff", "\xff is in its RECORD"),
    ],
)
def test_a_record_that_lies(tmp_path: Path, old: str, new: str, reason: str) -> None:
    record = honest_record(tmp_path)
    assert old in record
    with pytest.raises(WheelError, match=reason) as caught:
        examine(with_record(tmp_path, record.replace(old, new, 1)))
    assert caught.value.message.startswith("app-1.0-py3-none-any.whl: ")
    assert str(tmp_path) not in caught.value.message
    assert (caught.value.exit_code, bool(caught.value.hint)) == (5, True)


def test_a_record_without_hashes(tmp_path: Path) -> None:
    record = "".join(f"{line.split(',')[0]},,\n" for line in honest_record(tmp_path).splitlines())
    with pytest.raises(WheelError, match=r"app.py has no hash in RECORD that could be trusted \(none at all\)"):
        examine(with_record(tmp_path, record))


def test_a_record_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="RECORD is missing"):
        examine(opened(handmade.wheel(tmp_path, "app", drop=[RECORD])))
    with pytest.raises(WheelError, match="RECORD is not UTF-8"):
        examine(with_record(tmp_path, b"\xff"))


def test_honest_records_of_every_kind(tmp_path: Path) -> None:
    record = honest_record(tmp_path)
    unpadded, size = record.replace(",31\n", "=,31\n"), record.replace(",31\n", ",\n")
    signature = Member(name=f"{RECORD}.jws", content=b"{}")
    for number, text in enumerate([record, unpadded, size, record + "app/,,\n", record.replace("\n", "\r\n")]):
        assert "site-packages/app.py" in examine(with_record(tmp_path / str(number), text, extra=[signature]))


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (Member(name="../up.py"), "could leave its folder"),
        (Member(name="/root.py"), "could leave its folder"),
        (Member(name="a\\..\\b.py"), "could leave its folder"),
        (Member(name="link", content=b"/etc", mode=stat.S_IFLNK | 0o777), "link is neither a file nor a folder"),
        (Member(name="device", mode=stat.S_IFCHR | 0o666), "device is neither a file nor a folder"),
        (Member(name="pipe", mode=stat.S_IFIFO | 0o666), "pipe is neither a file nor a folder"),
        (Member(name="app-1.0.data/purelib/app.py"), "would be one file"),
        (Member(name="app-1.0.data/scripts/python"), "would overwrite bin/python, which belongs to the virtualenv"),
        *(
            (Member(name=f"app-1.0.data/{name}"), "which belongs to the virtualenv")
            for name in (
                "data/pyvenv.cfg",
                "data/pyvenv.cfg/below",
                "data/.gitignore",
                "data/CACHEDIR.TAG",
                "data/.platter-release.json",
                "data/.platter-work/x",
                "data/bin",
                "data/lib",
                "data/lib64",
                "data/lib/python3.11",
                "data/lib64/python3.13t/site-packages",
                "data/lib/python3.11/site-packages/_virtualenv.py",
                "data/bin/python3.11",
                "data/BIN/Python3",
                "scripts/python3.11",
                "scripts/python3.13t",
                "scripts/pypy3.10",
                "scripts/activate",
                "scripts/activate.fish",
                "scripts/activate.ps1",
                "scripts/activate_this.py",
                "scripts/deactivate.nu",
                "purelib/_virtualenv.pth",
            )
        ),
        (Member(name="app-1.0.data/purelib/app-1.0.dist-info/RECORD"), "would be metadata of a distribution"),
        (Member(name="app-1.0.data/platlib/app-1.0.dist-info/INSTALLER"), "would be metadata of a distribution"),
        (Member(name="app-1.0.data/purelib/idna-3.0.DIST-INFO/x"), "would be metadata of a distribution"),
        (Member(name="idna-3.0.Dist-Info/RECORD"), "would be metadata of a distribution"),
        (
            Member(name="app-1.0.data/data/lib/python3.11/site-packages/idna-3.0.dist-info/RECORD"),
            "would be metadata of a distribution",
        ),
        (
            Member(name="app-1.0.data/data/lib64/pypy3.10/site-packages/idna-3.0.dist-info/RECORD"),
            "would be metadata of a distribution",
        ),
        (Member(name="x" * 256), "or a part of it than 255"),
        (Member(name="ü" * 128), "or a part of it than 255"),
        (Member(name="x/" * 512 + "y"), "is longer than 1024 bytes"),
        (Member(name="app-1.0.data/unheard/of"), "belongs to no known part"),
        (
            Member(name="app-1.0.dist-info/direct_url.json", content=b'{"url": "https://me:secret@host/app"}'),
            "direct_url.json holds a URL with a user or password",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Member) else "",
)
def test_members_that_no_wheel_may_have(tmp_path: Path, member: Member, reason: str) -> None:
    with pytest.raises(WheelError, match=reason) as caught:
        examine(opened(handmade.wheel(tmp_path, "app", extra=[member])))
    assert caught.value.message.startswith("app-1.0-py3-none-any.whl: ")
    assert "secret" not in caught.value.message


def test_where_a_wheel_comes_from_is_no_secret(tmp_path: Path) -> None:
    for number, url in enumerate(["https://host/app@1", "git+ssh://git@host/app"]):
        member = Member(name="app-1.0.dist-info/direct_url.json", content=f'{{"url":"{url}","a":"b@c"}}'.encode())
        examine(opened(handmade.wheel(tmp_path / str(number), "app", extra=[member])))


class TestPlacesThatTwoWant:
    def told(self, *paths: Path) -> list[str]:
        diary, wheels = Diary(), [opened(path) for path in paths]
        check_places(wheels, {wheel: examine(wheel) for wheel in wheels}, diary)
        return diary.said("warn")

    def test_both_are_named_and_the_later_wins(self, tmp_path: Path) -> None:
        one = handmade.wheel(tmp_path, "one", files={"shared/__init__.py": "", "one.py": ""})
        two = handmade.wheel(tmp_path, "two", files={"shared/__init__.py": "", "two.py": ""})
        both = "both have site-packages/shared/__init__.py"
        assert self.told(one, two) == [f"one and two {both}: two's will be installed"]
        assert self.told(two, one) == [f"two and one {both}: one's will be installed"]
        assert self.told(one) == []
        three = handmade.wheel(tmp_path, "three", files={"three.py": ""})
        places = {wheel: examine(wheel) for wheel in map(opened, (one, two, three))}
        assert [wheel.name for wheel in places if wheel in contested(places)] == ["one", "two"]

    def test_many_are_summarised(self, tmp_path: Path) -> None:
        files = {f"shared/{number}.py": "" for number in range(9)}
        (text,) = self.told(*(handmade.wheel(tmp_path, name, files=files) for name in ("one", "two")))
        assert "shared/4.py and 4 more: two's" in text

    def test_a_file_where_another_has_a_folder(self, tmp_path: Path) -> None:
        one = handmade.wheel(tmp_path, "one", files={"a/b": ""})
        two = handmade.wheel(tmp_path, "two", files={"a/b/c": ""})
        for order in ([one, two], [two, one]):
            with pytest.raises(WheelError, match=r"one-.* has a file where two-.* has a folder: site-packages/a/b$"):
                self.told(*order)

    @pytest.mark.parametrize(
        ("files", "more", "text"),
        [
            (("a.txt", "A.txt"), (), "site-packages/A.txt and site-packages/a.txt differ only in case"),
            (("Pkg/m.py",), ("pkg/m.py",), "site-packages/Pkg/m.py and site-packages/pkg/m.py differ only in case"),
            (("Pkg/m.py",), ("pkg/n.py",), None),
        ],
    )
    def test_names_that_differ_only_in_case(
        self, tmp_path: Path, files: tuple[str, ...], more: tuple[str, ...], text: str | None
    ) -> None:
        one = handmade.wheel(tmp_path, "one", files=dict.fromkeys(files, ""))
        two = handmade.wheel(tmp_path, "two", files=dict.fromkeys(more, "") or None)
        places, diary = [examine(opened(path)) for path in (one, two)], Diary()
        assert check_case(places, "linux-x86_64", diary) is (text is not None)
        assert [said.partition(":")[0] for said in diary.said("warn")] == [text] * (text is not None)
        if text:
            with pytest.raises(WheelError, match="differ only in case"):
                check_case(places, "macosx-14.0-arm64", diary)

    def test_also_within_one_wheel(self, tmp_path: Path) -> None:
        with pytest.raises(WheelError, match="has a file where"):
            self.told(handmade.wheel(tmp_path, "one", files={"a": "", "a/b": ""}))


class TestShared:
    """Paths that releases share, and files that a wheel has at the top of a virtualenv or in a folder there."""

    @pytest.fixture
    def places(self, tmp_path: Path) -> dict[Wheel, tuple[str, ...]]:
        data = {"etc/app.conf": "", "media/default/cat.png": "", "Notes": ""}
        paths = [
            handmade.wheel(tmp_path, "app", data=data, scripts={"tool": "#!python\n"}),
            handmade.wheel(tmp_path, "other", files={"site/__init__.py": ""}),
        ]
        return {wheel: examine(wheel) for wheel in map(opened, paths)}

    @pytest.mark.parametrize(
        "paths", [[], ["etc/app.env", "etc/app/"], ["media/uploads/"], ["med/", "Note"], ["site/", "site-packages/"]]
    )
    def test_what_is_free(self, places: dict[Wheel, tuple[str, ...]], paths: list[str]) -> None:
        check_shared(paths, places)

    @pytest.mark.parametrize(
        ("path", "place"),
        [
            ("etc/", "etc/app.conf"),
            ("etc/app.conf", "etc/app.conf"),
            ("etc/app.conf/", "etc/app.conf"),
            ("etc/app.conf/more/", "etc/app.conf"),
            ("media/", "media/default/cat.png"),
            ("media/default/", "media/default/cat.png"),
            ("MEDIA/Default", "media/default/cat.png"),
            ("notes/", "Notes"),
        ],
    )
    def test_what_is_taken(self, places: dict[Wheel, tuple[str, ...]], path: str, place: str) -> None:
        with pytest.raises(UsageError) as caught:
            check_shared(["free/", path], places)
        assert caught.value.message == f"shared: {path}: app-1.0-py3-none-any.whl installs {place}"


def test_a_wheel_that_is_not_what_it_was(tmp_path: Path) -> None:
    wheel = opened(handmade.wheel(tmp_path, "app"))
    shutil.copy(handmade.wheel(tmp_path / "other", "app", files={}), wheel.path)
    with pytest.raises(WheelError, match="altered"):
        examine(wheel)


@pytest.mark.parametrize("folder", ["lib", "lib64"])
def test_data_that_names_the_folder_of_modules_itself(tmp_path: Path, folder: str) -> None:
    data = {f"{folder}/python3.11/site-packages/idna/__init__.py": ""}
    wheels = [
        opened(handmade.wheel(tmp_path, "evil", data=data)),
        opened(handmade.wheel(tmp_path, "idna", files={"idna/__init__.py": ""})),
    ]
    diary = Diary()
    check_places(wheels, {wheel: examine(wheel) for wheel in wheels}, diary)
    assert diary.said("warn") == ["evil and idna both have site-packages/idna/__init__.py: idna's will be installed"]


@pytest.mark.parametrize(
    "place", ["scripts/activate-global-python-argcomplete", "scripts/python-config", "scripts/pythonic", "data/library"]
)
def test_names_that_are_like_those_of_the_virtualenv(tmp_path: Path, place: str) -> None:
    extra = [Member(name=f"app-1.0.data/{place}")]
    assert examine(opened(handmade.wheel(tmp_path, "app", extra=extra)))


class TestCommandsOfTheSystem:
    def told(self, path: Path) -> list[str]:
        diary, wheel = Diary(), opened(path)
        check_places([wheel], {wheel: examine(wheel)}, diary)
        return diary.said("warn")

    def test_scripts_and_entry_points_and_data(self, tmp_path: Path) -> None:
        path = handmade.wheel(
            tmp_path,
            "one",
            scripts={"sh": "#!/bin/true\n", "env": ""},
            data={"bin/ssh-keygen": ""},
            entry_points="[console_scripts]\nsystemctl = one:main\none = one:main\n",
            files={"bin/ls": "", "one.py": ""},
        )
        (text,) = self.told(path)
        assert "one brings env, sh, ssh-keygen, systemctl:" in text

    def test_scripts_of_its_own(self, tmp_path: Path) -> None:
        assert self.told(handmade.wheel(tmp_path, "one", scripts={"one": "", "pip": "", "pythonic": ""})) == []
