"""Requirements files, read by pip's own parser: all that its format allows, and nothing that is not sure."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.hashed_requirements import find_pins
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.resolve.requirements_reader import RequirementsReader, installed_pip
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.targets.description import from_name
from platter_setuptools.targets.find import find_interpreter
from platter_setuptools.wheel_cache import WheelCache
from support import handmade, projects
from support.front_ends import wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from platter_setuptools.resolve.requirements import Requirements
    from support.front_ends import Yard
    from support.index import Index

ONE = "1" * 64
LOCKED = f"leaf==1.0 --hash=sha256:{ONE}\n"
PINNED = {"leaf": {f"sha256:{ONE}"}}


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pip whose parser reads: one that is compiled takes half the time of a wheel."""
    return installed_pip() or handmade.pip_wheel(tmp_path_factory.mktemp("pip"))


class Counted(Runner):
    """Processes, and how many were started."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        self.pips: list[Path] = []  # what was asked to read with

    def __call__(self, command: Any, **more: Any) -> str:
        self.count += 1
        return super().__call__(command, **more)


@pytest.fixture
def runs() -> Counted:
    return Counted()


@pytest.fixture
def read(pip: Path, tmp_path: Path, runs: Counted) -> Callable[..., Requirements]:
    """Reads requirements.txt of tmp_path, or what is given."""

    def asked() -> Path:
        runs.pips.append(pip)
        return pip

    def reading(*files: Path, constraints: Sequence[str] = (), offline: bool = False, target: str = "") -> Requirements:
        reader = RequirementsReader(
            pip=asked,
            target=from_name(target) if target else find_interpreter(None, runs),
            host=find_interpreter(None, runs),
            settings=IndexSettings(),
            project=tmp_path,
            run=runs,
            cache=WheelCache(tmp_path / "store"),
            work=tmp_path,
            offline=offline,
        )
        return reader(files or (tmp_path / "requirements.txt",), constraints)

    return reading


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestHashes:
    """However a file says that there are hashes, they are found."""

    @pytest.mark.parametrize(
        "text",
        [
            LOCKED.encode(),
            b"\xef\xbb\xbf" + LOCKED.encode(),
            b"\xef\xbb\xbf-r locked.txt\n",
            LOCKED.encode("utf-16"),
            LOCKED.encode("utf-32"),
            b"# -*- coding: latin-1 -*-\n# \xe9\n" + LOCKED.encode(),
            LOCKED.replace(" --", " \\\r\n  --").encode(),
            f'leaf==1.0 --hash="sha256:{ONE}"  # why\n'.encode(),
            f"leaf==1.0 --has 'sha256:{ONE}'\n".encode(),
            f"leaf==1.0 --hash=${{HASHED}}:{ONE}\n".encode(),
            b"-r locked.txt\n",
            b"--requirem locked.txt\n",
            b"--requirement=locked.txt\n",
            b"-rlocked.txt\n",
            b"-r ${FOLDER}/locked.txt\n",
            b"-r file://${FOLDER}/locked.txt\n",
            b"--require-hashes -r locked.txt\n",
            b"-c locked.txt\nleaf\n",
            b"--constr locked.txt\nleaf==1.0\n",
        ],
    )
    def test_in_every_spelling(
        self, read: Callable[..., Requirements], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
    ) -> None:
        (tmp_path / "locked.txt").write_text(LOCKED)
        (tmp_path / "requirements.txt").write_bytes(text)
        monkeypatch.setenv("HASHED", "sha256")
        monkeypatch.setenv("FOLDER", str(tmp_path))
        pins = find_pins(read())
        assert pins
        assert pins.hashes == PINNED

    def test_by_url(self, read: Callable[..., Requirements], tmp_path: Path) -> None:
        (tmp_path / "locked.txt").write_text(LOCKED)
        (tmp_path / "nested.txt").write_text("-r locked.txt\n")
        with served(tmp_path) as url:
            (tmp_path / "requirements.txt").write_text(f"-r {url}/nested.txt\n")
            pins = find_pins(read())
            assert pins
            assert pins.hashes == PINNED
            limits = find_pins(read(constraints=[f"{url}/locked.txt"]))
            assert limits
            with pytest.raises(DependencyError, match="nothing is to be downloaded"):
                read(offline=True)

    def test_of_a_direct_url(self, read: Callable[..., Requirements], tmp_path: Path) -> None:
        (tmp_path / "requirements.txt").write_text(
            f"leaf @ https://host/leaf-1.0-py3-none-any.whl#sha256={ONE}\nhttps://host/x.zip#md5=ab&egg=x\n"
        )
        lines = [line.requirement for line in read().lines if line.requirement]
        assert [(one.name, one.url.rpartition("/")[2], set(one.fragment)) for one in lines] == [
            ("leaf", "leaf-1.0-py3-none-any.whl", {f"sha256:{ONE}"}),
            ("x", "x.zip", {"md5:ab"}),
        ]


class TestReading:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"-r gone.txt\n", "gone.txt"),
            (b"-r requirements.txt\n", "recursively"),
            (b"-r locked.txt -r other.txt\n", "it says several things"),
            (b"-r locked.txt -i https://host/\n", "it says several things"),
            (b"leaf -r locked.txt\n", "it says several things"),
            (b"leaf --no-binary leaf\n", "it says several things"),
            (b"--hash=sha256:11\n", "it says several things"),
            (b"leaf==1 --hash=md5:11\n", "hash algorithms"),
            (b"--no-require-hashes\n", "is not obeyed"),
            (b"--nonsense\n", "nonsense"),
            (b"leaf; nonsense\n", "line 1 of "),
            (b"\xff\xfe\x00\n", "requirements.txt: "),
            (b'"leaf"\n', "Expected package name"),
            (b"branch#1\n", "Invalid requirement"),
            (b"--use-pep517\n", "Invalid requirement"),
            (b"# coding: klingon\nleaf\n", "klingon"),
            (b"leaf @ https://me:s3cr3t@host/leaf ; bad\n", "line 1 of "),
        ],
    )
    def test_what_is_not_sure(
        self, read: Callable[..., Requirements], tmp_path: Path, text: bytes, reason: str
    ) -> None:
        (tmp_path / "locked.txt").write_text(LOCKED)
        (tmp_path / "requirements.txt").write_bytes(text)
        with pytest.raises(DependencyError, match="cannot be read") as caught:
            read()
        assert reason in caught.value.message
        assert "s3cr3t" not in caught.value.message

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            (b"\xef\xbb\xbfleaf==1.0\r\nbranch\r\n", ["leaf==1.0", "branch"]),
            ("leaf==1.0\n# \u00fc\n".encode("utf-16"), ["leaf==1.0"]),
            (b"-c limits/one.txt\nleaf\n", ["c: branch<2", "c: leaf<2", "leaf"]),
            (b"leaf==${VERSION}\nbranch==1  # ${VERSION}\n", ["leaf==1.0", "branch==1"]),
            (b"leaf==1.0 ; python_version > '${UNSET}'\n", ["leaf==1.0 ; python_version > '${UNSET}'"]),
            (b"leaf \\\n  >=1.0, \\\r\n  <2\n", ["leaf   >=1.0,   <2"]),
            (b"leaf\\\n# a comment\nbranch\\", ["leaf", "branch"]),
            (b"   \n#\nleaf # why\n", ["leaf"]),
            (b"leaf[fast,slow]==1.0\n", ["leaf[fast,slow]==1.0"]),
            (b"-e ./tree[fast]\n", ["-e ./tree[fast]"]),
            (b"--editable=tree\n", ["-e tree"]),
            (b"./tree[fast] ; os_name == 'nt'\n", ["./tree[fast] ; os_name == 'nt'"]),
            (
                f"leaf @ https://host/leaf.tar.gz#sha256={ONE}".encode(),
                [f"leaf @ https://host/leaf.tar.gz#sha256={ONE}"],
            ),
            (
                b"--pre --prefer-binary\n--only-binary=:all: --no-binary leaf\nleaf\n",
                ["--pre\n--prefer-binary", "--only-binary :all:\n--no-binary leaf", "leaf"],
            ),
            (b"--no-binary=:all:\n--only-binary=leaf\nleaf\n", ["--no-binary :all:", "--only-binary leaf", "leaf"]),
            (b"leaf == 1.0 ; python_version < '3'\n", ["leaf == 1.0 ; python_version < '3'"]),
            (b"leaf ; extra == 'fast'\n", ["leaf ; extra == 'fast'"]),
        ],
    )
    def test_odd_forms(
        self,
        read: Callable[..., Requirements],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        text: bytes,
        lines: list[str],
    ) -> None:
        """What a resolver is told; constraints have `c: ` before them."""
        projects.write(tmp_path, {"limits/one.txt": "-c two.txt\nleaf<2\n", "limits/two.txt": "branch<2\n"})
        projects.hello(tmp_path / "tree")
        monkeypatch.setenv("VERSION", "1.0")
        (tmp_path / "requirements.txt").write_bytes(text)
        found = [f"{'c: ' * line.constraint}{line.text}" for line in read().lines]
        assert [line.replace(tmp_path.as_uri(), "ROOT") for line in found] == lines

    def test_for_a_resolver_and_for_the_bundle(
        self, read: Callable[..., Requirements], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOKEN", "t0k3n")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "more.txt").write_text("-f .\n-c ../limits.txt\n")
        (tmp_path / "limits.txt").write_text("branch<2\n")
        (tmp_path / "requirements.txt").write_text(
            "--index https://me:${TOKEN}@Host/simple --pre  # both\n-r sub/more.txt\nleaf==1.0\n"
        )
        said = read()
        said.write(tmp_path / "written.txt", constraints=False)
        assert (tmp_path / "written.txt").read_text().splitlines() == [
            "--index-url https://me:t0k3n@Host/simple",
            "--pre",
            f"--find-links {(tmp_path / 'sub').as_uri()}",
            "leaf==1.0",
        ]
        said.write(tmp_path / "limits.out", constraints=True)
        assert (tmp_path / "limits.out").read_text() == "branch<2\n"
        assert list(said.urls()) == ["https://me:t0k3n@Host/simple", (tmp_path / "sub").as_uri()]
        assert said.as_text().splitlines() == ["--index https://Host/simple --pre", "-f .", "leaf==1.0"]
        assert "t0k3n" not in repr(said)

    def test_settings_of_one_requirement(self, read: Callable[..., Requirements], tmp_path: Path) -> None:
        (tmp_path / "requirements.txt").write_text('leaf==1.0 --config-settings="a=b c"\n')
        (line,) = read().lines
        assert line.requirement
        assert line.requirement.config_settings == {"a": "b c"}


@pytest.mark.parametrize(
    ("place", "resolver"),
    [
        *((one, "uv") for one in ("--constraints", "PIP_CONSTRAINT", "pip.conf", "md5", "a script")),
        *((place, resolver) for place in ("-r", "a fragment") for resolver in ("uv", "pip")),
    ],
)
def test_no_bundle_in_spite_of_a_wrong_hash(
    yard: Yard, tmp_path: Path, index: Index, resolver: str, place: str
) -> None:
    locked = f"leaf==1.0 --hash=sha256:{ONE}\n"
    url = index.url.replace("simple/", "files/leaf-1.0-py3-none-any.whl")
    project = projects.hello(tmp_path / "project", {"locked.txt": locked, "leaf.txt": "leaf==1.0\n"})
    arguments, environ = ["-r", "leaf.txt"], {}
    if place == "--constraints":
        arguments += ["--constraints", "locked.txt"]
    elif place == "PIP_CONSTRAINT":
        environ[place] = str(project / "locked.txt")
    elif place == "pip.conf":
        (tmp_path / "pip.conf").write_text(f"[install]\nconstraint = {project / 'locked.txt'}\n")
        environ["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    elif place == "-r":
        (project / "leaf.txt").write_bytes(locked.encode("utf-16"))
    elif place == "a script":
        (project / "pre.sh").write_text(f"cp {project}/locked.txt {project}/leaf.txt\n")
        arguments.append("--prebuild-script=pre.sh")
    else:
        kind, value = ("sha256", ONE) if place == "a fragment" else ("md5", "1" * 32)
        (project / "leaf.txt").write_text(f"leaf @ {url}#{kind}={value}\n")
    done = yard.platter("build", f"--resolver={resolver}", *arguments, cwd=project, code=_failed(resolver), **environ)
    assert not list(project.glob("dist/*.tar.gz"))
    assert re.search("hash|sha-?256|md5", done.stderr, re.IGNORECASE)
    # uv takes the URL's word: such a lock can be written, and not be built from.
    if place != "a script" and (place, resolver) != ("a fragment", "uv"):
        words = ("lock", f"--resolver={resolver}", *arguments)
        yard.platter(*words, cwd=project, code=_failed(resolver), **environ)
        assert not (project / "pylock.toml").exists()


def test_a_right_hash_of_a_kind_that_the_index_does_not_tell(yard: Yard, tmp_path: Path, shelf: Path) -> None:
    digest = hashlib.sha512((shelf / "leaf-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    project = projects.hello(tmp_path, {"more.txt": f"leaf==1.0 --hash=sha512:{digest} --hash=sha256:{ONE}\n"})
    assert wheels(yard.build(project, "-r", "more.txt"))["leaf"] == "1.0"


def _failed(resolver: str) -> int:
    # pip compares hashes while it resolves.
    return 5 if resolver == "uv" else 4


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("leaf[x]>=1 ; python_version > '3'  # why\n", False),
        (LOCKED, True),
        ("leaf>=1\n--pre\n", True),
        ("-r more.txt\n", True),
        ("leaf>=${OLDEST}\n", True),
        ("leaf @ https://host/leaf-1.0-py3-none-any.whl\n", True),
    ],
)
def test_plain_files_are_read_once(
    tmp_path: Path,
    read: Callable[..., Requirements],
    runs: Counted,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    again: bool,
) -> None:
    monkeypatch.setenv("OLDEST", "1")
    (tmp_path / "more.txt").write_text("branch\n")
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    first = read()
    assert read() == first
    assert runs.count == len(runs.pips) == 1 + again  # a note is the same to every pip: none is waited for
    file.write_text(f"{text}alpha\n")
    assert len(read().lines) == len(first.lines) + 1


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_hash_in_metadata(yard: Yard, tmp_path: Path, index: Index, kind: str) -> None:
    digest = "1" * (64 if kind == "sha256" else 32)
    url = index.url.replace("simple/", f"files/leaf-1.0-py3-none-any.whl#{kind}={digest}")
    text = projects.SETUP_PY.replace('"leaf"', f'"leaf @ {url}"')
    project = projects.hello(tmp_path / "project", {"setup.py": text})
    said = yard.refuse(5, project)
    assert "does not match " in said


def test_markers_are_those_of_another_target(read: Callable[..., Requirements], tmp_path: Path) -> None:
    lines = (
        "arm; platform_machine == 'aarch64'",
        "ppc; platform_machine == 'ppc64le'",
        "new; python_version >= '3.19'",
    )
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    for name, expected in (("cp319-manylinux_2_28_aarch64", ["arm", "new"]), ("cp312-manylinux_2_28_ppc64le", ["ppc"])):
        found = (line.requirement for line in read(target=name).lines)
        assert [one.name for one in found if one and one.applies] == expected
    (tmp_path / "requirements.txt").write_text("old; platform_release < '4'")
    with pytest.raises(DependencyError, match=r"whether old \(line 1 of .*\) is required cannot be said: platform_rel"):
        read(target="cp312-manylinux_2_28_aarch64")
