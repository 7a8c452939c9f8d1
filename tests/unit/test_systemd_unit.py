"""Units for systemd. What systemd itself reads from them is compared with what was meant, if it is here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from platter_setuptools.errors import UsageError
from platter_setuptools.systemd_unit import Service, check, service_unit, socket_unit, words

SYSTEMD = Path("/usr/lib/systemd/systemd")
PLAIN = Service(name="yourapp", root="/srv/yourapp", script="yourapp")
needs_systemd = pytest.mark.skipif(
    not (SYSTEMD.exists() and shutil.which("setpriv") and os.geteuid() == 0),
    reason="needs systemd, setpriv and root: as root systemd tests nothing itself",
)
# What a path may have in it, and a lot that is special in some line of a unit.
ODD = "/srv/a b%h $HOME $$x;[*?]{é}"
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def setting(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def read_by_systemd(name: str, unit: str) -> dict[str, str]:
    """What systemd understands of a unit, by the names that it has for it."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's are for their owner only
        Path(folder).chmod(0o755)
        Path(folder, name).write_text(unit, "utf-8")
        done = subprocess.run(
            [*AS_NOBODY, SYSTEMD, "--test", "--system", f"--unit={name}"],
            env={"SYSTEMD_UNIT_PATH": f"{folder}:", "LC_ALL": "C.UTF-8"},
            check=False,
            capture_output=True,
            timeout=60,
        )
    text = (done.stdout + done.stderr).decode()
    if "-> Unit " not in text:
        pytest.skip(f"systemd cannot test here: {text[-200:] or done.returncode}")
    assert f"Fragment Path: {folder}/{name}\n" in text, text[:2000]
    told = text.partition(f"-> Unit {name}:\n")[2].partition("\n\t-> Unit ")[0]
    return dict(re.findall(r"^\s*([\w ]+): (.*)$", told, re.MULTILINE))


def test_a_plain_service() -> None:
    check(PLAIN)
    unit = service_unit(PLAIN)
    assert setting(unit, "ExecStart") == ["/srv/yourapp/versions/current/bin/yourapp"]
    assert setting(unit, "WorkingDirectory") == ["/srv/yourapp"]
    assert setting(unit, "DynamicUser") == ["yes"]
    assert setting(unit, "UMask") == ["0077"]
    assert setting(unit, "Type") == ["exec"]
    assert setting(service_unit(replace(PLAIN, notifies=True)), "Type") == ["notify"]
    assert setting(unit, "ProtectHome") == ["yes"]
    assert [setting(unit, name) for name in ("User", "ReadWritePaths", "EnvironmentFile")] == [[], [], []]
    assert "--root /srv/yourapp --reload 'systemctl restart yourapp'" in unit
    assert service_unit(replace(PLAIN, root="/srv//yourapp/")) == unit


def test_shared_files_and_folders() -> None:
    shared = ("app.env", "data/uploads/", "media/", "settings.toml")
    with_user = replace(PLAIN, shared=shared, user="www-data")
    check(with_user)
    unit = service_unit(with_user)
    assert setting(unit, "ReadWritePaths") == ["/srv/yourapp/shared/data/uploads /srv/yourapp/shared/media"]
    assert setting(unit, "EnvironmentFile") == ["/srv/yourapp/shared/app.env"]
    assert setting(unit, "User") == ["www-data"]
    assert setting(unit, "DynamicUser") == setting(unit, "UMask") == []
    with pytest.raises(UsageError, match=r"writes to shared folders: data/uploads/, media/$") as caught:
        check(replace(with_user, user=""))
    assert "--user" in (caught.value.hint or "")
    check(replace(PLAIN, shared=("app.env",)))  # systemd reads that before it becomes the user


def test_a_root_at_home() -> None:
    for root in ("/home/me/app", "/root/app"):
        assert setting(service_unit(replace(PLAIN, root=root)), "ProtectHome") == ["read-only"]
    assert setting(service_unit(replace(PLAIN, root="/homes/app")), "ProtectHome") == ["yes"]


@needs_systemd
@pytest.mark.parametrize("root", ["/srv/yourapp", ODD, "/srv/;", "/srv/%%", "/srv/-"])
def test_systemd_reads_what_was_meant(root: str) -> None:
    arguments = (
        "serve",
        "a b",
        "$PATH",
        "${PATH}",
        "%h",
        ";",
        "",
        "'",
        '"',
        "back\\slash",
        "é",
        "#",
        "*",
        "-",
        "$$",
        "\\",
    )
    service = replace(
        PLAIN,
        root=root,
        script="my app",
        arguments=arguments,
        user="daemon",
        shared=("a%n [*]\\.env", 'me\'d\\ia "x"/'),
    )
    check(service)
    found = read_by_systemd("yourapp.service", service_unit(service))
    # A dollar is doubled for the moment at which the command is run.
    doubled = [word.replace("$", "$$") for word in arguments]
    shown = shlex.split(found["Command Line"].replace("\\$", "$"))  # it escapes them as for a shell
    assert shown == [f"{root}/versions/current/bin/my app", *doubled]
    assert found["WorkingDirectory"] == root
    pattern = re.sub(r"([*?\[\\])", r"\\\1", f"{root}/shared/a%n [*]\\.env")
    assert found["EnvironmentFile"] == pattern
    assert found["ReadWritePaths"] == f'{root}/shared/me\'d\\ia "x"'
    assert found["User"] == "daemon"


