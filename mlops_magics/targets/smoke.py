"""What is deployed is asked what its package was tested with; the answers must be those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_magics.errors import StepFailed


def test(package: Path, url: str) -> tuple[str, ...]:
    """Ask a server; what the user should know although it went well.

    Raises
    ------
    StepFailed
        If it does not answer, or answers differently.
    """
    from mlops_magics.serving import manifest

    return compare(url, manifest.example(package), manifest.answers(package))


def compare(url: str, example: bytes, expected: Any) -> tuple[str, ...]:
    """Ask a server a body and compare; without one, say that nothing was tested."""
    import httpx

    from mlops_magics.serving import captured, client
    from mlops_magics.serving.package import comparing

    if not example or expected is None:
        return ("The package has no input example, so the deployment was not smoke-tested.",)
    try:
        reply = client.ask(url, example, client_id=captured.SMOKE_TEST)
    except httpx.HTTPError as error:
        raise StepFailed(
            f"The deployment failed its smoke test, it did not answer ({type(error).__name__}).",
            "It was stopped again.",
        ) from error
    if reply.status != 200:
        raise StepFailed(
            f"The deployment failed its smoke test: {reply.message}", "It was stopped again."
        )
    if difference := comparing.differs(expected, reply.content):
        raise StepFailed(
            f"The deployment failed its smoke test, it answers differently: {difference}.",
            "It was stopped again.",
        )
    return ()
