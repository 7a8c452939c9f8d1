"""Facts about the running interpreter and its machine."""

import glob
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from typing import NamedTuple, Optional, Tuple

Pair = Tuple[int, int]
_MUSL_LOADERS = "/lib/ld-musl-*.so.1"
_SHORT = {"cpython": "cp", "pypy": "pp"}


class Host(NamedTuple):
    """What decides whether a wheel runs here. `platform` is spelled as in wheel names, such as `linux_x86_64`."""

    implementation: str
    python: Tuple[int, int, int]
    abi: str
    debug: bool
    free_threaded: bool
    platform: str
    glibc: Optional[Pair] = None
    musl: Optional[Pair] = None
    macos: Optional[Pair] = None
    multiarch: str = ""

    @property
    def interpreter(self) -> str:
        """Return the interpreter tag, such as `cp311`."""
        short = _SHORT.get(self.implementation, self.implementation)
        return "%s%d%d" % ((short, *self.python[:2]))

    @property
    def short_python(self) -> str:
        return "%d.%d" % self.python[:2]

    @property
    def full_python(self) -> str:
        return "%d.%d.%d" % self.python

    @property
    def libc(self) -> str:
        for name, version in (("glibc", self.glibc), ("musl", self.musl), ("macOS", self.macos)):
            if version is not None:
                return "%s %d.%d" % ((name, *version))
        return "unknown libc"


def examine() -> Host:
    """Return the facts about the interpreter that runs this."""
    implementation = sys.implementation.name
    debug = bool(sysconfig.get_config_var("Py_DEBUG"))
    free_threaded = sys.version_info >= (3, 13) and bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    system = _platform()
    linux = system.startswith("linux_")
    glibc = _glibc() if linux else None
    return Host(
        implementation=implementation,
        python=sys.version_info[:3],
        abi=_abi(implementation, debug=debug, free_threaded=free_threaded),
        debug=debug,
        free_threaded=free_threaded,
        platform=system,
        glibc=glibc,
        musl=_musl() if linux and glibc is None else None,
        macos=_macos() if system.startswith("macosx") else None,
        multiarch=sysconfig.get_config_var("MULTIARCH") or "",
    )


def _abi(implementation: str, *, debug: bool, free_threaded: bool) -> str:
    if implementation == "cpython":
        return "cp%d%d%s%s" % ((*sys.version_info[:2], "t" if free_threaded else "", "d" if debug else ""))
    # PyPy's is two parts of ".pypy310-pp73-x86_64-linux-gnu.so".
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX") or "")
    return "_".join(suffix.lstrip(".").split("-")[:2])


def _platform() -> str:
    system = re.sub(r"[-. ]", "_", sysconfig.get_platform())
    if sys.maxsize <= 2**32:  # a 32-bit interpreter under a 64-bit kernel
        return {"linux_x86_64": "linux_i686", "linux_aarch64": "linux_armv8l"}.get(system, system)
    return system


def _pair(text: str) -> Optional[Pair]:
    match = re.search(r"(?<!\d)(\d+)\.(\d+)", text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def _glibc() -> Optional[Pair]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):  # musl does not know the name
        return None
    return _pair(text) if text.startswith("glibc") else None


def _musl() -> Optional[Pair]:
    """Return the version that musl's loader prints when it is started without a program."""
    for loader in sorted(glob.glob(_MUSL_LOADERS)):
        try:
            done = subprocess.run([loader], check=False, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, timeout=10)
        except (OSError, subprocess.SubprocessError):
            continue
        match = re.search(r"^Version (\d+\.\d+)", done.stderr.decode("ascii", "replace"), re.MULTILINE)
        if match:
            return _pair(match.group(1))
    return None


def _macos() -> Optional[Pair]:
    version = _pair(platform.mac_ver()[0])
    if version == (10, 16):  # what newer systems tell interpreters that were built with an old SDK
        done = subprocess.run(
            [sys.executable, "-sS", "-c", "import platform; print(platform.mac_ver()[0])"],
            check=False,
            stdout=subprocess.PIPE,
            env={"SYSTEM_VERSION_COMPAT": "0"},
        )
        version = _pair(done.stdout.decode()) or version
    return version


def serves(libc: str, wanted: str) -> bool:
    """Whether a system with `glibc 2.36`, say, has what wants `glibc 2.34`. Of musl every version will do."""
    if libc.split()[:1] != wanted.split()[:1]:
        return False
    found, expected = _pair(libc), _pair(wanted)
    return wanted.startswith("musl") or not found or not expected or found >= expected


def decoded(text: str) -> Host:
    """Return a Host from the output of this file in another interpreter. Raises ValueError for anything else."""
    facts = json.loads(text)
    if not isinstance(facts, dict) or not set(Host._fields) <= set(facts):
        raise ValueError("it prints something else than it was asked for")
    return Host._make(tuple(one) if isinstance(one, list) else one for one in map(facts.get, Host._fields))


if __name__ == "__main__":
    print(json.dumps(examine()._asdict()))
