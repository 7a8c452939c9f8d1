"""Names and metadata of people who mean harm: they are refused, or taken as they are; nothing runs, nothing escapes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from faults.builds import digest
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.values import Origin
from platter_setuptools.payload import wheel as payload_wheel
from platter_setuptools.payload.environment import Scheme
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.tree import Tree
from platter_setuptools.steps.wheels.wheelfile import describe, open_wheel
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


def test_bundles(trials: Trials, new_server: Callable[[], Server], bundle: handmade.Bundle) -> None:
    """Whatever a bundle says that it is called, and wherever it lies."""
    for trial in trials(FAULT, full=40, few=2):
        with trial:
            server = new_server()
            name, version, folder = ("".join(trial.random.choices(PARTS, k=2)) for _ in range(3))
            path = server.folder / f"b{folder.replace('/', '').replace(chr(0), '')[:60]}"
            shutil.copytree(bundle.path, path)
            made = handmade.Bundle(path=path, info=json.loads(json.dumps(bundle.info)))
            made.info.update(name=name, version=version, platform=name)
            if trial.number % 4 == 3:
                made.info["wheels"][0]["file"] = f"../{name}"
            (path / "PACKAGE").write_text(f"{name}\n", "utf-8")
            (path / "VERSION").write_text(f"{version}\n", "utf-8")
            made.seal()
            here = server.folder / "here"
            here.mkdir()
            mine = dataclasses.replace(server, bundle=made)
            status = mine.start(cwd=here).wait(60)
            assert "Traceback" not in mine.said
            assert status in {0, 4}, mine.said
            if status == 0:
                server.check_installed()
            else:
                server.check_untouched()
            done = handmade.run(made, "--version", python=False, cwd=here)
            assert done.returncode in {0, 4}, done.stderr  # 4: VERSION holds no version
            assert list(here.iterdir()) == []


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
