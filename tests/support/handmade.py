"""Tiny wheels and bundles made by hand, so that the payload is tested without the builder and without a network.

A bundle made here has what design section 4 asks for: the payload from the source tree and virtualenv's trees from the
running environment. `Defect`-free by default; tests break what they want to see broken, and call `seal` if the
checksums are to agree with the damage.
"""

from __future__ import annotations

import atexit
import base64
import calendar
import compileall
import contextlib
import csv
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import linked, relocated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAYLOAD = Path(__file__).parents[2] / "src" / "platter_setuptools" / "payload"
INTERPRETER = PAYLOAD.parent / "_in_process" / "interpreter.py"
TIME = (2024, 2, 29, 12, 34, 56)
_BOOTSTRAP = (
    "virtualenv",
    "distlib",
    "filelock",
    "platformdirs",
    "python-discovery",
    "packaging",
    "typing-extensions",
)
_LEFT_OUT = {".whl", ".exe", ".pyi"}  # as by the builder
EXECUTABLE, PLAIN = 0o100755, 0o100644


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of a wheel, for tests that need more than a name and a content."""

    name: str
    content: bytes = b""
    mode: int = PLAIN
    compression: int = zipfile.ZIP_DEFLATED
    time: tuple[int, int, int, int, int, int] = TIME


def wheel(
    folder: Path,
    name: str = "tiny",
    version: str = "1.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    entry_points: str = "",
    scripts: Mapping[str, str | bytes] | None = None,
    data: Mapping[str, str | bytes] | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    platlib: Mapping[str, str | bytes] | None = None,
    purelib: Mapping[str, str | bytes] | None = None,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    pure: bool = True,
    extra: Iterable[Member] = (),
    drop: Iterable[str] = (),
    wheel_version: str = "1.0",
    metadata: str = "",
) -> Path:
    """Write `NAME-VERSION-TAG.whl`; `extra` members go in as they are, `drop` leaves members out.

    Without `files` the wheel holds one module of its own name. `metadata` takes the place of what the other
    arguments say about METADATA.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info, root = f"{stem}.dist-info", f"{stem}.data"
    contents = {f"{name.replace('-', '_')}.py": "def main():\n    print('hello')\n"} if files is None else dict(files)
    members = [Member(name=one, content=_bytes(content)) for one, content in contents.items()]
    for kind, group in (
        ("scripts", scripts),
        ("data", data),
        ("headers", headers),
        ("platlib", platlib),
        ("purelib", purelib),
    ):
        for one, content in (group or {}).items():
            mode = EXECUTABLE if kind == "scripts" else PLAIN
            members.append(Member(name=f"{root}/{kind}/{one}", content=_bytes(content), mode=mode))
    if not metadata:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    about = f"Wheel-Version: {wheel_version}\nGenerator: handmade\nRoot-Is-Purelib: {str(pure).lower()}\nTag: {tag}\n"
    members += [
        Member(name=f"{info}/METADATA", content=metadata.encode()),
        Member(name=f"{info}/WHEEL", content=about.encode()),
    ]
    if entry_points:
        members.append(Member(name=f"{info}/entry_points.txt", content=entry_points.encode()))
    members += extra
    rows = [(one.name, f"sha256={_digest(one.content)}", str(len(one.content))) for one in members]
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows([*rows, (f"{info}/RECORD", "", "")])
    members.append(Member(name=f"{info}/RECORD", content=record.getvalue().encode()))
    dropped = set(drop)
    return archive(folder / f"{stem}-{tag}.whl", [one for one in members if one.name not in dropped])


def archive(path: Path, members: Iterable[Member]) -> Path:
    """Write a zip file with just these members, honest or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as target:
        for member in members:
            entry = zipfile.ZipInfo(member.name, member.time)
            entry.external_attr = member.mode << 16
            entry.compress_type = member.compression
            target.writestr(entry, member.content)
    return path


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle as an unpacked folder."""

    path: Path
    info: dict[str, Any] = field(repr=False)

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def script(self) -> Path:
        return self.path / "install.sh"

    def claim(self, *, size: int, files: int) -> None:
        """Let info.json say that so much is installed: of the first wheel, and so of all."""
        for number, wheel in enumerate(self.info["wheels"]):
            wheel.update(installed_size=0 if number else size, installed_files=0 if number else files)
        self.info.update(installed_size=size, installed_files=files)

    def seal(self) -> None:
        """Write info.json and SHA256SUMS anew, from what is there now."""
        (self.path / "info.json").write_text(json.dumps(self.info, indent=2) + "\n")
        names = sorted(
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_file() and path.name not in {"SHA256SUMS", "SHA256SUMS.sig"}
        )
        (self.path / "SHA256SUMS").write_text("".join(self._line(name) for name in names))

    def _line(self, name: str) -> str:
        digest = hashlib.sha256((self.path / name).read_bytes()).hexdigest()
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
        mark = "\\" if escaped != name else ""
        return f"{mark}{digest}  {escaped}\n"


