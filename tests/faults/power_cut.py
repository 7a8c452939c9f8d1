"""A program: install a second release on a disk of its own, cut the power, and tell what is there afterwards.

    power_cut.py IMAGE DISK MOMENT OLD NEW

IMAGE holds a filesystem, DISK is where it is mounted, in a namespace of this process. OLD and NEW are install.sh of two
bundles; MOMENT is the time in seconds between the start of NEW and the cut, or ``end``: as soon as it has ended. Prints
a JSON object: see ``main``. The cut is that of xfstests: from then on nothing more reaches the disk, neither data nor
the filesystem's own journal.
"""

from __future__ import annotations

import base64
import csv
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# XFS_IOC_GOINGDOWN of linux/fs/xfs/libxfs/xfs_fs.h, which ext4 has as EXT4_IOC_SHUTDOWN, and its flag NOLOGFLUSH.
_GOING_DOWN, _NO_LOG_FLUSH = 0x8004587D, 2


def main(image: str, disk: str, moment: str, old: str, new: str) -> None:
    root = Path(disk, "root")
    mount(image, disk)
    words = ["-q", "-p", sys.executable, "--root", str(root)]
    subprocess.run(["sh", old, *words], check=True, stdin=subprocess.DEVNULL)
    os.sync()
    process = subprocess.Popen(
        ["sh", new, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if moment == "end":
        process.wait()
    else:
        time.sleep(float(moment))
    cut(disk)
    said, _ = process.communicate()
    unmount(disk)
    mount(image, disk)
    found: dict[str, Any] = {"status": process.returncode, "said": said, "after": releases(root)}
    again = subprocess.run(["sh", new, *words], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found["again"] = [again.returncode, again.stdout + again.stderr, releases(root)]
    doctor = subprocess.run([root / "platter", "doctor"], check=False, capture_output=True, text=True)
    found["doctor"] = [doctor.returncode, doctor.stdout + doctor.stderr]
    unmount(disk)
    print(json.dumps(found))


def mount(image: str, disk: str) -> None:
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)


def unmount(disk: str) -> None:
    """Workers of a run that failed may need a moment to notice."""
    end = time.monotonic() + 10
    while subprocess.run(["umount", disk], check=False, capture_output=True).returncode:
        if time.monotonic() > end:
            raise SystemExit(f"{disk} cannot be unmounted")
        time.sleep(0.05)


def cut(disk: str) -> None:
    descriptor = os.open(disk, os.O_RDONLY)
    fcntl.ioctl(descriptor, _GOING_DOWN, _NO_LOG_FLUSH.to_bytes(4, sys.byteorder))
    os.close(descriptor)


def releases(root: Path) -> dict[str, str]:
    """What ``current`` names, and of each release its state, with the files that are not what its RECORDs say."""
    versions = root / "versions"
    found = {"current": str((versions / "current").readlink()) if (versions / "current").is_symlink() else ""}
    for folder in versions.iterdir():
        marker = folder / ".platter-release.json"
        if not folder.is_symlink() and marker.exists():
            found[folder.name] = " ".join([json.loads(marker.read_text())["state"], *broken(folder)])
    return found


def broken(folder: Path) -> list[str]:
    records = list(folder.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    wrong = [] if records else ["no RECORD"]
    for record in records:
        rows = list(csv.reader(record.read_text().splitlines()))
        wrong += [] if rows else [str(record)]
        for name, digest, _ in rows:
            path = record.parents[1] / name
            if digest and (not path.exists() or hashed(path) != digest):
                wrong.append(name)
    return wrong


def hashed(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


if __name__ == "__main__":
    main(*sys.argv[1:])
