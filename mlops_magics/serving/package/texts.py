"""What a package says to people and to a container engine."""

from __future__ import annotations

from string import Template

_DOCKERFILE = Template("""\
# $model, served by mlops_magics: docker build -t $image . && docker run -p 8080:8080 $image
FROM python:$python-slim

WORKDIR /app
ENV PYTHONUNBUFFERED=1

# Before the model, so that a new version of it does not install everything again.
COPY requirements.txt .
RUN pip install --no-cache-dir --no-deps -r requirements.txt \\
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

    pip install --no-deps -r requirements.txt   # Python $python
    python -m mlops_magics.serving . --port 8080

or in a container:

    docker build -t $image .
    docker run -p 8080:8080 $image

It speaks MLflow's scoring protocol:

    curl -d @input_example.json -H 'Content-Type: application/json' localhost:8080/invocations

| path | answer |
|---|---|
| `POST /invocations` | predictions, for CSV and JSON (`dataframe_split`, `dataframe_records`, \
`inputs`, `instances`) |
| `GET /ping`, `/health` | 200 when the model is loaded |
| `GET /version` | the version of MLflow whose protocol this is |
| `GET /metadata` | the model, its signature, and how capture goes |
$probabilities
Options: `python -m mlops_magics.serving --help`. Beyond this machine the server asks for the
token in `MLOPS_SERVING_TOKEN`, or to be told `--open`.

| file | what it is |
|---|---|
| `model/` | the model as MLflow saved it; its digest is checked at each start |
| `requirements.txt` | everything that it needs, exact |
| `mlops_magics/` | the server |
| `input_example.json`, `expected_answers.json` | a request and what the model answers |
| `package.json` | where it comes from, and the digest of each file |
""")

_PROBABILITIES = """
A classifier's probabilities: add `"params": {"predict_method": "predict_proba"}` to the JSON.
"""


def dockerfile(model: str, python: str) -> str:
    """How to build an image: slim base, not root, stops on SIGTERM, says how it is."""
    return _DOCKERFILE.substitute(model=model, image=_image(model), python=python)


def readme(model: str, estimator: str, python: str, probabilities: bool) -> str:
    """How to run the package and what is in it."""
    return _README.substitute(
        model=model,
        image=_image(model),
        estimator=estimator or "A model",
        python=python,
        probabilities=_PROBABILITIES if probabilities else "",
    )


def _image(model: str) -> str:
    """A model's version as an image's name: lower case, with a tag."""
    name, _, number = model.rpartition("/")
    return f"{name.lower().strip('._-')}:{number}"
