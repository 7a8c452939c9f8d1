"""Where install.sh enters: ``python -I -S -B data/bootstrap/platter_payload/__main__.py [OPTIONS] DST``.

Nothing of the payload is imported before its own files have been compared with SHA256SUMS; the rest of the bundle
is compared by the payload. So this file stands alone, and writes what it has to say without help.
"""

import contextlib
import os
import sys

_SUMS = "SHA256SUMS"
_BOOTSTRAP = ("data", "bootstrap")
_PYTHON, _BUNDLE, _INTERRUPTED = 3, 4, 130
_SIGNALLED = 128  # added to the number of the signal that ends us
_STANDARD_ERROR = 2


def _start() -> int:
    # Below the bundle no link is followed: it could lead into another bundle, with sums of its own.
    place, package = os.path.split(os.path.dirname(__file__))
    bundle = os.path.realpath(os.path.dirname(os.path.dirname(place)))
    bootstrap = os.path.join(bundle, *_BOOTSTRAP)
    # Files that we open must not become the standard streams of processes that we start.
    while os.open(os.devnull, os.O_RDWR) <= _STANDARD_ERROR:
        pass
    try:
        damaged = _damaged(bundle, "/".join((*_BOOTSTRAP, package, "")))
        if damaged:
            return _complain("%s: not what %s says" % (damaged, _SUMS), "copy the bundle here again", _BUNDLE)
        from importlib import import_module  # noqa: PLC0415 - a crippled Python is told so

        # What else lies there is not verified yet, and the standard library itself asks for modules that are nowhere,
        # such as msvcrt: so it is in the path for the package alone, whose modules are found without it.
        sys.path.append(bootstrap)
        import_module(package)
        sys.path.remove(bootstrap)
        main = import_module(package + ".install").main
    except ImportError as error:
        what = "%s lacks a part of the standard library (%s)" % (sys.executable, error)
        return _complain(what, "install all of Python, or name another one with -p", _PYTHON)
    except (OSError, ValueError) as error:
        return _complain("the bundle %s cannot be read: %s" % (bundle, error), "copy the bundle here again", _BUNDLE)
    status: int = main(sys.argv[1:], bundle)
    return status


def _damaged(bundle: str, prefix: str) -> str:
    """The first file of the payload that is not as SHA256SUMS has it; empty if all are."""
    from hashlib import sha256  # noqa: PLC0415 - a crippled Python lacks it, and is told so

    listed = set()
    with open(os.path.join(bundle, _SUMS), encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            digest, name = line[:64], line.rstrip("\n")[66:]
            if name.startswith(prefix):
                listed.add(name)
                try:
                    with open(os.path.join(bundle, name), "rb") as file:
                        if sha256(file.read()).hexdigest() != digest:
                            return name
                except FileNotFoundError:
                    return name
    for folder, folders, names in os.walk(os.path.join(bundle, prefix)):
        links = [one for one in folders if os.path.islink(os.path.join(folder, one))]  # nobody walks into these
        for one in names + links:
            name = os.path.relpath(os.path.join(folder, one), bundle)
            if name not in listed:
                return name
    return ""


def _complain(what: str, hint: str, status: int) -> int:
    what = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in what)  # as the payload's cleaning.py
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, ("install.sh: %s\nhint: %s\n" % (what, hint)).encode("utf-8", "surrogateescape"))
    return status


def _leave(status: int) -> None:
    """End at once: to take the interpreter apart, with all that virtualenv loads, is a fiftieth of an installation."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is when its descriptor was closed
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    if status > _SIGNALLED:  # by the signal that interrupted it, as its sender expects
        import signal  # noqa: PLC0415 - few installations need it here

        signal.signal(status - _SIGNALLED, signal.SIG_DFL)
        os.kill(os.getpid(), status - _SIGNALLED)
    os._exit(status)


if __name__ == "__main__":
    try:
        _leave(_start())
    except KeyboardInterrupt:
        _leave(_INTERRUPTED)
