"""Tasks for Fabric 3: build on a build server, deploy to many hosts, roll back.

A fabfile needs these lines:

    from platter_setuptools.fabric import namespace

    namespace.configure({"platter": {"root": "/srv/yourapp", "hosts": ["web1", "web2"]}})

settings.py tells what else can be said there. What happens on a host is up to `install.sh --root` and ROOT/platter.
"""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fabric import Connection
from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from platter_setuptools.fabric import fleet
from platter_setuptools.fabric.host import Host
from platter_setuptools.fabric.remote_build import build_on
from platter_setuptools.fabric.settings import Settings, read
from platter_setuptools.ground.errors import PlatterError, UsageError
from platter_setuptools.ground.files import sha256_of_file
from platter_setuptools.ground.progress import human_size
from platter_setuptools.ground.streams import print_result, print_text
from platter_setuptools.steps.bundle.bundles import by_name, newest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invoke.context import Context

__all__ = ["build", "deploy", "namespace", "prune", "releases", "rollback"]


@task(help={"rev": "the revision to build, as git names it"})
def build(c: Context, rev: str = "HEAD") -> None:
    """Build a bundle of a git revision on the build host, and fetch it into dist."""
    with _errors_as_exits():
        settings = read(c.config.get("platter", {}))
        path = build_on(_host(c, settings, settings.need("build_host")), rev)
    print_result(f"{path}")  # the artifact's path alone goes to standard output


@task(
    help={
        "bundle": "the file [default: the newest in dist]",
        "only": "these hosts, with commas between them",
        "dry_run": "send it, and look whether it can be installed; install nothing",
    }
)
def deploy(c: Context, bundle: str = "", only: str = "", dry_run: bool = False) -> None:
    """Install a bundle on all hosts and activate it: on one host first, then in batches."""
    with _errors_as_exits():
        path = _bundle(read(c.config.get("platter", {})), bundle)
        digest, size = sha256_of_file(path)
    fleet.tell(f"{'Checking' if dry_run else 'Deploying'} {path.name}, {human_size(size)}")
    _on_all(c, only, lambda host: host.install(host.upload(path, digest), size, check=dry_run), cautious=not dry_run)


@task(help={"only": "these hosts, with commas between them"})
def rollback(c: Context, only: str = "") -> None:
    """Activate the release that was active before, on all hosts."""
    # There is no canary: what is active now has to go, and one host's failure is no reason to keep others on it.
    _on_all(c, only, lambda host: host.operate("rollback", *host.settings.commands()), cautious=False)


@task(help={"only": "these hosts, with commas between them"})
def releases(c: Context, only: str = "") -> None:
    """List the releases on all hosts."""
    _on_all(c, only, lambda host: host.operate("list"), cautious=False)


@task(help={"keep": "how many to keep [default: the setting]", "only": "these hosts, with commas between them"})
def prune(c: Context, keep: str = "", only: str = "") -> None:
    """Remove all but the newest releases, the active one and the one before it, on all hosts."""
    with _errors_as_exits():
        wanted = str(keep) or read(c.config.get("platter", {})).need("keep")
        if not (wanted.isascii() and wanted.isdecimal() and int(wanted)):
            raise UsageError(f"--keep is {wanted!r}", hint="it takes a number from 1 on")

    def remove(host: Host) -> str:
        return host.operate("prune", "--keep", wanted) or "nothing to remove"

    _on_all(c, only, remove, cautious=False)


namespace = Collection(build, deploy, rollback, releases, prune)


def _on_all(c: Context, only: str, act: Callable[[Host], str], *, cautious: bool = True) -> None:
    """Do it on every host, print the table, and end with its exit code."""
    with _errors_as_exits():
        settings = read(c.config.get("platter", {}))
        settings.need("root")
        plan = fleet.Plan(
            hosts=_hosts(c, settings, only),
            batch=settings.batch,
            canary=settings.canary if cautious else 0,
            max_failures=settings.max_failures if cautious else sys.maxsize,
        )
    outcomes = fleet.go(plan, partial(_act, c, settings, act))
    print_text("\n".join(fleet.table(outcomes)))
    if code := fleet.exit_code(outcomes):
        raise Exit(fleet.failures(outcomes), code=code)


def _act(c: Context, settings: Settings, act: Callable[[Host], str], name: str) -> str:
    with closing(_host(c, settings, name)) as host:
        return act(host)


def _host(c: Context, settings: Settings, name: str) -> Host:
    # A connection adds keys to the configuration that it is given, so each has its own.
    return Host(name, Connection(name, config=c.config.clone(), connect_timeout=settings.connect_timeout), settings)


def _hosts(c: Context, settings: Settings, only: str) -> tuple[str, ...]:
    """Those named with --only, or the one that `fab --hosts` hands to each of its calls, or those configured."""
    if only:
        return tuple(dict.fromkeys(name.strip() for name in only.split(",") if name.strip()))
    if isinstance(c, Connection):
        return (f"{c.user}@{c.original_host}:{c.port}",)
    if not settings.hosts:
        raise UsageError("there are no hosts", hint='set "hosts" in the fabfile, or name some with --only')
    return tuple(dict.fromkeys(settings.hosts))


def _bundle(settings: Settings, given: str) -> Path:
    if not given:
        found = newest(
            settings.dist,
            name=settings.name,
            platform=settings.platform,
            python=settings.bundle_python,
            pre=settings.pre,
        )
    else:
        path = Path.cwd() / given
        if not path.exists():
            raise UsageError(f"{path} does not exist", hint="fab deploy without --bundle takes the newest in dist")
        named = by_name(path)
        if named is None:
            raise UsageError(f"{path} is no bundle by its name", hint="platter build makes bundles")
        found = named
    if not found.format.startswith("tar"):
        raise UsageError(f"{found.path} is not a tar archive", hint="build one with --format=tar.gz")
    return found.path


@contextmanager
def _errors_as_exits() -> Iterator[None]:
    """Our errors the way Invoke shows them: without a traceback."""
    try:
        yield
    except PlatterError as error:
        lines = [*(f"    {line}" for line in error.output), f"error: {error.message}"]
        raise Exit(
            "\n".join(lines + ([f"  hint: {error.hint}"] if error.hint else [])), code=error.exit_code
        ) from error
