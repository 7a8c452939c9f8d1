"""Check wheel tags: PEP 425, 600 (manylinux), 656 (musllinux), 703/803 (free-threaded), macOS.

Checking one tag does not need the list of all fitting tags, which has a thousand entries: only descriptions have it.
"""

import re
from typing import Iterator, List, Sequence, Tuple

from .host import Host, Pair
from .untrusted import TAGS

LEGACY_MANYLINUX = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
_MANYLINUX_ARCHITECTURES = {
    "x86_64", "aarch64", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64",
}  # fmt: skip
_NUMBER = r"(0|[1-9]\d*)"
_MAC_FORMATS = {
    "x86_64": ("x86_64", "intel", "fat64", "fat3", "universal2", "universal"),
    "arm64": ("arm64", "universal2"),
}
_BIG_SUR, _LAST_TEN, _FIRST_X86_64 = (11, 0), (10, 16), (10, 4)
_FIRST_ABI3 = 2


def count(file: str) -> int:
    """Return how many tags a wheel's file name stands for; its three last parts may each be a set joined by dots."""
    number = 1
    for part in file[: -len(".whl")].split("-")[-3:]:
        number *= part.count(".") + 1
    return number


def of_wheel(file: str) -> List[Tuple[str, str, str]]:
    """Return all tags that a wheel's file name stands for; none if it is no such name, or for more than 200."""
    parts = file[: -len(".whl")].lower().split("-")
    if len(parts) not in (5, 6) or count(file) > TAGS:
        return []
    interpreters, abis, platforms = (part.split(".") for part in parts[-3:])
    return [(one, two, three) for one in interpreters for two in abis for three in platforms]


def wheel_fits(host: Host, file: str) -> bool:
    return any(fits(host, *tag) for tag in of_wheel(file))


def machine_fits(host: Host, file: str) -> bool:
    """Whether it would be the right wheel for this machine under the right Python."""
    return any(platform == "any" or platform_fits(host, platform) for _, _, platform in of_wheel(file))


def fits(host: Host, interpreter: str, abi: str, platform: str) -> bool:
    """Whether the tag interpreter-abi-platform fits this host."""
    minor = host.python[1]
    own = interpreter == host.interpreter
    if platform == "any":
        generic = "pp3" if host.implementation == "pypy" else host.interpreter
        named = interpreter == generic and host.implementation in ("cpython", "pypy")
        return abi == "none" and (named or _pure(interpreter, minor))
    if not platform_fits(host, platform):
        return False
    if abi == "none":
        return own or _pure(interpreter, minor)
    if host.implementation == "cpython" and abi == ("abi3t" if host.free_threaded else "abi3"):
        match = re.fullmatch("cp3" + _NUMBER, interpreter)
        return match is not None and _FIRST_ABI3 <= int(match.group(1)) <= minor
    # A debug build loads extensions that were made for the ordinary one (since 3.8), not the other way round.
    return own and abi in (host.abi, host.abi[:-1] if host.debug else host.abi)


def _pure(interpreter: str, minor: int) -> bool:
    match = re.fullmatch("py3(?:%s)?" % _NUMBER, interpreter)
    return match is not None and int(match.group(1) or 0) <= minor


def platform_fits(host: Host, platform: str) -> bool:
    if host.platform.startswith("linux_"):
        return _linux(host, _machines(host), platform)
    if host.macos is not None:
        return _macos(host.macos, host.platform.split("_", 3)[-1], platform)
    return platform == host.platform


def _machines(host: Host) -> List[str]:
    machine = host.platform[len("linux_") :]
    return [machine, "armv7l"] if machine == "armv8l" else [machine]


def _linux(host: Host, machines: Sequence[str], platform: str) -> bool:
    match = re.fullmatch(r"(linux|manylinux(?:1|2010|2014|_%s_%s)|musllinux_%s_%s)_(\w+)" % ((_NUMBER,) * 4), platform)
    if match is None or match.group(6) not in machines:
        return False
    kind = match.group(1)
    if kind == "linux":
        return True
    if kind.startswith("musllinux"):
        wanted = (int(match.group(4)), int(match.group(5)))
        return host.musl is not None and wanted[0] == host.musl[0] and wanted[1] <= host.musl[1]
    if host.glibc is None or not _manylinux_abi(host, machines):
        return False
    wanted = LEGACY_MANYLINUX.get(kind[len("manylinux") :]) or (int(match.group(2)), int(match.group(3)))
    oldest = (2, 5) if machines[0] in ("x86_64", "i686") else (2, 17)
    return oldest <= wanted <= host.glibc


