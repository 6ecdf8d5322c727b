"""A service that speaks the Open Inference Protocol: a body in, an answer out.

https://github.com/kserve/open-inference-protocol. Columns are tensors of one value a row; columns
that are all numbers may come together as one tensor of rows × columns in the signature's order.
The output ``predict`` is answered unless others are asked for; a classifier has ``predict_proba``
besides. Parameters of the request go to the model as ``params`` do in ``/invocations``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.errors import did_you_mean
from mlops_magics.serving import bodies, fitting, parameters, tensors
from mlops_magics.serving.answers import encode
from mlops_magics.serving.refusals import BadRequest, Refusal, shown
from mlops_magics.serving.service import Answer, Ask, Service, Steps

#: Says, in requests and answers, how long the JSON before the binary data is.
HEADER = "inference-header-content-length"
#: The parameters of a request and of an output that are about the answer's form.
_BINARY, _ALL_BINARY = "binary_data", "binary_data_output"


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    binary: bool


class Inference:
    """What the protocol adds to a service.

    Parameters
    ----------
    name, version : str
        Of the model, for its answers.
    """

    def __init__(self, service: Service, name: str, version: str) -> None:
        self.service = service
        self.name = name
        self.version = version

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that can be asked for."""
        return parameters.METHODS if self.service.has_probabilities else parameters.METHODS[:1]

    def metadata(self) -> dict[str, Any]:
        """The model's name, inputs and outputs."""
        predictor = self.service.predictor
        classes = predictor.classes
        if classes is not None:
            array = np.asarray(classes)
            kind = tensors.NAMES.get(array.dtype, tensors.BYTES)
        else:
            kind = fitting.DATATYPES.get(predictor.output, "FP64")
        outputs: list[dict[str, Any]] = [{"name": "predict", "datatype": kind, "shape": [-1]}]
        if self.service.has_probabilities:
            shape = [-1, len(classes or ())]
            outputs.append({"name": "predict_proba", "datatype": "FP64", "shape": shape})
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": f"mlflow_{predictor.flavor}",
            "inputs": fitting.described(predictor.columns),
            "outputs": outputs,
        }

    def steps(self, body: bytes, header: str | None) -> Steps:
        """Read a request, yield what it asks of the model, and make the answer of that.

        Parameters
        ----------
        header : str or None
            What ``Inference-Header-Content-Length`` says.
        """
        start, blobs = tensors.split(body, header)
        content = bodies.parsed(start)
        if not isinstance(content, dict):
            raise BadRequest("The body is no object with inputs.")
        given = parameters.beside(content)
        if not isinstance(content.get("id", ""), str):
            raise BadRequest("The id must be a text.")
        params = {k: v for k, v in given.items() if k != _ALL_BINARY}
        asked = self._asked(content.get("outputs"), given.get(_ALL_BINARY) is True)
        predictor = self.service.predictor
        columns = predictor.columns
        value = fitting.fitted(tensors.read(content.get("inputs"), blobs), columns)
        query = bodies.formed("inputs", value, params, columns)
        own = parameters.values(params, predictor.parameters)
        raw = {}
        for one in asked:
            raw[one.name] = yield Ask(query, one.name, own)
        if "predict" in raw:
            outputs = encode(raw["predict"])
        else:
            outputs = self.service.most_probable(raw["predict_proba"])
        head = self._head()
        if "id" in content:
            head["id"] = content["id"]
        if params:
            head["parameters"] = params
        text, headers = _written(head, asked, raw)
        return Answer(200, text, query.rows, query.kept, outputs, headers=headers)

    def simple(self, more: Mapping[str, Any], raw: Any) -> bytes:
        """The answer to a request that asks for nothing but predictions."""
        text, _ = _written({**self._head(), **more}, [_Asked("predict", False)], {"predict": raw})
        return text

    def _head(self) -> dict[str, Any]:
        return {"model_name": self.name, "model_version": self.version}

    def _asked(self, outputs: Any, binary: bool) -> list[_Asked]:
        if outputs is None or outputs == []:
            return [_Asked("predict", binary)]
        if not isinstance(outputs, list) or not all(isinstance(o, dict) for o in outputs):
            raise BadRequest("outputs must be a list of objects with names.")
        found = []
        for output in outputs:
            name = output.get("name")
            if name not in self.outputs:
                near = did_you_mean(str(name), self.outputs)
                raise BadRequest(f"The model has no output {shown(name)}.", near)
            more = parameters.beside(output, f" of the output {shown(name)}")
            found.append(_Asked(name, more.get(_BINARY, binary) is True))
        if len({o.name for o in found}) < len(found):
            raise BadRequest("An output is asked for twice.")
        return found


def _written(
    head: Mapping[str, Any], asked: Sequence[_Asked], raw: Mapping[str, Any]
) -> tuple[bytes, dict[str, str]]:
    """The answer's body, and what goes into its head."""
    described, blobs = [], []
    for one in asked:
        array = tensors.written(raw[one.name])
        facts: dict[str, Any] = {
            "name": one.name,
            "datatype": tensors.datatype(array),
            "shape": list(array.shape),
        }
        if one.binary:
            blobs.append(tensors.as_binary(array))
            facts["parameters"] = {"binary_data_size": len(blobs[-1])}
            described.append(json.dumps(facts))
        else:
            described.append(f'{json.dumps(facts)[:-1]}, "data": {tensors.as_json(array)}}}')
    text = f'{json.dumps(dict(head))[:-1]}, "outputs": [{", ".join(described)}]}}'.encode()
    if not blobs:
        return text, {}
    headers = {HEADER: str(len(text)), "content-type": "application/octet-stream"}
    return b"".join((text, *blobs)), headers


def refused(refusal: Refusal, request_id: str) -> Answer:
    """A refusal in the protocol's form; the request's id is in the head."""
    return Answer(
        refusal.status,
        json.dumps({"error": str(refusal)}).encode(),
        error=str(refusal),
        headers=refusal.headers,
    )