def bundle(
    folder: Path,
    wheels: Sequence[Path],
    *,
    name: str = "",
    version: str = "",
    requires_python: str | None = ">=3.8",
    requested: Sequence[str] | None = None,
    post_install: str | None = None,
    bytecode: bool = False,
    bootstrap: Path | None = None,
    target: Mapping[str, Any] | None = None,
    targets: Sequence[Mapping[str, Any]] = (),
    interpreter: bool = False,
    shared: Sequence[str] = (),
) -> Bundle:
    """Make a bundle around the wheels; the first one is the project's own, and the only one requested by default.

    Of several `targets`, what differs from the running interpreter is given, and `wheels`, the files that each takes.
    Bytecode is there for those that are the running interpreter. With `interpreter` it brings one: see relocated.py.
    """
    entries = [_wheel_entry(path) for path in wheels]
    name, version = name or entries[0]["name"], version or entries[0]["version"]
    platform = sysconfig.get_platform()
    path = folder / f"{name}-{version}-{platform}"
    data = path / "data"
    data.mkdir(parents=True)
    chosen = {name} if requested is None else set(requested)
    for entry, source in zip(entries, wheels, strict=True):
        shutil.copy(source, data / source.name)
        entry["requested"] = entry["name"] in chosen
        entry["bytecode"] = _bytecode(source, data) if bytecode else None
        if bytecode:
            with zipfile.ZipFile(data / entry["bytecode"]) as compiled:
                entry["bytecode_record_sha256"] = _sha256_of_member(compiled, "RECORD")
    for one, content in (("PACKAGE", name), ("VERSION", version), ("PLATFORM", platform)):
        (path / one).write_text(content + "\n")
    (data / "pylock.toml").write_text('lock-version = "1.0"\n')
    if bootstrap is None:
        shutil.copytree(_bootstrap(), data / "bootstrap", copy_function=linked.link)
    else:
        shutil.copytree(bootstrap, data / "bootstrap")
    (data / "bootstrap").chmod(0o755)  # a temporary folder is for its owner only
    shutil.copytree(_payload(), data / "bootstrap" / "platter_payload", copy_function=linked.link)
    shutil.copyfile(PAYLOAD / "install.sh", path / "install.sh")
    (path / "install.sh").chmod(0o755)
    if interpreter:
        (data / "python").mkdir()
        shutil.copy(relocated.archive(), data / relocated.info()["file"])
    if post_install is not None:
        (path / "post-install.sh").write_text(post_install)
        (path / "post-install.sh").chmod(0o755)
    info = {
        "name": name,
        "version": version,
        "platform": platform,
        "ident": f"{name}-{version}",
        "format": 1,
        "created_by": "handmade",
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "requires_python": requires_python,
        "interpreter": relocated.info() if interpreter else None,
        "targets": [{**running_target(), **(target or {})}],
        **({"shared": list(shared)} if shared else {}),
        "wheels": entries,
        "installed_size": sum(entry["installed_size"] for entry in entries),
        "installed_files": sum(entry["installed_files"] for entry in entries),
    }
    made = Bundle(path=path, info=info)
    if targets:
        _for_several(info, targets)
    made.seal()
    return made


def small(bundle: Path, target: Path) -> Path:
    """Copy a bundle without virtualenv, and so most of it: for tests that read archives of it, and do not install."""
    linked.copy(bundle, target)
    for path in (target / "data" / "bootstrap").iterdir():
        if path.is_dir() and path.name != "platter_payload" and path.suffix != ".dist-info":
            shutil.rmtree(path)
    Bundle(path=target, info=json.loads((target / "info.json").read_text())).seal()
    return target


def _for_several(info: dict[str, Any], targets: Sequence[Mapping[str, Any]]) -> None:
    """Give info.json several targets: what a wheel has for one target alone moves there."""
    wheels = {wheel["file"]: wheel for wheel in info["wheels"]}
    code = [
        {
            "wheel": file,
            "file": wheel["bytecode"],
            "record_sha256": wheel.pop("bytecode_record_sha256"),
            "installed_size": 10,
            "installed_files": 1,
        }
        for file, wheel in wheels.items()
        if wheel["bytecode"]
    ]
    for wheel in wheels.values():
        wheel["bytecode"] = None
    info["targets"] = []
    for target in targets:
        told = {**running_target(), "platforms": [running_target()["platform"]], **target}
        told["id"] = f"{told['abi']}-{told['platforms'][0]}"
        mine = told["magic"] == running_target()["magic"]
        told["bytecode"] = [one for one in code if mine and one["wheel"] in told["wheels"]]
        info["targets"].append(told)
    pythons = dict.fromkeys(told["python"] + "t" * told["free_threaded"] for told in info["targets"])
    later = {key: info.pop(key) for key in list(info)[list(info).index("requires_python") :]}
    info.update(python=later["targets"][0]["python"], pythons=" ".join(pythons), **later)


