"""What a package says to people and to a container engine."""

from __future__ import annotations

from string import Template

_DOCKERFILE = Template("""\
# $model, served by mlops_magics: docker build -t $image . && docker run -p 8080:8080 $image
FROM python:$python-slim

WORKDIR /app
ENV PYTHONUNBUFFERED=1

${why}ARG REQUIREMENTS=$requirements
# Before the model, so that a new version of it does not install everything again.
COPY $${REQUIREMENTS} requirements.lock
RUN pip install --no-cache-dir --no-deps -r requirements.lock \\
    && useradd --system --uid 10001 --no-create-home serving

COPY . .
RUN python -m compileall -q mlops_magics
USER 10001

EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \\
    CMD ["python", "-c", "from urllib.request import urlopen as get; \
get('http://127.0.0.1:8080/ping', timeout=2)"]
# --open: inside a container the container's network decides who may ask.
CMD ["python", "-m", "mlops_magics.serving", ".", "--host", "0.0.0.0", "--port", "8080", "--open"]
""")

_README = Template("""\
# $model

$estimator, packaged by mlops_magics.

    pip install --no-deps -r $requirements   # Python $python
    python -m mlops_magics.serving . --port 8080

or in a container:

    docker build -t $image .
    docker run -p 8080:8080 $image

It speaks MLflow's scoring protocol, and the Open Inference Protocol ("V2") besides:

    curl -d @input_example.json -H 'Content-Type: application/json' localhost:8080/invocations

| path | answer |
|---|---|
| `POST /invocations` | predictions, for CSV and JSON (`dataframe_split`, `dataframe_records`, \
`inputs`, `instances`) |
| `POST /models/$name/invocations` | the same, where several models are behind one server |
| `POST /v2/models/$name/infer` | predictions, for tensors in JSON or binary |
| `GET /v2/models/$name`, `/v2/repository/index` | the model's inputs and outputs; all models |
| `GET /livez`, `/readyz`, `/v2/models/$name/ready` | whether the process answers; whether a \
request would be answered |
| `GET /ping`, `/health`, `/version` | what MLflow's server has there |
| `GET /metadata` | the model, its signature, what answers, and how capture goes |
| `GET /metrics` | counts for Prometheus |
| `GET /openapi.json`, `/docs` | all of this for programs and for people |
$probabilities
Options (`python -m mlops_magics.serving --help` has them all):

| option | meaning |
|---|---|
| `FOLDER FOLDER…` | several packages behind one server |
| `--runtime onnx`, `native` | by what the model answers; the fastest exact way without it |
| `--tls-cert FILE --tls-key FILE` | HTTPS |
| `--capture FOLDER` | keep requests and answers, and clients' keys for labels (`x-mlops-key`) |
| `--capture-sample 0.1`, `--capture-mask COLUMN` | ... a share of them, without what is private |
| `--capture-keep-mb N`, `--capture-keep-days N` | ... until it is too much, or too old |
| `--log-format json` | a line of JSON for each request |

Beyond this machine the server asks for the token in `MLOPS_SERVING_TOKEN`, or to be told `--open`.

| file | what it is |
|---|---|
| `model/` | the model as MLflow saved it; its digest is checked at each start |
| `requirements.txt` | everything that it needs, exact |
$graph| `mlops_magics/` | the server |
| `input_example.json`, `expected_answers.json` | a request and what the model answers |
| `package.json` | where it comes from, and the digest of each file |
""")

_PROBABILITIES = """
A classifier's probabilities: add `"params": {"predict_method": "predict_proba"}` to the JSON.
"""

_GRAPH = """\
| `graph/` | the model as an ONNX graph, and on which rows it was proven to answer alike |
| `requirements-onnx.txt` | all that a server needs which answers by the graph |
"""

_WHY = """\
# The graph needs little. What it does not answer, such as parameters of a request, is refused,
# unless all is installed: --build-arg REQUIREMENTS=requirements.txt
"""


def dockerfile(model: str, python: str, has_graph: bool) -> str:
    """How to build an image: slim base, not root, stops on SIGTERM, says how it is."""
    return _DOCKERFILE.substitute(
        model=model,
        image=_image(model),
        python=python,
        requirements=_requirements(has_graph),
        why=_WHY if has_graph else "",
    )


def readme(model: str, estimator: str, python: str, probabilities: bool, has_graph: bool) -> str:
    """How to run the package and what is in it."""
    return _README.substitute(
        model=model,
        name=model.rpartition("/")[0],
        image=_image(model),
        estimator=estimator or "A model",
        python=python,
        requirements=_requirements(has_graph),
        probabilities=_PROBABILITIES if probabilities else "",
        graph=_GRAPH if has_graph else "",
    )


def _requirements(has_graph: bool) -> str:
    return "requirements-onnx.txt" if has_graph else "requirements.txt"


def _image(model: str) -> str:
    """A model's version as an image's name: lower case, with a tag."""
    name, _, number = model.rpartition("/")
    return f"{name.lower().strip('._-')}:{number}"
