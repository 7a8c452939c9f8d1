"""Mini-projects with one feature each, and the tiny distributions that they depend on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import from_text
from support import handmade, index
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The module of every application here: what it prints shows that it and its dependencies are really there.
HELLO = "import leaf\n\n\ndef main():\n    print('hello from', leaf.NAME)\n"

SETUP_PY = """
    from setuptools import setup

    setup(
        name="hello",
        version="1.0",
        py_modules=["hello"],
        install_requires=["leaf"],
        entry_points={"console_scripts": ["hello = hello:main"]},
    )
"""
EMPTY_SETUP_PY = "from setuptools import setup\n\nsetup()\n"
SETUP_CFG = """
    [metadata]
    name = hello
    version = 1.0

    [options]
    py_modules = hello
    install_requires =
        leaf

    [options.entry_points]
    console_scripts =
        hello = hello:main
"""
PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "hello"
    version = "1.0"
    dependencies = ["leaf"]

    [project.scripts]
    hello = "hello:main"

    [tool.setuptools]
    py-modules = ["hello"]
"""
C_MODULE = """
    #include <Python.h>

    static PyObject *which(PyObject *self, PyObject *unused) {
        return PyUnicode_FromString("compiled");
    }
    static PyMethodDef methods[] = {{"which", which, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, methods};

    PyMODINIT_FUNC PyInit_NAME(void) {
        return PyModule_Create(&module);
    }
"""
# A PEP 517 backend without setuptools, small enough to read. It builds what [tool.tiny] says.
BACKEND = """
    import ast, base64, hashlib, pathlib, sys, zipfile


    def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
        said = pathlib.Path("pyproject.toml").read_text().partition("[tool.tiny]\\n")[2].partition("\\n[")[0]
        # Python 3.10 has no tomllib. What stands in this table is the same in both languages.
        words = (line.partition("=") for line in said.splitlines())
        tiny = {key.strip(): ast.literal_eval(value.strip()) for key, _, value in words}
        print("tiny backend at work")
        if "fail" in tiny:
            print(tiny["fail"], file=sys.stderr)
            raise SystemExit(9)
        stem = f"{tiny['name']}-{tiny['version']}"
        files = {path.name: path.read_text() for path in pathlib.Path().glob("*.py")}
        files[f"{stem}.dist-info/METADATA"] = "".join(
            [
                f"Metadata-Version: 2.1\\nName: {tiny['name']}\\nVersion: {tiny['version']}\\n",
                *(f"Requires-Dist: {one}\\n" for one in tiny.get("requires", [])),
                *(f"Requires-Python: {one}\\n" for one in tiny.get("requires-python", [])),
            ]
        )
        files[f"{stem}.dist-info/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        files[f"{stem}.dist-info/entry_points.txt"] = tiny.get("entry_points", "")
        record = f"{stem}.dist-info/RECORD"
        files[record] = "".join(f"{name},{digest(text)},\\n" for name, text in files.items()) + f"{record},,\\n"
        with zipfile.ZipFile(pathlib.Path(wheel_directory, f"{stem}-py3-none-any.whl"), "w") as archive:
            for name, content in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name), content)
        return f"{stem}-py3-none-any.whl"


    def digest(text):
        return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
"""


# An extension, a pure dependency and one from an sdist, scripts of both kinds: all that could tell where it was built.
MIXED_SETUP = """
    from setuptools import Extension, setup

    setup(
        name="hello",
        version="1.0",
        py_modules=["hello"],
        ext_modules=[Extension("fast", ["fast.c"], extra_compile_args=["-g"])],  # as most Pythons have it
        install_requires=["leaf", "sour", "speck"],
        scripts=["bin/run"],
        entry_points={"console_scripts": ["hello = hello:main"]},
    )
"""
FROM_SOURCE = "--pip-option=--no-binary=speck"  # the option with which its dependency is compiled, too

# The same application for `platter build`, by the backend above, which stands in the source tree. That takes half the
# time that setuptools takes, and needs nothing to build with.
QUICK = """

[build-system]
requires = []
build-backend = "tiny"
backend-path = ["backend"]

[tool.tiny]
name = "hello"
version = "1.0"
requires = ["leaf"]
entry_points = "[console_scripts]\\nhello = hello:main\\n"
"""

