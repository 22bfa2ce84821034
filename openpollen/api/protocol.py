"""uvicorn's HTTP protocol, with our envelope in place of its plain text for what is no HTTP at all."""

from __future__ import annotations

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openpollen.api.errors import envelope
from openpollen.core.errors import BadRequest
from openpollen.core.ids import request_id


class EnvelopeProtocol(HttpToolsProtocol):
    """Answers a request that cannot be parsed like every other fault, and closes the connection."""

    def send_400_response(self, msg: str) -> None:
        identifier = request_id()
        fault = BadRequest(
            "This is not a valid HTTP request: check the method, the headers and the length of the address."
        )
        body = msgspec.json.encode(envelope(fault, identifier))
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {identifier}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
