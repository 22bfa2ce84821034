"""A real mail server on loopback that keeps what it gets: in clear, after STARTTLS, or over TLS; with or without a login."""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.gateway import eventually

USER, PASSWORD = "pollen", "seven loud otters"


@dataclass
class Postbox:
    """``port`` is where it listens; ``certificate`` what its TLS has to be trusted by."""

    port: int = 0
    certificate: Path | None = None
    letters: list[EmailMessage] = field(default_factory=list[EmailMessage])
    #: Of each letter, whether its connection was encrypted and logged in.
    sent: list[tuple[bool, bool]] = field(default_factory=list[tuple[bool, bool]])

    def link_for(self, address: str, count: int = 1) -> str:
        """The path of the link in the newest of ``count`` letters to an address, as soon as it is there."""

        def look() -> str | None:
            found = [letter for letter in self.letters if letter["To"] == address]
            if len(found) < count:
                return None
            link = re.search(r"https?://[^/\s]+(/\S+)", found[-1].get_content())
            return link[1] if link else None

        return eventually(look, f"a letter to {address}")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.sent.append((encrypted, bool(session.authenticated)))
        self.letters.append(cast(EmailMessage, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 kept"


class _AnyPort(Controller):
    """Calls itself up, to see whether it runs, at the port that it got rather than at the one that it asked for."""

    server: Any

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def postbox(tls: Literal["none", "starttls", "tls"] = "none", folder: Path | None = None) -> Generator[Postbox]:
    """One that listens. With TLS it has a certificate of its own in ``folder``, and takes letters only after a login."""
    here = Postbox()
    options: dict[str, Any] = {}
    if tls != "none":
        assert folder is not None
        here.certificate = certificate(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(here.certificate)
        options = {"authenticator": _login, "auth_required": True}
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        else:
            options |= {"ssl_context": context, "auth_require_tls": False}
    controller = _AnyPort(here, hostname="127.0.0.1", port=0, **options)
    controller.start()
    here.port = controller.port
    try:
        yield here
    finally:
        controller.stop()


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postbox")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    encoding = serialization.Encoding.PEM
    path = folder / "postbox.pem"
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(encoding)
    )
    return path


def _login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)
