"""A registry over HTTP: https://github.com/opencontainers/distribution-spec."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from mlops_magics.errors import BadData, StepFailed, WrongUsage
from mlops_magics.serving.guard import is_loopback
from mlops_magics.serving.package.images import bases, credentials
from mlops_magics.serving.package.images.blobs import Blobs
from mlops_magics.serving.package.images.layouts import INDEX, MANIFEST, Image, digest

_ACCEPT = ", ".join(
    (
        *(MANIFEST, INDEX),
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_NAME = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
#: Seconds to connect and to wait for the next part.
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)


@dataclass(frozen=True)
class Reference:
    """A registry's host, a repository, and a tag or digest in it."""

    host: str
    repository: str
    version: str

    def __str__(self) -> str:
        sign = "@" if self.version.startswith("sha256:") else ":"
        return f"{self.host}/{self.repository}{sign}{self.version}"

    @property
    def url(self) -> str:
        """Plain HTTP only for a registry on this machine."""
        name = self.host.rpartition(":")[0] or self.host
        host = "registry-1.docker.io" if self.host == "docker.io" else self.host
        return f"{'http' if is_loopback(name) else 'https'}://{host}/v2/{self.repository}"


def parsed(text: str, default_tag: str = "latest") -> Reference:
    """A reference as engines read it.

    Raises
    ------
    WrongUsage
        If it is none.
    """
    name, _, version = text.partition("@")
    if not version:
        head, colon, tail = name.rpartition(":")
        name, version = (head, tail) if colon and "/" not in tail else (name, default_tag)
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, repository = first, rest
    else:
        host, repository = "docker.io", name if "/" in name else f"library/{name}"
    wrong = not _NAME.fullmatch(repository)
    if wrong or not (_TAG.fullmatch(version) or re.fullmatch(r"sha256:[0-9a-f]{64}", version)):
        raise WrongUsage(
            f"{text!r} is no name of an image.",
            "Names are in lower case, for example registry.example.org/team/credit:3.",
        )
    return Reference(host, repository, version)


def pulled(wanted: str, architecture: str, blobs: Blobs) -> bases.Base:
    """A base image, its layers into `blobs`.

    Raises
    ------
    StepFailed
        If the registry does not give it; says what it said.
    """
    reference = parsed(wanted)
    with _Registry(reference, "pull") as registry:
        document = registry.manifest(reference.version)
        if "manifests" in document:
            chosen = bases.choose(document["manifests"], architecture, wanted)
            document = registry.manifest(chosen["digest"])
        config = json.loads(registry.get(f"/blobs/{document['config']['digest']}").content)
        for one in document["layers"]:
            registry.fetch(one["digest"], blobs)
    found = bases.described(document, config, architecture, blobs)
    return bases.Base(
        name=wanted, layers=found.layers, env=found.env, source=f"the registry {reference.host}"
    )


def push(image: Image, wanted: str, blobs: Blobs, tag: str) -> str:
    """Put an image into a registry; the reference by which it is pulled for certain.

    Raises
    ------
    StepFailed
        If the registry refuses; says what it said.
    """
    reference = parsed(wanted, tag)
    with _Registry(reference, "pull,push") as registry:
        for layer in image.layers:
            registry.upload(layer.digest, layer.size, blobs)
        registry.upload(digest(image.config), len(image.config), image.config)
        registry.put(f"/manifests/{reference.version}", image.manifest, {"content-type": MANIFEST})
    return f"{reference.host}/{reference.repository}@{image.digest}"


