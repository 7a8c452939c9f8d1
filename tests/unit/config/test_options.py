"""Options: one table, several dialects, one result."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.config.files import from_pyproject, from_setup_cfg
from platter_setuptools.config.option_sources import Choice, Source, merge, read_environment, read_strings, read_table
from platter_setuptools.config.options import BY_NAME, FORMATS, OPTIONS, RESOLVERS, Kind, Options
from platter_setuptools.errors import UsageError
from support.fakes import choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASE = Path("/base")
OUTPUT = Path("/base/dist")


def strings(**values: str | Sequence[str]) -> dict[str, Any]:
    return choices(read_strings("here", BASE, values))


def table(**values: Any) -> dict[str, Any]:
    return choices(read_table("here", BASE, values))


class TestTable:
    def test_every_option_is_a_field(self) -> None:
        assert [option.attribute for option in OPTIONS].sort() == [f.name for f in dataclasses.fields(Options)].sort()
        fields = {one.name for one in dataclasses.fields(Options)}
        assert {option.attribute for option in OPTIONS} == fields - {"pip_option_base"}

    def test_all_that_platter_had(self) -> None:
        platters = (
            "output virtualenv-version wheel-version pip-option format prebuild-script postbuild-script"
            " wheel-cache no-wheel-cache no-download requirements"
        )
        assert set(platters.split()) <= set(BY_NAME)

    def test_names_and_letters_are_unique(self) -> None:
        letters = [option.short for option in OPTIONS if option.short]
        assert len(BY_NAME) == len(OPTIONS)
        assert len(set(letters)) == len(letters)

    def test_each_says_what_it_is(self) -> None:
        for option in OPTIONS:
            assert option.help
            assert not option.words or option.kind is Kind.PATH
            assert bool(option.choices) == (option.kind is Kind.CHOICE)
            assert (option.metavar is None) == (option.kind is Kind.FLAG), option.name

    def test_defaults_are_the_documented_ones(self) -> None:
        options = Options(output=OUTPUT)
        assert (options.format, options.resolver) == (FORMATS[0], RESOLVERS[0])
        assert "[default: tar.gz]" in BY_NAME["format"].help
        assert "[default: uv]" in BY_NAME["resolver"].help

    def test_variables_are_platters(self) -> None:
        assert BY_NAME["wheel-cache"].variable == "PLATTER_BUILD_WHEEL_CACHE"


class TestStrings:
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ("out", "/base/out"),
            ("../out", "/out"),
            ("/srv/x/", "/srv/x"),
            ("~", "~"),
            ("~no-such-user-here/x", "/base/~no-such-user-here/x"),
        ],
    )
    def test_paths(self, value: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        assert strings(output=value) == {"output": Path(path.replace("~", "/home/me", 1) if path == "~" else path)}

    @pytest.mark.parametrize("name", ["python", "target"])
    def test_names_or_paths(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        said = ["3.12", "env/bin/python", "~/env/bin/python", "/usr/bin/python3", "server.json"]
        found = ("3.12", "/base/env/bin/python", "/home/me/env/bin/python", "/usr/bin/python3", "/base/server.json")
        assert strings(**{name: said}) == table(**{name: said}) == {name: found}

    @pytest.mark.parametrize("word", ["1", "true", "Yes", " on ", "y", "T"])
    def test_yes(self, word: str) -> None:
        assert strings(**{"no-pip": word}) == {"no_pip": True}

    @pytest.mark.parametrize("word", ["0", "false", "No", "off", "n", "F"])
    def test_no(self, word: str) -> None:
        assert strings(no_pip=word) == {"no_pip": False}

    def test_lists(self) -> None:
        assert strings(extras="a, b\n c,,d") == {"extras": ("a", "b", "c", "d")}
        assert strings(extras=["a,b", "c"]) == {"extras": ("a", "b", "c")}
        assert strings(pip_option="--no-binary=a,b\n\n  -f /my wheels \n") == {
            "pip_option": ("--no-binary=a,b", "-f /my wheels")
        }
        assert strings(requirements="a b.txt\nc.txt") == {"requirements": (BASE / "a b.txt", BASE / "c.txt")}
        assert strings(requirements=["x.txt"]) == {"requirements": (BASE / "x.txt",)}

    def test_a_dash_is_a_line_below(self) -> None:
        assert strings(wheel_cache="c") == strings(**{"wheel-cache": "c"}) == {"wheel_cache": BASE / "c"}

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"no-pip": "maybe"}, "here no-pip: expected yes or no, found 'maybe'"),
            ({"format": "rar"}, "here format: 'rar' is not a format"),
            ({"resolver": "conda"}, "here resolver: 'conda' is not a resolver"),
            ({"python": ""}, "here python is empty"),
            ({"format": ["a", "b"]}, "here format: expected one value, found 2"),
            ({"no-pip": ["yes"]}, "here no-pip: expected one value, found 1"),
            ({"pythonn": "x"}, "here: there is no option 'pythonn'"),
        ],
    )
    def test_values_that_are_none(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            strings(**values)
        assert caught.value.message == message
        assert caught.value.exit_code == 2

    def test_hints(self) -> None:
        with pytest.raises(UsageError) as caught:
            strings(pythonn="x")
        assert caught.value.hint == "did you mean python?"
        with pytest.raises(UsageError) as caught:
            strings(dist_dir="x")  # the command's word
        assert caught.value.hint == "did you mean output?"
        with pytest.raises(UsageError) as caught:
            strings(zzz="x")
        assert "wheel-cache" in str(caught.value.hint)
        with pytest.raises(UsageError) as caught:
            strings(format="rar")
        assert "tar.zst" in str(caught.value.hint)


class TestEnvironment:
    def read(self, environ: Mapping[str, str]) -> dict[str, Any]:
        return choices(read_environment(environ, BASE))

    def test_variables(self) -> None:
        environ = {
            "PLATTER_BUILD_OUTPUT": "out",
            "PLATTER_BUILD_EXTRAS": "a,b c",
            "PLATTER_BUILD_NO_DOWNLOAD": "1",
            "PLATTER_BUILD_PIP_OPTION": "--no-binary=a '--find-links=/my wheels'",
            "PLATTER_BUILD_REQUIREMENTS": "'a b.txt' c.txt",
            "PLATTER_BUILD_PYTHON": "",
            "PLATTER_OTHER": "x",
            "HOME": "/home",
        }
        assert self.read(environ) == {
            "output": BASE / "out",
            "extras": ("a", "b", "c"),
            "no_download": True,
            "pip_option": ("--no-binary=a", "--find-links=/my wheels"),
            "requirements": (BASE / "a b.txt", BASE / "c.txt"),
        }

    def test_open_quotes(self) -> None:
        with pytest.raises(UsageError, match="PLATTER_BUILD_PIP_OPTION: No closing quotation"):
            self.read({"PLATTER_BUILD_PIP_OPTION": "'open"})

    def test_a_typo_is_told_and_a_strangers_variable_left_alone(self) -> None:
        with pytest.raises(UsageError, match="there is no option PLATTER_BUILD_FORMT") as caught:
            self.read({"PLATTER_BUILD_FORMT": "zip"})
        assert caught.value.hint == "did you mean PLATTER_BUILD_FORMAT?"
        assert self.read({"PLATTER_BUILD_NUMBER": "17", "PLATTER_BUILD_FORMT": "", "PLATTER_BUILDS": "1"}) == {}


class TestToml:
    def test_types(self) -> None:
        values = {"output": "out", "extras": ["a"], "no-pip": True, "no_bytecode": False, "format": "zip"}
        assert table(**values) == {
            "output": BASE / "out",
            "extras": ("a",),
            "no_pip": True,
            "no_bytecode": False,
            "format": "zip",
        }

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"no-pip": "yes"}, "here no-pip: expected true or false, found 'yes'"),
            ({"no-pip": 1}, "here no-pip: expected true or false, found 1"),
            ({"extras": ["a", ""]}, "here extras[1] is empty"),
            ({"extras": "a"}, "here extras: expected a list of strings, found 'a'"),
            ({"extras": [1]}, "here extras[0]: expected a string, found 1"),
            ({"python": 3.12}, "here python: expected a list of strings, found 3.12"),
            ({"python": ""}, "here python[0] is empty"),
            ({"python": ["3.12", 3]}, "here python[1]: expected a string, found 3"),
            ({"output": ["a"]}, "here output: expected a string, found ['a']"),
            ({"format": "rar"}, "here format: 'rar' is not a format"),
            ({"requirements": [""]}, "here requirements[0] is empty"),
            ({"outputt": "x"}, "here: there is no option 'outputt'"),
        ],
    )
    def test_values_of_the_wrong_type(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            table(**values)
        assert caught.value.message == message


def source(**values: Any) -> Source:
    return {name: Choice(value=value, place=f"here {name}") for name, value in values.items()}


class TestMerge:
    def test_the_strongest_decides(self) -> None:
        options = merge(
            [source(resolver="1", extras=("a",)), source(resolver="2", format="zip"), source(extras=("b", "c"))],
            output=OUTPUT,
        )
        assert (options.resolver, options.format, options.extras) == ("1", "zip", ("a",))
        assert options.output == OUTPUT
        assert merge([source(output=Path("/x"))], output=OUTPUT).output == Path("/x")

    def test_a_no_is_a_word_too(self) -> None:
        assert merge([source(no_pip=False), source(no_pip=True)], output=OUTPUT).no_pip is False

    @pytest.mark.parametrize(("strong", "weak"), [("quiet", "verbose"), ("verbose", "quiet")])
    def test_the_stronger_dialect_says_how_much_is_printed(self, strong: str, weak: str) -> None:
        options = merge([source(**{strong: True}), source(), source(**{weak: True})], output=OUTPUT)
        assert (getattr(options, strong), getattr(options, weak)) == (True, False)
        options = merge([source(**{strong: False}), source(**{weak: True})], output=OUTPUT)
        assert (getattr(options, strong), getattr(options, weak)) == (False, True)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"no_download": True, "no_wheel_cache": True}, "no-download and no-wheel-cache contradict"),
            ({"quiet": True, "verbose": True}, "quiet and verbose contradict"),
            ({"lock": Path("/x"), "requirements": (Path("/y"),)}, "lock contradicts requirements"),
            ({"lock": Path("/x"), "constraints": (Path("/y"),)}, "lock contradicts requirements"),
            ({"shared": ("media/", "/srv/x")}, "'/srv/x': it is absolute"),
            ({"shared": ("media/", "media/x")}, "'media/x': it lies in 'media/'"),
        ],
    )
    def test_contradictions(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            merge([source(**values)], output=OUTPUT)
        assert caught.value.exit_code == 2
        assert caught.value.hint

    @pytest.mark.parametrize(
        "name", ["prebuild-script", "postbuild-script", "lock", "requirements", "constraints", "sign-with"]
    )
    def test_files_that_are_not_there(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "missing"
        value = [str(path)] if BY_NAME[name].kind.is_list else str(path)
        table = read_table("pyproject.toml [tool.platter]", BASE, {name: value})
        with pytest.raises(UsageError) as caught:
            merge([table], output=OUTPUT)
        assert caught.value.message == f"pyproject.toml [tool.platter] {name}: {path} does not exist"
        path.touch()
        merge([table], output=OUTPUT)

    def test_a_pipe_is_no_file(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        with pytest.raises(UsageError, match="pipe is not a file"):
            merge([source(requirements=(path,))], output=OUTPUT)

    def test_scripts(self) -> None:
        assert not Options(output=OUTPUT).has_scripts
        assert Options(output=OUTPUT, prebuild_script=BASE).has_scripts
        assert Options(output=OUTPUT, postbuild_script=BASE).has_scripts


class TestPyproject:
    def read(self, tmp_path: Path, text: str | bytes) -> dict[str, Any]:
        (tmp_path / "pyproject.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        return choices(from_pyproject(tmp_path))

    def test_the_table(self, tmp_path: Path) -> None:
        text = "[tool.platter]\noutput = 'out'\nextras = ['a']\n[tool.other]\nx = 1\n"
        assert self.read(tmp_path, text) == {"output": tmp_path / "out", "extras": ("a",)}

    @pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\n", "[tool.platter]\n"])
    def test_nothing_said(self, text: str, tmp_path: Path) -> None:
        assert self.read(tmp_path, text) == {}

    def test_no_file(self, tmp_path: Path) -> None:
        assert from_pyproject(tmp_path) == {}

    @pytest.mark.parametrize(
        "text",
        [
            "[tool",
            b"\xff\xfe",
            b"\xef\xbb\xbf[tool]\n",
            b"\xff",
            "a = ",
            "[tool.platter]\nformat = 'zip'\nformat = 'tar'\n",
            pytest.param(f"a = {'1' * 5000}\n", id="a number that Python does not read"),
        ],
    )
    def test_not_toml(self, text: str | bytes, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"pyproject\.toml (is not valid TOML|begins with a byte order mark)"):
            self.read(tmp_path, text)

    @pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nplatter = 'x'\n", "[[tool.platter]]\n"])
    def test_not_a_table(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"tool\.platter must be a table"):
            self.read(tmp_path, text)

    def test_errors_name_file_and_table(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            self.read(tmp_path, "[tool.platter]\nno-pip = 'yes'\n")
        assert caught.value.message.startswith(f"{tmp_path / 'pyproject.toml'} [tool.platter] no-pip: ")


class TestSetupCfg:
    def read(self, tmp_path: Path, text: str | bytes) -> dict[str, Any]:
        (tmp_path / "setup.cfg").write_bytes(text.encode() if isinstance(text, str) else text)
        return choices(from_setup_cfg(tmp_path))

    @pytest.mark.parametrize("name", ["dist_dir", "dist-dir", "output"])
    def test_the_section(self, name: str, tmp_path: Path) -> None:
        text = (
            f"[metadata]\nname = x\n[bdist_platter]\n{name} = out\nno-pip = yes\npip_option =\n    -f /a b\n    --pre\n"
        )
        assert self.read(tmp_path, text) == {
            "output": tmp_path / "out",
            "no_pip": True,
            "pip_option": ("-f /a b", "--pre"),
        }

    def test_percent_signs_mean_what_they_mean_to_setuptools(self, tmp_path: Path) -> None:
        text = "[bdist_platter]\npython = 100%%\nwheel-version = %(python)s\n"
        assert self.read(tmp_path, text) == {"python": ("100%",), "wheel_version": "100%"}

    def test_nothing_said(self, tmp_path: Path) -> None:
        assert from_setup_cfg(tmp_path) == {}
        assert self.read(tmp_path, "[metadata]\n") == {}

    @pytest.mark.parametrize("text", ["no section\n", b"[a]\n\xff", "[a]\nx\n", "[a]\nx=1\nx=2\n"])
    def test_damaged(self, text: str | bytes, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"setup\.cfg cannot be read"):
            self.read(tmp_path, text)

    @pytest.mark.parametrize(
        "text",
        [
            "[bdist_platter]\npip-option = --extra-index-url=https://me:top%40S3cr3t@host/\n",
            "[bdist_platter]\npip-option = https://me:%(S3cr3t)s@host/\n",
            "[bdist_platter]\nhttps//me S3cr3t@host\n",
            "https://me:S3cr3t@host\n",
            "[bdist_platter]\npython = https://me:top/S3cr3t@host\nquiet = https:/me:S3cr3t@host\n",
        ],
    )
    def test_errors_do_not_repeat_a_line(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            self.read(tmp_path, text)
        assert "setup.cfg" in caught.value.message
        assert caught.value.hint or "expected yes or no" in caught.value.message
        assert "S3cr3t" not in f"{caught.value.message} {caught.value.hint}"


def test_a_url_is_no_path() -> None:
    with pytest.raises(
        UsageError, match="the environment PLATTER_BUILD_LOCK: expected a path, found the URL https://h"
    ):
        read_environment({"PLATTER_BUILD_LOCK": "https://me:S3cr3t@h/x"}, Path("/"))
