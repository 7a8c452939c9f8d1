"""Describe an interpreter as a target: what a build on another machine needs to know (docs/target.schema.json).

`install.sh --describe` and `platter describe` print this JSON, and builds read it, also for `-p` and for a target's
name: there is no other list of tags and markers. The one exception is the `executable` of an interpreter, which
_in_process/interpreter.py adds.
"""

import importlib.util
import json
import os
import platform
import sys
import sysconfig
from typing import Any, Dict, Mapping, Optional

from . import host, tags
from .errors import PythonError

FORMAT = 1


def describe() -> Dict[str, Any]:
    """Return the description of the interpreter that runs this. Raises PythonError if it is not CPython."""
    here = host.examine()
    if here.implementation != "cpython":
        raise PythonError(
            "%s is %s, and bundles are for CPython" % (sys.executable, here.implementation),
            hint="name a CPython with -p",
        )
    system = sysconfig.get_platform()
    if here.platform.startswith("linux_"):  # a 32-bit interpreter under a 64-bit kernel says otherwise
        system = here.platform.replace("_", "-", 1)
    magic = "".join("%02x" % byte for byte in importlib.util.MAGIC_NUMBER)
    return description(here, system, _markers(), sys.implementation.cache_tag, magic)


def as_text(described: Mapping[str, Any]) -> str:
    """Return what is printed: the same text wherever it comes from."""
    return json.dumps(described, indent=2)


def description(
    here: host.Host, system: str, markers: Mapping[str, str], cache_tag: Optional[str], magic: Optional[str]
) -> Dict[str, Any]:
    """Return the description of a CPython; `system` is spelled as by sysconfig.get_platform()."""
    fitting = tags.platforms(here)
    named = [one for one in fitting if not one.startswith("linux_")]  # which says nothing of the libc
    return {
        "format": FORMAT,
        "id": "%s-%s" % (here.abi, (named or fitting)[0]),
        "implementation": here.implementation,
        "python": here.short_python,
        "abi": here.abi,
        "platform": system,
        "libc": here.libc if here.glibc or here.musl else None,
        "debug": here.debug,
        "free_threaded": here.free_threaded,
        "cache_tag": cache_tag,
        "magic": magic,
        "markers": dict(markers),
        "tags": tags.supported(here),
    }


def _markers() -> Dict[str, str]:
    """Return the marker values of PEP 508."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": _version(sys.implementation.version),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


def _version(info: Any) -> str:
    text = "%d.%d.%d" % info[:3]
    return text if info.releaselevel == "final" else "%s%s%d" % (text, info.releaselevel[0], info.serial)
