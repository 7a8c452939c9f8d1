"""Compile the modules of wheels to bytecode, one zip file for each wheel.

Runs under the target's Python (3.8 and newer), started as `python -s -B compile.py`. Reads one JSON object from
standard input: {"processes": 2, "jobs": [{"wheel": PATH, "output": PATH, "check": "time"}, …]}. Exits with 0 when
every output is written, else prints the errors on standard error. A module that does not compile is left out.

A member of the output has the name of the .pyc below site-packages, `pkg/__pycache__/mod.cpython-311.pyc`. The last one
is `RECORD`, with the path, hash and size of each other one, in the format of a wheel's RECORD. The bytecode records
what import is to "check" (PEP 552): the "time" stamp and size, which the installer gives the .py (the time of the
wheel's member, taken as UTC), the hash of the "source", or, with "never", nothing. It does not depend on where or when
it was compiled: file names in it are relative, import replaces them; each wheel has its own process, since marshal's
output depends on what the process has interned. String hashes order sets in old Pythons: the caller sets
PYTHONHASHSEED=0, and so starts this file without -I.
"""

import base64
import calendar
import csv
import hashlib
import importlib.util
import io
import json
import marshal
import os
import struct
import sys
import warnings
import zipfile
from typing import Optional, Set

RECORD = "RECORD"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
LONGEST_MODULE = 8 << 20  # bytes: payload/untrusted.py MODULE
LONGEST_NAME = 255  # bytes, on the disks of servers
LEVEL = 4  # of deflate: takes half the time of the usual 6, for three per cent more bytes
FLAGS = {"time": 0b00, "never": 0b01, "source": 0b11}  # of PEP 552


def installed_name(member: str) -> Optional[str]:
    """Return a member's path below site-packages; None if it is not there."""
    parts = member.split("/")
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else None
    return member


def compile_wheel(wheel: str, output: str, check: str) -> None:
    rows = []
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
            if check == "time":
                validation = struct.pack("<3I", FLAGS[check], mtime & 0xFFFFFFFF, member.file_size & 0xFFFFFFFF)
            else:
                validation = struct.pack("<I", FLAGS[check]) + importlib.util.source_hash(text)
            cached = importlib.util.cache_from_source(name)
            if len(os.path.basename(cached).encode("utf-8", "surrogatepass")) > LONGEST_NAME:
                continue
            content = importlib.util.MAGIC_NUMBER + validation + marshal.dumps(code)
            write(compiled, cached, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
            rows.append((cached, "sha256=" + digest, len(content)))
        record = io.StringIO()
        csv.writer(record, lineterminator="\n").writerows(rows)
        write(compiled, RECORD, record.getvalue().encode("utf-8", "surrogatepass"))


def write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, FIXED_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    archive.writestr(info, content, compresslevel=LEVEL)


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
                    compile_wheel(job["wheel"], job["output"], job["check"])
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
