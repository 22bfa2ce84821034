"""One GGUF model in memory, through xllamacpp: the only file that knows that library.

One slot and no prompt cache, so that a seed gives the same text whatever was asked before. The library always opens an
HTTP listener; it is given a Unix socket in a private folder, which is removed as soon as the model is loaded, and a
random key on top, so nothing can reach it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from openpollen.core.errors import BadRequest
from openpollen.engines.base import Cancelled, CancelToken, Missing

#: Tokens of prompt read between two looks at the cancel token.
PROMPT_BATCH = 128

Chunk = dict[str, Any]


class Llama:
    """A loaded model. ``context_length`` is in tokens, prompt and answer together."""

    def __init__(self, path: Path, *, threads: int, context_length: int) -> None:
        import xllamacpp

        library: Any = xllamacpp  # ships no types
        params = library.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context_length
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = PROMPT_BATCH
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_prompt = params.cache_idle_slots = params.fit_params = params.warmup = False
        params.cache_ram_mib = params.n_ctx_checkpoints = 0
        params.use_jinja = True
        params.prefill_assistant = False
        params.verbosity = -1
        params.ui = params.endpoint_slots = False
        params.n_threads_http = 1
        params.api_keys = [secrets.token_hex(16)]
        with tempfile.TemporaryDirectory(prefix="openpollen-") as private:
            params.hostnames = [os.path.join(private, "llama.sock")]
            try:
                self._server: Any = library.Server(params)
            except RuntimeError as error:  # it gives no reason
                raise Missing(
                    f"{path.name} cannot be loaded: it is damaged, too large for this machine, or of a kind that this "
                    "engine does not know. Run `polli models pull` again or choose another model."
                ) from error
        self._context_length = context_length

    def chat(self, body: dict[str, Any], token: CancelToken, on_chunk: Callable[[Chunk], None]) -> None:
        """Run one chat completion and hand each chunk to ``on_chunk``; stops within a token of ``token.cancel()``."""
        failure: list[BaseException] = []

        def receive(chunk: Chunk) -> bool:
            try:
                token.check()
                if "error" in chunk:
                    raise self._error(cast("dict[str, Any]", chunk["error"]))
                on_chunk(chunk)
            except BaseException as error:  # must not cross the C++ frames; it is raised again below
                failure.append(error)
                return True
            return False

        request = {**body, "stream": True, "cache_prompt": False, "return_progress": True}
        request["stream_options"] = {"include_usage": True}
        self._server.handle_chat_completions(request, receive)
        if failure:
            raise failure[0]
        if token.cancelled:
            raise Cancelled

    def _error(self, error: dict[str, Any]) -> Exception:
        message = str(error.get("message", error))
        if error.get("type") == "exceed_context_size_error":
            return BadRequest(
                f"The prompt has {error.get('n_prompt_tokens')} tokens, but this model's context_length is "
                f"{self._context_length} tokens for prompt and answer together. Shorten the messages.",
                reason="context_length_exceeded",
            )
        if error.get("code") == 400:
            return BadRequest(message)
        return RuntimeError(f"The text engine failed: {message}")


def grammar_of(schema: dict[str, Any]) -> str:
    """A GBNF grammar that accepts the JSON texts which fit ``schema``; BadRequest says why when none can be made."""
    import xllamacpp

    try:
        return str(cast("Any", xllamacpp).json_schema_to_grammar(schema))
    except Exception as error:  # the library raises plain RuntimeError for every fault of the schema
        raise BadRequest(f"This JSON schema cannot be turned into a grammar: {error}") from error
