"""One model at work: a body in, an answer out, whoever carries it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from mlops_magics.flavors.predictors import Predictor
from mlops_magics.serving import bodies, parameters
from mlops_magics.serving.answers import encode
from mlops_magics.serving.graph import Beyond, Graph
from mlops_magics.serving.refusals import BadRequest, ModelFailed, Refusal, shown
from mlops_magics.serving.table import Table, framed

T = TypeVar("T")

log = logging.getLogger("mlops_magics.serving")

#: What an estimator raises when it does not like what it was given.
_COMPLAINTS = (ValueError, TypeError, KeyError, IndexError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and what capture keeps.

    Attributes
    ----------
    body : bytes
        JSON.
    columns : mapping or None
        The input columns of a request that was answered.
    outputs : str
        JSON: one prediction a row; for probabilities the most probable class.
    headers : mapping
        What goes into the head of the answer beside what every answer has there.
    """

    status: int
    body: bytes
    rows: int = 0
    columns: Mapping[str, Sequence[Any]] | None = None
    outputs: str = ""
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks of the model: `predict` or `predict_proba`, and with what."""

    query: bodies.Query
    method: str
    params: Mapping[str, Any]


#: A request on its way: it yields what it asks, is sent what the model returns, and returns.
Steps = Generator[Ask, Any, Answer]


class Service:
    """A predictor, and how requests to it are read and answered.

    Parameters
    ----------
    predictor : Predictor
    example : bytes
        A JSON body that is known to be answered; tells a bad request from a broken model.
    """

    def __init__(self, predictor: Predictor, example: bytes = b"") -> None:
        self.predictor = predictor
        self.example = example
        self.has_probabilities = predictor.has_probabilities

    def answer(self, body: bytes, content_type: str, request_id: str) -> Answer:
        """Answer a request; never raises."""
        return guarded(lambda: self._whole(self.steps(body, content_type)), refused, request_id)

    def _whole(self, steps: Steps) -> Answer:
        """All steps, with nobody else's between them."""
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self.ask(ask.query, ask.method, ask.params))
        except StopIteration as done:
            answer: Answer = done.value
            return answer

    def steps(self, body: bytes, content_type: str) -> Steps:
        """Read a request, yield what it asks of the model, and make the answer of that."""
        predictor = self.predictor
        query = bodies.read(body, content_type, predictor.columns)
        method = parameters.method(query.params, predictor.parameters, self.has_probabilities)
        params = parameters.values(query.params, predictor.parameters)
        raw = yield Ask(query, method, params)
        text, outputs = predicted(self, method, raw)
        return Answer(200, text, query.rows, query.kept, outputs)

    def most_probable(self, probabilities: Any) -> str:
        """JSON: of each row the class that is most probable."""
        classes = self.predictor.classes or ()
        return encode([classes[i] for i in np.asarray(probabilities).argmax(axis=1)])

    def ask(self, query: bodies.Query, method: str, params: Mapping[str, Any]) -> Any:
        """What the model returns.

        Raises
        ------
        BadRequest
            If the model does not take this and still takes its example.
        ModelFailed
            If it fails otherwise.
        """
        try:
            return self.raw(query.data, method, params)
        except Exception as error:
            if isinstance(error, _COMPLAINTS) and _complains(error) and self._is_well():
                # The request is at fault, so the sentence is all that is owed.
                raise BadRequest(self._complaint(query, error)) from error
            raise ModelFailed(
                f"The model failed ({type(error).__name__}).", "The server's log says more."
            ) from error

    def raw(self, data: Any, method: str, params: Mapping[str, Any]) -> Any:
        """What the model returns; raises what it raises."""
        data = data if isinstance(self.predictor, Graph) else framed(data)
        if method == "predict_proba":
            return self.predictor.predict_proba(data)
        return self.predictor.answer(data, params)

    def exemplary(self) -> bodies.Query | None:
        """The example as a query; ``None`` without one."""
        if not self.example:
            return None
        return bodies.read(self.example, "application/json", self.predictor.columns)

    def _is_well(self) -> bool:
        """Whether the model still answers its example."""
        try:
            if query := self.exemplary():
                self.raw(query.data, "predict", parameters.values(None, self.predictor.parameters))
        except Exception:
            return False
        return True

    def _complaint(self, query: bodies.Query, error: Exception) -> str:
        """Why the model refused, as far as the columns tell it; else in the model's words."""
        if query.absent:
            names = ", ".join(map(shown, query.absent))
            return (
                f"The model needs {names}, which the request lacks: send null where a value is "
                "not known."
            )
        if isinstance(query.data, Table):
            for column in self.predictor.columns:
                if column.name not in query.data.arrays:
                    continue
                missing = query.data.missing(column.name)
                if column.required and missing.any():
                    row = int(missing.argmax()) + 1
                    return (
                        f"Column {shown(column.name)} has no value in row {row}, and this model "
                        "can't do without."
                    )
                values = query.data.arrays[column.name]
                if values.dtype.kind == "f" and np.isinf(values).any():
                    row = int(np.isinf(values).argmax()) + 1
                    return f"Column {shown(column.name)} is infinite in row {row}."
        if isinstance(error, Beyond) and not error.words:
            return (
                f"{error.where} is beyond the graph of the model, and this server has no more of "
                "it. Ask one that runs with all that requirements.txt names."
            )
        said = (str(error).strip().splitlines() or [""])[0]
        words = said if isinstance(error, Beyond) else f"{type(error).__name__}: {said}"
        return f"The model can't predict this ({words[:300]})."

    def wants(self) -> list[dict[str, Any]]:
        """The signature, for people and for tools."""
        return [
            {
                "name": i.name,
                "type": i.type,
                "required": i.required,
                **({"shape": list(i.shape)} if i.shape is not None else {}),
            }
            for i in self.predictor.columns
        ]


def _complains(error: Exception) -> bool:
    """Whether the model does not like what it was given; a graph says it in the model's words."""
    if not isinstance(error, Beyond) or not error.words:
        return True
    return error.words.partition(":")[0] in {kind.__name__ for kind in _COMPLAINTS}


def predicted(service: Service, method: str, raw: Any) -> tuple[bytes, str]:
    """What a model returned as the body of an answer, and one prediction a row as JSON."""
    predictions = encode(raw)
    if method == "predict":
        return f'{{"predictions":{predictions}}}'.encode(), predictions
    classes = encode(list(service.predictor.classes or ()))
    text = f'{{"predictions":{predictions},"classes":{classes}}}'
    return text.encode(), service.most_probable(raw)


def guarded(
    answering: Callable[[], T], refusing: Callable[[Refusal, str], Answer], request_id: str
) -> T | Answer:
    """The answer, or in the protocol's own form a refusal; what is our fault is logged."""
    try:
        return answering()
    except Refusal as refusal:
        if refusal.status >= 500:
            log.exception("Request %s: %s", request_id, refusal)
        return refusing(refusal, request_id)
    except Exception:
        log.exception("Request %s failed", request_id)
        return refusing(ModelFailed("The server failed to answer."), request_id)


def refused(refusal: Refusal, request_id: str) -> Answer:
    """A refusal as an answer: MLflow's form of an error, and the request's id."""
    content = {"error_code": refusal.code, "message": str(refusal), "request_id": request_id}
    return Answer(
        refusal.status, json.dumps(content).encode(), error=str(refusal), headers=refusal.headers
    )
