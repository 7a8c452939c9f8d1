from __future__ import annotations

import importlib
import inspect
import pkgutil

import platter_setuptools.payload as package
from platter_setuptools.payload import errors


def test_every_exception_of_the_payload_has_one_root_and_a_code() -> None:
    codes = set()
    for found in pkgutil.iter_modules(package.__path__):
        if found.name == "__main__":
            continue
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseException) and kind.__module__ == module.__name__:
                assert issubclass(kind, errors.InstallError)
                codes.add(kind.exit_code)
    assert codes == {1, 2, 3, 4, 5, 6, 7, 8}


def test_hint_stands_on_its_own_line() -> None:
    assert str(errors.InstallError("it broke", hint="mend it")) == "it broke\nhint: mend it"
    assert str(errors.InstallError("it broke")) == "it broke"


def test_importing_the_payload_needs_nothing_but_the_standard_library() -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = "import sys; sys.path.insert(0, sys.argv[1]); import payload.install"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(next(iter(package.__path__))) + "/.."],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
