"""Mail through the operator's SMTP server: two short letters, sent on a thread while nobody waits."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from email.message import EmailMessage

from openpollen.settings import Mail

log = logging.getLogger("openpollen")

_SECONDS = 20
_WAITING = 100
_FOOT = "If you did not ask for this, do nothing: nothing changes unless the link is opened."


class Mailer:
    """Sends mail. Without a host in the settings it is not ``available``, and pages say whom to ask instead."""

    def __init__(self, settings: Mail, password: str) -> None:
        self._settings = settings
        self._password = password
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        return bool(self._settings.host)

    def send_reset(self, to: str, name: str, url: str) -> None:
        """The link that lets a person in who forgot the password."""
        text = f"Hello {name},\n\nthis link signs you in once, within ten minutes, and lets you set a new password:\n\n{url}\n\n"
        self._send(to, "Set a new password", text + _FOOT)

    def send_verification(self, to: str, name: str, url: str) -> None:
        """The link that shows that an address is theirs."""
        text = f"Hello {name},\n\nthis link confirms that this is your address. It is good for a day:\n\n{url}\n\n"
        self._send(to, "Confirm your address", text + _FOOT)

    def _send(self, to: str, subject: str, text: str) -> None:
        if not self.available:
            return
        if len(self._under_way) >= _WAITING:
            log.warning("mail: a letter was not sent, as %s wait already", _WAITING)
            return
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._settings.sender, to, subject
        message.set_content(text)
        task = asyncio.ensure_future(self._deliver(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._deliver_now, message)
        except (OSError, smtplib.SMTPException) as fault:
            # The server's words may repeat the recipient's address, so only their kind is told.
            log.error("mail: %s does not take our mail: %s", self._settings.host, type(fault).__name__)

    def _deliver_now(self, message: EmailMessage) -> None:
        settings = self._settings
        trusted = ssl.create_default_context()
        if settings.tls == "tls":
            server = smtplib.SMTP_SSL(settings.host, settings.port or 465, timeout=_SECONDS, context=trusted)
        else:
            server = smtplib.SMTP(settings.host, settings.port or 587, timeout=_SECONDS)
        with server:
            if settings.tls == "starttls":
                server.starttls(context=trusted)
            if settings.user:
                server.login(settings.user, self._password)
            server.send_message(message)
