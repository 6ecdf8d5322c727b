"""Alerts to a webhook: the record's JSON as the body of a POST."""

from __future__ import annotations

from mlops_magics.alerts import posting
from mlops_magics.alerts.base import Message, Sink


class WebhookSink(Sink):
    """``https://…``; of http:// addresses only those of this machine."""

    name = "https"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        posting.check(text)

    @property
    def label(self) -> str:
        """The host alone."""
        return posting.label(self.text)

    def send(self, message: Message) -> str:
        """Post it; a receiver knows a second delivery by ``Idempotency-Key``."""
        key = f"{message.facts.get('run', '')}-{message.event}"
        return posting.post(self.text, message.record.encode(), {"idempotency-key": key})
