"""The bill of materials of a bundle, `data/sbom.cdx.json` (CycloneDX 1.6, ECMA-424).

The bundle is the main component: it depends on its roots, the project first. Every wheel is a component, too, and
depends on what it requires; an interpreter in the bundle is one that depends on nothing. The bill has no time and no
serial number: the same wheels have the same bill.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

import platter_setuptools
from platter_setuptools.bundle.members import Member, from_text
from platter_setuptools.errors import BundleError
from platter_setuptools.payload import untrusted
from platter_setuptools.wheels.check import in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.bundle.interpreter import BundledInterpreter
    from platter_setuptools.bundle.manifest import Manifest
    from platter_setuptools.wheels.check import Asked, WheelWithMetadata

FILE = "data/sbom.cdx.json"
SCRIPT = "platter:script"  # a property for each command that a wheel installs
TARGET = "platter:target"  # one for each target that takes a wheel which not all of them take
LICENCE_FILE = "platter:licence-file"  # one for each path in the interpreter
INTERPRETER = "pkg:generic/cpython"  # no distribution on an index is called so

Graph = dict[str, list[str]]  # from each wheel's name to those of what it requires


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A wheel in a bill; `licence` is empty if unknown."""

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
    """Return a bundle's bill of materials. Raises BundleError for one that platter does not write."""
    try:
        bill = untrusted.parse_json(untrusted.within(content, untrusted.LIST))
        read = Bill(
            subject=_string(bill["metadata"]["component"]["bom-ref"]),
            components=tuple(map(_read_component, bill["components"])),
            graph={_string(one["ref"]): list(map(_string, one["dependsOn"])) for one in bill["dependencies"]},
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(f"{FILE}: not legible, or not as platter writes it", hint="run platter verify") from error
    if unknown := {name for names in read.graph.values() for name in names} - read.graph.keys():
        raise BundleError(f"{FILE}: not legible: {min(unknown)} is nowhere", hint="run platter verify")
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


def bill_of_materials(name: str, manifests: Sequence[Manifest], asked: Sequence[Asked]) -> Member:
    """Return the member of the bundle with the bill. The roots lead to every other wheel.

    `name` is the bundle's stem. There is a manifest for each target, and what was asked for it.
    """
    manifest = manifests[0]
    wheels = {one.wheel.filename: one for each in manifests for one in each.wheels}
    in_order = sorted(wheels.values(), key=lambda one: (one.wheel.name, one.wheel.filename))
    references = _references(in_order)
    depending: Graph = {name: []}
    for each, wanted in zip(manifests, asked, strict=True):
        own: dict[str, str] = {one.wheel.name: references[one.wheel.filename] for one in each.wheels}
        # By the first and the last patch release, whichever this Python is: a server may have any.
        graph = _graph(sorted(each.wheels, key=lambda one: one.wheel.name), wanted, each.target.other_patches)
        graph = {name: _roots(graph, each.project.wheel.name), **graph}
        for one, required in graph.items():
            found = depending.setdefault(own.get(one, one), [])
            found += [own[other] for other in required if own[other] not in found]
    components = [_component(one, references[one.wheel.filename], manifests) for one in in_order]
    if manifest.interpreter:
        components.append(_interpreter(manifest.interpreter))
        reference = components[-1]["bom-ref"]
        depending[name].append(reference)
        depending[reference] = []
    tool = {"type": "application", "name": "platter-setuptools", "version": platter_setuptools.__version__}
    subject = {
        "type": "application",
        "bom-ref": name,
        "name": manifest.project.description.name,
        "version": manifest.version,
    }
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": subject},
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": required} for reference, required in depending.items()],
    }
    return from_text(FILE, json.dumps(bill, indent=2) + "\n")


def _references(wheels: Sequence[WheelWithMetadata]) -> dict[str, str]:
    """Return the reference of each wheel, by its file name: its package URL, with that name if several have the URL."""
    count = Counter(map(_purl, wheels))
    return {
        one.wheel.filename: _purl(one) + (f"#{quote(one.wheel.filename)}" if count[_purl(one)] > 1 else "")
        for one in wheels
    }


def _graph(
    wheels: Sequence[WheelWithMetadata],
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
    """Return the project, and what it does not lead to: what was requested beside it, and pip."""
    roots, reached = [project], below(project, graph)
    required = {other for name in graph.keys() - reached for other in graph[name]}
    for name in sorted(graph, key=lambda name: (name in required, name)):
        if name not in reached:
            roots.append(name)
            reached |= below(name, graph)
    return roots


def below(name: str, graph: Graph) -> set[str]:
    """Return the name and all names that it leads to."""
    reached, ahead = {name}, [name]
    while ahead:
        new = set(graph[ahead.pop()]) - reached
        reached |= new
        ahead += new
    return reached


def _component(one: WheelWithMetadata, reference: str, manifests: Sequence[Manifest]) -> dict[str, Any]:
    wheel, description = one.wheel, one.description
    takers = [each.id for each in manifests if any(other.wheel == wheel for other in each.wheels)]
    targets = takers if len(takers) < len(manifests) else []
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": description.name,
        "version": str(wheel.version),
        "purl": _purl(one),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
    }
    if description.licence:
        component["licenses"] = [_licence(description.licence)]
    if description.scripts or targets:
        properties = [(SCRIPT, script.name) for script in description.scripts] + [(TARGET, id_) for id_ in targets]
        component["properties"] = [{"name": name, "value": value} for name, value in properties]
    return component


def _interpreter(interpreter: BundledInterpreter) -> dict[str, Any]:
    version = interpreter.target.full_version
    return {
        "type": "platform",
        "bom-ref": f"{INTERPRETER}@{quote(version, safe='')}",
        "name": "cpython",
        "version": version,
        "purl": f"{INTERPRETER}@{quote(version, safe='')}",
        "hashes": [{"alg": "SHA-256", "content": interpreter.facts.sha256}],
        "licenses": [_licence("Python-2.0")],
        "properties": [{"name": LICENCE_FILE, "value": path} for path in interpreter.facts.licences],
    }


def _licence(text: str) -> dict[str, Any]:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # noqa: PLC0415

    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except InvalidLicenseExpression:
        return {"license": {"name": text}}


def _purl(one: WheelWithMetadata) -> str:
    """Return the package URL (ECMA-427) of a distribution; it does not say whether it is private or was built here."""
    return f"pkg:pypi/{one.wheel.name}@{quote(str(one.wheel.version), safe='')}"
