"""Chat on a local GGUF model: streaming, JSON that is JSON, tool calls by grammar, one seed one text.

An answer is made of passes over the model. Plain text is one pass; JSON is one pass under a grammar, and a second,
tighter one when the first ran out of tokens; a tool call is a constrained choice of the name, then its arguments.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines import tools, weights
from openpollen.engines.base import CancelToken, Missing
from openpollen.engines.gguf import read_header
from openpollen.engines.llama import Chunk, Llama
from openpollen.engines.text_answer import Answer
from openpollen.engines.text_json import check_schema, is_answer, json_grammar, json_instruction, wanted_schema
from openpollen.engines.text_request import (
    ChatBody,
    Function,
    Message,
    NamedTool,
    plain_messages,
    read_body,
    with_instruction,
)
from openpollen.engines.threads import engine_threads

#: Tokens of prompt and answer together, unless the model was trained for fewer; more would cost memory at once.
CONTEXT_LENGTH = 8192
#: Answer length when the caller gives none; a small model does not always find an end by itself.
DEFAULT_ANSWER_TOKENS = 1024
#: Small models fall into loops of free text without it; a caller who sets a penalty of their own gets that one alone.
DEFAULT_REPEAT_PENALTY = 1.1
#: Small models wander at the usual 1.0.
DEFAULT_TEMPERATURE = 0.5
#: A name has at most 64 characters, and a token at least one.
_NAME_TOKENS = 80
_TIGHT_TOKENS = _ARGUMENT_TOKENS = 512
#: Longest JSON answer of a small model when the caller gives no limit.
_SMALL_JSON_TOKENS = 384
#: Weights up to here are those of a small model, in bytes: some 250 million parameters of 8 bits.
_SMALL_BYTES = 300 << 20


class TextEngine:
    """One GGUF chat model, named as in the list of weights; ``path`` gives its file or raises ``Missing``."""

    kind = "chat"

    def __init__(
        self, name: str = "smollm2", *, path: Callable[[], Path] | None = None, threads: int | None = None
    ) -> None:
        self.name = name
        self.threads = threads or engine_threads()
        self.context_length = CONTEXT_LENGTH
        self._path = path or (lambda: weights.model_path(name))
        self._llama: Llama | None = None
        self._small = False

    @property
    def memory_mb(self) -> int:
        """Weights are held twice (mapped, and repacked for the processor), beside the context and the library."""
        try:
            return 2 * (self._path().stat().st_size >> 20) + 250
        except (Missing, OSError):
            return 0

    def missing(self) -> str:
        try:
            self._path()
        except Missing as missing:
            return str(missing)
        return ""

    def load(self) -> None:
        if self._llama is None:
            path = self._path()
            self._small = path.stat().st_size <= _SMALL_BYTES
            header = read_header(path)
            trained = int(header.metadata.get(f"{header.architecture}.context_length", CONTEXT_LENGTH))
            self.context_length = min(CONTEXT_LENGTH, trained)
            self._llama = Llama(path, threads=self.threads, context_length=self.context_length)

    def unload(self) -> None:
        self._llama = None
        gc.collect()

    def chat(
        self, request: dict[str, Any], token: CancelToken, emit: Callable[[dict[str, Any]], None] | None
    ) -> dict[str, Any]:
        """Answer an OpenAI chat completion body; see ``ChatEngine``. The last chunk emitted carries the usage."""
        body = read_body(request, self.name)
        messages = plain_messages(body.messages, self.name)
        for schema in _schemas(body):
            check_schema(schema)
        self.load()
        assert self._llama is not None
        out = Answer(self.name, emit)
        return _Conversation(self._llama, self._small, body, messages, token, out, emit is not None).answer()


@dataclass
class _Pass:
    """One run of the model: the pieces as they came, why it ended, and what it used."""

    pieces: list[tuple[dict[str, Any], dict[str, Any] | None]] = field(default_factory=list[Any])
    finish: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def text(self) -> str:
        return "".join(delta.get("content") or "" for delta, _ in self.pieces)


@dataclass
class _Conversation:
    """One request being answered."""

    llama: Llama
    small: bool
    body: ChatBody
    messages: list[Message]
    token: CancelToken
    out: Answer
    streamed: bool

    def answer(self) -> dict[str, Any]:
        passes = self._calls()
        if passes:
            return self.out.finish("tool_calls", _usage(passes))
        schema = wanted_schema(self.body.response_format)
        last = self._text() if schema is None else self._json(schema)
        return self.out.finish(last.finish, _usage([last]))

    def _text(self) -> _Pass:
        return self._run(self.messages, self._sampling(), self.out.text)

    def _json(self, schema: dict[str, Any]) -> _Pass:
        """JSON that is whole. A streamed answer cannot be taken back, so only a whole one gets a second try."""
        prompt = with_instruction(self.messages, json_instruction(schema))
        sampling = {**self._sampling(), "max_tokens": self._json_tokens}
        if self.streamed:
            result = self._run(prompt, self._constrained(sampling, schema), self.out.text)
            if not is_answer(result.text, schema):
                raise self._unfinished(result.text)
        else:
            result = self._whole_json(prompt, schema, sampling)
            for delta, logprobs in result.pieces:
                self.out.text(delta, logprobs)
        result.finish = "stop"  # it is whole, even if its last brace was also the last token allowed
        return result

    def _whole_json(self, prompt: list[Message], schema: dict[str, Any], sampling: dict[str, Any]) -> _Pass:
        result = self._run(prompt, self._constrained(sampling, schema))
        if not is_answer(result.text, schema):
            again = {**sampling, "temperature": 0, "max_tokens": min(sampling["max_tokens"], _TIGHT_TOKENS)}
            result = self._run(prompt, self._constrained(again, schema, tight=True))
        if not is_answer(result.text, schema):
            raise self._unfinished(result.text)
        return result

    def _calls(self) -> list[_Pass]:
        """Make the tool calls that are wanted, and tell what they took; no passes when the answer is to be words."""
        offered = tools.offered(self.body)
        limit = tools.MAX_CALLS if self.body.parallel_tool_calls and not self._named else 1
        made, passes = tools.past_calls(self.body.messages), list[_Pass]()
        for _ in range(limit if offered else 0):
            must = not passes and (self._named or self.body.tool_choice == "required")
            tool, choosing = self._choose(offered, made, must=must)
            if tool is None:
                break
            try:
                filled = self._arguments(tool, made)
            except UnprocessableEntity:
                if must:
                    raise
                break  # nobody insisted on a call: words will do
            arguments = json.dumps(json.loads(filled.text), ensure_ascii=False)
            call = f"{tool.name}({arguments})"
            if call in made and not must:
                break
            made.append(call)
            passes += [*choosing, filled]
            self.out.call(tool.name, arguments)
        return passes

    def _choose(self, offered: list[Function], made: list[str], *, must: bool) -> tuple[Function | None, list[_Pass]]:
        if must and len(offered) == 1:
            return offered[0], []
        names = [tool.name for tool in offered] + [tools.NONE] * (not must)
        prompt = tools.choice_messages(offered, self.messages, made)
        result = self._run(prompt, {**_PLAIN, "grammar": tools.choice_grammar(names), "max_tokens": _NAME_TOKENS})
        return next((tool for tool in offered if tool.name == result.text), None), [result]

    def _arguments(self, tool: Function, made: list[str]) -> _Pass:
        prompt = tools.argument_messages(tool, self.messages, made)
        sampling = self._sampling()
        sampling["max_tokens"] = self.body.token_limit or _ARGUMENT_TOKENS
        for key in ("stop", "logprobs", "top_logprobs"):
            sampling.pop(key, None)
        return self._whole_json(prompt, tools.argument_schema(tool), sampling)

    @property
    def _named(self) -> bool:
        return isinstance(self.body.tool_choice, NamedTool)

    def _run(
        self,
        messages: list[Message],
        options: dict[str, Any],
        on_piece: Callable[[dict[str, Any], dict[str, Any] | None], None] | None = None,
    ) -> _Pass:
        result = _Pass()

        def receive(chunk: Chunk) -> None:
            if usage := chunk.get("usage"):
                result.prompt_tokens, result.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
            for choice in cast("list[dict[str, Any]]", chunk.get("choices") or ()):
                piece = (cast("dict[str, Any]", choice.get("delta") or {}), self._told(choice.get("logprobs")))
                result.pieces.append(piece)
                result.finish = choice.get("finish_reason") or result.finish
                if on_piece:
                    on_piece(*piece)

        self.llama.chat({"messages": messages, **options}, self.token, receive)
        return result

    def _told(self, logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
        """The log probabilities without alternatives, where none were asked for."""
        if not logprobs or self.body.top_logprobs:
            return logprobs
        tokens = cast("list[dict[str, Any]]", logprobs.get("content") or [])
        return {**logprobs, "content": [{**token, "top_logprobs": []} for token in tokens]}

    def _sampling(self) -> dict[str, Any]:
        """The caller's own options in the words of the library."""
        body = self.body
        names = ("top_p", "presence_penalty", "frequency_penalty", "stop", "logit_bias", "logprobs", "top_logprobs")
        given = {name: getattr(body, name) for name in names if getattr(body, name) is not None}
        if not body.logprobs:
            given.pop("top_logprobs", None)  # 0 of none is no mistake
        elif not body.top_logprobs:
            given["top_logprobs"] = 1  # the library gives many where none is named; see ``_told``
        given["temperature"] = DEFAULT_TEMPERATURE if body.temperature is None else body.temperature
        # JSON and tool calls repeat by nature, and must be able to copy names out of the request.
        shaped = body.response_format is not None or bool(body.tools)
        if body.repetition_penalty is not None:
            given["repeat_penalty"] = body.repetition_penalty
        elif body.presence_penalty is None and body.frequency_penalty is None and not shaped:
            given["repeat_penalty"] = DEFAULT_REPEAT_PENALTY
        given["max_tokens"] = body.token_limit or DEFAULT_ANSWER_TOKENS
        if body.seed is not None and body.seed >= 0:
            given["seed"] = body.seed % 0xFFFFFFFF  # the library's generator takes 32 bits, all ones means random
        return given

    @property
    def _json_tokens(self) -> int:
        return self.body.token_limit or (_SMALL_JSON_TOKENS if self.small else DEFAULT_ANSWER_TOKENS)

    def _constrained(self, sampling: dict[str, Any], schema: dict[str, Any], *, tight: bool = False) -> dict[str, Any]:
        """The sampling under the grammar of a schema, made so that the tokens allowed are enough for it."""
        grammar = json_grammar(schema, sampling["max_tokens"], small=self.small, tight=tight)
        return {**sampling, "grammar": grammar, **_NO_THINKING}

    def _unfinished(self, text: str) -> UnprocessableEntity:
        """Why JSON is no answer: it breaks a rule that no grammar holds it to, or it is not whole."""
        if is_answer(text, {}):
            return UnprocessableEntity(
                "The model's JSON did not meet the schema. Ask again with another seed, for a larger model, or without rules "
                "such as not, contains, uniqueItems and if.",
                reason="json_mismatch",
            )
        if self.body.stop:
            return UnprocessableEntity(
                "The JSON was not complete: a stop sequence may have ended it. Leave stop out.",
                reason="json_unfinished",
            )
        limit = self._json_tokens
        return UnprocessableEntity(
            f"The JSON was not complete within {limit} tokens. Raise max_tokens, or ask for a smaller answer.",
            reason="json_unfinished",
        )


_NO_THINKING: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
_PLAIN: dict[str, Any] = {"temperature": 0, **_NO_THINKING}


def _schemas(body: ChatBody) -> list[dict[str, Any]]:
    """Every JSON schema that an answer to ``body`` may have to fit."""
    asked = wanted_schema(body.response_format)
    tools = body.tools or () if body.tool_choice != "none" else ()
    return [*([asked] if asked else []), *(tool.function.parameters for tool in tools if tool.function.parameters)]


def _usage(passes: list[_Pass]) -> dict[str, Any]:
    """What the caller is told: the prompt as read for the last pass, and every token that was made for the answer."""
    prompt, made = passes[-1].prompt_tokens, sum(item.completion_tokens for item in passes)
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
