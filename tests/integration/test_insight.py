"""`platter inspect` and `platter diff` on real bundles and releases."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.cli.command_line import main
from platter_setuptools.inspect.html import table_for
from platter_setuptools.inspect.summary import summarise
from platter_setuptools.runtime.progress import human_size
from support import handmade, linked, projects
from support.archives import write_archive
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.index import Index

DOCS = Path(__file__).parents[2] / "docs"


def build(
    folder: Path,
    index: Index,
    caches: Mapping[str, str],
    *,
    version: str = "1.0",
    requires: str = "leaf",
    script: str = "true",
) -> Path:
    setup = projects.SETUP_PY.replace("1.0", version).replace("leaf", requires)
    project = projects.hello(folder / "project", {"setup.py": setup, "more.txt": "branch\n", "post.sh": script})
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull, **caches}
    command: list[str | Path] = [PLATTER, "build", "-q", "--format=dir", "-r", "more.txt", "--postbuild-script=post.sh"]
    done = subprocess.run(
        command,
        cwd=project,
        env={**environ, "PIP_INDEX_URL": index.url},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, index: Index, caches: Mapping[str, str]) -> Path:
    """hello, which requires leaf; branch beside it, which does, too; and pip."""
    return build(tmp_path_factory.mktemp("built"), index, caches)


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    return linked.copy(built, tmp_path / built.name)


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main([*map(str, words)]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


def facts(capsys: pytest.CaptureFixture[str], bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, "inspect", "--json", bundle))
    jsonschema.validate(found, json.loads((DOCS / "inspect.schema.json").read_text()))
    return found


class TestInspect:
    def test_why_everything_is_there(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = facts(capsys, built)
        assert (found["name"], found["version"], found["scripts"]) == ("hello", "1.0", ["hello"])
        assert found["roots"] == ["hello", "branch", "pip"]
        paths = {one["name"]: one["path"] for one in found["wheels"]}
        assert paths == {"hello": ["hello"], "leaf": ["hello", "leaf"], "branch": ["branch"], "pip": ["pip"]}
        sizes = [one["size"] for one in found["wheels"]]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(one["installed_size"] for one in found["wheels"]) == found["installed_size"]
        assert {one["file"]: one["size"] for one in found["wheels"]} == {
            path.name: path.stat().st_size for path in (built / "data").glob("*.whl")
        }

    @pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip", "dir"])  # test_verify.py has them all
    def test_every_format(self, built: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_archive(list(from_folder(built)), built.name, kind, tmp_path, 315532800)[0]
        found, plain = facts(capsys, path), facts(capsys, built)
        assert found.pop("size") == (plain["size"] if kind == "dir" else path.stat().st_size)
        del plain["size"]
        assert found == plain

    def test_the_table(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        title, *lines = said(capsys, "inspect", built).splitlines()
        assert title.startswith("hello 1.0 for ")
        wheels = sum(path.stat().st_size for path in (built / "data").glob("*.whl"))
        assert next(line for line in lines if line.startswith("  size ")).endswith(
            f", {human_size(wheels)} of it wheels"
        )
        assert not [line for line in lines if line.startswith("  runs ")]  # nothing of the project does, on a server
        start = next(number for number, line in enumerate(lines) if line.startswith("wheel "))
        rows = {line.split()[0]: line for line in lines[start + 1 :]}
        assert list(rows) == [part.name for part in summarise(built).parts]
        assert rows["leaf"].endswith("py3-none-any  hello > leaf")
        assert rows["branch"].endswith("asked for beside the project")
        assert rows["pip"].endswith("in every virtualenv")

    @pytest.mark.parametrize("kind", ["dir", "tar.gz", "zip"])
    def test_the_files(self, built: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_archive(list(from_folder(built)), built.name, kind, tmp_path, 315532800)[0]
        lines = said(capsys, "inspect", "--files", path).splitlines()
        start = lines.index("hello 1.0")
        end = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith("  "))
        info = "site-packages/hello-1.0.dist-info"
        expected = [
            "bin/hello",
            *(f"{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")),
        ]
        files = [line.strip() for line in lines[start + 1 : end]]
        assert set(expected) | {"site-packages/hello.py"} <= set(files)
        found: dict[str, Any] = json.loads(said(capsys, "inspect", "--files", "--json", path))
        jsonschema.validate(found, json.loads((DOCS / "inspect.schema.json").read_text()))
        assert next(one["files"] for one in found["wheels"] if one["name"] == "hello") == files

    def test_the_files_are_those_of_a_release(
        self, built: Path, release: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found: dict[str, Any] = json.loads(said(capsys, "inspect", "--files", "--json", built))
        (site,) = release.glob("lib/python*/site-packages")
        for wheel in found["wheels"]:
            there = [
                path.replace("site-packages/", f"{site}/") if path.startswith("site-") else f"{release}/{path}"
                for path in wheel["files"]
            ]
            assert [path for path in there if not Path(path).is_file()] == []
            recorded = next(site.glob(f"{wheel['name']}-*.dist-info/RECORD")).read_text().splitlines()
            assert len(wheel["files"]) == len([line for line in recorded if "__pycache__" not in line])

    @pytest.mark.parametrize("form", ["--tree", "--sbom", "--html=x"])
    def test_the_files_in_no_other_form(self, built: Path, form: str) -> None:
        assert main(["inspect", "--files", form, str(built)]) == 2

    def test_the_table_on_a_terminal_fits(self, built: Path) -> None:
        text = table_for(bundle_summary := summarise(built), 60)
        assert max(map(len, text.splitlines())) <= 60
        assert "\x1b" not in text
        assert [
            line.split()[0] for line in text.splitlines() if line.split()[0] in {"wheel", "hello", "leaf", "pip"}
        ] == [
            "wheel",
            *(part.name for part in bundle_summary.parts if part.name != "branch"),
        ]

    def test_the_tree(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lines = said(capsys, "inspect", "--tree", built).splitlines()
        assert lines[:3] == ["hello 1.0", "└── leaf 1.0", "branch 1.0"]

    def test_the_bill_of_materials(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = said(capsys, "inspect", "--sbom", built)
        assert text == (built / "data" / "sbom.cdx.json").read_text()
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        bill = Bom.from_json(json.loads(text))  # type: ignore[attr-defined] # which a decorator adds
        assert {(one.name, one.version) for one in bill.components} == {
            (name, one["version"]) for name, one in ((one["name"], one) for one in facts(capsys, built)["wheels"])
        }
        assert bill.validate()

    def test_it_ends_quietly_where_nobody_reads_on(self, built: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command: list[str | Path] = [PLATTER, "inspect", "--json", built]
        done = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")


class TestRefused:
    def test_what_is_not_there(self, tmp_path: Path) -> None:
        assert main(["inspect", str(tmp_path / "none")]) == 2

    def test_what_is_no_bundle(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("notes")
        assert main(["inspect", str(tmp_path / "notes.txt")]) == 6
        assert main(["inspect", str(tmp_path)]) == 5

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"components": []}', '{"components": [{"hashes": []}]}', '{"components": {"a": 1}}']
    )
    def test_a_bill_that_is_none(self, bundle: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        (bundle / "data" / "sbom.cdx.json").write_text(text)
        assert main(["inspect", str(bundle)]) == 5
        assert "hint: run platter verify" in capsys.readouterr().err

    def test_a_bundle_without_a_bill(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made = handmade.bundle(tmp_path / "made", [handmade.wheel(tmp_path)])
        assert main(["inspect", str(made.path)]) == 5
        assert "has no data/sbom.cdx.json" in capsys.readouterr().err

    def test_what_a_terminal_would_obey_is_not_printed(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        bill = json.loads((bundle / "data" / "sbom.cdx.json").read_text())
        for one in bill["components"]:
            one["licenses"] = [{"license": {"name": "MIT\x1b[2J\x9b"}}]
        (bundle / "data" / "sbom.cdx.json").write_text(json.dumps(bill))
        output = said(capsys, "inspect", bundle)
        assert "MIT\\x1b[2J\\x9b" in output
        assert "\x1b" not in output


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory, index: Index, caches: Mapping[str, str]) -> Path:
    """The next version, which requires alpha instead of leaf, and has one file more."""
    return build(tmp_path_factory.mktemp("newer"), index, caches, version="1.1", requires="alpha", script="echo >more")


def difference(capsys: pytest.CaptureFixture[str], old: Path, new: Path) -> dict[str, Any]:
    code = main(["diff", "--json", str(old), str(new)])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, json.loads((DOCS / "diff.schema.json").read_text()))
    assert (code == 0) == found["equal"]
    return found


def changes(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["name"], one["change"]) for one in found["wheels"]}


class TestDiff:
    def test_two_versions(self, built: Path, newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = difference(capsys, built, newer)
        assert found["facts"] == {"version": {"old": "1.0", "new": "1.1"}}
        # branch requires leaf, which so is still there.
        assert changes(found) == {("hello", "upgraded"), ("alpha", "added")}
        assert found["files"] == [{"name": "more", "change": "added"}]
        assert found["size_change"] == sum(one["size_change"] for one in found["wheels"])
        back = difference(capsys, newer, built)
        assert changes(back) == {("hello", "downgraded"), ("alpha", "removed")}
        assert back["size_change"] == -found["size_change"]
        assert back["files"] == [{"name": "more", "change": "removed"}]

    def test_what_people_read(self, built: Path, newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", str(built), str(newer)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "version: 1.0 -> 1.1"
        assert lines[1].split()[:3] == ["+", "alpha", "1.0"]
        assert lines[2].split()[:5] == ["↑", "hello", "1.0", "->", "1.1"]
        assert lines[3] == "+  more  added"

    @pytest.mark.parametrize("kind", ["dir", "tar.gz", "zip"])
    def test_no_difference(self, built: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        same = write_archive(list(from_folder(built)), built.name, kind, tmp_path, 315532800)[0]
        assert difference(capsys, built, same)["equal"]
        assert said(capsys, "diff", built, same) == "no difference\n"

    def test_other_content_in_the_same_version(
        self, built: Path, tmp_path: Path, release: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        altered = with_another_leaf(Path(shutil.copytree(built, tmp_path / "altered" / built.name)), tmp_path)
        assert changes(difference(capsys, built, altered)) == {("leaf", "altered")}
        assert changes(difference(capsys, altered, release)) == {("leaf", "altered")}

    def test_an_installed_release(
        self, built: Path, newer: Path, release: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert difference(capsys, built, release)["equal"]
        assert difference(capsys, release, built)["equal"]
        found = difference(capsys, newer, release)
        assert found["facts"] == {"version": {"old": "1.1", "new": "1.0"}}
        assert changes(found) == {("hello", "downgraded"), ("alpha", "removed")}

    def test_a_release_that_was_not_completed(self, built: Path, release: Path, tmp_path: Path) -> None:
        half = tmp_path / "half"
        half.mkdir()
        marker = (release / ".platter-release.json").read_text()
        (half / ".platter-release.json").write_text(marker.replace('"complete"', '"unfinished"'))
        assert main(["diff", str(built), str(half)]) == 5

    def test_what_is_not_there(self, built: Path, tmp_path: Path) -> None:
        assert main(["diff", str(built), str(tmp_path / "none")]) == 2


@pytest.fixture(scope="module")
def release(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("versions") / "1.0"
    done = handmade.run(handmade.Bundle(path=built, info={}), "--quiet", place)
    assert done.returncode == 0, done.stderr
    return place


def with_another_leaf(bundle: Path, tmp_path: Path) -> Path:
    """Put a wheel of the same name and version, with other content, into a bundle that fits together all the same."""
    made = handmade.wheel(tmp_path, "leaf", "1.0", files={"leaf.py": "NAME = 'another leaf'\n"})
    old, new = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (bundle / "data" / made.name, made))
    shutil.copyfile(made, bundle / "data" / made.name)
    bill = bundle / "data" / "sbom.cdx.json"
    bill.write_text(bill.read_text().replace(old, new))
    info = json.loads((bundle / "info.json").read_text().replace(old, new))
    handmade.Bundle(path=bundle, info=info).seal()
    return bundle
