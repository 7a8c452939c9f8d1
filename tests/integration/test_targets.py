"""Bundles and locks for a Python and a machine that are not here: by a name, or by a description of the server."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from support import handmade
from support.fakes import target
from support.front_ends import unpack, wheels
from support.index import Index, sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.front_ends import Yard

DOCS = Path(__file__).parents[2] / "docs"
HERE = target()
OURS, THEIRS = ("x86_64", "aarch64") if platform.machine() == "x86_64" else ("aarch64", "x86_64")
OURS_TAG = f"cp3{HERE.version.partition('.')[2]}"
THERE, MUSL, FUTURE = (
    f"{OURS_TAG}-manylinux_2_30_{THEIRS}",
    f"cp312-musllinux_1_2_{OURS}",
    f"cp319-manylinux_2_28_{THEIRS}",
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names wheels for Linux")

SETUP = """
from setuptools import Distribution, setup
class Compiled(Distribution):
    def has_ext_modules(self):
        return {compiled}
setup(name={name!r}, version="1.0", py_modules=["{name}"], distclass=Compiled)
"""


def source(folder: Path, name: str, *, compiled: bool) -> Path:
    setup = SETUP.format(name=name, compiled=compiled)
    return sdist(
        folder, name, "1.0", {"setup.py": setup, f"{name}.py": "", "PKG-INFO": f"Name: {name}\nVersion: 1.0\n"}
    )


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distributions that have wheels for some platforms, are for some machines, or have no wheels."""
    folder = tmp_path_factory.mktemp("goods")
    for abi in ("cp312", OURS_TAG, "cp319"):
        for system in ("manylinux_2_17", "manylinux_2_28", "manylinux_2_34", "musllinux_1_1", "musllinux_1_2"):
            for machine in (OURS, THEIRS):
                handmade.wheel(folder, "native", tag=f"{abi}-{abi}-{system}_{machine}", pure=False)
    for machine in (OURS, THEIRS):
        handmade.wheel(folder, f"for-{machine.replace('_', '-')}")
    handmade.wheel(folder, "for-old")
    handmade.wheel(folder, "for-new")
    source(folder, "pure", compiled=False)
    source(folder, "compiled", compiled=True)
    source(folder, "compiled2", compiled=True)
    return folder


@pytest.fixture(scope="module")
def shop(goods: Path, tool_wheels: Path) -> Iterator[dict[str, str]]:
    index = Index(tool_wheels, goods)
    index.start()
    yield {"PIP_INDEX_URL": index.url, "PLATTER_BUILD_FORMAT": "dir"}
    index.stop()


def app(folder: Path, *requires: str, tag: str = "py3-none-any") -> Path:
    """A finished wheel of the project, so that nothing has to be built."""
    return handmade.wheel(folder, "app", requires=requires, tag=tag, pure=tag.endswith("any"))


def files(bundle: Path, folder: Path) -> set[str]:
    data = unpack(bundle, folder) / "data"
    return {path.name for path in data.glob("*.whl")}


MARKED = (
    "native",
    *(f"for-{machine.replace('_', '-')}; platform_machine == '{machine}'" for machine in (OURS, THEIRS)),
    "for-old; python_version < '3.19'",
    "for-new; python_version >= '3.19' and (sys_platform == 'win32' or platform_release != '' or os_name == 'posix')",
)


@pytest.mark.parametrize(
    ("resolver", "name", "wheel", "machine", "also"),
    [
        ("uv", THERE, f"native-1.0-{OURS_TAG}-{OURS_TAG}-manylinux_2_28_{THEIRS}.whl", THEIRS, "old"),
        ("uv", MUSL, f"native-1.0-cp312-cp312-musllinux_1_2_{OURS}.whl", OURS, "old"),
        ("pip", FUTURE, f"native-1.0-cp319-cp319-manylinux_2_28_{THEIRS}.whl", THEIRS, "new"),
    ],
)
def test_markers_and_tags_are_the_targets(
    yard: Yard, shop: dict[str, str], tmp_path: Path, resolver: str, name: str, wheel: str, machine: str, also: str
) -> None:
    project = app(tmp_path, *MARKED)
    bundle = yard.build(tmp_path, f"--target={name}", f"--resolver={resolver}", project, **shop)
    expected = {project.name, wheel, f"for_{machine}-1.0-py3-none-any.whl", f"for_{also}-1.0-py3-none-any.whl"}
    assert files(bundle, tmp_path / "unpacked") == expected
    assert bundle.name == f"app-1.0-linux-{machine}"


