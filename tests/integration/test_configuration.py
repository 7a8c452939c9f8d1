"""The same options in four dialects: who wins, and what a wrong one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.config.options import BY_NAME, OPTIONS, Kind
from support import projects
from support.front_ends import WITH_PIP, info, unpack, wheels

if TYPE_CHECKING:
    from pathlib import Path

    from support.front_ends import Yard


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project where each dialect names another format and another output folder, and both front ends read them."""
    return projects.hello(
        tmp_path / "project",
        {
            "setup.py": projects.EMPTY_SETUP_PY,
            "setup.cfg": projects.SETUP_CFG + "\n    [bdist_platter]\n    format = tar\n    dist-dir = from-cfg\n",
            "pyproject.toml": '[tool.platter]\nformat = "zip"\noutput = "from-toml"\nno-pip = true\n',
        },
    )


@pytest.mark.parametrize("front_end", ["command", "platter"])
def test_the_strongest_dialect_decides(yard: Yard, project: Path, front_end: str) -> None:
    environ = {"PLATTER_BUILD_FORMAT": "tar.gz", "PLATTER_BUILD_OUTPUT": "from-environment", **WITH_PIP}
    said = ["--format=dir", "--dist-dir=from-line" if front_end == "command" else "--output=from-line"]

    def made(arguments: list[str], environ: dict[str, str]) -> str:
        before = {*project.glob("*/hello-1.0-linux*")}
        if front_end == "command":
            yard.setup_py(project, "-q", "bdist_platter", *arguments, code=0, **environ)
        else:
            yard.build(project, *arguments, **environ)
        (new,) = {*project.glob("*/hello-1.0-linux*")} - before
        if new.is_dir():
            assert {*wheels(new)} == {"hello", "leaf"}  # no-pip is said in pyproject.toml alone
        return f"{new.parent.name} {new.name.partition('x86_64')[2] or 'dir'}"

    assert made(said, environ) == "from-line dir"
    assert made([], environ) == "from-environment .tar.gz"
    assert made([], WITH_PIP) == "from-cfg .tar"
    (project / "setup.cfg").write_text((project / "setup.cfg").read_text().partition("[bdist_platter]")[0])
    assert made([], WITH_PIP) == "from-toml .zip"


