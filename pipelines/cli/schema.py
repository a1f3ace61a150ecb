"""The JSON schema of params.yaml, made from the pydantic models that read it.

It holds every key, type and bound of the datasets and studies, and for each family its
configuration and the distributions of its search. Only `read_params` checks what
concerns two values at once: the dataset and the task of a study, and that the low end
of a distribution is below its high end.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ftml.config import DISTRIBUTIONS, FORMS
from ftml.core import families, family
from ftml.evidence import claims
from pipelines.params.claims import ClaimsSchema
from pipelines.params.kinds import KINDS
from pipelines.params.study import StudySchema

DRAFT = "https://json-schema.org/draft/2020-12/schema"

JsonSchema = dict[str, Any]


def params_schema() -> JsonSchema:
    """Return the schema of params.yaml."""
    definitions: dict[str, JsonSchema] = {}
    for kind in KINDS:
        definitions |= _definitions(kind.schema.__name__, kind.json_schema())
    for schema in (StudySchema, ClaimsSchema):
        content = schema.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= _definitions(schema.__name__, content)
    for name in families():
        definitions |= _family_definitions(name)
    study = definitions[StudySchema.__name__]
    study["properties"]["family"] = {
        "enum": list(families()),
        "description": study["properties"]["family"]["description"],
    }
    definitions["study"] = _any_study()
    return {
        "$schema": DRAFT,
        "title": "params.yaml of ftml",
        "type": "object",
        "required": ["datasets", "experiments"],
        "additionalProperties": False,
        "properties": {
            "datasets": _datasets(),
            "experiments": {
                "description": "the studies of each dataset",
                "type": "object",
                "additionalProperties": _experiment(),
            },
            "claims": {
                "description": "the chapters whose claims are measured",
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    chapter: _ref(ClaimsSchema.__name__)
                    for chapter in sorted(set(claims().values()))
                },
            },
        },
        "$defs": definitions,
    }


def _definitions(name: str, schema: JsonSchema) -> dict[str, JsonSchema]:
    """Return the definition of a section, and of the sections in it, by name."""
    inner: dict[str, JsonSchema] = schema.pop("$defs", {})
    return inner | {name: schema}


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/$defs/{name}"}


def _datasets() -> JsonSchema:
    return {
        "description": "the datasets, by the stage that prepares them",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            kind.stage: {
                "type": "object",
                "additionalProperties": _ref(kind.schema.__name__),
            }
            for kind in KINDS
        },
    }


def _experiment() -> JsonSchema:
    """Return the schema of a dataset's studies: a key is the name of a family, or the
    study has the key `family`.
    """
    own = {
        name: {
            "if": {"type": "object", "required": ["family"]},
            "then": _ref("study"),
            "else": {"anyOf": [{"type": "null"}, _study_of(name)]},
        }
        for name in families()
    }
    named = {"allOf": [_ref("study"), {"required": ["family"]}]}
    return {"type": "object", "properties": own, "additionalProperties": named}


def _any_study() -> JsonSchema:
    """Return the schema of a study that names its family."""
    of_family = [
        {
            "if": {
                "properties": {"family": {"const": name}},
                "required": ["family"],
            },
            "then": _ref(f"of_{name}"),
        }
        for name in families()
    ]
    return {"allOf": [_ref(StudySchema.__name__), *of_family]}


def _study_of(name: str) -> JsonSchema:
    return {"allOf": [_ref(StudySchema.__name__), _ref(f"of_{name}")]}


def _family_definitions(name: str) -> dict[str, JsonSchema]:
    """Return the schemas of the keys `config` and `search` of a study of a family."""
    kind = family(name)
    config = kind.Config.model_json_schema(ref_template="#/$defs/{model}")
    inner: dict[str, JsonSchema] = config.pop("$defs", {})
    searched: dict[str, JsonSchema] = {}
    for field, schema in config["properties"].items():
        if field != "seed":
            sampled = {"anyOf": [{"type": "null"}, *_distributions(schema)]}
            inner[key := _named(sampled)] = sampled
            searched[field] = {"description": schema["description"], **_ref(key)}
    search = {
        "type": "object",
        "additionalProperties": False,
        "properties": searched,
    }
    parts = {"config": config, "search": search}
    return inner | {f"of_{name}": {"properties": parts}}


def _named(schema: JsonSchema) -> str:
    """Return the name of a definition that families share: a hash of its content."""
    content = json.dumps(schema, sort_keys=True).encode()
    return f"distribution_{hashlib.sha256(content).hexdigest()[:12]}"


def _distributions(field: JsonSchema) -> list[JsonSchema]:
    """Return the schemas of the distributions from which a field can be sampled."""
    branches: list[JsonSchema] = field.get("anyOf", [field])
    found = []
    for name in DISTRIBUTIONS:
        form = FORMS.get(name, ["low", "high"])
        wanted = "integer" if name == "integers" else "number"
        numeric = next((each for each in branches if each.get("type") == wanted), None)
        if not form:
            value = {key: each for key, each in field.items() if key not in NOTES}
            found.append(_one_key(name, {"items": value, "minItems": 1}))
        elif numeric is not None:
            count = len(form)
            ends = numeric if count == 2 else {"type": "number"}
            values = {key: each for key, each in ends.items() if key not in NOTES}
            found.append(
                _one_key(name, {"items": values, "minItems": count, "maxItems": count})
            )
    return found


NOTES = ("default", "description", "title")
"Keys of a schema that do not restrict the value."


def _one_key(name: str, arguments: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "required": [name],
        "additionalProperties": False,
        "properties": {name: {"type": "array", **arguments}},
    }