DECLARED = """\
[build-system]
requires = ["setuptools"]
build-backend = "{backend}"

[project]
name = "{name}"
version = "{version}"
dependencies = {requires}

[tool.setuptools]
py-modules = ["hello"]
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, each freed of the indentation it has in the test; gives the folder.

    Metadata for setuptools takes `QUICK` out of force.
    """
    if {"setup.py", "setup.cfg"} & {*files} and (backend := folder / "backend" / "tiny.py").exists():
        shutil.rmtree(backend.parent)
        pyproject = folder / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().partition("[build-system]")[0])
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content).lstrip("\n"), "utf-8")
    return folder


def hello(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """The plain application with its metadata in setup.py; `files` replace some of its own or come on top.

    `platter build` builds it with `QUICK`, unless its metadata or how it is built is among the files.
    """
    given = dict(files or {})
    said = textwrap.dedent(given.get("pyproject.toml", ""))
    if not {"setup.py", "setup.cfg"} & {*given} and "[build-system]" not in said and "[project]" not in said:
        given["pyproject.toml"] = said + QUICK
        given["backend/tiny.py"] = BACKEND
    return write(folder, {"setup.py": SETUP_PY, "hello.py": HELLO, **given})


def declared(
    folder: Path,
    *requires: str,
    name: str = "hello",
    version: str = "1.0",
    backend: str = "setuptools.build_meta",
    more: str = "",
) -> Path:
    """The plain application with its metadata in pyproject.toml, and `more` at that file's end."""
    text = DECLARED.format(name=name, version=version, requires=list(requires), backend=backend)
    setup = "from setuptools import setup\n\nsetup()\n"
    return write(folder, {"pyproject.toml": text + more, "setup.py": setup, "hello.py": HELLO})


def c_extension(name: str, *, source: str = C_MODULE, setup: str = "") -> dict[str, str]:
    """The files of a distribution whose one module is written in C."""
    call = setup or f"setup(name='{name}', version='1.0', ext_modules=[Extension('{name}', ['{name}.c'])])"
    return {
        "setup.py": f"from setuptools import Extension, setup\n\n{call}\n",
        f"{name}.c": textwrap.dedent(source).replace("NAME", name),
    }


def commit(folder: Path) -> str:
    """Make a git repository of a folder and commit all of it; gives the commit."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), (*identity, "commit", "--quiet", "--message", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def git_status(folder: Path) -> str:
    """What git would say about a folder, in short."""
    words = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all"]
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout


def shelf(folder: Path) -> Path:
    """Fill a folder with the distributions that the mini-projects ask an index for, and give it."""
    for version in ("1.0", "2.0"):
        handmade.wheel(folder, "leaf", version, files={"leaf.py": f"NAME = 'leaf {version}'\n"})
    handmade.wheel(folder, "branch", files={"branch.py": "import leaf\n"}, requires=["leaf<2"])
    # Exists as an sdist only; that it requires leaf is known to its setup.py alone.
    index.sdist(
        folder,
        "sour",
        "1.0",
        {
            "setup.py": "from setuptools import setup\n"
            "setup(name='sour', version='1.0', py_modules=['sour'], install_requires=['leaf'])\n",
            "sour.py": "import leaf\n\n\ndef which():\n    return 'sour with ' + leaf.NAME\n",
        },
    )
    # As a wheel in Python, as an sdist in C: what is installed tells where it came from.
    handmade.wheel(folder, "speck", files={"speck.py": "def which():\n    return 'from the wheel'\n"})
    index.sdist(folder, "speck", "1.0", c_extension("speck"))
    index.sdist(folder, "crooked", "1.0", c_extension("crooked", source="#error this does not compile\n"))
    handmade.wheel(folder, "tinybackend", files={"tinybackend.py": textwrap.dedent(BACKEND)})
    handmade.wheel(folder, "sprout", files={"sprout.py": "VERSION = '3.7'\n"})
    for name in ("only-old", "only-new", "only-linux", "only-windows", "alpha", "beta"):
        module = name.replace("-", "_")
        handmade.wheel(folder, name, files={f"{module}.py": f"NAME = '{name}'\n"})
    return folder


def older_bundle(folder: Path, stem: str, kind: str = "tar.gz") -> Path:
    """Write as much of an earlier bundle for this Python as a build needs to see, to replace it."""
    target = {"abi": f"cp{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"}
    texts = {"info.json": json.dumps({"targets": [target]}), "install.sh": "older\n", "SHA256SUMS": ""}
    return write_archive([from_text(*one) for one in texts.items()], stem, kind, folder, 10**9)[0]
