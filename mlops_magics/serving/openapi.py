"""``/openapi.json``: the server as OpenAPI 3.1 describes it, made from the model's signature."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics.flavors.predictors import Input
from mlops_magics.serving import bodies, fitting, parameters, tensors
from mlops_magics.serving.service import Service

if TYPE_CHECKING:
    from mlops_magics.serving.served import Served

Schema = dict[str, Any]

_TYPES: Mapping[str, Schema] = {
    "long": {"type": "integer", "format": "int64"},
    "integer": {"type": "integer", "format": "int32"},
    "double": {"type": "number", "format": "double"},
    "float": {"type": "number", "format": "float"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "description": "ISO 8601, without a time zone"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}
_REFUSED = {
    "400": "The request does not fit; a sentence says what.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The content type is not read.",
    "500": "The model failed.",
    "503": "Too much is in work; ask again.",
    "504": "The model did not answer in time.",
}
_ASKED = {
    "/ping": "Whether the model is loaded.",
    "/health": "The same.",
    "/livez": "Whether the process answers.",
    "/readyz": "Whether a request sent now would be answered; 503 if not.",
    "/metrics": "Counts for Prometheus.",
    "/version": "The version of MLflow whose protocol this is.",
    "/metadata": "What is served, its signature, and how capture goes.",
    "/v2": "The server, by the Open Inference Protocol.",
    "/v2/health/live": "As /livez.",
    "/v2/health/ready": "As /readyz.",
    "/v2/repository/index": "All models, each with its state.",
}
_READY = ("/readyz", "/v2/health/ready")
#: Triton's clients ask for it by POST.
_INDEX = "/v2/repository/index"
_MORE: Schema = {"type": ["object", "null"]}


def described(models: Sequence[Served]) -> Schema:
    """The whole description; of several models the first is the one with no name in its path."""
    first = models[0]
    paths: Schema = {
        "/invocations": {"post": _scored(first.service, "")},
        **{path: _asked(path) for path in _ASKED},
        **_tensor_paths(first, f"/v2/models/{first.name}"),
    }
    schemas = _schemas(first.service, "")
    for number, served in enumerate(models[1:], start=2):
        more = str(number)
        path = f"/models/{served.name}/{served.version}/invocations"
        paths[path] = {"post": _scored(served.service, more)}
        paths |= _tensor_paths(served, f"/v2/models/{served.name}/versions/{served.version}")
        schemas |= _schemas(served.service, more)
    about = first.service.predictor.description or "A model"
    beside = ", ".join(served.ref for served in models[1:])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": first.name or "model",
            "version": first.version or "0",
            "description": f"{about}, served by mlops_magics{beside and f' beside {beside}'}.",
        },
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **schemas,
                "Error": {
                    "type": "object",
                    "required": ["error_code", "message"],
                    "properties": {
                        k: {"type": "string"} for k in ("error_code", "message", "request_id")
                    },
                },
                "TensorRequest": _tensor_request(),
                "Tensors": _tensors(),
                "TensorError": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
            },
        },
    }


def _scored(service: Service, more: str) -> Schema:
    """What MLflow's protocol takes and answers, of the model whose schemas end in `more`."""
    example = json.loads(service.example) if service.example else None
    return _operation(
        "Predictions, by MLflow's scoring protocol.",
        {
            "application/json": _with_example(_ref(f"Request{more}"), example),
            "text/csv": {"schema": {"type": "string", "minLength": 1}},
        },
        f"Predictions{more}",
        "Error",
    )


def _tensor_paths(served: Served, path: str) -> Schema:
    infer = _operation(
        "Predictions, by the Open Inference Protocol.",
        {"application/json": _with_example(_ref("TensorRequest"), inferred(served.service))},
        "Tensors",
        "TensorError",
        less=("415",),
    )
    return {
        path: {"get": _told("The model's inputs and outputs.")},
        f"{path}/infer": {"post": infer},
    }


def _schemas(service: Service, more: str) -> Schema:
    return {
        f"Row{more}": row(service.predictor.columns),
        f"Request{more}": _request(service, more),
        f"Predictions{more}": _predictions(service),
    }