class _Registry:
    """A repository of a registry, for as long as one pull or push takes."""

    def __init__(self, reference: Reference, scope: str) -> None:
        self.reference = reference
        self.scope = f"repository:{reference.repository}:{scope}"
        self.client = httpx.Client(timeout=_TIMEOUT, follow_redirects=True)
        self.headers: dict[str, str] = {}

    def __enter__(self) -> _Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def manifest(self, version: str) -> Mapping[str, Any]:
        """A manifest or an index."""
        content = self.get(f"/manifests/{version}", {"accept": _ACCEPT}).content
        if version.startswith("sha256:") and digest(content) != version:
            raise BadData(f"{self.reference.host} gave something else for {version}.")
        found: Mapping[str, Any] = json.loads(content)
        return found

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """What is at a path of the repository."""
        return self._checked(self._ask("GET", self.reference.url + path, headers=headers or {}))

    def put(self, path: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Put a document at a path."""
        url = self.reference.url + path
        self._checked(self._ask("PUT", url, content=content, headers=headers))

    def fetch(self, name: str, blobs: Blobs) -> None:
        """A blob into the cache, unless it is there."""
        if blobs.path(name).exists():
            return
        found = hashlib.sha256()
        with self._streamed(f"/blobs/{name}") as reply, blobs.incoming() as (file, keep):
            for part in reply.iter_bytes(1 << 20):
                found.update(part)
                file.write(part)
            if f"sha256:{found.hexdigest()}" != name:
                raise BadData(f"{self.reference.host} gave something else for {name}.")
            keep(name)

    def upload(self, name: str, size: int, content: Blobs | bytes) -> None:
        """A blob, unless the registry has it."""
        there = self._ask("HEAD", f"{self.reference.url}/blobs/{name}")
        if there.status_code == 200:
            return
        begun = self._checked(self._ask("POST", f"{self.reference.url}/blobs/uploads/"))
        place = urljoin(str(begun.url), begun.headers["location"])
        url = httpx.URL(place).copy_merge_params({"digest": name})
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        if isinstance(content, bytes):
            self._checked(self._ask("PUT", str(url), content=content, headers=headers))
            return
        with content.path(name).open("rb") as stream:
            parts = iter(lambda: stream.read(1 << 20), b"")
            self._checked(self._ask("PUT", str(url), content=parts, headers=headers))

    @contextmanager
    def _streamed(self, path: str) -> Iterator[httpx.Response]:
        self._ask("HEAD", self.reference.url + path)  # logs in, so that the stream need not
        try:
            with self.client.stream(
                "GET", self.reference.url + path, headers=self.headers
            ) as reply:
                yield self._checked(reply)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        headers = {**options.pop("headers", {}), **self.headers}
        try:
            reply = self.client.request(method, url, headers=headers, **options)
            if reply.status_code == 401 and not self.headers:
                self.headers = self._logged_in(reply.headers.get("www-authenticate", ""))
                if self.headers:
                    headers |= self.headers
                    reply = self.client.request(method, url, headers=headers, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return reply

    def _logged_in(self, challenge: str) -> dict[str, str]:
        """The header that the registry asks for, by its challenge."""
        known = credentials.of(self.reference.host, self.reference.repository)
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic" and known:
            return {"authorization": httpx.BasicAuth(*known)._auth_header}
        if kind.lower() != "bearer":
            return {}
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        params = {"scope": self.scope, **{k: said[k] for k in ("service",) if k in said}}
        reply = self.client.get(said["realm"], params=params, auth=known or None)
        self._checked(reply)
        content = reply.json()
        return {"authorization": f"Bearer {content.get('token') or content['access_token']}"}

    def _checked(self, reply: httpx.Response) -> httpx.Response:
        if reply.is_success:
            return reply
        reply.read()
        host = self.reference.host
        if reply.status_code == 401:
            raise StepFailed(
                f"The registry {host} wants a log-in for {self.reference.repository}.",
                f"Log in once: `podman login {host}` or `docker login {host}`.",
            )
        if reply.status_code == 403:
            raise StepFailed(
                f"The registry {host} does not let this log-in at {self.reference.repository}.",
                "Ask its owner, or choose another name.",
            )
        if reply.status_code == 404:
            raise StepFailed(f"The registry {host} has no {self.reference}.", "Check the name.")
        raise StepFailed(f"The registry {host} refused ({reply.status_code}): {_words(reply)}.")

    def _unreachable(self, error: httpx.HTTPError) -> StepFailed:
        return StepFailed(
            f"The registry {self.reference.host} was not reached: {error or type(error).__name__}.",
            "Check the name and the network; a base can also be a file: --base image.tar.",
        )


def _words(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["errors"][0]["message"])[:300].rstrip(".")
    except (ValueError, LookupError, TypeError):
        return reply.reason_phrase or "without a word"
