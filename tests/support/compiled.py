"""Shared objects that need what a test asks for, whatever this machine has: linked with libraries that are made up."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def shared_object(
    folder: Path, needs: Mapping[str, Sequence[str]], *, soname: str = "", options: Sequence[str] = ()
) -> bytes:
    """An ELF file that needs symbols of these versions from libraries of these sonames. `options` are the compiler's.

    `{"libc.so.6": ["GLIBC_2.34"], "libpq.so.5": []}` gives one that needs both libraries and that version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for library, versions in needs.items():
        script = folder / "versions"
        script.write_text("".join(f"{version} {{ global: {_symbol(version)}; }};\n" for version in versions))
        code = "".join(f"void {_symbol(version)}(void) {{}}\n" for version in versions)
        _link(folder / library, code, library, *([f"-Wl,--version-script={script}"] if versions else []))
    names = [_symbol(version) for versions in needs.values() for version in versions]
    code = (
        "".join(f"void {name}(void);\n" for name in names)
        + f"void all(void) {{ {''.join(f'{name}();' for name in names)} }}"
    )
    return _link(
        folder / "made.so", code, soname, "-Wl,--no-as-needed", *options, *(str(folder / library) for library in needs)
    )


def _symbol(version: str) -> str:
    return "of_" + version.replace(".", "_")


def _link(output: Path, code: str, soname: str, *options: str) -> bytes:
    source = output.with_name("source.c")
    source.write_text(code)
    name = [f"-Wl,-soname,{soname}"] if soname else []
    command = ["cc", "-shared", "-fPIC", "-nostdlib", "-o", str(output), str(source), *name, *options]
    subprocess.run(command, check=True, capture_output=True)
    return output.read_bytes()