def test_bundles_for_glibc_and_for_musl_do_not_replace_each_other(
    yard: Yard, shop: dict[str, str], tmp_path: Path
) -> None:
    """Also of pure Python alone, which is the same in both; and in every front end that writes there."""
    project, glibc = app(tmp_path), MUSL.replace("musllinux_1_2", "manylinux_2_28")
    for first, second in ((MUSL, glibc), (glibc, MUSL)):
        folder = tmp_path / first
        for kind in ("tar.gz", "run"):
            words = ("--name-with-python", f"--format={kind}", "-o", folder, project)
            built = yard.build(tmp_path, f"--target={first}", *words, **shop)
            before = built.read_bytes()
            told = yard.refuse(6, tmp_path, f"--target={second}", *words, **shop)
            assert f"{built} is a bundle for cp312" in told
            assert "hint: no name tells glibc and musl apart: choose another folder with --output" in told
            assert built.read_bytes() == before
            other = yard.build(tmp_path, f"--target={second}", *words[:2], "-o", folder / "other", project, **shop)
            assert other.name == built.name


def test_as_the_native_build(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    project = app(tmp_path, *MARKED)
    native = files(yard.build(tmp_path, "-o", "native", project, **shop), tmp_path / "one")
    named = yard.build(tmp_path, "-o", "named", f"--target={HERE.id}", project, **shop)
    described = tmp_path / "here.json"
    described.write_text(yard.platter("describe", cwd=tmp_path).stdout)
    there = yard.build(tmp_path, "-o", "described", f"--target={described}", project, **shop)
    assert files(named, tmp_path / "two") == files(there, tmp_path / "three") == native
    yard.install(there)


def test_bytecode_only_if_there_is_such_a_python(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    there = unpack(yard.build(tmp_path, "-o", "there", f"--target={THERE}", app(tmp_path), **shop), tmp_path / "one")
    here = unpack(yard.build(tmp_path, "-o", "here", app(tmp_path), **shop), tmp_path / "two")
    name = f"data/bytecode/app-1.0-py3-none-any.{HERE.cache_tag}.zip"
    assert (there / name).read_bytes() == (here / name).read_bytes()
    done = yard.platter("build", "-o", "future", f"--target={FUTURE}", app(tmp_path), cwd=tmp_path, code=0, **shop)
    assert "no bytecode: there is no Python 3.19 here to compile it; install.sh --compile does that" in done.stderr
    future = unpack(Path(done.stdout.strip()), tmp_path / "three")
    assert not list(future.rglob("*.pyc"))
    assert not (future / "data" / "bytecode").exists()
    yard.platter("verify", future, cwd=tmp_path)


def test_what_has_no_wheel_is_built_here(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    project = app(tmp_path, "pure", "compiled", "compiled2")
    told = yard.refuse(4, tmp_path, f"--target={THERE}", project, **shop)
    assert f"these have no wheel for {THERE}:" in told
    wheel = f"compiled-1.0-{OURS_TAG}-{OURS_TAG}-linux_{OURS}.whl"
    assert f"compiled 1.0 has compiled modules: built here it is {wheel}" in told
    assert "compiled2 1.0 has compiled modules" in told
    assert "  pure 1.0" not in told
    assert "choose versions that have one" in told
    # What was built is in the wheel cache.
    assert yard.refuse(4, tmp_path, f"--target={THERE}", project, **shop).endswith(told[told.index("platter: error") :])
    bundle = yard.build(tmp_path, f"--target={THERE}", app(tmp_path, "pure"), **shop)
    assert wheels(bundle) == {"app": "1.0", "pure": "1.0"}


@pytest.mark.parametrize(
    ("resolver", "setting"),
    [
        ("uv", {"PIP_ONLY_BINARY": ":all:"}),
        ("pip", {"PIP_ONLY_BINARY": ":all:"}),
        ("uv", {"UV_CONFIG_FILE": "settings.toml"}),
    ],
)
def test_sdists_can_be_refused_before_they_are_built(
    yard: Yard, shop: dict[str, str], tmp_path: Path, resolver: str, setting: dict[str, str]
) -> None:
    words = (f"--target={THERE}", f"--resolver={resolver}", app(tmp_path, "compiled"))
    (tmp_path / "settings.toml").write_text("no-build = true\n")
    told = yard.refuse(4, tmp_path, *words, **shop, **setting)
    assert "compiled" in told
    assert "built here" not in told
    assert "compiled 1.0 has compiled modules: built here" in yard.refuse(4, tmp_path, *words, **shop)


def test_the_projects_own_wheel_fits_too(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    project = app(tmp_path, tag=f"{OURS_TAG}-{OURS_TAG}-linux_{OURS}")
    told = yard.refuse(5, tmp_path, f"--target={THERE}", project, **shop)
    assert f"{project.name} does not fit {THERE}" in told
    assert "build it on a machine that the bundle is for" in told
    other = app(tmp_path, tag=f"{OURS_TAG}-{OURS_TAG}-linux_{THEIRS}")
    assert wheels(yard.build(tmp_path, f"--target={THERE}", other, **shop)) == {"app": "1.0"}


def test_a_marker_that_is_not_known(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    project = app(tmp_path, "for-old; platform_release >= '5'")
    told = yard.refuse(4, tmp_path, f"--target={HERE.id}", project, **shop)
    assert "whether for-old is required cannot be said: platform_release of the target is not known" in told
    assert "install.sh --describe" in told
    # A description knows it, whatever the machine that builds has.
    described = tmp_path / "server.json"
    facts = json.loads(yard.platter("describe", cwd=tmp_path).stdout)
    for resolver, release, expected in (("pip", "4.19", {"app"}), ("uv", "6.1", {"app", "for-old"})):
        facts["markers"]["platform_release"] = release
        described.write_text(json.dumps(facts))
        bundle = yard.build(tmp_path, "-o", release, "--target=server.json", f"--resolver={resolver}", project, **shop)
        assert set(wheels(bundle)) == expected


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cp312-manylinux_2_28_amd64", "did you mean cp312-manylinux_2_28_x86_64?"),
        ("nowhere.json", "nowhere.json cannot be read: No such file or directory"),
        ("info.json", "info.json: markers: expected dict"),
        ("cp312-manylinux_2_28_s390x", "use resolver = pip, or a lock"),
    ],
)
def test_targets_that_are_none(yard: Yard, shop: dict[str, str], tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "info.json").write_text('{"format": 1, "name": "app"}')
    assert told in yard.refuse(2, tmp_path, f"--target={name}", app(tmp_path), **shop)


def test_pip_resolves_for_more_machines(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    words = ("--target=cp312-manylinux_2_28_s390x", "--resolver=pip", app(tmp_path, "for-old"))
    assert set(wheels(yard.build(tmp_path, *words, **shop))) == {"app", "for-old"}


def test_a_path_counts_from_the_projects_folder(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\n[tool.platter]\ntarget = ["a.json"]\n'
    )
    shown = yard.platter("config", "--json", folder, cwd=tmp_path, code=0, **shop).stdout
    assert json.loads(shown)["target"]["value"] == [str(folder / "a.json")]


def test_a_lock_for_another_machine(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    project = app(tmp_path, *MARKED)
    words = [f"--target={one}" for one in (THERE, f"{OURS_TAG}-manylinux_2_30_{OURS}")]
    done = yard.platter("lock", "-o", "pylock.toml", *words, project, cwd=tmp_path, code=0, **shop)
    assert f"of them for {THERE}" in done.stderr
    bundle = yard.build(tmp_path, f"--target={THERE}", "--lock=pylock.toml", project, **shop)
    assert set(wheels(bundle)) == {"app", "native", f"for-{THEIRS.replace('_', '-')}", "for-old"}
    here = yard.build(tmp_path, "-o", "here", "--lock=pylock.toml", project, **shop)
    assert set(wheels(here)) == {"app", "native", f"for-{OURS.replace('_', '-')}", "for-old"}
    told = yard.platter("lock", f"--target={THERE}", app(tmp_path, "compiled"), cwd=tmp_path, code=4, **shop).stderr
    assert f"these have no wheel for {THERE}" in told


def test_a_bundle_describes_its_server(yard: Yard, shop: dict[str, str], tmp_path: Path) -> None:
    bundle = unpack(yard.build(tmp_path, app(tmp_path), **shop), tmp_path / "unpacked")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    command = [str(bundle / "install.sh"), "--describe", "-p", sys.executable]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin"})
    assert done.stderr == ""
    jsonschema.validate(json.loads(done.stdout), json.loads((DOCS / "target.schema.json").read_text()))
    assert done.stdout == yard.platter("describe", cwd=tmp_path).stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "yard" not in path.parts} == {
        path: time for path, time in before.items() if "yard" not in path.parts
    }
    for words in (["--describe", "folder"], ["--describe", "--force"]):
        refused = subprocess.run([str(bundle / "install.sh"), *words], check=False, capture_output=True, text=True)
        assert refused.returncode == 2
        assert "--describe takes only -p" in refused.stderr
