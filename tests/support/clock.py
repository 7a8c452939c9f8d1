"""Another day for the processes of a test."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# It keeps no state, so that it serves processes of any user, and any number that start and are killed at once.
# Times of files stay what they are: the system notes them.
_SOURCE = r"""
    #define _GNU_SOURCE
    #include <stddef.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    int clock_gettime(clockid_t clock, struct timespec *found) {
        int status = syscall(SYS_clock_gettime, clock, found);
        if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += SECONDS;
        return status;
    }
    int gettimeofday(struct timeval *restrict found, void *restrict zone) {
        struct timespec now;
        (void)zone;
        clock_gettime(CLOCK_REALTIME, &now);
        found->tv_sec = now.tv_sec;
        found->tv_usec = now.tv_nsec / 1000;
        return 0;
    }
    time_t time(time_t *found) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (found) *found = now.tv_sec;
        return now.tv_sec;
    }
"""


def moved(folder: Path, days: int) -> dict[str, str]:
    """Variables under which it is that many days later; none where there is no C compiler."""
    if not shutil.which("cc"):
        return {}
    library, source = folder / "clock.so", folder / "clock.c"
    source.write_text(_SOURCE)
    options = ["-shared", "-fPIC", "-O", f"-DSECONDS={days * 24 * 60 * 60}"]
    subprocess.run(["cc", *options, "-o", library, source], check=True, capture_output=True)
    return {"LD_PRELOAD": str(library)}
