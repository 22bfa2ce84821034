"""How Claude is asked to think, wherever it runs: adaptively with an effort where the model can, else with a budget of tokens.

Source: https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking
"""

from __future__ import annotations

import re
from typing import Any

from openpollen.providers.conversation import Conversation

#: Effort -> thinking tokens, for models without adaptive thinking.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}
_LEAST_BUDGET = 1024
_ADAPTIVE = re.compile(r"claude-(opus|sonnet|haiku)-(4-[6-9]|[5-9])")


def thinking(said: Conversation, model: str, most: int | None) -> tuple[dict[str, Any] | None, str]:
    """The ``thinking`` of a request, and the effort that goes with it where it is adaptive. ``most`` is the limit of tokens, of
    which a budget leaves one; thinking that would leave no room for an answer is not asked for."""
    if said.budget is None and said.effort in _EFFORTS and _ADAPTIVE.search(model):
        return {"type": "adaptive"}, _EFFORTS[said.effort]
    budget = said.budget if said.budget is not None else _BUDGETS.get(said.effort, 0)
    budget = budget if most is None else min(budget, most - 1)
    return ({"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_BUDGET else None), ""
