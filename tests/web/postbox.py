"""A mail server on loopback that keeps what it gets."""

from __future__ import annotations

import re
import socketserver
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from tests.gateway import eventually
from tests.web.serving import serving


@dataclass
class Postbox:
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list[EmailMessage])

    def link_for(self, address: str, count: int = 1) -> str:
        """The path of the link in the newest of ``count`` letters to an address, as soon as it is there."""

        def look() -> str | None:
            found = [letter for letter in self.letters if letter["To"] == address]
            if len(found) < count:
                return None
            link = re.search(r"https?://[^/\s]+(/\S+)", found[-1].get_content())
            return link[1] if link else None

        return eventually(look, f"a letter to {address}")


@contextmanager
def postbox() -> Generator[Postbox]:
    """One that listens."""
    here = Postbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 postbox")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self._say("354 go on")
                    here.letters.append(self._letter())
                self._say("221 bye" if word == b"QUIT" else "250 ok")
                if word == b"QUIT":
                    return

        def _letter(self) -> EmailMessage:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return cast(EmailMessage, message_from_bytes(b"".join(lines), policy=policy.default))

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    here.port = server.server_address[1]
    with serving(server):
        yield here