# For each option a value that shows in what the build does or says, by a sentence of the failure that it brings about.
WRONG: dict[str, tuple[str, int, str]] = {
    "output": ("{file}/dist", 6, "{file}/dist"),
    "python": ("no-such-python", 2, "there is no interpreter no-such-python"),
    "with-python": ("{folder}/none", 2, "{folder}/none does not exist"),
    "target": ("cp312", 2, "there is no target cp312"),
    "format": ("tar.lha", 2, "'tar.lha' is not a format"),
    "package": ("nothing", 2, "{folder}/project cannot be read"),  # it is no workspace
    "requirements": ("{folder}/none.txt", 2, "{folder}/none.txt does not exist"),
    "extras": ("nothing", 2, "hello has no extra nothing"),
    "group": ("nothing", 2, "Dependency group 'nothing' not found"),
    "exclude": ("hello", 2, "exclude: hello is the project itself"),
    "constraints": ("{folder}/none.txt", 2, "{folder}/none.txt does not exist"),
    "lock": ("{folder}/pylock.toml", 2, "{folder}/pylock.toml does not exist"),
    "resolver": ("dns", 2, "'dns' is not a resolver"),
    "pip-option": ("--use-feature=magic", 2, "pip-option --use-feature: only pip understands this"),
    "virtualenv-version": ("<1", 4, "virtualenv"),
    "wheel-version": ("<0.0.1", 4, "wheel"),
    "prebuild-script": ("{folder}/none.sh", 2, "{folder}/none.sh does not exist"),
    "postbuild-script": ("{folder}/none.sh", 2, "{folder}/none.sh does not exist"),
    "pre-activate-script": ("{folder}/none.sh", 2, "{folder}/none.sh does not exist"),
    "post-activate-script": ("{folder}/none.sh", 2, "{folder}/none.sh does not exist"),
    "shared": ("../media", 2, "'../media': it has a part that is empty, . or .."),
    "sign-with": ("{folder}/key", 2, "{folder}/key does not exist"),
    "wheel-cache": ("{file}/cache", 1, "the wheel cache {file}/cache cannot be written to"),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_option_can_be_set_in_the_environment_and_in_toml(yard: Yard, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    value, code, message = WRONG[name]
    value, message = (part.format(folder=tmp_path, file=tmp_path / "file") for part in (value, message))
    option = BY_NAME[name]
    script = projects.write(tmp_path, {"script.sh": "true\n"}) / "script.sh"
    # The release of wheel matters only to build scripts.
    more = {"PLATTER_BUILD_POSTBUILD_SCRIPT": str(script)} if name == "wheel-version" else {}
    project = projects.hello(tmp_path / "project")
    assert message in yard.refuse(code, project, **{**more, option.variable: value})
    toml = f'["{value}"]' if option.kind.is_list else f'"{value}"'
    projects.write(project, {"pyproject.toml": f"[tool.platter]\n{name} = {toml}\n"})
    without = {"PLATTER_BUILD_WHEEL_CACHE": ""} if name == "wheel-cache" else {}
    assert message in yard.refuse(code, project, **more, **without)


def test_every_option_that_takes_a_value_is_tried() -> None:
    assert {*WRONG} == {option.name for option in OPTIONS if option.kind is not Kind.FLAG}


@pytest.mark.parametrize(
    ("flag", "other"),
    [("no-download", "no-wheel-cache"), ("no-wheel-cache", "no-download")],
)
def test_contradictions_between_dialects(yard: Yard, tmp_path: Path, flag: str, other: str) -> None:
    # At the same time: each flag can be set in the environment, in setup.cfg and in TOML.
    project = projects.hello(tmp_path / "project", {"setup.cfg": f"[bdist_platter]\n{other} = on\n"})
    variable = BY_NAME[flag].variable
    said = yard.platter("build", cwd=project, code=2, **{variable: "1"}).stderr
    assert "contradict each other" in said
    assert flag in said
    assert other in said
    assert "contradict each other" in yard.setup_py(project, "bdist_platter", code=1, **{variable: "1"}).stderr
    (project / "setup.cfg").unlink()
    projects.write(project, {"pyproject.toml": f"[tool.platter]\n{other} = true\n"})
    assert "contradict each other" in yard.platter("build", cwd=project, code=2, **{variable: "1"}).stderr


def test_the_command_line_says_how_much_is_printed(yard: Yard, tmp_path: Path) -> None:
    toml = "[tool.platter]\nverbose = true\n"
    project = projects.hello(tmp_path / "project", {"pyproject.toml": toml})
    assert yard.platter("build", "--quiet", cwd=project).stderr == ""
    assert "Resolving" not in yard.setup_py(project, "-q", "bdist_platter").stderr
    projects.write(project, {"pyproject.toml": toml.replace("verbose", "quiet")})
    assert "adding 'hello.py'" in yard.platter("build", "--verbose", cwd=project).stderr
    assert "contradict each other" in yard.platter("build", "-q", "-v", cwd=project, code=2).stderr


def test_a_flag_can_be_taken_back_by_a_stronger_dialect(yard: Yard, tmp_path: Path) -> None:
    toml = "[tool.platter]\nno-pip = true\nno-bytecode = true\n"
    project = projects.hello(tmp_path / "project", {"pyproject.toml": toml})
    artifact = yard.command(project, PLATTER_BUILD_NO_PIP="no")
    assert {*wheels(artifact)} == {"hello", "leaf", "pip"}
    assert not list((unpack(artifact, tmp_path / "out") / "data").rglob("*.pyc"))


def test_lists_in_every_dialect(yard: Yard, tmp_path: Path) -> None:
    setup = """
        from setuptools import setup

        setup(name="hello", version="1.0", extras_require={"a": ["alpha"], "b": ["beta"]})
    """
    project = projects.write(tmp_path / "project", {"setup.py": setup})
    both = {"hello", "alpha", "beta"}
    assert {*wheels(yard.command(project, "--no-pip", "--extras=a,b"))} == both
    assert {*wheels(yard.command(project, "--no-pip", PLATTER_BUILD_EXTRAS="a b"))} == both
    projects.write(project, {"pyproject.toml": '[tool.platter]\nextras = ["a", "b"]\nno-pip = true\n'})
    assert {*wheels(yard.command(project))} == both
    projects.write(project, {"setup.cfg": "[bdist_platter]\nextras = b\n"})
    assert {*wheels(yard.command(project))} == {"hello", "beta"}


def test_pip_options_of_several_words(yard: Yard, tmp_path: Path) -> None:
    speck = "from setuptools import setup\n\nsetup(name='hello', version='1.0', install_requires=['speck', 'leaf'])\n"
    lines = "[bdist_platter]\npip-option =\n    --no-binary=speck\n    --only-binary leaf\n"
    project = projects.write(tmp_path / "project", {"setup.py": speck, "setup.cfg": lines})
    files = [wheel["file"] for wheel in info(yard.command(project))["wheels"] if wheel["name"] == "speck"]
    assert "none-any" not in files[0]
    files = [
        wheel["file"]
        for wheel in info(yard.command(project, PLATTER_BUILD_PIP_OPTION="'--only-binary speck' --pre"))["wheels"]
        if wheel["name"] == "speck"
    ]
    assert files == ["speck-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("front_end", ["command", "platter"])
@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("pyproject.toml", "[tool.platter]\nformt = 'zip'\n", ["tool.platter", "formt", "did you mean format?"]),
        ("pyproject.toml", "[tool.platter]\nformat = 3\n", ["tool.platter", "format", "expected a string, found 3"]),
        ("pyproject.toml", "[tool.platter]\nno-pip = 'yes'\n", ["no-pip", "expected true or false, found 'yes'"]),
        ("pyproject.toml", "[tool.platter]\nextras = 'a'\n", ["extras", "expected a list of strings, found 'a'"]),
        ("pyproject.toml", "[tool.platter]\nextras = ['a', 1]\n", ["extras[1]", "expected a string, found 1"]),
        ("pyproject.toml", "[tool.platter]\nformat = 'rar'\n", ["'rar' is not a format", "choose one of: tar.gz"]),
        ("pyproject.toml", "[tool]\nplatter = 1\n", ["tool.platter must be a table"]),
        (
            "setup.cfg",
            "[bdist_platter]\nformat = rar\n",
            ["[bdist_platter] format: 'rar' is not a format", "choose one of: tar.gz"],
        ),
        (
            "setup.cfg",
            "[bdist_platter]\nno-pip = perhaps\n",
            ["[bdist_platter] no-pip: expected yes or no, found 'perhaps'"],
        ),
        (
            "setup.cfg",
            "[bdist_platter]\nno_pip = perhaps\n",
            ["[bdist_platter] no-pip: expected yes or no, found 'perhaps'"],
        ),
        ("setup.cfg", "[bdist_platter]\nformat =\n", ["format is empty"]),
    ],
)
def test_what_a_wrong_configuration_is_told(
    yard: Yard, tmp_path: Path, file: str, text: str, words: list[str], front_end: str
) -> None:
    project = projects.hello(tmp_path / "project", {file: text})
    if front_end == "command":
        said = yard.setup_py(project, "bdist_platter", code=1).stderr
        assert "Traceback" not in said
    else:
        said = yard.refuse(2, project)
    assert all(word in said for word in [file, *words]), said


def test_a_wrong_key_in_setup_cfg(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project", {"setup.cfg": "[bdist_platter]\nformt = zip\n"})
    said = yard.refuse(2, project)
    assert all(word in said for word in ("setup.cfg", "[bdist_platter]", "formt", "did you mean format?"))
    said = yard.setup_py(project, "bdist_platter", code=1).stderr
    assert "error: setup.cfg [bdist_platter]: there is no option 'formt'\n  hint: did you mean format?" in said
    assert "Traceback" not in said


def test_a_wrong_flag_on_the_command_line(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project")
    assert "unrecognized arguments: --formt=zip\n  hint: did you mean --format?" in yard.refuse(
        2, project, "--formt=zip"
    )
    assert "--formt" in yard.setup_py(project, "bdist_platter", "--formt=zip", code=1).stderr


def test_a_wrong_value_in_the_environment_names_the_variable(yard: Yard, tmp_path: Path) -> None:
    said = yard.refuse(2, projects.hello(tmp_path / "project"), PLATTER_BUILD_NO_PIP="perhaps")
    assert "the environment PLATTER_BUILD_NO_PIP: expected yes or no, found 'perhaps'" in said
    said = yard.refuse(2, projects.hello(tmp_path / "project"), PLATTER_BUILD_FORMT="zip")
    assert "there is no option PLATTER_BUILD_FORMT" in said
    assert "did you mean PLATTER_BUILD_FORMAT?" in said
    said = yard.refuse(2, projects.hello(tmp_path / "project"), PLATTER_BUILD_PIP_OPTION="'open")
    assert "PLATTER_BUILD_PIP_OPTION" in said


def test_paths_in_files_start_at_the_project(yard: Yard, tmp_path: Path) -> None:
    files = {
        "pyproject.toml": '[tool.platter]\nrequirements = ["deploy/more.txt"]\noutput = "out"\n',
        "deploy/more.txt": "branch\n",
    }
    project = projects.hello(tmp_path / "project", files)
    inside = project / "deploy"
    artifact = yard.build(inside)
    assert artifact.parent == project / "out"
    assert "branch" in wheels(artifact)
