"""One POST over HTTP: a time limit, a second try, no redirect, and no secret in what it says."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlops_magics.alerts.base import EXAMPLES, hidden
from mlops_magics.errors import StepFailed, WrongUsage

#: Seconds for one try, between the two, and how many.
TIME, PAUSE, TRIES = 10.0, 1.0, 2


def check(url: str) -> None:
    """Refuse an address that is none, or that would carry the record in the open.

    Raises
    ------
    WrongUsage
        Without the address, which may hold a token.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("https", "http"):
        raise WrongUsage("An address for alerts is no https:// address.", EXAMPLES)
    if parts.scheme == "http" and not is_loopback(host):
        raise WrongUsage(
            f"Alerts to http://{host} would go over the network in the open.",
            "Take https://; http:// is for this machine alone (127.0.0.1, localhost).",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def label(url: str) -> str:
    """The address without what may be a token: user, path and query."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    bare = f"{parts.scheme}://{place}"
    return bare if url in (bare, f"{bare}/") else f"{bare}/{hidden(url)}"


def post(url: str, content: bytes, headers: Mapping[str, str]) -> str:
    """Send JSON; what the other side answered.

    A second try follows when the first was not answered, or with 429 or 5xx.

    Raises
    ------
    StepFailed
        If it was not taken.
    """
    import httpx

    why = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE)
        try:
            with _silent(), httpx.Client(timeout=TIME, follow_redirects=False) as client:
                answer = client.post(
                    url, content=content, headers={"content-type": "application/json", **headers}
                )
        except httpx.TimeoutException:
            why = f"It did not answer within {TIME:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = f"It can't be reached ({_told(error, url)})"
        else:
            if answer.is_success:
                return f"HTTP {answer.status_code}"
            why = f"It answered HTTP {answer.status_code}"
            if answer.is_redirect:
                why += ", a redirect, which is not followed"
            if answer.status_code != 429 and answer.status_code < 500:
                raise StepFailed(f"{why}.")
    raise StepFailed(f"{why}, tried {TRIES} times.")


def _told(error: Exception, url: str) -> str:
    """The error's words, if they do not repeat the address."""
    words = " ".join(str(error).split())[:120]
    parts = [url, *filter(None, (urlsplit(url).path.strip("/"), urlsplit(url).query))]
    known = words and not any(part in words for part in parts)
    return words if known else type(error).__name__


@contextmanager
def _silent() -> Iterator[None]:
    """Keep httpx from logging the address, here and in no other thread."""
    mine = threading.get_ident()
    logger = logging.getLogger("httpx")

    def others(entry: logging.LogRecord) -> bool:
        return entry.thread != mine

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