def _manylinux_abi(host: Host, machines: Sequence[str]) -> bool:
    if "armv7l" in machines:
        return host.multiarch.endswith("gnueabihf")  # the soft-float ABI has no manylinux
    return "i686" in machines or any(machine in _MANYLINUX_ARCHITECTURES for machine in machines)


def _macos(version: Pair, machine: str, platform: str) -> bool:
    match = re.fullmatch(r"macosx_%s_%s_(\w+)" % (_NUMBER, _NUMBER), platform)
    if match is None:
        return False
    # universal2 interpreters say so in their platform; the machine is then told by the kernel.
    formats = _MAC_FORMATS.get(_kernel_machine() if machine.startswith("universal") else machine, ())
    wanted, binary = (int(match.group(1)), int(match.group(2))), match.group(3)
    if wanted < _BIG_SUR:
        # Before 11 the minor number counted. There was no arm64 then, but universal2 wheels may still say 10.
        newest = _LAST_TEN if version >= _BIG_SUR else version
        return _FIRST_X86_64 <= wanted <= newest and binary in formats and binary != "arm64"
    return wanted[1] == 0 and wanted <= version and binary in formats


def supported(host: Host) -> List[str]:
    """Return all tags that fit a CPython, the best first; packaging calls these `sys_tags`."""
    major, minor = host.python[:2]
    own, stable = host.interpreter, "abi3t" if host.free_threaded else "abi3"
    abis = [host.abi, host.abi[:-1]] if host.debug else [host.abi]
    older = range(minor - 1, -1, -1)
    pure = ["py%d%d" % (major, minor), "py%d" % major, *("py%d%d" % (major, one) for one in older)]
    kinds = [*((own, abi) for abi in abis), (own, stable), (own, "none")]
    kinds += [("cp%d%d" % (major, one), stable) for one in older if one >= _FIRST_ABI3]
    kinds += [(one, "none") for one in pure]
    found = ["%s-%s-%s" % (*kind, platform) for kind in kinds for platform in platforms(host)]
    return found + ["%s-none-any" % one for one in (own, *pure)]


def platforms(host: Host) -> List[str]:
    """Return all platform tags that fit, the best first; packaging calls these `platform_tags`."""
    if host.macos is not None:
        candidates = _mac_platforms(host.macos, host.platform.split("_", 3)[-1])
    elif host.platform.startswith("linux_"):
        candidates = _linux_platforms(host, _machines(host))
    else:
        return [host.platform]
    return [one for one in candidates if platform_fits(host, one)]


def _linux_platforms(host: Host, machines: Sequence[str]) -> Iterator[str]:
    legacy = {version: name for name, version in LEGACY_MANYLINUX.items()}
    for machine in machines:
        yield "linux_%s" % machine
    for machine in machines:
        for minor in range(host.glibc[1], -1, -1) if host.glibc else ():
            yield "manylinux_2_%d_%s" % (minor, machine)
            if (2, minor) in legacy:
                yield "manylinux%s_%s" % (legacy[2, minor], machine)
    for machine in machines:
        for minor in range(host.musl[1], -1, -1) if host.musl else ():
            yield "musllinux_1_%d_%s" % (minor, machine)  # there is no musl 2


def _mac_platforms(version: Pair, machine: str) -> Iterator[str]:
    versions = [(major, 0) for major in range(version[0], _BIG_SUR[0] - 1, -1)]
    versions += [(10, minor) for minor in range(_LAST_TEN[1], -1, -1)]
    formats = _MAC_FORMATS.get(_kernel_machine() if machine.startswith("universal") else machine, ())
    return ("macosx_%d_%d_%s" % (*one, binary) for one in versions for binary in formats)


def _kernel_machine() -> str:
    import os  # noqa: PLC0415 - asked for on one kind of Mac only

    return os.uname().machine
