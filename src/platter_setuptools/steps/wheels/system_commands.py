"""Commands of the base system, which a wheel's scripts would hide: the release's bin comes first in PATH."""

from __future__ import annotations

import re

# POSIX utilities, coreutils and what else administrators' scripts, health checks and post-install.sh take for given.
_NAMES = frozenset(
    """
    [ ar at awk base64 basename bash batch bg busybox bzip2 cat cd chcon chgrp chmod chown chroot cksum cmp
    comm command cp cpio cron crontab csh curl cut dash date dbus-send dd df diff dig dir dirname dmesg doas
    dpkg du echo ed egrep env ex expand expr false fg fgrep find fish flock fold free fuser getconf getent
    getfacl getopt gpg grep groups gunzip gzip hash head host hostname hostnamectl iconv id ifconfig init
    install ionice ip iptables journalctl kill killall ksh ldconfig ldd less link ln locale logger login
    logname logrotate ls lsblk lsof mail md5sum mkdir mkfifo mknod mksh mktemp modprobe more mount mv nc
    netstat nft nginx nice nl nohup nproc nsenter nslookup od openssl passwd paste patch pathchk perl pgrep
    ping pkexec pkill pmap pr printenv printf ps pwd rc-service readlink realpath reboot renice reset rm rmdir
    rpm rsync run-parts runuser scp sed seq service setfacl setpriv setsid sftp sh sha1sum sha256sum sha512sum
    shred shuf shutdown sleep sort split ss ssh ssh-add ssh-agent ssh-keygen ssh-keyscan stat stdbuf strings
    stty su sudo sum swapon sync sysctl systemctl systemd-run tac tail tar tcsh tee telinit test timeout touch
    tr true truncate tsort tty udevadm ulimit umask umount uname uniq unlink unshare unxz unzip uptime useradd
    userdel usermod vdir vi wait wc wget which who whoami xargs xz yes zcat zsh zstd
    """.split()  # noqa: SIM905 - a list of words
)
_PYTHON = re.compile(r"python(\d[\d.]*)?(-config)?")


def is_system_command(name: str) -> bool:
    """Whether a base system has a command of this name."""
    return name in _NAMES or _PYTHON.fullmatch(name) is not None
