"""Names and metadata of people who mean harm: they are refused, or taken as they are; nothing runs, nothing escapes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from faults.builds import digest
from platter_setuptools.errors import PlatterError
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.install.environment import Scheme
from platter_setuptools.payload.install.tree import Tree
from platter_setuptools.payload.wheels import wheel as payload_wheel
from platter_setuptools.values import Origin
from platter_setuptools.wheels.metadata import describe, open_wheel
from support import handmade, projects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.builds import Builder
    from faults.ledger import Trials
    from faults.server import Server

PARTS = [
    *[
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned;",
        "'; touch pwned; '",
        '"; touch pwned; "',
        "|touch pwned",
        "&",
    ],
    *["'", '"', "'''", '"""', "\\", "\\n", "\n", "\r\n", "\t", " ", "\0", "\x1b[2J", "\u202e", "\u2028", "\ufeff"],
    *["%", "%s", "%(name)s", "{0}", "{name}", "${HOME}", "$HOME", "~", "*", "?", "[a]", "#", "!", "=", ":", ",", "@"],
    *[
        "-",
        "--",
        "-p",
        "--force",
        ".",
        "..",
        "/",
        "//",
        "../",
        "/etc/passwd",
        "é",
        "e\u0301",
        "日本語",
        "😀",
        "a",
        "B",
        "1",
    ],
    *["x" * 200, "é" * 120, "import os; os.system('touch pwned')", "\nimport os; os.system('touch pwned')\n"],
]
WORDS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join) | st.text(max_size=20)
NAMES = st.just("evil") | WORDS
FILES = st.lists(WORDS | st.builds("{}/{}".format, WORDS, WORDS), max_size=3, unique=True)
TOO_LONG = errno.ENAMETOOLONG
FAULT = "hostile names and metadata"


