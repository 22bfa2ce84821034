"""ACE-Step 1.5's own server (https://github.com/ace-step/ACE-Step-1.5/blob/main/docs/en/API.md): songs, as jobs.

``release_task`` begins one, ``query_result`` tells of it, ``v1/audio`` hands its file out. Every answer is wrapped as
``{data, code, error}``, and ``code`` counts beside the status. mp3, WAV and FLAC are made there by every version: what else
is asked for is turned into that when it is here.

A song without voices has no lyrics. One with voices (``instrumental`` false) is sung from the lines of the prompt that follow
the first one in brackets, such as ``[Verse 1]``; without any, the server's language model writes the words.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from openpollen.core.assets import Asset, AudioFormat, JobState, Media, MusicRequest, SpeechRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers import lyrics
from openpollen.providers.adapter import UNSNIFFED, Adapter, BaseAdapter, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.failures import from_answer, unreadable
from openpollen.providers.openai_wire import headers

_PARAMS = frozenset({
    "prompt", "input", "seconds", "duration", "format", "response_format", "seed", "instrumental",
})  # fmt: skip
_MADE: frozenset[AudioFormat] = frozenset({"mp3", "wav", "flac"})
_MADE_ELSE: AudioFormat = "flac"
_TURBO_STEPS = 8
_OK = 200
_AUDIO = "/v1/audio?path="

_T = TypeVar("_T")


class _Wrapped(Struct, frozen=True):
    code: int = _OK
    error: Any = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Begun(Struct, frozen=True):
    task_id: str


class _Task(Struct, frozen=True):
    """``result`` is JSON text: a list of ``_Song``."""

    task_id: str
    status: int
    result: str | None = None


class _Song(Struct, frozen=True):
    file: str | None = None
    progress: float | None = None
    stage: str | None = None
    error: str | None = None


class AceStep(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "acestep"
    operations = frozenset({Capability.MUSIC})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS if operation is Capability.MUSIC else frozenset()

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
        assert isinstance(request, MusicRequest)  # this wire is asked for music only
        audio_format = request.format if request.format in _MADE else _MADE_ELSE
        body = {**_song(request), "model": route.model, "batch_size": 1, "audio_format": audio_format}
        if request.seconds is not None:
            body["audio_duration"] = request.seconds
        if request.seed is not None:
            body |= {"seed": request.seed, "use_random_seed": False}
        if "turbo" in route.model:
            body["inference_steps"] = _TURBO_STEPS
        return _post("release_task", body, provider)

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        begun = _read(_unwrapped(status, headers, body, provider), _Begun, provider)
        return JobState(begun.task_id, "queued")

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return _post("query_result", {"task_id_list": [job]}, provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        tasks = _read(_unwrapped(status, headers, body, provider), list[_Task], provider)
        if not tasks:
            raise unreadable("no word of the job", provider)
        task = tasks[0]
        songs = _read((task.result or "[]").encode(), list[_Song], provider)
        song = songs[0] if songs else _Song()
        if task.status == 1 and song.file:
            return JobState(task.task_id, "done", 100, result=song.file)
        if task.status in (1, 2):
            why = song.error or ("it made no file" if task.status == 1 else "the server gives no reason")
            return JobState(task.task_id, "failed", error=scrub(why, [provider.key] if provider.key else []))
        if task.status != 0:
            raise unreadable("a job in a state that is not known", provider)
        waits = not song.progress and song.stage in (None, "queued")
        progress = min(99, max(0, int((song.progress or 0) * 100)))
        return JobState(task.task_id, "queued" if waits else "running", progress)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        """The file of a song: its state has an address, one without a host, or a path on the server."""
        file = job.result
        if file.startswith(("http://", "https://")):
            url = own_address(file, provider)
        else:
            path = file if file.startswith(_AUDIO) else _AUDIO + quote(file, safe="")
            url = provider.base_url.rstrip("/") + path
        return Outgoing("GET", url, headers(provider, "*/*"))

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        if not 200 <= status < 300 or "application/json" in headers.get("content-type", ""):
            raise from_answer(status, headers, body, provider)
        if not body:
            raise unreadable("an empty sound", provider)
        return Media((Asset(body, UNSNIFFED),))


def _song(request: MusicRequest) -> dict[str, Any]:
    if request.instrumental:
        return {"prompt": request.prompt, "lyrics": lyrics.WORDLESS}
    style, words = lyrics.split(request.prompt)
    return {"prompt": style, "lyrics": words} if words else {"sample_query": request.prompt, "thinking": True}


def _post(path: str, body: dict[str, Any], provider: Provider) -> Outgoing:
    url = f"{provider.base_url.rstrip('/')}/{path}"
    return Outgoing("POST", url, headers(provider, "application/json", "application/json"), msgspec.json.encode(body))


def _unwrapped(status: int, headers: Headers, body: bytes, provider: Provider) -> bytes:
    """The ``data`` of an answer. Raises Failure for an error, whichever way it is told."""
    if status == 429:  # the server's own queue is full: no limit of ours
        raise from_answer(503, headers, body, provider)
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    wrapped = _read(body, _Wrapped, provider)
    if wrapped.code != _OK or wrapped.error:
        raise from_answer(wrapped.code if wrapped.code != _OK else 500, headers, body, provider)
    return bytes(wrapped.data)


def _read(data: bytes, shape: type[_T], provider: Provider) -> _T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None


ADAPTER: Adapter = AceStep()
