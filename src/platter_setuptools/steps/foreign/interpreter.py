"""Describe the interpreter that runs this file, as one JSON object on standard output.

Runs under the target's Python as `python -I interpreter.py`; takes no arguments and reads nothing. Keeps to what
Python 3.4 understands, so that an interpreter that is too old can still say so. Keys: executable, implementation,
version, full_version, platform, cache_tag, magic (hexadecimal), debug, free_threaded, libc ([name, version] or
null), environment (the marker values of PEP 508).
"""

import importlib.util
import json
import os
import platform
import sys
import sysconfig
from typing import Any, Dict


def describe() -> Dict[str, Any]:
    libc = platform.libc_ver()
    return {
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "version": "%d.%d" % sys.version_info[:2],
        "full_version": platform.python_version(),
        "platform": sysconfig.get_platform(),
        "cache_tag": sys.implementation.cache_tag,
        "magic": "".join("%02x" % byte for byte in importlib.util.MAGIC_NUMBER),
        "debug": hasattr(sys, "gettotalrefcount"),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "libc": list(libc) if libc[0] else None,
        "environment": {
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
        },
    }


def _version(info: Any) -> str:
    text = "%d.%d.%d" % info[:3]
    return text if info.releaselevel == "final" else "%s%s%d" % (text, info.releaselevel[0], info.serial)


if __name__ == "__main__":
    json.dump(describe(), sys.stdout)
