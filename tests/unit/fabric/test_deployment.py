"""What is sent to a host, from what it says that it has; uploads that were cut off; with real scripts, without ssh."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.fabric.deployment import operate, send_and_install
from platter_setuptools.fabric.host import Host, RemoteError
from platter_setuptools.fabric.shipment import Shipments
from platter_setuptools.payload import checksums
from support import handmade
from support.archives import write_archive
from support.localhost import Connection, local_host

if TYPE_CHECKING:
    from pathlib import Path

MTIME = 315532800
# Says what it was sent. Refuses a thin bundle if the root has a file that says so.
INSTALL = """\
#!/bin/sh
here=$(dirname "$0")
for word; do root=${word#--root=}; break; done
if [ -e "$here/thin.json" ]; then
    [ ! -e "$root/refuse" ] || { cat "$root/refuse" >&2; exit 4; }
    echo "thin is active now"
else
    echo "full is active now"
    [ ! -e "$root/warn" ] || cat "$root/warn" >&2
fi
"""
REFUSAL = "install.sh: no release here has these files:\\n  data/leaf.whl\\nhint: send the full bundle\\n"


@dataclass
class Desk:
    """A bundle to deploy to one host; `sums` are its checksums."""

    host: Host
    connection: Connection
    shipments: Shipments
    sums: dict[str, str]

    @property
    def root(self) -> Path:
        return self.connection.home / "app"

    @property
    def uploads(self) -> Path:
        return self.connection.home / ".cache" / "platter"

    def program(self, script: str) -> None:
        """Let ROOT/platter be this script."""
        self.root.mkdir(exist_ok=True)
        (program := self.root / "platter").write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)

    def have(self, *names: str) -> None:
        """Let the host say that it has these wheels."""
        lines = [f"{self.sums[f'data/{name}-1.0-py3-none-any.whl']}  wheel  {name}" for name in names]
        self.program("\n".join(['[ "$1" = have ] || exit 2', *(f"echo '{line}'" for line in lines)]))

    def deploy(self, **options: Any) -> str:
        self.connection.sent = 0
        self.connection.is_connected = True
        return send_and_install(self.host, self.shipments, **options)


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("made")
    (folder / "bootstrap" / "virtualenv").mkdir(parents=True)
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(10_000))
    leaf = handmade.wheel(folder, "leaf", files={"leaf.py": "", "leaf.bin": noise})
    bundle = handmade.bundle(folder / "full", [handmade.wheel(folder), leaf], bootstrap=folder / "bootstrap")
    bundle.script.write_text(INSTALL)
    bundle.seal()
    path = write_archive(list(from_folder(bundle.path)), bundle.path.name, "tar.gz", folder / "dist", MTIME)[0]
    return path, checksums.read(str(bundle.path))


@pytest.fixture(name="desk")
def _desk(made: tuple[Path, dict[str, str]], tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    host, connection = local_host(tmp_path / "web1", **getattr(request, "param", {}))
    return Desk(host, connection, Shipments(made[0], tmp_path / "work", MTIME), made[1])


class TestWhatIsSent:
    def test_the_full_bundle_to_a_new_host(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == desk.shipments.full.size
        assert capsys.readouterr().err == f"web1: uploading {desk.shipments.full.about}\n"
        assert [path.name for path in desk.uploads.iterdir()] == [desk.shipments.full.path.name]

    def test_what_the_host_does_not_have(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        desk.have("leaf")
        assert desk.deploy() == "thin is active now"
        told = capsys.readouterr().err
        assert told.startswith("web1: uploading 1 of 2 wheels, ")
        assert desk.connection.sent < desk.shipments.full.size - 300_000
        assert desk.deploy() == "thin is active now"
        assert desk.connection.sent == 0

    def test_it_has_the_file_already(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        desk.deploy()
        desk.have("leaf")
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == 0
        assert capsys.readouterr().err.endswith(f"web1: has {desk.shipments.full.path.name} already\n")

    def test_a_bundle_that_is_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "bootstrap").mkdir()
        wheels = [handmade.wheel(tmp_path / "wheels")]
        bundle = handmade.bundle(tmp_path / "full", wheels, bootstrap=tmp_path / "bootstrap")
        bundle.script.write_text(INSTALL.replace("thin.json", "none") + "echo refused >&2\n[ ! -e $root/no ]\nexit\n")
        path = write_archive(list(from_folder(bundle.path)), bundle.path.name, "run", tmp_path / "dist", MTIME)[0]
        host, connection = local_host(tmp_path / "web1")
        desk = Desk(host, connection, Shipments(path, tmp_path / "work", MTIME), {})
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == path.stat().st_size
        assert [one.name for one in desk.uploads.iterdir()] == [path.name]
        desk.root.mkdir()
        (desk.root / "no").touch()
        with pytest.raises(RemoteError, match="refused"):
            desk.deploy()

    def test_warnings(self, desk: Desk) -> None:
        desk.root.mkdir()
        (desk.root / "warn").write_text("warning: 1 file was edited\nsomething else\n")
        assert desk.deploy() == "full is active now\nwarning: 1 file was edited"

    @pytest.mark.parametrize("desk", [{"thin": False}], indirect=True)
    def test_switched_off(self, desk: Desk) -> None:
        desk.have("leaf")
        assert desk.deploy() == "full is active now"

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("echo \"platter: there is no command 'have'\" >&2; exit 2", "there is no command 'have'"),
            ("echo '<html>'", "line 1: not a SHA-256 and a kind"),
            ("yes | head -c 2000000", "the answer is longer than 1048576 characters"),
        ],
    )
    def test_no_answer_of_use(self, desk: Desk, script: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
        desk.program(script)
        assert desk.deploy() == "full is active now"
        told = capsys.readouterr().err
        assert told.startswith("web1: it gets the full bundle: ")
        assert reason in told

    def test_a_host_that_lies(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        desk.have("leaf")
        (desk.root / "refuse").write_text(REFUSAL.replace("\\n", "\n"))
        assert desk.deploy() == "full is active now"
        assert "web1: does not have all that it listed\nweb1: uploading " in capsys.readouterr().err
        assert sorted(path.name for path in desk.connection.home.iterdir()) == [".cache", "app"]

    def test_another_refusal(self, desk: Desk) -> None:
        desk.have("leaf")
        (desk.root / "refuse").write_text("install.sh: the bundle is damaged\n")
        with pytest.raises(RemoteError, match="the bundle is damaged") as caught:
            desk.deploy()
        assert caught.value.exit_code == 4

    def test_a_damaged_bundle(self, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The host tells what is wrong with it, as for hosts that have nothing."""
        (path := tmp_path / desk.shipments.full.path.name).write_bytes(desk.shipments.full.path.read_bytes()[:-1000])
        desk.shipments = Shipments(path, tmp_path / "work", MTIME)
        desk.have("leaf")
        with pytest.raises(RemoteError) as caught:
            desk.deploy()
        assert caught.value.exit_code == 4
        assert "web1: it gets the full bundle: " in capsys.readouterr().err


class TestCutOff:
    """An upload that went no further goes on where it stopped, if what is there is right."""

    def cut(self, desk: Desk, limit: int) -> Path:
        desk.connection.limit = limit
        with pytest.raises(RemoteError, match="the connection was lost"):
            desk.deploy()
        desk.connection.limit = 1 << 40
        (part,) = desk.uploads.iterdir()
        assert part.stat().st_size == limit
        return part

    def test_it_goes_on(self, desk: Desk) -> None:
        part = self.cut(desk, 200_000)
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == desk.shipments.full.size - 200_000
        assert {path.name for path in desk.uploads.iterdir()} == {part.name, desk.shipments.full.path.name}

    def test_on_a_host_with_busybox(self, desk: Desk, tmp_path: Path) -> None:
        busybox, tar = shutil.which("busybox"), shutil.which("tar")
        if not busybox or not tar:
            pytest.skip("there is no busybox")
        subprocess.run([busybox, "--install", "-s", tmp_path], check=True)
        (tmp_path / "tar").unlink()  # that of some distributions does not recognize gzip
        (tmp_path / "tar").symlink_to(tar)
        desk.connection.environment["PATH"] = str(tmp_path)
        self.test_it_goes_on(desk)

    def test_twice(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        self.cut(desk, 100_000)
        desk.connection.limit = 50_000
        with pytest.raises(RemoteError, match="the connection was lost"):
            desk.deploy()
        desk.connection.limit = 1 << 40
        desk.deploy()
        assert desk.connection.sent == desk.shipments.full.size - 150_000
        assert capsys.readouterr().err.endswith(f"web1: uploading {desk.shipments.full.about}; it has 150.0 kB\n")

    def test_all_of_it_was_there(self, desk: Desk) -> None:
        part = self.cut(desk, 10)
        part.write_bytes(desk.shipments.full.path.read_bytes())
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == 0

    @pytest.mark.parametrize("wrong", ["altered", "longer", "a folder", "of another file"])
    def test_it_starts_over(self, desk: Desk, wrong: str) -> None:
        part = self.cut(desk, 100_000)
        content = part.read_bytes()
        if wrong == "a folder":
            part.unlink()
            part.mkdir()
        elif wrong == "of another file":
            key = part.name.split(".")[-3]
            part.rename(part.with_name(part.name.replace(key, "0" * 16)))
        else:
            part.write_bytes(content[:-1] if wrong == "altered" else content + bytes(1 << 20))
            if wrong == "altered":
                part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert desk.deploy() == "full is active now"
        assert desk.connection.sent == desk.shipments.full.size

    def test_a_thin_bundle(self, desk: Desk) -> None:
        desk.have("leaf")
        self.cut(desk, 10_000)
        assert desk.deploy() == "thin is active now"
        thin = desk.shipments.without((desk.connection.run(f"{desk.root}/platter have")).stdout)
        assert thin
        assert desk.connection.sent == thin.size - 10_000

    def test_what_arrives_is_something_else(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file here was written to after it had been hashed."""
        monkeypatch.setattr(
            desk.shipments,
            "full",
            desk.shipments.full.__class__(
                path=desk.shipments.full.path, sha256="0" * 64, size=desk.shipments.full.size, about=""
            ),
        )
        with pytest.raises(RemoteError, match="did not arrive as it was sent") as caught:
            desk.deploy()
        assert caught.value.exit_code == 4
        assert list(desk.uploads.iterdir()) == []


@pytest.mark.parametrize("run_once", [False, True])
@pytest.mark.parametrize("once", [False, True])
def test_what_is_done_once(tmp_path: Path, *, run_once: bool, once: bool) -> None:
    """Who has the variable from elsewhere does not have it then."""
    host, connection = local_host(tmp_path / "web1", run_once=run_once)
    host.once = once
    connection.environment["PLATTER_RUN_ONCE"] = "from elsewhere"
    (tmp_path / "web1" / "app").mkdir()
    (program := tmp_path / "web1" / "app" / "platter").write_text("#!/bin/sh\necho ${PLATTER_RUN_ONCE-unset}\n")
    program.chmod(0o755)
    expected = "from elsewhere" if not run_once else "1" if once else "unset"
    assert operate(host, "rollback") == expected


@pytest.mark.parametrize("code", [0, 8])
def test_a_flood(tmp_path: Path, code: int) -> None:
    """What fits is kept, of both streams, and the exit code."""
    host, _ = local_host(tmp_path / "web1")
    (tmp_path / "web1" / "app").mkdir()
    (program := tmp_path / "web1" / "app" / "platter").write_text(
        "#!/bin/sh\nyes out | head -c 50000000\nyes err | head -c 50000000 >&2\n"
        f"echo last\necho platter: why >&2\nexit {code}\n"
    )
    program.chmod(0o755)
    if code:
        with pytest.raises(RemoteError) as caught:
            operate(host, "rollback")
        assert (caught.value.exit_code, caught.value.message) == (code, "platter: why")
        assert sum(map(len, caught.value.output)) < 2_200_000
    else:
        said = operate(host, "rollback")
        assert len(said) < 2_200_000
        assert (said.count("last\n"), said[-13:]) == (1, "\nplatter: why")
