"""`platter audit` on real bundles and releases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.cli.command_line import main
from platter_setuptools.config.options import FORMATS
from platter_setuptools.thinning import make_thin
from support import handmade, linked
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from support.front_ends import Yard
    from support.index import Index

    Said: TypeAlias = Callable[..., tuple[str, str]]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "audit.schema.json").read_text())
METADATA = "Metadata-Version: 2.4\nName: {}\nVersion: {}\n{}"
LEAF = "leaf 1.0: PYSEC-2026-1 (CVE-2026-1), fixed in 2.0\n    Leaks sap\n"


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distributions with licences: as an expression, as text that is one, as other text."""
    folder = tmp_path_factory.mktemp("goods")
    for name, version, more in (
        ("leaf", "1.0", "License-Expression: MIT OR AGPL-3.0-only\n"),
        ("leaf", "2.0", "License-Expression: MIT OR AGPL-3.0-only\n"),
        ("stalk", "1.0", "License: ISC\n"),
        ("root", "1.0", "Classifier: License :: OSI Approved :: BSD License\n"),
    ):
        handmade.wheel(folder, name, version, metadata=METADATA.format(name, version, more))
    return folder


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, goods: Path, index: Index, caches: dict[str, str]
) -> Iterator[Path]:
    yield from _built(tmp_path_factory.mktemp("built"), goods, index, caches, ["leaf<2", "stalk", "root"])


def _built(
    folder: Path, goods: Path, index: Index, caches: dict[str, str], requires: list[str], *options: str
) -> Iterator[Path]:
    app = handmade.wheel(folder / "app", "app", requires=requires)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**caches, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": "/dev/null"}.items():
            patch.setenv(name, value)
        words = ["build", "-q", "--format=dir", "--no-pip", "-o", str(folder), f"--pip-option=--find-links={goods}"]
        assert main([*words, *options, str(app)]) == 0
    yield next(path for path in folder.iterdir() if path.name.startswith("app-1.0"))