@needs_systemd
def test_systemd_reads_the_address() -> None:
    found = read_by_systemd("yourapp.socket", socket_unit("yourapp", "/run/a b%t.sock"))
    assert found["ListenStream"] == "/run/a b%t.sock"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
class TestSystemdAnalyze:
    def test_it_has_nothing_to_say(self, tmp_path: Path) -> None:
        program = tmp_path / "versions" / "current" / "bin" / "yourapp"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        units = {
            "plain.service": service_unit(replace(PLAIN, name="plain", root=str(tmp_path))),
            "plain.socket": socket_unit("plain", "[::1]:8000"),
            "full.service": service_unit(
                replace(
                    PLAIN,
                    name="full",
                    root=str(tmp_path),
                    user="daemon",
                    shared=("a.env", "media/"),
                    arguments=("a b",),
                )
            ),
        }
        for name, text in units.items():
            (tmp_path / name).write_text(text)
        paths = [tmp_path / name for name in units]
        done = subprocess.run(["systemd-analyze", "verify", *paths], check=False, capture_output=True, text=True)
        assert [line for line in done.stderr.splitlines() if "plain" in line or "full" in line] == []
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("user", ["", "www-data"])
    def test_how_exposed_it_is(self, tmp_path: Path, user: str) -> None:
        """Below 2 of 10; without any of it a service has 9.6."""
        unit = tmp_path / "yourapp.service"
        unit.write_text(service_unit(replace(PLAIN, user=user, shared=("media/",) * bool(user))))
        command: list[str | Path] = [
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--threshold=20",
            "--no-pager",
            unit,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "your app"}, "your app: not a name for a unit"),
        ({"name": "app@1"}, "not a name for a unit"),
        ({"name": "a/b"}, "not a name for a unit"),
        ({"name": ""}, "not a name for a unit"),
        ({"name": "a\nb"}, "not a name for a unit"),
        ({"name": "a" * 201}, "not a name for a unit"),
        ({"root": "srv/app"}, "not an absolute path"),
        ({"root": "/srv/../etc"}, "not an absolute path"),
        ({"root": '/srv/a"b'}, "quotes, backslashes"),
        ({"root": "/srv/a\\"}, "quotes, backslashes"),
        ({"root": "/srv/a\nExecStartPre=/bin/evil"}, "quotes, backslashes"),
        ({"root": "/srv/a "}, "quotes, backslashes"),
        ({"root": "/srv/\udcff"}, "quotes, backslashes"),
        ({"script": "it's"}, "quotes, backslashes"),
        ({"script": "../../../../../bin/sh"}, "not a file's name"),
        ({"arguments": ("a\nb",)}, "control characters"),
        ({"arguments": ("a\0",)}, "control characters"),
        ({"user": "www data"}, "not a user's name"),
        ({"user": "a\nUser=root"}, "not a user's name"),
        ({"user": "-"}, "not a user's name"),
    ],
)
def test_what_systemd_would_not_take(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check(replace(PLAIN, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    ["8000", "127.0.0.1:8000", "[::1]:8000", "0.0.0.0:1", "65535", "/run/yourapp.sock", "@yourapp", "/run/a b.sock"],
)
def test_addresses(address: str) -> None:
    assert setting(socket_unit("yourapp", address), "ListenStream") == [address]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "localhost:8000",
            "127.0.0.1",
            "::1:8000",
            "[127.0.0.1]:80",
            "0",
            "65536",
            "127.0.0.1:0",
            ":8000",
            "http://x",
        ),
        *(
            "run/x.sock",
            "/",
            "@",
            "/run/x\n.sock",
            "/run/x.sock ",
            "/run/dir/",
            f"/{'x' * 107}",
            "127.0.0.1:٨٠",
            "[::1:80",
        ),
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        socket_unit("yourapp", address)


def test_the_name_of_a_socket() -> None:
    with pytest.raises(UsageError, match="not a name for a unit"):
        socket_unit("your app", "8000")


def test_arguments_are_split_as_a_shell_does() -> None:
    assert words("""serve --bind "a b" '$x' c\\ d""") == ["serve", "--bind", "a b", "$x", "c d"]
    assert words("") == []
    with pytest.raises(UsageError, match="--arguments"):
        words("'")
