"""Alerts by e-mail, through the standard library: plain text with HTML beside it."""

from __future__ import annotations

import os
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import SplitResult, unquote, urlsplit

from mlops_magics import settings
from mlops_magics.alerts import posting
from mlops_magics.alerts.base import EXAMPLES, Message, Sink
from mlops_magics.errors import StepFailed, WrongUsage

#: The variable that holds the password; no file and no record does.
PASSWORD = "MLOPS_SMTP_PASSWORD"  # noqa: S105  # its name
#: Seconds for each exchange with the server.
TIME = 20.0
_PORTS = {"smtp": 587, "smtps": 465}


class MailSink(Sink):
    """``mailto:ADDRESS,…``, through the server that the setting `smtp` names.

    ``smtp://`` is encrypted by STARTTLS before anything is said, ``smtps://`` from the start; only
    a server on this machine may do without.
    """

    name = "mailto"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.addresses = [unquote(a).strip() for a in self.place.split(",")]
        for address in self.addresses:
            user, at, host = address.rpartition("@")
            if not (user and at and host) or any(c.isspace() or c in "<>?," for c in address):
                raise WrongUsage(f"{address!r} is no e-mail address.", EXAMPLES)
        self.options = settings.load()
        self.server = _server(self.options.smtp)

    @property
    def label(self) -> str:
        """The addresses."""
        return f"mailto:{','.join(self.addresses)}"

    def send(self, message: Message) -> str:
        """Hand it to the server."""
        try:
            with self._connected() as server:
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError as error:
            why = f"The mail server {self.server.hostname} refused the log-in ({error.smtp_code})."
            raise StepFailed(why, f"The password stands in {PASSWORD}.") from None
        except (smtplib.SMTPException, OSError) as error:
            words = " ".join(str(error).split())[:160] or type(error).__name__
            raise StepFailed(f"The mail server {self.server.hostname}: {words}.") from error
        if refused:
            raise StepFailed(f"The mail server refused {', '.join(refused)}.")
        return f"taken by {self.server.hostname}"

    def _connected(self) -> smtplib.SMTP:
        host = self.server.hostname or ""
        port = self.server.port or _PORTS[self.server.scheme]
        context = ssl.create_default_context()
        if self.server.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIME, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=TIME)
        try:
            if self.server.scheme == "smtp":
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls(context=context)
                elif not posting.is_loopback(host):
                    raise smtplib.SMTPNotSupportedError("it offers no encryption (STARTTLS)")
            password = os.environ.get(PASSWORD, "")
            if self.server.username and password:
                server.login(unquote(self.server.username), password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        user = unquote(self.server.username or "")
        host = self.server.hostname or "localhost"
        mail = EmailMessage()
        mail["Subject"] = " ".join(message.title.split())
        mail["From"] = self.options.smtp_from or (user if "@" in user else f"mlops@{host}")
        mail["To"] = ", ".join(self.addresses)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=host)
        mail["Auto-Submitted"] = "auto-generated"  # answering machines stay silent
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail


def _server(text: str) -> SplitResult:
    """The mail server of the settings."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _PORTS and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = None
    if not usable:
        found = "is none" if text else "is not set"
        raise WrongUsage(
            f"Alerts by e-mail need a mail server, and the setting smtp {found}.",
            'In mlops.toml: smtp = "smtp://user@mail.example.org:587"; the password stands in '
            f"the variable {PASSWORD}.",
        )
    if parts.password:
        raise WrongUsage(
            "The setting smtp holds a password.",
            f"Put it into the variable {PASSWORD}, where no file and no record has it.",
        )
    return parts
