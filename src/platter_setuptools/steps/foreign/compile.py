"""Compile the modules of wheels to bytecode, each wheel's into a zip of its own.

Runs under the target's Python (3.8 and newer), started as `python -s -B compile.py`. Reads one JSON object from
standard input: {"processes": 2, "jobs": [{"wheel": PATH, "output": PATH, "unchecked": false}, …]}. Exit status 0 when
every output is there, else what went wrong is on standard error. A module that does not compile is left out.

A member of the output is named as the .pyc will lie below site-packages, `pkg/__pycache__/mod.cpython-311.pyc`. The
bytecode records the module's time stamp and size (PEP 552), which the installer gives the .py: the time of the
wheel's member, taken as UTC; or, with "unchecked", its hash and the wish not to be checked. Nothing in it depends
on where or when it was compiled: file names in it are relative, import puts the true ones in; each wheel has a
process of its own, since marshal's output depends on what else the process has interned. String hashes order
sets in old Pythons: the caller sets PYTHONHASHSEED=0, and so starts this file without -I.
"""

import calendar
import importlib.util
import json
import marshal
import os
import struct
import sys
import warnings
import zipfile
from typing import Optional, Set

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
LONGEST_MODULE = 8 << 20  # bytes: payload/untrusted.py MODULE
LONGEST_NAME = 255  # bytes, on the disks of servers
LEVEL = 4  # of deflate: takes half the time of the usual 6, for three per cent more bytes
CHECK_TIME, NEVER_CHECK = 0b00, 0b01  # the flags of PEP 552


def installed_name(member: str) -> Optional[str]:
    """Where a member lies below site-packages; None if it does not lie there."""
    parts = member.split("/")
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else None
    return member


def compile_wheel(wheel: str, output: str, unchecked: bool) -> None:
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(output, "w") as compiled:
        for member in sorted(source.infolist(), key=lambda member: member.filename):
            name = installed_name(member.filename)
            if not name or not name.endswith(".py"):
                continue
            if member.file_size > LONGEST_MODULE:
                continue
            text = source.read(member)
            try:
                # Warnings about escapes and the like are the business of the module's author.
                code = compile(text, name, "exec", dont_inherit=True)
                mtime = calendar.timegm(member.date_time)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # ValueError: NUL bytes in the text, or a date that no calendar has
            if unchecked:
                validation = struct.pack("<I", NEVER_CHECK) + importlib.util.source_hash(text)
            else:
                validation = struct.pack("<3I", CHECK_TIME, mtime & 0xFFFFFFFF, member.file_size & 0xFFFFFFFF)
            cached = importlib.util.cache_from_source(name)
            if len(os.path.basename(cached).encode("utf-8", "surrogatepass")) > LONGEST_NAME:
                continue
            info = zipfile.ZipInfo(cached, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            compiled.writestr(info, importlib.util.MAGIC_NUMBER + validation + marshal.dumps(code), compresslevel=LEVEL)


def main() -> int:
    request = json.load(sys.stdin)
    # The largest first: a long job begun last would leave the other processes idle.
    jobs = sorted(request["jobs"], key=lambda job: -os.path.getsize(job["wheel"]))
    running: Set[int] = set()
    failed = False
    while jobs or running:
        while jobs and len(running) < request["processes"]:
            job = jobs.pop(0)
            child = os.fork()
            if not child:
                status = 1
                try:
                    compile_wheel(job["wheel"], job["output"], job["unchecked"])
                    status = 0
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told and ends this child
                    print("%s: %s: %s" % (job["wheel"], type(error).__name__, error), file=sys.stderr)
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            running.add(child)
        child, status = os.wait()
        running.discard(child)
        failed = failed or status != 0
    return int(failed)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
