"""What `--json` prints for build, verify and latest; each has a schema in docs/."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.streams import print_text
from platter_setuptools.ground.values import Origin

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from platter_setuptools.ground.values import Artifact
    from platter_setuptools.steps.bundle.bundles import Bundle
    from platter_setuptools.steps.bundle.verify import Verdict


def add_json(parser: argparse.ArgumentParser, command: str) -> None:
    """Add `--json` to a command that has a schema."""
    parser.add_argument(
        "--json", action="store_true", help=f"print the result as JSON (schema: docs/{command}.schema.json)"
    )


def print_json(result: dict[str, Any]) -> None:
    """Print this object alone on standard output. Raises PlatterError if that takes none."""
    print_text(json.dumps(result, indent=2))


def of_build(artifact: Artifact) -> dict[str, Any]:
    """Return what `platter build --json` prints (docs/build.schema.json)."""
    return {
        "path": f"{artifact.path}",
        "size": artifact.size,
        "sha256": artifact.sha256,
        "wheels": {origin.value: artifact.wheels.get(origin, 0) for origin in Origin},
        "seconds": round(artifact.seconds, 3),
    }


def of_verify(path: Path, verdict: Verdict) -> dict[str, Any]:
    """Return what `platter verify --json` prints (docs/verify.schema.json)."""
    return {
        "path": f"{path.absolute()}",
        "title": verdict.title,
        "files": verdict.files,
        "wheels": verdict.wheels,
        "signed": verdict.signed,
        "signer": verdict.signer,
    }


def of_latest(bundle: Bundle) -> dict[str, Any]:
    """Return what `platter latest --json` prints (docs/latest.schema.json)."""
    return {
        "path": f"{bundle.path}",
        "name": bundle.name,
        "version": f"{bundle.version}",
        "platform": bundle.platform,
        "python": bundle.python,
        "format": bundle.format,
    }
