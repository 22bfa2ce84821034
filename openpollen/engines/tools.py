"""Tool calls for models that were never taught any: a name by constrained choice, then arguments by grammar.

A small model follows no tool format on its own, but under a grammar it cannot leave it. Each call therefore takes two
short passes: one whose grammar holds only the tools' names (and "none"), one whose grammar is made from the chosen
tool's JSON schema. The choice prompt shows the tools' own descriptions as examples, which small models follow best.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from openpollen.engines.text_request import ChatBody, Function, Message, NamedTool, Turn, with_instruction

NONE = "none"
#: More calls than this in one answer are a model that cannot stop.
MAX_CALLS = 8

#: Requests that need no tool, as examples beside the tools' own descriptions.
_PLAIN_REQUESTS = ("Hello!", "Tell me a story about a fox.", "Who was Napoleon?", "Explain how magnets work.")


#: Words that say nothing about what is asked; of the others, this many letters tell them apart.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in is it and or for what how who me my i you please with on at be do does tell get give from "
        "this that current right",
    )
)
_STEM = 5


def offered(body: ChatBody) -> list[Function]:
    """The tools that may be called in this answer, in the caller's order.

    When the model is free to choose, a tool that was called since the user last spoke is not offered again: small
    models would call it for ever.
    """
    tools = [tool.function for tool in body.tools or ()]
    if isinstance(body.tool_choice, NamedTool):
        return [tool for tool in tools if tool.name == body.tool_choice.function.name]
    if body.tool_choice == "required":
        return tools
    used = {call.split("(", 1)[0] for call in past_calls(body.messages)}
    return [tool for tool in tools if tool.name not in used] if body.tool_choice != "none" else []


def choice_grammar(names: Sequence[str]) -> str:
    """A grammar that accepts exactly one of the names."""
    return "root ::= " + " | ".join(json.dumps(name) for name in names)


def past_calls(turns: Sequence[Turn]) -> list[str]:
    """The calls made since the user last spoke, each as ``name(arguments)``."""
    last = max((index for index, turn in enumerate(turns) if turn.role == "user"), default=0)
    return [call.text for turn in turns[last:] for call in turn.tool_calls or ()]


def choice_messages(tools: Sequence[Function], messages: list[Message], called: Sequence[str]) -> list[Message]:
    """The prompt that asks which tool the user's last words need; ``called`` are the calls already made for them."""
    listing = "\n".join(f"- {tool.name}: {_purpose(tool)}" for tool in tools)
    prompt: list[Message] = [
        {"role": "system", "content": f"Name the tool for each request, or {NONE}.\n{listing}\n- {NONE}: just talk"}
    ]
    last = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    prompt += _examples(tools, last)
    if called:
        last += f"\n\nAlready called: {'; '.join(called)}. Name a tool only when a further call is needed."
    return [*prompt, {"role": "user", "content": last}]


def argument_messages(tool: Function, messages: list[Message], called: Sequence[str]) -> list[Message]:
    """The prompt that asks for the arguments of one call."""
    schema = json.dumps(argument_schema(tool), ensure_ascii=False)
    done = f" Already called with: {'; '.join(called)}." if called else ""
    return with_instruction(
        messages,
        f"Fill in the arguments of the function {tool.name} ({_purpose(tool)}) from what the user says. "
        f"Answer only with a JSON object that fits this schema: {schema}{done}",
    )


def argument_schema(tool: Function) -> dict[str, Any]:
    """The JSON schema of a tool's arguments; a tool without parameters takes an empty object."""
    schema = dict(tool.parameters or {})
    if not any(key in schema for key in ("properties", "additionalProperties", "$ref", "anyOf", "oneOf", "allOf")):
        schema |= {"properties": {}, "additionalProperties": False}
    schema.setdefault("type", "object")
    return schema


def call_id() -> str:
    return "call_" + secrets.token_hex(12)


def _purpose(tool: Function) -> str:
    return " ".join((tool.description or tool.name.replace("_", " ")).split())


def _examples(tools: Sequence[Function], request: str) -> list[Message]:
    """Each tool's description as a request for it, between requests for none. What is nearest to ``request`` in words
    comes last, where it counts most: without it, SmolLM2 mostly answers at chance (measured on a few hand-made requests
    only, which the layout was also tuned on)."""
    words = _stems(request)
    near = {tool.name: len(words & _stems(f"{tool.name} {_purpose(tool)}")) for tool in tools}
    pairs: list[tuple[str, str]] = []
    for number, tool in enumerate(sorted(tools, key=lambda tool: near[tool.name])):
        pairs += [(_PLAIN_REQUESTS[number % len(_PLAIN_REQUESTS)], NONE), (_purpose(tool), tool.name)]
    if not any(near.values()):
        pairs = pairs[1:] + pairs[:1]
    return [
        message
        for asked, name in pairs
        for message in ({"role": "user", "content": asked}, {"role": "assistant", "content": name})
    ]


def _stems(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower().replace("_", " "))
    return {word[:_STEM] for word in words if word not in _COMMON}
