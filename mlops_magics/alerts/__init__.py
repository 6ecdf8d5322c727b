"""Telling people that something was found wanting: where to, what, and when again."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.alerts import (
        base,
        command,
        mail,
        messages,
        occasions,
        posting,
        sending,
        slack,
        webhook,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "base",
        "command",
        "mail",
        "messages",
        "occasions",
        "posting",
        "sending",
        "slack",
        "webhook",
    ],
)
