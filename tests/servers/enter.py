"""Become a command inside a root: enter.py SPEC, with SPEC as JSON; see Spec for its keys.

Runs as root in network, mount and process namespaces of its own (unshare), where the loopback interface is still
down and a mount is seen by nobody else. Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from typing import TypedDict

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


class Spec(TypedDict):
    root: str  # the folder to enter
    mount: list[str]  # a command to run first, that fills it; [] for none
    user: int  # the number of the user, and of its only group, to become
    cwd: str
    environment: dict[str, str]  # all of it
    command: list[str]


def main() -> None:
    spec: Spec = json.loads(sys.argv[1])
    bring_loopback_up()
    if spec["mount"]:
        subprocess.run(spec["mount"], check=True)
    os.chroot(spec["root"])
    os.chdir(spec["cwd"])
    os.setgroups([])
    os.setgid(spec["user"])
    os.setuid(spec["user"])
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # struct ifreq: the interface's name in 16 bytes, its flags, and room for the larger members of the union.
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))


if __name__ == "__main__":
    main()
