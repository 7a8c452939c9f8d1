"""Targets that are described: by JSON (docs/target.schema.json), or by a name such as cp312-manylinux_2_28_aarch64."""

from __future__ import annotations

import re
from typing import Any

from packaging.tags import Tag

from platter_setuptools.errors import UsageError
from platter_setuptools.payload import describe, tags
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.host import Host
from platter_setuptools.payload.table import Table
from platter_setuptools.targets.markers import NEVER_NAMED, UNKNOWN
from platter_setuptools.targets.target import FACTS, LAST_PATCH, OLDEST, Target

_MARKERS = (
    *("implementation_name", "implementation_version", "os_name", "platform_machine", "platform_python_implementation"),
    *("platform_system", "python_full_version", "python_version", "sys_platform"),
)
_WORD = re.compile(r"[\w.+-]{1,64}", re.ASCII)
_VERSION = re.compile(r"3\.\d{1,2}", re.ASCII)
_ABI = re.compile(r"cp3\d{1,2}t?d?", re.ASCII)
_MAGIC = re.compile(r"([0-9a-f]{2}){1,32}", re.ASCII)
_LIBC = re.compile(r"(glibc|musl) \d{1,3}\.\d{1,3}", re.ASCII)
_TAG = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_.]+", re.ASCII)
_MOST_TAGS = 20_000
_HINT = "write it with ./install.sh --describe on the server, or with platter describe -p PYTHON"

_NAME = re.compile(r"cp3(\d{1,2})(t?)-([a-z]+[a-z0-9]*(?:_\d+_\d+)?)_(\w+)", re.ASCII)
_NEWEST_MINOR = 29  # years away: a typo
_LINUX = ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "loongarch64")
_MAC = ("arm64", "x86_64")
_OTHER_WORDS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_EXAMPLES = "such as cp312-manylinux_2_28_x86_64, cp313-musllinux_1_2_aarch64 or cp312-macosx_14_0_arm64"
_KINDS = f"platforms are those of wheels for Linux and macOS, {_EXAMPLES}"


def read_description(data: Any, where: str) -> Target:
    """Return the target that a description is about. Raise UsageError for what is not a description of a CPython."""
    try:
        return Target(**fields_of(data, where))
    except BundleError as error:
        raise UsageError(error.message, hint=_HINT) from error


def fields_of(data: Any, where: str) -> dict[str, Any]:
    """Return the fields of Target. Raise BundleError, which names the key that is wrong."""
    table = Table(data, where)
    if table.get("format", int) != describe.FORMAT:
        raise table.unexpected("format", f"{describe.FORMAT}")
    markers = Table(table.get("markers", dict), f"{where}: markers")
    listed = table.get("tags", list)
    if not 0 < len(listed) <= _MOST_TAGS or not all(isinstance(one, str) and _TAG.fullmatch(one) for one in listed):
        raise table.unexpected("tags", f"wheel tags, at most {_MOST_TAGS} of them")
    environment = {name: markers.get(name, str) for name in _MARKERS}
    for name in FACTS:
        markers.matching(name, _WORD)
    environment |= {name: markers.get(name, str) if name in markers.data else UNKNOWN for name in NEVER_NAMED}
    if table.get("implementation", str) != "cpython":
        raise table.unexpected("implementation", "cpython")
    version = table.matching("python", _VERSION)
    if int(version.partition(".")[2]) < OLDEST[1]:
        raise table.unexpected("python", "3.8 or newer")
    return {
        "id": table.matching("id", _WORD),
        "implementation": "cpython",
        "version": version,
        "full_version": environment["python_full_version"],
        "platform": table.matching("platform", _WORD),
        "abi": table.matching("abi", _ABI),
        "cache_tag": None if table.data.get("cache_tag") is None else table.matching("cache_tag", _WORD),
        "magic": None if table.data.get("magic") is None else table.matching("magic", _MAGIC),
        "debug": table.get("debug", bool),
        "free_threaded": table.get("free_threaded", bool),
        "libc": None if table.data.get("libc") is None else table.matching("libc", _LIBC),
        "environment": environment,
        "tags": tuple(Tag(*one.split("-")) for one in listed),
    }


def from_name(name: str) -> Target:
    """Return the target of this name: the ABI tag of a CPython, and the platform tag of the newest wheels that fit.

    Older platforms are included: what is for manylinux_2_17 runs where manylinux_2_28 does. Raise UsageError.
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise _no_target(name, f"a name is a Python and a platform, {_EXAMPLES}; a file ends in .json")
    minor, threads, kind, machine = int(found[1]), found[2], found[3], found[4]
    if not OLDEST[1] <= minor <= _NEWEST_MINOR:
        raise _no_target(name, f"a bundle is for CPython 3.{OLDEST[1]} or newer")
    if threads and minor < 13:  # noqa: PLR2004 - PEP 703
        raise _no_target(name, "there are free-threaded builds since Python 3.13")
    host = _host(name, kind, machine, minor)._replace(
        abi=f"cp3{minor}{threads}", free_threaded=bool(threads), python=(3, minor, LAST_PATCH)
    )
    mac = host.macos is not None
    markers = {
        "implementation_name": "cpython",
        "implementation_version": host.full_python,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Darwin" if mac else "Linux",
        "python_full_version": host.full_python,
        "python_version": host.short_python,
        "sys_platform": "darwin" if mac else "linux",
    }
    system = "macosx-{}.{}-".format(*host.macos) + machine if host.macos else f"linux-{machine}"
    return read_description(describe.description(host, system, markers, None, None), name)


def _host(name: str, kind: str, machine: str, minor: int) -> Host:
    """Return a machine with that platform."""
    family, *numbers = kind.split("_")
    version = (int(numbers[0]), int(numbers[1])) if numbers else tags.LEGACY_MANYLINUX.get(family[len("manylinux") :])
    known = {"manylinux": _LINUX, "musllinux": _LINUX, "macosx": _MAC}.get(family.rstrip("0123456789"))
    if family == "linux":
        more = f"cp3{minor}-manylinux_2_28_{machine} or cp3{minor}-musllinux_1_2_{machine}"
        raise _no_target(name, f"say which libc it has, as in {more}")
    if known is None:
        raise _no_target(name, _KINDS)
    if machine not in known:
        other = _OTHER_WORDS.get(machine)
        if other in known:
            raise _no_target(name, f"did you mean {name.removesuffix(machine)}{other}?")
        raise _no_target(
            name, f"name a 64-bit machine ({', '.join(known)}), or describe another one with ./install.sh --describe"
        )
    base = Host("cpython", (3, minor, 0), "", debug=False, free_threaded=False, platform=f"linux_{machine}")
    if version and family.startswith("manylinux") and (2, 5) <= version < (3, 0):
        host = base._replace(glibc=version)
    elif version and family == "musllinux" and version[0] == 1:
        host = base._replace(musl=version)
    elif version and family == "macosx" and version >= (10, 9):
        host = base._replace(macos=version, platform="macosx_{}_{}_".format(*version) + machine)
    else:
        raise _no_target(name, _KINDS)
    if not [one for one in tags.platforms(host) if not one.startswith("linux_")]:
        raise _no_target(name, "no wheels are made for so old a system; glibc's oldest is 2.5 on x86_64, else 2.17")
    return host


def _no_target(name: str, hint: str) -> UsageError:
    return UsageError(f"there is no target {name}", hint=hint)
