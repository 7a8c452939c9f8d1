"""An index that wants a password gets it, and nobody else does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from platter_setuptools.urls import without_userinfo
from support import handmade, projects, repositories
from support.front_ends import PLATTER, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.front_ends import Yard
    from support.index import Index

USER, PASSWORD = "somebody", "s3cr%3At-t0ken"
_LOOKS = 20  # at each process
SECRETS = ("s3cr%3At-t0ken", "s3cr:t-t0ken", "c29tZWJvZHk6")


def told(place: str, url: str, yard: Yard, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and variables that name the index, and its password, in one of the places where pip looks for them."""
    arguments: list[str] = []
    environ: dict[str, str] = {}
    if place == "--pip-option":
        environ["PLATTER_BUILD_PIP_OPTION"] = f"--index-url={url}"
    elif place == "pip.conf":
        environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": ""}
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {url}\n")
    elif place == "netrc":
        environ["PIP_INDEX_URL"] = without_userinfo(url)
        netrc = yard.folder / "home" / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login {USER} password {unquote(PASSWORD)}\n")
        netrc.chmod(0o600)
    elif place != "requirements":
        environ[place] = url
    return arguments, environ


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Command lines of all processes in which one of the secrets was seen."""
    seen: list[str] = []
    ended = threading.Event()
    looks: Counter[str] = Counter()  # by process: one that is old will not become another program

    def watch() -> None:
        while not ended.wait(0.005):
            for process in os.listdir("/proc"):  # noqa: PTH208 - thousands of times
                looks[process] += 1
                if looks[process] > _LOOKS or not process.isdigit():
                    continue
                with contextlib.suppress(OSError):
                    line = Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if any(secret in line for secret in SECRETS):
                        seen.append(line)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def has_none_of_the_secrets(*folders: Path, said: str) -> None:
    assert not [secret for secret in SECRETS if secret in said]
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.suffix in {".whl", ".zip"}:
            with zipfile.ZipFile(path) as archive:
                contents = [archive.read(name) for name in archive.namelist()]
        else:
            contents = [path.read_bytes()]
        assert not [path for content in contents for secret in SECRETS if secret.encode() in content]


@pytest.mark.parametrize(
    ("place", "resolver"),
    [
        *((one, "uv") for one in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "--pip-option", "pip.conf")),
        *((place, resolver) for place in ("netrc", "requirements") for resolver in ("uv", "pip")),
    ],
)
def test_the_password_opens_the_index_and_goes_nowhere_else(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[..., Index], resolver: str, place: str
) -> None:
    handmade.wheel(tmp_path / "private", "secretive")
    index = open_index(tmp_path / "private", user=USER, password=unquote(PASSWORD))
    url = index.url.replace("s3cr:t", "s3cr%3At")
    setup = (
        "from setuptools import setup\n\nsetup(name='hello', version='1.0', install_requires=['secretive', 'sour'])\n"
    )
    script = f'echo {url}; echo {url} >&2; printf %s "$PIP_INDEX_URL"\n'
    files = {"setup.py": setup, "more.txt": f"--extra-index-url {url}\nbranch\n", "pre.sh": script}
    project = projects.hello(tmp_path / "project", files)
    arguments, environ = told(place, url, yard, tmp_path)
    # A script takes more time than all the rest.
    scripted = (place, resolver) in {("PIP_INDEX_URL", "uv"), ("requirements", "pip")}
    if scripted:
        arguments.append("--prebuild-script=pre.sh")
    with watched() as seen:
        done = yard.platter(
            *("build", "-v", "--format=dir", "--resolver", resolver, "-r", "more.txt"),
            *arguments,
            cwd=project,
            code=0,
            **{**own_caches, **environ},
        )
    assert seen == []
    assert "secretive-1.0-py3-none-any.whl" in index.fetched
    bundle = unpack(project / "dist" / done.stdout.strip().rpartition("/")[2], tmp_path / "out")
    assert (bundle / "data" / "requirements.txt").read_text().startswith("--extra-index-url http://127.0.0.1:")
    assert not scripted or done.stderr.count("http://127.0.0.1:") >= 2  # what the script printed
    has_none_of_the_secrets(bundle, tmp_path / "wheels", said=done.stdout + done.stderr)
    assert not scripted or "is in order: hello 1.0" in yard.platter("verify", bundle, cwd=project).stderr


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_requirement_in_a_file(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[..., Index], resolver: str
) -> None:
    index = open_index(user=USER, password=unquote(PASSWORD))
    url = index.url.replace("s3cr:t", "s3cr%3At").replace("simple/", "files/leaf-2.0-py3-none-any.whl")
    project = projects.hello(tmp_path / "project", {"more.txt": f"leaf @ {url}\n"})
    done = yard.platter(
        *("build", "-v", "--format=dir", "--resolver", resolver, "-r", "more.txt"),
        cwd=project,
        code=0,
        **own_caches,
    )
    assert "leaf-2.0-py3-none-any.whl" in index.fetched
    (bundle,) = project.glob("dist/*")
    assert (bundle / "data" / "requirements.txt").read_text() == f"leaf @ {without_userinfo(url)}\n"
    has_none_of_the_secrets(bundle, tmp_path / "wheels", said=done.stdout + done.stderr)


def test_repositories_with_tokens(yard: Yard, tmp_path: Path, own_caches: dict[str, str]) -> None:
    tokens = {name: f"somebody:t0ken-of-{name}" for name in ("one", "two", "three", "four")}
    for name in tokens:
        files = {"setup.py": f"from setuptools import setup\n\nsetup(name='{name}', version='1.0')\n"}
        projects.commit(projects.write(tmp_path / "repositories" / name, files))
    trace = tmp_path / "trace"
    with repositories.serving(tmp_path / "repositories", tokens) as url:
        one, two, three, four = (f"{url.replace('//', f'//{login}@')}{name}/.git" for name, login in tokens.items())
        near = {
            "setup.py": "from setuptools import setup\nsetup(name='near', version='1.0', install_requires=['four'])\n",
            "pyproject.toml": f"[tool.uv.sources]\nfour = {{git = '{four}'}}\n",
        }
        projects.write(tmp_path / "near", near)
        files = {
            "setup.py": projects.SETUP_PY.replace('"leaf"', '"one", "near"'),
            "pyproject.toml": "[project]\nname = 'hello'\ndynamic = ['version', 'dependencies', 'scripts']\n"
            f"[dependency-groups]\nprod = ['three @ git+{three}']\n"
            f"[tool.uv.sources]\none = {{git = '{one}'}}\nnear = {{path = '../near'}}\n",
            "more.txt": f"two @ git+{two}\n",
        }
        done = yard.platter(
            *("build", "-v", "--format=dir", "-r", "more.txt", "--group=prod"),
            cwd=projects.hello(tmp_path / "project", files),
            code=0,
            **own_caches,
            GIT_TRACE2_EVENT=str(trace),
            GIT_TRACE_REDACT="0",
        )
    (bundle,) = (tmp_path / "project" / "dist").iterdir()
    assert {path.name.partition("-")[0] for path in bundle.rglob("*.whl")} >= {*tokens, "near"}
    said = done.stdout + done.stderr
    assert "remote-http" in trace.read_text()  # what git itself starts is there, too
    for path in (trace, *(path for path in (*bundle.rglob("*"), *(tmp_path / "wheels").rglob("*")) if path.is_file())):
        said += path.read_bytes().decode(errors="replace")
    assert "t0ken" not in said


@pytest.mark.parametrize("line", ["pip download -i {} secretive", "curl {}"])
def test_a_script_that_would_ship_the_password(yard: Yard, tmp_path: Path, line: str) -> None:
    url = f"https://{USER}:{PASSWORD}@127.0.0.1/simple/"
    script = f"echo '{line.format(url)}' >>\"$INSTALL_SCRIPT\"\n"
    project = projects.hello(tmp_path / "project", {"post.sh": script})
    said = yard.refuse(7, project, "--postbuild-script=post.sh")
    assert "post-install.sh holds a URL with a user or password in it" in said
    has_none_of_the_secrets(said=said)


def test_a_script_that_would_ship_where_something_came_from(yard: Yard, tmp_path: Path) -> None:
    script = f'mkdir -p data/lib && echo \'{{"url": "git+https://{PASSWORD}@host/x"}}\' >data/lib/direct_url.json\n'
    project = projects.hello(tmp_path / "project", {"post.sh": script})
    said = yard.refuse(7, project, "--postbuild-script=post.sh")
    assert "data/lib/direct_url.json holds a URL with a user or password in it" in said
    has_none_of_the_secrets(said=said)


@pytest.mark.parametrize("resolver", ["uv", "pip"])
@pytest.mark.parametrize("option", ["--index-url", "--extra-index-url", "--find-links", "--proxy", "--nonsense"])
def test_errors_do_not_tell_it(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], resolver: str, option: str
) -> None:
    # Nobody listens at port 1.
    project = projects.hello(tmp_path / "project", {"setup.py": projects.SETUP_PY.replace("leaf", "absent")})
    url = f"http://{USER}:{PASSWORD}@127.0.0.1:1/simple/"
    words = ("build", "-v", "--resolver", resolver, f"--pip-option={option}={url}", "--pip-option=--retries=0")
    done = yard.run(
        PLATTER, *words, cwd=project, code=2 if (option, resolver) == ("--nonsense", "uv") else 4, **own_caches
    )
    has_none_of_the_secrets(tmp_path / "wheels", said=done.stdout + done.stderr)
    has_none_of_the_secrets(said=yard.platter("config", f"--pip-option={option}={url}", cwd=project).stdout)


def test_a_lock_with_a_password_in_it(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[..., Index]
) -> None:
    index = open_index(user=USER, password=unquote(PASSWORD))
    url = index.url.replace("s3cr:t", "s3cr%3At").replace("simple/", "files/leaf-2.0-py3-none-any.whl")
    project = projects.hello(tmp_path / "project")
    lock = """
        lock-version = "1.0"
        created-by = "hand"
        [[packages]]
        name = "leaf"
        version = "2.0"
        [[packages.wheels]]
        url = "{}"
        hashes = {{sha256 = "{}"}}
    """
    for sha256, code in (
        ("0" * 64, 5),
        (hashlib.sha256(index.answer("/files/leaf-2.0-py3-none-any.whl")[2]).hexdigest(), 0),
    ):
        projects.write(project, {"pylock.toml": lock.format(url, sha256)})
        done = yard.platter(
            *("build", "-v", "--format=dir", "--lock=pylock.toml"),
            cwd=project,
            code=code,
            **own_caches,
        )
        has_none_of_the_secrets(*project.glob("dist/*"), tmp_path / "wheels", said=done.stdout + done.stderr)
    assert index.fetched.count("leaf-2.0-py3-none-any.whl") == 3


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_wrong_password_is_not_told_either(
    yard: Yard, tmp_path: Path, open_index: Callable[..., Index], resolver: str
) -> None:
    index = open_index(user=USER, password="another")
    url = index.url.replace("another", PASSWORD)
    project = projects.hello(tmp_path / "project")
    said = yard.setup_py(
        project, "bdist_platter", f"--resolver={resolver}", code=1, UV_CACHE_DIR=str(tmp_path / "uv"), PIP_INDEX_URL=url
    )
    assert "leaf" in said.stderr
    assert "cannot be resolved" in said.stderr
    assert not any(secret in said.stdout + said.stderr for secret in SECRETS)
    assert not list(project.glob("dist/*.tar.gz"))
