"""Tasks for Fabric 3: build on a build server, deploy to many hosts, roll back.

A fabfile needs these lines:

    from platter_setuptools.fabric import namespace

    namespace.configure({"platter": {"root": "/srv/yourapp", "hosts": ["web1", "web2"]}})

settings.py lists the settings. The work on a host is done by `install.sh --root` and ROOT/platter.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fabric import Connection
from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from platter_setuptools.errors import PlatterError, UsageError
from platter_setuptools.fabric import fleet
from platter_setuptools.fabric.deployment import operate, send_and_install
from platter_setuptools.fabric.host import Host
from platter_setuptools.fabric.remote_build import build_on
from platter_setuptools.fabric.settings import Settings, read
from platter_setuptools.fabric.shipment import Shipments
from platter_setuptools.frontends import format_error
from platter_setuptools.inspect.find import by_name, newest
from platter_setuptools.runtime.reproducible import source_date_epoch
from platter_setuptools.runtime.streams import print_notice, print_result, print_text
from platter_setuptools.runtime.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invoke.context import Context

__all__ = ["build", "deploy", "namespace", "prune", "releases", "rollback"]


@task(help={"rev": "the git revision to build"})
def build(c: Context, rev: str = "HEAD") -> None:
    """Build a bundle of a git revision on the build host, and fetch it into dist."""
    with _errors_as_exits():
        settings = _settings(c)
        path = build_on(_host(c, settings, settings.need("build_host")), rev)
    print_result(f"{path}")  # only the path goes to standard output


@task(
    help={
        "bundle": "the file [default: the newest in dist]",
        "only": "only these hosts, separated by commas",
        "dry_run": "send it, and check whether it can be installed; install nothing",
    }
)
def deploy(c: Context, bundle: str = "", only: str = "", dry_run: bool = False) -> None:
    """Install a bundle on all hosts and activate it: on one host first, then in batches."""
    with _errors_as_exits(), temporary_folder() as work:
        shipments = Shipments(_bundle(_settings(c), bundle), work, source_date_epoch(os.environ))
        full = shipments.full
        print_notice(f"{'Checking' if dry_run else 'Deploying'} {full.path.name}, {full.about}")
        _on_all(c, only, lambda host: send_and_install(host, shipments, check=dry_run), cautious=not dry_run, once=True)


@task(help={"only": "only these hosts, separated by commas"})
def rollback(c: Context, only: str = "") -> None:
    """Activate the release that was active before, on all hosts."""
    # No canary: the active release must be replaced on all hosts, even if one fails.
    _on_all(c, only, lambda host: operate(host, "rollback", *host.settings.commands()), cautious=False, once=True)


@task(help={"only": "only these hosts, separated by commas"})
def releases(c: Context, only: str = "") -> None:
    """List the releases on all hosts."""
    _on_all(c, only, lambda host: operate(host, "list"), cautious=False)


@task(help={"keep": "how many to keep [default: the setting]", "only": "only these hosts, separated by commas"})
def prune(c: Context, keep: str = "", only: str = "") -> None:
    """Remove all but the newest releases, the active one and the one before it, on all hosts."""
    with _errors_as_exits():
        wanted = str(keep) or _settings(c).need("keep")
        if not (wanted.isascii() and wanted.isdecimal() and int(wanted)):
            raise UsageError(f"--keep is {wanted!r}", hint="give a number of at least 1")

    _on_all(c, only, lambda host: operate(host, "prune", "--keep", wanted) or "nothing to remove", cautious=False)


namespace = Collection(build, deploy, rollback, releases, prune)


def _on_all(c: Context, only: str, act: Callable[[Host], str], *, cautious: bool = True, once: bool = False) -> None:
    """Run `act` on every host, print the table, and exit with its exit code. `once`: see the setting `run_once`."""
    with _errors_as_exits():
        settings = _settings(c)
        settings.need("root")
        hosts = _hosts(c, settings, only)
        if once and settings.run_once and isinstance(c, Connection) and not only:
            raise UsageError(
                'fab --hosts goes from host to host, so none is the first, which "run_once" is about',
                hint="name hosts with --only",
            )
        plan = fleet.Plan(
            hosts=hosts,
            batch=settings.batch,
            canary=settings.canary if cautious else 0,
            max_failures=settings.max_failures if cautious else sys.maxsize,
        )

    def work_on(name: str) -> str:
        with closing(_host(c, settings, name, once=once and name == hosts[0])) as host:
            return act(host)

    outcomes = fleet.go(plan, work_on)
    print_text("\n".join(fleet.table(outcomes)))
    if code := fleet.exit_code(outcomes):
        raise Exit(fleet.failures(outcomes), code=code)


def _settings(c: Context) -> Settings:
    return read(c.config.get("platter", {}))


def _host(c: Context, settings: Settings, name: str, *, once: bool = False) -> Host:
    # A connection adds keys to its configuration, so each gets a copy.
    connection = Connection(name, config=c.config.clone(), connect_timeout=settings.connect_timeout)
    return Host(name, connection, settings, once=once)


def _hosts(c: Context, settings: Settings, only: str) -> tuple[str, ...]:
    """Return the hosts of --only, else the one of this call of `fab --hosts`, else the configured ones."""
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
            raise UsageError(f"{path} does not exist", hint="fab deploy without --bundle deploys the newest in dist")
        named = by_name(path)
        if named is None:
            raise UsageError(f"{path} does not have the name of a bundle", hint="platter build makes bundles")
        found = named
    if not (found.format.startswith("tar") or found.format == "run"):
        raise UsageError(
            f"{found.path} is neither a tar archive nor a .run", hint="build one with --format=tar.gz or --format=run"
        )
    return found.path


@contextmanager
def _errors_as_exits() -> Iterator[None]:
    """Turn our errors into exits, which Invoke shows without a traceback."""
    try:
        yield
    except PlatterError as error:
        raise Exit(f"error: {format_error(error)}", code=error.exit_code) from error
