"""Start a web application, ask it for pages, stop it: visit.py PLAN, with PLAN as JSON; see Plan for its keys.

Prints what it saw as JSON. Runs under the Python (3.9 or newer) of the server that the application is installed on,
outside the application's virtualenv. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from typing import IO

START_SECONDS = 60
STOP_SECONDS = 20
LOG_BYTES = 1 << 20
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Request(TypedDict):
    path: str
    form: dict[str, str]  # sent by POST; an empty one asks by GET


class Plan(TypedDict):
    command: list[str]  # must log "http://HOST:PORT" when it listens, as gunicorn does
    environment: dict[str, str]  # all of it
    cwd: str
    requests: list[Request]


class Page(TypedDict):
    status: int  # 0 when there was no answer; the text says why
    url: str  # after redirects, without the address
    kind: str
    text: str


class Seen(TypedDict):
    pages: list[Page]  # one for each request; fewer when the application did not start
    exit_code: int | None  # after it was asked to stop; None: it had to be killed
    log: str


def main() -> None:
    plan: Plan = json.loads(sys.argv[1])
    print(json.dumps(visit(plan)))


def visit(plan: Plan) -> Seen:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            plan["command"], cwd=plan["cwd"], env=plan["environment"], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = wait_until_listening(process, log)
            pages = [fetch(address, request) for request in plan["requests"]] if address else []
        finally:
            exit_code = stop(process)
        return {"pages": pages, "exit_code": exit_code, "log": read(log)}


def wait_until_listening(process: subprocess.Popen[bytes], log: IO[bytes]) -> str | None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"http://[\w.]+:\d+", read(log))
        if found:
            return found[0]
        time.sleep(0.05)
    return None


def fetch(address: str, request: Request) -> Page:
    data = urllib.parse.urlencode(request["form"]).encode() if request["form"] else None
    try:
        answer = NO_PROXY.open(address + request["path"], data, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        return {"status": 0, "url": request["path"], "kind": "", "text": str(error)}
    with answer:
        return {
            "status": answer.status,
            "url": answer.url[len(address) :],
            "kind": answer.headers.get_content_type(),
            "text": answer.read().decode(errors="replace"),
        }


def stop(process: subprocess.Popen[bytes]) -> int | None:
    process.terminate()
    try:
        return process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def read(log: IO[bytes]) -> str:
    # The application writes through a descriptor that shares its offset with ours: seeking would move its end.
    return os.pread(log.fileno(), LOG_BYTES, 0).decode(errors="replace")


if __name__ == "__main__":
    main()