def target_of(python: str) -> dict[str, Any]:
    """Another interpreter, as info.json describes it."""
    told = json.loads(subprocess.run([python, "-I", INTERPRETER], check=True, capture_output=True, text=True).stdout)
    abi = "cp" + told["python"].replace(".", "") + "t" * told["free_threaded"]
    platform = told["platform"].replace("-", "_").replace(".", "_")
    kept = {key: told[key] for key in ("implementation", "cache_tag", "magic", "debug", "free_threaded")}
    return {**kept, "python": told["python"], "abi": abi, "platform": platform, "platforms": [platform]}


def running_target() -> dict[str, Any]:
    """The interpreter that runs the tests, as info.json describes it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {
        "implementation": sys.implementation.name,
        "python": version,
        "abi": "cp" + version.replace(".", ""),
        "platform": sysconfig.get_platform().replace("-", "_").replace(".", "_"),
        "cache_tag": sys.implementation.cache_tag,
        "magic": importlib.util.MAGIC_NUMBER.hex(),
        "debug": False,
        "free_threaded": False,
    }


def pip_wheel(folder: Path) -> Path:
    """Copy pip's wheel out of the running environment's virtualenv."""
    embedded = Path(str(importlib.metadata.distribution("virtualenv").locate_file("virtualenv/seed/wheels/embed")))
    found = max(embedded.glob("pip-*.whl"))
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(found, folder))


def run(
    made: Bundle,
    *arguments: str | Path,
    shell: Sequence[str] = ("sh",),
    python: bool = True,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run install.sh to its end, with the running interpreter unless `python` is false."""
    words = [*shell, made.script, *(["-p", sys.executable] if python else []), *arguments]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, **options)


def _wheel_entry(path: Path) -> dict[str, Any]:
    name, version = path.name.split("-")[:2]
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as source:
        sizes = [entry.file_size for entry in source.infolist()]
        content = path.read_bytes()
        return {
            "file": path.name,
            "name": name.replace("_", "-"),
            "version": version,
            "sha256": hashlib.sha256(content).hexdigest(),
            "record_sha256": _sha256_of_member(source, "RECORD"),
            "executables_sha256": _executables(source),
            "size": len(content),
            "installed_size": sum(sizes),
            "installed_files": len(sizes),
        }
    raise ValueError(f"{path} is not a zip file")


def _sha256_of_member(archive: zipfile.ZipFile, base: str) -> str | None:
    found = [name for name in archive.namelist() if name == base or name.endswith(f".dist-info/{base}")]
    return hashlib.sha256(archive.read(found[0])).hexdigest() if found else None


def _executables(archive: zipfile.ZipFile) -> str:
    names = sorted(entry.filename for entry in archive.infolist() if entry.external_attr >> 16 & 0o111)
    return hashlib.sha256("".join(f"{name}\0" for name in names).encode()).hexdigest()


def _bytecode(source: Path, data: Path) -> str:
    """Compile a wheel's modules as the builder does: time-stamped with the members' own times, taken as UTC."""
    tag = sys.implementation.cache_tag
    relative = f"bytecode/{source.name[: -len('.whl')]}.{tag}.zip"
    members: list[Member] = []
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(source) as wheel_file:
        for entry in wheel_file.infolist():
            if not entry.filename.endswith(".py"):
                continue
            where = entry.filename
            for kind in ("purelib", "platlib"):
                if f".data/{kind}/" in where:
                    where = where.split(f".data/{kind}/")[1]
            module = Path(scratch, "module.py")
            module.write_bytes(wheel_file.read(entry))
            compiled = Path(scratch, "module.pyc")
            py_compile.compile(
                str(module),
                str(compiled),
                where,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
            )
            code = bytearray(compiled.read_bytes())
            code[8:12] = calendar.timegm((*entry.date_time, 0, 0, 0)).to_bytes(4, "little")
            folder, _, file = where.rpartition("/")
            name = f"{folder}/__pycache__/{file[:-3]}.{tag}.pyc".lstrip("/")
            members.append(Member(name=name, content=bytes(code), compression=zipfile.ZIP_STORED))
    rows = [(one.name, f"sha256={_digest(one.content)}", str(len(one.content))) for one in members]
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows(rows)
    archive(data / relative, [*members, Member(name="RECORD", content=record.getvalue().encode())])
    return relative


@functools.cache
def _bootstrap() -> Path:
    """virtualenv and what it needs, from the running environment."""
    files: dict[str, bytes] = {}
    for name in _BOOTSTRAP:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.distribution(name)
            files |= {
                str(file): Path(str(found.locate_file(file))).read_bytes()
                for file in found.files or []
                if not {"..", "__pycache__", "sboms"} & {*file.parts} and file.suffix not in _LEFT_OUT
            }
    return _compiled("bootstrap", files)


@functools.cache
def _payload() -> Path:
    return _compiled("payload", {str(path.relative_to(PAYLOAD)): path.read_bytes() for path in PAYLOAD.rglob("*.py")})


def _compiled(name: str, files: Mapping[str, bytes]) -> Path:
    """A folder with these files and, as from the builder, bytecode that is used without a look at them."""
    folder = Path(tempfile.mkdtemp(prefix=f"platter-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(folder, quiet=1, stripdir=folder, invalidation_mode=unchecked)
    folder.chmod(0o755)  # a temporary folder is for its owner only
    return folder


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
