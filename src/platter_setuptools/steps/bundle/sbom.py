"""The bill of materials that a bundle carries, `data/sbom.cdx.json` (CycloneDX 1.6, ECMA-424).

The bundle is the component that it is about: it depends on its roots, the project first. Every wheel is a component,
too, and depends on what it requires. There is no time and no serial number: the same wheels have the same bill.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

import platter_setuptools
from platter_setuptools.ground.errors import BundleError
from platter_setuptools.payload import untrusted
from platter_setuptools.steps.bundle.members import Member, from_text
from platter_setuptools.steps.wheels.check import in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.steps.bundle.manifest import Manifest
    from platter_setuptools.steps.wheels.check import Asked, Described

FILE = "data/sbom.cdx.json"
SCRIPT = "platter:script"  # a property for each command that a wheel installs

Graph = dict[str, list[str]]  # from each wheel's name to those of what it requires


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What a bill says of a wheel; `licence` is empty if it names none."""

    ref: str
    name: str
    version: str
    sha256: str
    licence: str
    scripts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A bill that was read. `graph` leads from references to references; `subject` is the bundle's own."""

    subject: str
    components: tuple[Component, ...]
    graph: Graph


def read_bill(content: bytes) -> Bill:
    """What a bundle's bill of materials says. Raises BundleError for one that platter does not write so."""
    try:
        bill = untrusted.parse_json(untrusted.within(content, untrusted.LIST))
        read = Bill(
            subject=_string(bill["metadata"]["component"]["bom-ref"]),
            components=tuple(map(_read_component, bill["components"])),
            graph={_string(one["ref"]): list(map(_string, one["dependsOn"])) for one in bill["dependencies"]},
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(
            f"{FILE}: not legible, or not as platter writes it", hint="platter verify tells what is wrong"
        ) from error
    if unknown := {name for names in read.graph.values() for name in names} - read.graph.keys():
        raise BundleError(f"{FILE}: not legible: {min(unknown)} is nowhere", hint="platter verify tells what is wrong")
    return read


def _read_component(data: Any) -> Component:
    licences = [
        one["expression"] if "expression" in one else one["license"]["name"] for one in data.get("licenses", ())
    ]
    return Component(
        ref=_string(data["bom-ref"]),
        name=_string(data["name"]),
        version=_string(data["version"]),
        sha256=_string(data["hashes"][0]["content"]),
        licence=", ".join(map(_string, licences)),
        scripts=tuple(_string(one["value"]) for one in data.get("properties", ()) if one["name"] == SCRIPT),
    )


def _string(value: Any) -> str:
    if not isinstance(value, str) or len(value) > untrusted.STRING:
        raise TypeError
    return value


def bill_of_materials(manifest: Manifest, asked: Asked) -> Member:
    """The member of the bundle. What was asked for leads to the rest."""
    wheels = sorted(manifest.wheels, key=lambda one: one.wheel.name)
    # By the first and the last patch release, whichever this Python is: a server may have any.
    graph = _graph(wheels, asked, manifest.target.other_patches)
    references: dict[str, str] = {one.wheel.name: _purl(one) for one in wheels}
    depending: Graph = {manifest.stem: _roots(graph, manifest.project.wheel.name), **graph}
    tool = {"type": "application", "name": "platter-setuptools", "version": platter_setuptools.__version__}
    subject = {
        "type": "application",
        "bom-ref": manifest.stem,
        "name": manifest.project.description.name,
        "version": manifest.version,
    }
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": subject},
        "components": [_component(one) for one in wheels],
        "dependencies": [
            {"ref": references.get(name, name), "dependsOn": [references[one] for one in wanted]}
            for name, wanted in depending.items()
        ],
    }
    return from_text(FILE, json.dumps(bill, indent=2) + "\n")


def _graph(
    wheels: Sequence[Described],
    asked: Asked,
    environments: Sequence[Mapping[str, str]],
) -> Graph:
    found: dict[str, set[str]] = {one.wheel.name: set() for one in wheels}
    for environment in environments:
        for described, requirement in in_force(wheels, asked, environment):
            name = canonicalize_name(requirement.name)
            if name in found and name != described.wheel.name:  # a distribution may require extras of its own
                found[described.wheel.name].add(name)
    return {name: sorted(required) for name, required in found.items()}


def _roots(graph: Graph, project: str) -> list[str]:
    """The project, and what is there though it does not lead to it: what was asked for beside it, and pip."""
    roots, reached = [project], below(project, graph)
    required = {other for name in graph.keys() - reached for other in graph[name]}
    for name in sorted(graph, key=lambda name: (name in required, name)):
        if name not in reached:
            roots.append(name)
            reached |= below(name, graph)
    return roots


def below(name: str, graph: Graph) -> set[str]:
    """The name, and all that it leads to."""
    reached, ahead = {name}, [name]
    while ahead:
        new = set(graph[ahead.pop()]) - reached
        reached |= new
        ahead += new
    return reached


def _component(one: Described) -> dict[str, Any]:
    wheel, description = one.wheel, one.description
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(one),
        "name": description.name,
        "version": str(wheel.version),
        "purl": _purl(one),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
    }
    if description.licence:
        component["licenses"] = [_licence(description.licence)]
    if description.scripts:
        component["properties"] = [{"name": SCRIPT, "value": script.name} for script in description.scripts]
    return component


def _licence(text: str) -> dict[str, Any]:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # noqa: PLC0415

    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except InvalidLicenseExpression:
        return {"license": {"name": text}}


def _purl(one: Described) -> str:
    """The package URL (ECMA-427) of a distribution; that it is ours alone, or built here, it cannot tell."""
    return f"pkg:pypi/{one.wheel.name}@{quote(str(one.wheel.version), safe='')}"
