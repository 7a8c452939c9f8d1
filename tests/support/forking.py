"""Commands in forks of a process that has imported what they need: a third of a small build is the time for imports.

Each command has a process of its own, with its own arguments, environment, folder, umask and standard streams, and
ends as the interpreter ends. What an interpreter reads when it starts (PYTHONHASHSEED, the locale) cannot be given to
a fork: `fits` says so, and such a command is to be started anew.

This file is both: a module of the tests, and the program whose forks run the commands.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "TZ")  # prefixes of variables
_LOCALE = {"LC_ALL": "C.UTF-8"}
_LARGEST = 1 << 20  # bytes of a request
# What a build imports when it comes to it.
_LATE = ("build", "elftools.elf.elffile", "elftools.elf.gnuversions", "pyproject_hooks", "requests", "tomli_w")
_FRONT_ENDS = ("__main__", "_in_process", "announce", "bdist_platter", "build_meta", "fabric", "payload.__main__")


def fits(environ: Mapping[str, str]) -> bool:
    """Return whether a command with this environment may run in a fork."""
    return {name: value for name, value in environ.items() if name.startswith(_READ_AT_START)} == _LOCALE


def run(program: Path, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout: float) -> Done:
    """Run the console script `platter`, or a setup.py, with nothing to read. Raises TimeoutExpired after that time."""
    server = _server("setuptools" if program.name == "setup.py" else "platter")
    return server.run([os.fspath(program), *arguments], cwd, environ, timeout)


Done = subprocess.CompletedProcess[str]


@functools.cache
def _server(kind: str) -> _Server:
    return _Server(kind)


class _Server:
    """The process that is forked. It ends when the process that started it closes its end of the socket."""

    def __init__(self, kind: str) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        environ = {"PATH": os.environ["PATH"], **_LOCALE}
        words = [sys.executable, __file__, kind, str(theirs.fileno())]
        nothing = subprocess.DEVNULL
        with theirs:
            self.process = subprocess.Popen(
                words, env=environ, stdin=nothing, stdout=nothing, pass_fds=[theirs.fileno()], cwd="/"
            )

    def run(self, command: list[str], cwd: Path, environ: Mapping[str, str], timeout: float) -> Done:
        umask = Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0]
        request = {"command": command, "cwd": os.fspath(cwd), "environ": dict(environ), "umask": int(umask, 8)}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, _Collected() as out, _Collected() as err:
            with theirs, Path(os.devnull).open() as nothing:
                streams = [nothing.fileno(), out.fileno(), err.fileno()]
                socket.send_fds(self._requests, [json.dumps(request).encode()], [theirs.fileno(), *streams])
            out.close_end()
            err.close_end()
            pid = int(ours.recv(_LARGEST))
            ours.settimeout(timeout)
            try:
                status = int(ours.recv(_LARGEST))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout) from None
            code = os.waitstatus_to_exitcode(status)
            return subprocess.CompletedProcess(command, code, out.text(), err.text())


class _Collected:
    """The writing end of a pipe, and a thread that reads what comes through it."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self._content = b""
        self._thread = threading.Thread(target=self._collect, args=(reading,), daemon=True)

    def __enter__(self) -> _Collected:  # noqa: PYI034 - Self came with Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close_end()

    def _collect(self, reading: int) -> None:
        with open(reading, "rb") as file:
            self._content = file.read()

    def fileno(self) -> int:
        return self._writing

    def close_end(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def text(self) -> str:
        """All that was written, after every process that could write has ended or closed it."""
        self._thread.join()
        return self._content.decode()


# The other side: the program


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return it in the fork, and None where nobody asks any more."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    running: dict[int, tuple[int, socket.socket]] = {}  # by the file descriptor of the process
    while True:
        for descriptor, _events in poll.poll():
            if descriptor != requests.fileno():
                pid, answers = running.pop(descriptor)
                poll.unregister(descriptor)
                os.close(descriptor)
                with answers, contextlib.suppress(OSError):  # a test may have had enough
                    answers.send(str(os.waitpid(pid, 0)[1]).encode())
                continue
            message, descriptors, _flags, _address = socket.recv_fds(requests, _LARGEST, 4)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                for number, given in enumerate(descriptors[1:]):
                    os.dup2(given, number)
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                return dict(json.loads(message))
            answers = socket.socket(fileno=descriptors[0])
            for given in descriptors[1:]:
                os.close(given)
            answers.send(str(pid).encode())
            watched = os.pidfd_open(pid)
            running[watched] = pid, answers
            poll.register(watched, select.POLLIN)


def _import(kind: str) -> None:
    package = importlib.import_module("platter_setuptools")
    skipped = tuple(f"{package.__name__}.{name}" for name in _FRONT_ENDS)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.startswith(skipped):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    if kind == "setuptools":
        importlib.import_module("platter_setuptools.bdist_platter")
        importlib.import_module("setuptools.command.bdist_wheel")


def _become(request: Mapping[str, Any]) -> None:
    """Be the process that was asked for, to its end."""
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    program, *arguments = request["command"]
    path = Path(request["cwd"], program)
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = str(path)
    exec(compile(path.read_bytes(), path, "exec"), main.__dict__)  # as an interpreter does


def _program() -> None:
    del sys.path[0]  # the tests' own modules are none of the commands'
    kind, descriptor = sys.argv[1:]
    _import(kind)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(descriptor)) as requests:
        request = _serve(requests)
        if request:
            requests.detach()
    if request:
        _become(request)


if __name__ == "__main__":
    _program()