def examples(trials: Trials, *, full: int, few: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Settings of a property whose examples are counted as tries."""
    number = trials.count(full=full, few=few)
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=checks,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    return lambda test: hypothesis_seed(trials.random.randrange(2**32))(how(test))


class Ground:
    """An empty working directory, in which nothing may appear, beside a folder that may be filled."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.root, self.here, self.wheels = (self.folder / name for name in ("root", "here", "wheels"))
        for folder in (self.root, self.here, self.wheels):
            folder.mkdir()

    def __enter__(self) -> Ground:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        found = sorted(path.name for path in self.folder.iterdir()), list(self.here.iterdir())
        shutil.rmtree(self.folder)
        if kind is None:
            assert found == (["here", "root", "wheels"], [])

    @property
    def scheme(self) -> Scheme:
        """Where a wheel is installed into, without a virtualenv, for speed."""
        site = str(self.root / "lib")
        return Scheme(
            root=str(self.root),
            python=sys.executable,
            purelib=site,
            platlib=site,
            scripts=str(self.root / "bin"),
            headers=str(self.root / "include"),
            data=str(self.root),
        )


def test_wheels_on_the_server(trials: Trials) -> None:
    tries, installed = 0, 0

    @examples(trials, full=600, few=40)
    @example(name="evil", version="1.0", files=["a b"], scripts=["$(x)"], entry="evil", reference="evil:main")
    @given(name=NAMES, version=NAMES, files=FILES, scripts=FILES, entry=NAMES, reference=WORDS | st.just("evil:main"))
    def check(name: str, version: str, files: list[str], scripts: list[str], entry: str, reference: str) -> None:
        nonlocal tries, installed
        tries += 1
        with Ground() as ground:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            try:
                path = handmade.wheel(
                    ground.wheels,
                    "evil",
                    files={"evil.py": "def main(): print('ran')\n", **dict.fromkeys(files, "x = 1\n")},
                    scripts=dict.fromkeys(scripts, "#!python\nprint('ran')\n"),
                    entry_points=f"[console_scripts]\n{entry} = {reference}\n",
                    metadata=metadata,
                )
            except (ValueError, UserWarning):  # no zip file can hold that
                return
            source = payload_wheel.Source(path=str(path), sha256=digest(path), requested=True)
            try:
                payload_wheel.install(source, ground.scheme, Tree(frozenset()), sys.version_info[:2])
            except InstallError:
                return
            except OSError as error:
                if error.errno != TOO_LONG:
                    raise
                return
            installed += 1
            for script in [path for path in (ground.root / "bin").glob("*") if path.is_file()][:2]:
                environ = {"PYTHONPATH": f"{ground.root}/lib"}
                subprocess.run([script], cwd=ground.here, capture_output=True, env=environ, check=False)

    with counted(trials, lambda: tries):
        check()
    assert installed


def test_wheels_that_are_built_with(trials: Trials) -> None:
    tries = 0

    @examples(trials, full=400, few=40)
    @given(name=NAMES, version=NAMES, requires=st.lists(WORDS, max_size=2), extra=WORDS, python=WORDS, file=WORDS)
    def check(name: str, version: str, requires: list[str], extra: str, python: str, file: str) -> None:
        nonlocal tries
        tries += 1
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Provides-Extra: {extra}"]
        lines += [f"Requires-Dist: {one}" for one in requires] + [f"Requires-Python: {python}"]
        with Ground() as ground:
            metadata = handmade.Member(name="evil-1.0.dist-info/METADATA", content="\n".join(lines).encode())
            path = handmade.wheel(ground.wheels, "evil", drop=["evil-1.0.dist-info/METADATA"])
            path = handmade.archive(path, [metadata])
            with contextlib.suppress(PlatterError):
                assert describe(open_wheel(path, Origin.PROJECT)).name.lower() == "evil"
            stem = file.replace("/", "").replace("\0", "")[:60]
            renamed = path.rename(path.with_name(f"{stem}-1.0-py3-none-any.whl"))
            with contextlib.suppress(PlatterError):
                describe(open_wheel(renamed, Origin.PROJECT))

    with counted(trials, lambda: tries):
        check()


def is_fine(name: str, version: str) -> bool:
    """Whether these can be a name (PEP 508) and a version (PEP 440), in the opinion of packaging."""
    try:
        canonicalize_name(name, validate=True)
        return len(name) <= 200 and str(Version(version)) != "" and version == version.strip()
    except (InvalidName, InvalidVersion):
        return False


def test_bundles(trials: Trials, new_server: Callable[[], Server], bundle: handmade.Bundle) -> None:
    """Whatever a bundle says that it is called, and wherever it lies."""
    for trial in trials(FAULT, full=60, few=3):
        with trial:
            server = new_server()
            name, version, folder = ("".join(trial.random.choices(PARTS, k=2)) for _ in range(3))
            if trial.number % 3 == 2:  # few of the others are names and versions
                name, version = trial.random.choice(["a-B", "1", "B.a"]), trial.random.choice(["1", "1!2.0a1", "1.0+b"])
            path = server.folder / f"b{folder.replace('/', '').replace(chr(0), '')[:60]}"
            shutil.copytree(bundle.path, path)
            made = handmade.Bundle(path=path, info=json.loads(json.dumps(bundle.info)))
            made.info.update(name=name, version=version, platform=name)
            leaves = trial.number % 4 == 3
            if leaves:
                made.info["wheels"][0]["file"] = f"../{name}"
            (path / "PACKAGE").write_text(f"{name}\n", "utf-8")
            (path / "VERSION").write_text(f"{version}\n", "utf-8")
            made.seal()
            here = server.folder / "here"
            here.mkdir()
            mine = dataclasses.replace(server, bundle=made)
            status = mine.start(cwd=here).wait(60)
            assert "Traceback" not in mine.said
            assert status == (0 if is_fine(name, version) and not leaves else 4), (name, version, mine.said)
            if status == 0:
                server.check_installed()
            else:
                server.check_untouched()
            done = handmade.run(made, "--version", python=False, cwd=here, errors="replace")
            shown = "".join(text.replace("\0", "").split("\n")[0] for text in (name, version))
            assert done.returncode == (0 if re.fullmatch(r"[A-Za-z0-9._+!-]*", shown) else 4), done.stderr
            assert list(here.iterdir()) == []


BIG = b"#" * (70 << 20)
MANY = 3_000


def member(name: str, content: bytes = b"x = 1\n", mode: int = handmade.PLAIN) -> Callable[[Path], Path]:
    """A wheel with one more member, or another one of that name."""

    def make(folder: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of two members with one name
            if name == f"{INFO}/METADATA":
                return handmade.wheel(folder, "evil", metadata=content.decode())
            return handmade.wheel(folder, "evil", extra=[handmade.Member(name=name, content=content, mode=mode)])

    return make


def patched(before: bytes, after: bytes, *, last: bool = False) -> Callable[[Path], Path]:
    """A wheel in which some bytes differ."""

    def make(folder: Path) -> Path:
        path = handmade.wheel(folder, "evil", files={"evil.py": "print('evil')\n"})
        content = path.read_bytes()
        place = content.rindex(before) if last else content.index(before)
        path.write_bytes(content[:place] + after + content[place + len(before) :])
        return path

    return make


def central(offset: int, value: bytes) -> Callable[[Path], Path]:
    """A wheel whose list of members says something else of the first one."""

    def make(folder: Path) -> Path:
        path = handmade.wheel(folder, "evil")
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\x01\x02") + offset
        content[place : place + len(value)] = value
        path.write_bytes(content)
        return path

    return make


INFO = "evil-1.0.dist-info"
START = b"Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n\n"
CLAIMS: dict[str, Callable[[Path], Path]] = {
    "METADATA of 70 MB": member(f"{INFO}/METADATA", START + BIG),
    "entry points of 70 MB": member(f"{INFO}/entry_points.txt", b"[console_scripts]\n" + BIG),
    "a script of 70 MB": member("evil-1.0.data/scripts/evil", b"#!python\n" + BIG),
    "RECORD of 70 MB": lambda folder: handmade.archive(
        folder / "evil-1.0-py3-none-any.whl",
        [
            handmade.Member(name=f"{INFO}/METADATA", content=START),
            handmade.Member(name=f"{INFO}/WHEEL", content=b"Wheel-Version: 1.0\n"),
            handmade.Member(name=f"{INFO}/RECORD", content=BIG),
        ],
    ),
    "a size of 2^40": central(24, (0xFFFFFFF0).to_bytes(4, "little")),
}
INFOS: dict[str, Callable[[str], str]] = {
    "JSON that is deep": lambda text: text.replace("{", '{"z": ' + "[" * 100_000 + "]" * 100_000 + ",", 1),
    "a number of 5,000 digits": lambda text: text.replace("{", '{"z": ' + "9" * 5000 + ",", 1),
    "JSON of 3 MiB": lambda text: text + " " * (3 << 20),
    "many wheels": lambda text: text.replace('"wheels": [', '"wheels": [' + "{}," * MANY, 1),
    "many tags": lambda text: text.replace(
        "evil-1.0-py3-none-any", "-".join(["evil-1.0", *[".".join("abcdefghij")] * 3])
    ),
}
LIES: dict[str, Callable[[Path], Path]] = {
    **{
        f"member {name!r}": member(name)
        for name in ("/evil", "../evil", "a/../../evil", "a//b", "./a", "a\\b", "x" * 300, "bin/../a")
    },
    "two members of one name": member("evil.py"),
    "a link": member("a", b"/etc/passwd", 0o120777),
    "a device": member("a", b"", 0o020666),
    "a pipe": member("a", b"", 0o010666),
    "another RECORD": member(f"evil-1.0.data/purelib/{INFO}/RECORD", b""),
    "metadata of another": member("evil-1.0.data/purelib/other-1.0.dist-info/METADATA", START),
    "metadata as data": member(
        f"evil-1.0.data/data/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/o-1.dist-info/RECORD"
    ),
    "the virtualenv's own": member("evil-1.0.data/scripts/python"),
    "one place, two ways": member("evil-1.0.data/purelib/evil.py"),
    "no known part": member("evil-1.0.data/other/a"),
    "two .dist-info folders": member("other-1.0.dist-info/METADATA", START),
    "a name that is none": member(f"{INFO}/METADATA", b"Metadata-Version: 2.1\nName: \x1b[2J\nVersion: 1.0\n"),
    "a version that is none": member(f"{INFO}/METADATA", b"Metadata-Version: 2.1\nName: evil\nVersion: $(id)\n"),
    "two names for a member": patched(b"evil.py", b"evik.py"),
    "another CRC": central(16, b"\0\0\0\0"),
    "encrypted": central(8, b"\1\0"),
    "an unknown compression": central(10, b"\x63\0"),
    "a header elsewhere": central(42, b"\xff\0\0\0"),
    "cut off": lambda folder: cut(handmade.wheel(folder, "evil")),
}
LIARS: dict[str, Callable[[str], str]] = {
    "a key twice": lambda text: text.replace("{", '{"name": "other",', 1),
    "a number that is none": lambda text: text.replace("{", '{"z": NaN,', 1),
    "an infinite number": lambda text: text.replace("{", '{"z": 1e999,', 1),
    "a wheel that is elsewhere": lambda text: text.replace('"evil-1.0-py3', '"../evil-1.0-py3'),
    "another hash": lambda text: re.sub('"sha256": "[0-9a-f]{8}', '"sha256": "00000000', text),
    "another sum": lambda text: text.replace('"installed_files": ', '"installed_files": 1', 1),
}


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


def lying(folder: Path, name: str) -> handmade.Bundle:
    """A bundle with this wheel, or this info.json, whose sums are right."""
    change = {**CLAIMS, **LIES}.get(name)
    honest = handmade.wheel(folder / "honest", "evil")
    made = handmade.bundle(folder, [honest])
    if change:
        path = change(folder / "wheels")
        shutil.copy(path, made.data / honest.name)
        content = path.read_bytes()
        made.info["wheels"][0].update(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        made.seal()
    else:
        made.seal()
        info = made.path / "info.json"
        before, text = digest(info), info.read_text()
        changed = {**INFOS, **LIARS}[name](text)
        assert changed != text
        info.write_text(changed)
        sums = made.path / "SHA256SUMS"
        sums.write_text(sums.read_text().replace(before, digest(info)))
    return made


# In a small process of its own: what starts a program counts as a part of it.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    file.write(f"{used.ru_maxrss} {used.ru_utime + used.ru_stime}")
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("fault", "names"),
    [("claims of size, depth and number", [*CLAIMS, *INFOS]), ("wheels and bundles that lie", [*LIES, *LIARS])],
    ids=["claims", "lies"],
)
def test_refused(
    trials: Trials, new_server: Callable[[], Server], tmp_path: Path, fault: str, names: list[str]
) -> None:
    """install.sh ends with 4, in seconds and below 100 MB, and leaves everything as it was."""
    left = trials.random.sample(names, len(names))
    for trial in trials(fault, full=len(names), few=3):
        with trial:
            name = left.pop()
            server = dataclasses.replace(new_server(), bundle=lying(tmp_path / f"lie{trial.number}", name))
            measured = tmp_path / "measured"
            status = server.start(shell=(sys.executable, "-c", MEASURE, str(measured), "sh")).wait(60)
            assert status == 4, f"{name}: {server.said}"
            assert "\nhint: " in server.said, f"{name}: {server.said}"
            assert "Traceback" not in server.said
            kilobytes, seconds = map(float, measured.read_text().split())
            assert kilobytes < 100 << 10, f"{name}: {kilobytes} KiB"
            assert seconds < 10, name
            server.check_untouched()


HOLDER = """
import fcntl, os, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = []
for folder, folders, files in os.walk("."):
    for name in [".", *folders, *files]:
        try:
            held.append(os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
print(len(held), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser becomes somebody else")
def test_locks_of_another_user(trials: Trials, bundle: handmade.Bundle, tmp_path: Path) -> None:
    """Somebody who may read all of a root holds all that can be opened in it."""
    for trial in trials("locks held by another user", full=5, few=1):
        with trial:
            root = tmp_path / f"root{trial.number}"
            assert handmade.run(bundle, "--root", root, "--no-activate").returncode == 0
            words = [sys.executable, "-c", HOLDER, str(root)]
            with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
                assert holder.stdout
                assert int(holder.stdout.readline()) > 100
                for words in (["activate", "1.0"], ["prune", "--keep", "1"]):
                    done = subprocess.run(
                        [str(root / "platter"), *words], capture_output=True, text=True, check=False, timeout=60
                    )
                    assert done.returncode == 0, done.stderr
                done = handmade.run(bundle, "--root", root)
                assert done.returncode == 0, done.stderr
                assert holder.stdin
                holder.stdin.close()


ODD = "a $(touch pwned) `touch pwned` 'q' \"d\" % %s {x} ; é #"


def odd_folders(builder: Builder, elsewhere: Path) -> tuple[Builder, str]:
    shutil.copytree(builder.folder, elsewhere / ODD)
    moved = dataclasses.replace(builder, folder=elsewhere / ODD)
    return moved, f"--output={moved.dist}"


def odd_script(builder: Builder, _elsewhere: Path) -> tuple[Builder, str]:
    projects.write(builder.project, {ODD: 'touch "$DATA_DIR/$(basename "$0")"\n'})
    return builder, f"--postbuild-script={ODD}"


def odd_extra(builder: Builder, _elsewhere: Path) -> tuple[Builder, str]:
    return builder, f"--extras={ODD}"


def odd_version(builder: Builder, _elsewhere: Path) -> tuple[Builder, str]:
    file = builder.project / "pyproject.toml"
    file.write_text(file.read_text().replace('"1.0"', json.dumps(f"1.0+{ODD}")))
    return builder, "--quiet"


def test_projects(trials: Trials, new_builder: Callable[[], Builder], warm: Builder, tmp_path: Path) -> None:
    cases = [(odd_folders, 0), (odd_script, 0), (odd_extra, 2), (odd_version, 5)]
    for trial in trials(FAULT, full=len(cases), few=1):
        with trial:
            builder = new_builder()
            builder.warm_up(warm)
            prepare, status = cases[trial.number]
            builder, option = prepare(builder, tmp_path)
            assert builder.start(option).wait(120) == status, builder.said
            if status:
                builder.check_told()
            else:
                assert len(builder.shown()) == 1
            assert not list(builder.folder.rglob("pwned"))


@contextlib.contextmanager
def counted(trials: Trials, tries: Callable[[], int]) -> Iterator[None]:
    """Note the tries of a property: as many as were made, of which at most one is known to be lost."""
    lost = 1
    try:
        yield
        lost = 0
    finally:
        trials.note(FAULT, tries=tries(), lost=lost)
