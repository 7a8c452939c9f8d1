"""The JSON schema of `[tool.platter]`, for editors and validate-pyproject.

`python -m platter_setuptools.config.schema` prints the content of platter.schema.json.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from platter_setuptools.config.options import OPTIONS, Kind, Option, Options

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options)}


def tool_schema(tool_name: str = "platter") -> dict[str, Any]:
    """How platter-setuptools makes a self-installing bundle of the project."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:platter-setuptools:tool-platter",
        "title": f"``tool.{tool_name}`` table",
        "description": "How platter-setuptools makes a self-installing bundle of this project.",
        "type": "object",
        "additionalProperties": False,
        "properties": {option.name: _property(option) for option in OPTIONS},
    }


def _property(option: Option) -> dict[str, Any]:
    """Return the schema of an option's value; paths are relative to the project."""
    text = {"type": "string", "minLength": 1}
    described = {"description": option.help.replace(" (repeatable)", "")}
    if option.kind is Kind.FLAG:
        return {"type": "boolean", "default": False, **described}
    if option.alone:
        return {"anyOf": [text, {"type": "array", "items": text}], **described}
    if option.kind.is_list:
        return {"type": "array", "items": text, **described}
    if option.kind is Kind.CHOICE:
        return {"enum": list(option.choices), "default": _DEFAULTS[option.attribute], **described}
    return {**text, **described}


if __name__ == "__main__":
    json.dump(tool_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