def row(inputs: Sequence[Input]) -> Schema:
    """One row as an object; of a model without named columns, anything."""
    if not bodies.named(inputs):
        return {"type": "object"}
    return {
        "type": "object",
        "required": [i.name for i in inputs if i.required],
        "properties": {str(i.name): _value(i) for i in inputs},
    }


def inferred(service: Service) -> Any:
    """The example as tensors; ``None`` where it is not a table that has a value everywhere."""
    content = json.loads(service.example) if service.example else {}
    table, inputs = content.get("dataframe_split"), service.predictor.columns
    if table is None or not bodies.named(inputs):
        return None
    columns = dict(zip(table["columns"], zip(*table["data"], strict=True), strict=True))
    return {
        "inputs": [
            {
                "name": i.name,
                "shape": [len(table["data"])],
                "datatype": fitting.DATATYPES.get(i.type, tensors.BYTES),
                "data": list(columns[i.name]),
            }
            for i in inputs
            if i.name in columns
        ]
    }


def _value(column: Input) -> Schema:
    schema = dict(_TYPES.get(column.type, {}))
    if not column.required and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def _request(service: Service, more: str) -> Schema:
    inputs = service.predictor.columns
    rows = {"type": "array", "items": _ref(f"Row{more}")}
    whole: Schema = rows if bodies.named(inputs) else {}
    split = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": {"type": "array"},
            "index": {"type": ["array", "null"]},
            "data": {"type": "array"},
        },
    }
    forms = {"dataframe_split": split, "dataframe_records": rows, "instances": whole, "inputs": {}}
    return {
        "type": "object",
        "properties": {**forms, "params": _params(service)},
        "oneOf": [{"required": [form]} for form in forms],
    }


def _params(service: Service) -> Schema:
    found: Schema = {}
    for one in service.predictor.parameters:
        found[one.name] = {"default": one.default}
        if not isinstance(one.default, list):
            found[one.name] |= _TYPES.get(one.type, {})
    if service.has_probabilities:
        methods = {"type": "string", "enum": list(parameters.METHODS), "default": "predict"}
        found.setdefault(parameters.METHOD, methods)
    # What the model does not declare is ignored, whatever it is, as MLflow does it.
    return {**(_MORE if service.predictor.parameters else {}), "properties": found}


def _predictions(service: Service) -> Schema:
    properties: Schema = {"predictions": {"type": "array"}}
    if service.has_probabilities:
        properties["classes"] = {"type": "array", "description": "In the order of probabilities."}
    return {"type": "object", "required": ["predictions"], "properties": properties}


def _tensor_request() -> Schema:
    inputs = _tensor("name", "shape", "datatype")
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": _MORE,
            "inputs": {"type": "array", "items": inputs, "minItems": 1},
            "outputs": {"type": ["array", "null"], "items": _tensor("name")},
        },
    }


def _tensors() -> Schema:
    return {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "id": {"type": "string"},
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "parameters": _MORE,
            "outputs": {"type": "array", "items": _tensor("name", "shape", "datatype")},
        },
    }


def _tensor(*required: str) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string", "enum": [*tensors.TYPES, tensors.BYTES]},
            "data": {"type": "array"},
            "parameters": _MORE,
        },
    }


def _operation(
    summary: str, content: Schema, answer: str, error: str, less: Sequence[str] = ()
) -> Schema:
    refused = {
        status: {"description": words, "content": _json(_ref(error))}
        for status, words in _REFUSED.items()
        if status not in less
    }
    answered = {"description": "Predictions.", "content": _json(_ref(answer))}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answered, **refused},
    }


def _asked(path: str) -> Schema:
    """What is answered to a path that takes nothing."""
    told = _told(_ASKED[path])
    if path in _READY:
        told["responses"]["503"] = {"description": "Not now; a sentence says why."}
    return {"get": told, "post": told} if path == _INDEX else {"get": told}


def _told(summary: str) -> Schema:
    return {"summary": summary, "responses": {"200": {"description": summary}}}


def _with_example(schema: Schema, example: Any) -> Schema:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
