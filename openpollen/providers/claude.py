"""What Claude wants of a request wherever it runs: how it is asked to think, and the JSON schemas that its grammars have.

It thinks adaptively with an effort where it can, else with a budget of tokens.
Sources: https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking and
https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from openpollen.providers.conversation import Conversation

#: Effort -> thinking tokens, for models without adaptive thinking.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}
_LEAST_BUDGET = 1024
_ADAPTIVE = re.compile(r"claude-(opus|sonnet|haiku)-(4-[6-9]|[5-9])")
_NEWER = re.compile(r"claude-((opus|sonnet|haiku)-(4-[7-9]|[5-9])|fable|mythos)")
_STRUCTURED = re.compile(r"claude-(opus-4-1|(opus|sonnet|haiku)-(4-[5-9]|[5-9])|fable|mythos)(?!\d)")
#: Bounds that a grammar does not have: they become words of the description.
_BOUNDS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems",
})  # fmt: skip
#: Words of a schema that cannot be left out without saying something else.
_BEYOND = frozenset({"patternProperties", "minProperties", "maxProperties", "not", "if", "prefixItems", "oneOf"})
_NAMED = frozenset({"properties", "$defs", "definitions"})


def thinking(said: Conversation, model: str, most: int | None) -> tuple[dict[str, Any] | None, str]:
    """The ``thinking`` of a request, and the effort that goes with it where it is adaptive. ``most`` is the limit of tokens, of
    which a budget leaves one; thinking that would leave no room for an answer is not asked for."""
    if said.budget is None and said.effort in _EFFORTS and (_ADAPTIVE.search(model) or adaptive_only(model)):
        return {"type": "adaptive"}, "xhigh" if said.effort == "xhigh" and adaptive_only(model) else _EFFORTS[
            said.effort
        ]
    budget = said.budget if said.budget is not None else _BUDGETS.get(said.effort, 0)
    if adaptive_only(model):
        return ({"type": "adaptive"}, _effort_of(budget)) if budget else (None, "")
    budget = budget if most is None else min(budget, most - 1)
    return ({"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_BUDGET else None), ""


def adaptive_only(model: str) -> bool:
    """Whether a model takes neither a budget of thinking nor temperature, top_p and top_k: all from Opus 4.7 on."""
    return _NEWER.search(model) is not None


def bound(model: str, schema: Mapping[str, Any]) -> bool:
    """Whether an answer of the model can be bound to a schema."""
    return _STRUCTURED.search(model) is not None and _expressible(schema)


def grammar(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as a grammar has it: closed objects, bounds told in descriptions."""
    out: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _BOUNDS and not (name == "minItems" and value in (0, 1)):
            told.append(f"{name}: {value}")
        elif name in _NAMED and isinstance(value, dict):
            out[name] = {key: _grammar(one) for key, one in cast(dict[str, Any], value).items()}
        else:
            out[name] = _grammar(value) if name in ("items", "anyOf", "allOf") else value
    if "properties" in out:
        out["additionalProperties"] = False
    if told:
        out["description"] = " ".join(
            [*([str(out["description"])] if "description" in out else []), f"({', '.join(told)})"]
        )
    return out


def _grammar(value: Any) -> Any:
    if isinstance(value, list):
        return [_grammar(one) for one in cast(list[Any], value)]
    return grammar(cast(dict[str, Any], value)) if isinstance(value, dict) else value


def _expressible(value: Any) -> bool:
    """Whether a schema stays what it is as a grammar. An object of any members does not."""
    if isinstance(value, list):
        return all(_expressible(one) for one in cast(list[Any], value))
    if not isinstance(value, dict):
        return True
    known = cast(dict[str, Any], value)
    if known.keys() & _BEYOND or isinstance(known.get("additionalProperties"), dict):
        return False
    if known.get("type") == "object" and not known.get("properties") and known.get("additionalProperties") is not False:
        return False
    named = [one for name in _NAMED for one in cast(dict[str, Any], known.get(name) or {}).values()]
    return all(map(_expressible, [*named, known.get("items"), known.get("anyOf"), known.get("allOf")]))


def _effort_of(budget: int) -> str:
    return next((effort for effort in ("low", "medium", "high") if budget <= _BUDGETS[effort]), "max")
