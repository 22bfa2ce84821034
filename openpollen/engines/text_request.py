"""The caller's chat completion body, checked, and turned into plain messages that any chat template takes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from openpollen.core.errors import BadRequest

MAX_TOOLS = 64
MAX_STOPS = 4

Message = dict[str, str]


class Part(Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Struct):
    name: str
    arguments: str = "{}"


class Called(Struct):
    """A tool call of an earlier answer; ``text`` writes it as ``name(arguments)``."""

    function: CalledFunction
    id: str = ""

    @property
    def text(self) -> str:
        arguments = self.function.arguments
        with suppress(ValueError):  # a caller may send back anything
            arguments = json.dumps(json.loads(arguments), ensure_ascii=False)
        return f"{self.function.name}({arguments})"


class Turn(Struct):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class Function(Struct):
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Struct):
    function: Function
    type: Literal["function"] = "function"


class NamedFunction(Struct):
    name: str


class NamedTool(Struct):
    function: NamedFunction
    type: Literal["function"] = "function"


class JsonSchema(Struct):
    schema: dict[str, Any]
    name: str = "answer"


class ResponseFormat(Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatBody(Struct):
    """What the engine reads of an OpenAI chat completion body; a null counts as absent, other fields are ignored."""

    messages: Annotated[list[Turn], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOPS)] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None

    @property
    def token_limit(self) -> int | None:
        """The caller's limit on the answer, in tokens; the smaller of the two when both are given."""
        given = [limit for limit in (self.max_tokens, self.max_completion_tokens) if limit is not None]
        return min(given) if given else None


def read_body(request: dict[str, Any], model: str) -> ChatBody:
    """Check an OpenAI body for ``model``; BadRequest names the field and what would work."""
    try:
        body = msgspec.convert(request, ChatBody)
    except msgspec.ValidationError as error:
        fault, _, place = str(error).partition(" - at `")
        name = place.rstrip("`").removeprefix("$").lstrip(".") or "body"
        raise BadRequest(f"{name}: {fault[:200]}") from error
    if body.n not in (None, 1):
        raise BadRequest(f"n: {model} makes one answer at a time; leave it out.")
    if body.top_logprobs and not body.logprobs:
        raise BadRequest("top_logprobs: needs logprobs=true.")
    if body.response_format and body.response_format.type == "json_schema" and not body.response_format.json_schema:
        raise BadRequest("response_format: json_schema needs the field json_schema with a schema in it.")
    offered = {tool.function.name for tool in body.tools or ()}
    if isinstance(body.tool_choice, NamedTool) and body.tool_choice.function.name not in offered:
        raise BadRequest(f"tool_choice: names {body.tool_choice.function.name!r}, which is not among the tools given.")
    if body.tool_choice == "required" and not offered:
        raise BadRequest("tool_choice: required needs a list of tools.")
    return body


def plain_messages(turns: list[Turn], model: str) -> list[Message]:
    """The conversation as system, user and assistant texts that any chat template takes.

    All system texts stand first, as one. A tool result is told with its call as part of what the user says; small
    models that read calls in their own turns go on writing calls."""
    system = [_text(turn, model) for turn in turns if turn.role in ("system", "developer")]
    messages: list[Message] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    calls: dict[str, str] = {}
    for turn in turns:
        content = _text(turn, model)
        if turn.role == "assistant":
            calls.update({call.id: call.text for call in turn.tool_calls or ()})
        elif turn.role in ("tool", "function"):
            content = f"{calls.get(turn.tool_call_id or '') or turn.name or 'The tool'} returned: {content}"
        if turn.role in ("system", "developer") or (turn.role == "assistant" and not content):
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += "\n\n" + content
        else:
            messages.append({"role": role, "content": content})
    return messages


def with_instruction(messages: list[Message], instruction: str) -> list[Message]:
    """The same conversation with ``instruction`` at the end of its system text."""
    if messages and messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{messages[0]['content']}\n\n{instruction}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": instruction}, *messages]


def _text(turn: Turn, model: str) -> str:
    if turn.content is None:
        return ""
    if isinstance(turn.content, str):
        return turn.content
    for part in turn.content:
        if part.type not in ("text", "refusal"):
            raise BadRequest(
                f"{model} reads text only and cannot take a {part.type!r} part. "
                "Send text; GET /v1/models tells in input_modalities what each model takes now."
            )
    return "\n".join(part.text or part.refusal or "" for part in turn.content)
