"""Anthropic's Messages API (https://docs.anthropic.com/en/api/messages), and the same body on Vertex AI
(https://docs.anthropic.com/en/api/claude-on-vertex-ai) and in Bedrock's InvokeModel
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html), which are told by
the address.

A web search costs by the search, so ``web_search_options`` is taken only where ``params`` of a host or route name it: such a
model has a price for it.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import anthropic_answer, anthropic_chat
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.anthropic_stream import Frames
from openpollen.providers.bedrock_wire import call, model_path
from openpollen.providers.claude import adaptive_only
from openpollen.providers.credential import credential
from openpollen.providers.vertex import regional

_VERTEX, _BEDROCK = "vertex-2023-10-16", "bedrock-2023-05-31"
_SEARCH = "web_search_options"
_SAMPLING = frozenset({"temperature", "top_k", "top_p"})
_CHAT = _SAMPLING | {
    "function_call", "functions", "max_completion_tokens", "max_tokens", "messages", "model", "parallel_tool_calls",
    "reasoning_effort", "response_format", "stop", "stream", "stream_options", "thinking", "thinking_budget",
    "tool_choice", "tools", "user",
}  # fmt: skip


class Anthropic(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises. Vertex AI and Bedrock fetch no addresses, so
    pictures and files go out as bytes."""

    wire = "anthropic"
    operations = frozenset({Capability.CHAT})
    inline = True

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is not Capability.CHAT:
            return frozenset()
        return _params(provider.base_url, route.model, searches=_SEARCH in provider.params | route.params)

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        known = self.params(Capability.CHAT, provider, route)
        body = anthropic_chat.body_of(request, route.model, known)
        if _is_bedrock(provider.base_url):
            verb = "invoke-with-response-stream" if request.stream else "invoke"
            path = model_path(route.model, verb)
            accept = "" if request.stream else "application/json"
            return call("POST", path, provider, {**body, "anthropic_version": _BEDROCK}, accept)
        if request.stream:
            body["stream"] = True
        if _is_vertex(provider.base_url):
            body["anthropic_version"] = _VERTEX
            url = (
                f"{regional(provider.base_url)}/{route.model}:{'streamRawPredict' if request.stream else 'rawPredict'}"
            )
        else:
            body["model"] = route.model
            url = f"{provider.base_url}/messages"
        headers = (("accept", "application/json"), ("content-type", "application/json"), *credential(provider))
        return Outgoing("POST", url, headers, msgspec.json.encode(body))

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return anthropic_answer.decode(status, headers, body, provider)

    def chat_frames(self, route: Route) -> Frames:
        return Frames()


@lru_cache(maxsize=256)
def _params(base_url: str, model: str, *, searches: bool) -> frozenset[str]:
    known = _CHAT - _SAMPLING if adaptive_only(model) else _CHAT
    if _is_bedrock(base_url):
        return known - {"user"}  # its InvokeModel names no metadata and has no web search
    return known | {_SEARCH} if searches else known


def _is_vertex(base_url: str) -> bool:
    return "/publishers/" in base_url


def _is_bedrock(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").startswith("bedrock-runtime.")


ADAPTER: Adapter = Anthropic()