@pytest.fixture(scope="module")
def release(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("versions") / "1.0"
    done = handmade.run(handmade.Bundle(path=built, info={}), "--quiet", place)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    return linked.copy(built, tmp_path / built.name)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("db")
    for id_, name, more in (
        ("PYSEC-2026-1", "leaf", {"aliases": ["CVE-2026-1"], "summary": "Leaks sap"}),
        ("PYSEC-2026-2", "leaf", {"withdrawn": "2026-02-02T00:00:00Z"}),
        ("PYSEC-2026-3", "elsewhere", {}),
    ):
        affected = {"package": {"ecosystem": "PyPI", "name": name}}
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]  # type: ignore[assignment]
        record = {"id": id_, "modified": "2026-11-20T00:00:00Z", "affected": [affected], **more}
        (folder / f"{id_}.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(code: int, *words: str | Path) -> tuple[str, str]:
        """Audit, see that it ends with this exit code, and give what it prints on both streams."""
        capsys.readouterr()
        found = main(["audit", *map(str, words)])
        output, errors = capsys.readouterr()
        assert found == code, output + errors
        return output, errors

    return run


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(built: Path, db: Path, tmp_path: Path, kind: str, said: Said) -> None:
    small = handmade.small(built, tmp_path / "small" / built.name)
    path = write_archive(list(from_folder(small)), built.name, kind, tmp_path, 315532800)[0]
    title = "app 1.0: 1 known vulnerability in "
    output, errors = said(1, path, "--db", db)
    assert (output, errors.startswith(title)) == (LEAF, True)
    thin = make_thin(path, [path], frozenset(), output=tmp_path / "thin", kind=kind, mtime=315532800)
    output, errors = said(1, thin.path, "--db", db)
    assert (output, errors.startswith(title)) == (LEAF, True)


def test_a_release(release: Path, db: Path, said: Said) -> None:
    output, errors = said(1, release, "--db", db)
    assert output == LEAF
    assert errors == "app 1.0: 1 known vulnerability in 4 distributions; 2 advisories, the latest of 2026-11-20\n"
    output, _ = said(1, release, "--allow-licence", "MIT", "--allow-licence", "ISC")
    assert output.splitlines() == ["app 1.0: licence unknown: it tells none", "root 1.0: licence unknown: BSD License"]


def test_a_release_with_packages_of_the_system(release: Path, db: Path, tmp_path: Path, said: Said) -> None:
    copied = Path(shutil.copytree(release, tmp_path / "copy", symlinks=True))
    config = copied / "pyvenv.cfg"
    config.write_text(config.read_text().replace("site-packages = false", "site-packages = true"))
    _, errors = said(1, copied, "--db", db)
    assert "warning: not looked at: the packages of the server's Python, which this one finds, too\n" in errors


def test_ignored(built: Path, db: Path, said: Said) -> None:
    output, errors = said(0, built, "--db", db, "--ignore", "CVE-2026-1", "--ignore", "PYSEC-2026-3")
    assert output == ""
    assert errors.startswith("warning: --ignore PYSEC-2026-3: nothing here is affected by it\napp 1.0: no known ")


def test_licences(built: Path, said: Said) -> None:
    assert said(0, built, "--deny-licence", "AGPL-3.0-only")[0].splitlines() == [
        "app 1.0: licence unknown: it tells none",
        "root 1.0: licence unknown: BSD License",
    ]
    denied = said(1, built, "--deny-licence", "AGPL-3.0-only", "--deny-licence", "MIT")[0]
    assert "leaf 1.0: licence denied: MIT OR AGPL-3.0-only\n" in denied
    told = ("--licence", "app=LicenseRef-Proprietary", "--licence", "Root=BSD-3-Clause")
    allowed = [f"--allow-licence={one}" for one in ("MIT", "ISC", "BSD-3-Clause", "LicenseRef-Proprietary")]
    assert said(0, built, *allowed, *told) == ("", f"app 1.0: licences as wanted in {count(built)} distributions\n")
    assert said(1, built, *allowed[:2], *told)[0].splitlines() == [
        "app 1.0: licence not allowed: it tells none",
        "root 1.0: licence not allowed: BSD License",
    ]


def count(bundle: Path) -> int:
    return len([*bundle.glob("data/*.whl"), *bundle.glob("data/bootstrap/*.dist-info")])


def test_json(built: Path, release: Path, db: Path, said: Said) -> None:
    for path, number in ((built, count(built)), (release, 4)):
        found: dict[str, Any] = json.loads(said(1, path, "--db", db, "--json", "--deny-licence=ISC")[0])
        jsonschema.validate(found, SCHEMA)
        assert (found["path"], found["title"], found["passed"]) == (str(path), "app 1.0", False)
        assert (found["distributions"], found["unseen"]) == (number, [])
        assert found["databases"] == [{"path": str(db), "advisories": 2, "modified": "2026-11-20T00:00:00Z"}]
        assert [(one["name"], one["id"]) for one in found["vulnerabilities"]] == [("leaf", "PYSEC-2026-1")]
        assert [(one["name"], one["problem"]) for one in found["licences"]] == [
            ("app", "unknown"),
            ("root", "unknown"),
            ("stalk", "denied"),
        ]


def test_what_only_install_sh_uses(built: Path, db: Path, tmp_path: Path, said: Said) -> None:
    copied = Path(shutil.copytree(db, tmp_path / "db"))
    record = json.loads((db / "PYSEC-2026-1.json").read_text())
    record["affected"][0].update(package={"ecosystem": "PyPI", "name": "virtualenv"}, ranges=[])
    (info,) = built.glob("data/bootstrap/virtualenv-*.dist-info")
    version = info.name.removesuffix(".dist-info").removeprefix("virtualenv-")
    record["affected"][0]["versions"] = [version]
    (copied / "PYSEC-2026-1.json").write_text(json.dumps(record))
    assert said(1, built, "--db", copied)[0].startswith(f"virtualenv {version} (of install.sh): PYSEC-2026-1 ")


def test_several_targets(
    tmp_path_factory: pytest.TempPathFactory, goods: Path, index: Index, caches: dict[str, str], db: Path, said: Said
) -> None:
    """Each has another leaf, and only the one with the vulnerability is named."""
    requires = ["leaf<2; python_version < '3.12'", "leaf>=2; python_version >= '3.12'"]
    targets = ("--target=cp311-manylinux_2_28_x86_64", "--target=cp312-manylinux_2_28_x86_64")
    made = next(_built(tmp_path_factory.mktemp("several"), goods, index, caches, requires, *targets))
    output, _ = said(1, made, "--db", db)
    assert output.splitlines()[0] == ("leaf 1.0 (cp311-manylinux_2_28_x86_64): PYSEC-2026-1 (CVE-2026-1), fixed in 2.0")
    found = json.loads(said(1, made, "--db", db, "--json")[0])
    jsonschema.validate(found, SCHEMA)
    assert found["vulnerabilities"][0]["targets"] == ["cp311-manylinux_2_28_x86_64"]


class TestBadInput:
    """It never finds nothing since it has read nothing."""

    @pytest.mark.parametrize("name", ["data/sbom.cdx.json", "info.json", "data/leaf-1.0-py3-none-any.whl"])
    def test_a_damaged_bundle(self, bundle: Path, db: Path, name: str, said: Said) -> None:
        (bundle / name).write_bytes((bundle / name).read_bytes().replace(b"1.0", b"2.0", 1))
        output, errors = said(5, bundle, "--db", db)
        assert output == ""
        assert " is not in order:" in errors

    def test_a_bundle_that_is_cut_off(self, built: Path, db: Path, tmp_path: Path, said: Said) -> None:
        path = write_archive(list(from_folder(built)), built.name, "tar.gz", tmp_path, 315532800)[0]
        path.write_bytes(path.read_bytes()[:-100])
        assert said(5, path, "--db", db)[0] == ""
        path.write_bytes(b"no bundle")
        assert said(6, path, "--db", db)[0] == ""

    def test_a_folder_that_is_neither(self, tmp_path: Path, db: Path, said: Said) -> None:
        assert said(6, tmp_path, "--db", db)[0] == ""
        assert "does not exist" in said(2, tmp_path / "none", "--db", db)[1]

    def test_a_release_that_is_not_complete(self, release: Path, db: Path, tmp_path: Path, said: Said) -> None:
        copied = Path(shutil.copytree(release, tmp_path / "copy", symlinks=True))
        (metadata,) = copied.glob("lib/python*/site-packages/leaf-1.0.dist-info/METADATA")
        metadata.unlink()
        assert "leaf-1.0.dist-info has no metadata" in said(5, copied, "--db", db)[1]
        shutil.rmtree(metadata.parents[1])
        assert "has no distributions" in said(5, copied, "--db", db)[1]
        marker = copied / ".platter-release.json"
        marker.write_text(marker.read_text().replace('"complete"', '"unfinished"'))
        assert "not a complete release" in said(5, copied, "--db", db)[1]

    def test_databases(self, built: Path, db: Path, tmp_path: Path, said: Said) -> None:
        assert "does not exist" in said(2, built, "--db", tmp_path / "none")[1]
        (tmp_path / "empty").mkdir()
        assert "has no advisory for PyPI" in said(6, built, "--db", tmp_path / "empty")[1]
        copied = Path(shutil.copytree(db, tmp_path / "db"))
        (copied / "PYSEC-2026-3.json").write_text("{")  # which is about something else
        output, errors = said(6, built, "--db", copied)
        assert output == ""
        assert f"{copied / 'PYSEC-2026-3.json'} is not an OSV record" in errors
        assert "has no advisory for PyPI" in said(6, built, "--db", db, "--db", tmp_path / "empty")[1]

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ([], "nothing is asked for"),
            (["--licence=app=MIT"], "nothing is asked for"),
            (["--deny-licence=GPL"], "Unknown license: 'gpl'"),
            (["--allow-licence=MIT", "--licence=app"], "found no SPDX expression"),
            (["--allow-licence=MIT", "--licence==MIT"], "found no SPDX expression"),
            (["--allow-licence=MIT", "--licence=app=BSD"], "found no SPDX expression"),
        ],
    )
    def test_usage(self, built: Path, words: list[str], reason: str, said: Said) -> None:
        output, errors = said(2, built, *words)
        assert (output, reason in errors) == ("", True)


def test_the_command(yard: Yard, built: Path, db: Path) -> None:
    """As a process, in any working folder."""
    done = yard.platter("audit", built, "--db", db, cwd=yard.folder, code=1)
    assert done.stdout == LEAF
