"""Every path on one page. Routing, OpenAPI, /docs, the reference page and the tests all read this."""

from __future__ import annotations

from dataclasses import dataclass

from openpollen.api.account import AccountApi, DailyParams, KeyParams, UsageParams
from openpollen.api.audio import AudioApi
from openpollen.api.estimate import EstimateApi
from openpollen.api.images import ImagesApi
from openpollen.api.media import MediaApi
from openpollen.api.models import ModelsApi
from openpollen.api.params import ChatParams, ImageParams, SpeechParams, TextParams, TranscriptionParams
from openpollen.api.route import Handler, Route
from openpollen.api.system import SystemApi
from openpollen.api.text import TextApi
from openpollen.api.videos import VideosApi

_JSON = ("application/json",)
_FORM = ("multipart/form-data",)
_BOTH = (*_JSON, *_FORM)


@dataclass(frozen=True)
class Handlers:
    """The handlers of every path."""

    text: TextApi
    images: ImagesApi
    audio: AudioApi
    videos: VideosApi
    models: ModelsApi
    account: AccountApi
    media: MediaApi
    estimate: EstimateApi
    system: SystemApi


def routes(at: Handlers) -> tuple[Route, ...]:
    """All routes. ``/v1/...`` and the bare paths are the same endpoints, as are ``/api/account`` and ``/account``."""
    return (*_generation(at), *_jobs(at), *_lists(at), *_account(at), *_media(at), *_system(at))


def _v1(path: str) -> tuple[str, ...]:
    return f"/v1{path}", path


def _api(path: str) -> tuple[str, ...]:
    return f"/api/account{path}", f"/account{path}"


def _get(
    paths: tuple[str, ...], handler: Handler, summary: str, spec: type | None = None, answers: str = "application/json"
) -> Route:
    tag = "Generation"
    return Route(("GET", "HEAD"), paths, handler, summary, tag, "key", spec=spec, answers=answers)


def _generation(at: Handlers) -> tuple[Route, ...]:
    image, audio = at.images, at.audio
    chat = "Chat completions, whole or streamed"
    return (
        Route(
            ("POST",), _v1("/chat/completions"), at.text.completions, chat, "Generation", "key", "", ChatParams, _JSON
        ),
        _get(("/text/{prompt:path}",), at.text.text, "Text from a prompt in the address", TextParams, "text/plain"),
        _get(
            ("/image/{prompt:path}",), image.image, "An image, or a video of a video model", ImageParams, "image/jpeg"
        ),
        _get(("/video/{prompt:path}",), image.video, "A video", ImageParams, "video/mp4"),
        _get(("/audio/{text}",), audio.audio, "Speech, or music of a music model", SpeechParams, "audio/mpeg"),
        Route(
            ("POST",),
            _v1("/images/generations"),
            image.generations,
            "An image",
            "Generation",
            "key",
            "",
            ImageParams,
            _JSON,
        ),
        Route(
            ("POST",), _v1("/images/edits"), image.edits, "An edited image", "Generation", "key", "", ImageParams, _BOTH
        ),
        Route(
            ("POST",),
            _v1("/audio/speech"),
            audio.speech,
            "Speech, or music of a music model",
            "Generation",
            "key",
            "",
            SpeechParams,
            _JSON,
            "audio/mpeg",
        ),
        Route(
            ("POST",),
            _v1("/audio/transcriptions"),
            audio.transcriptions,
            "Text of a recording",
            "Generation",
            "key",
            "",
            TranscriptionParams,
            _FORM,
        ),
        Route(
            ("POST",),
            _v1("/audio/translations"),
            audio.translations,
            "Text of a recording, in English",
            "Generation",
            "key",
            "",
            TranscriptionParams,
            _FORM,
        ),
        Route(
            ("POST",),
            _v1("/estimate"),
            at.estimate.estimate,
            "The most a call can cost",
            "Generation",
            "key",
            body=_BOTH,
        ),
    )


def _jobs(at: Handlers) -> tuple[Route, ...]:
    videos, one, tag = at.videos, _v1("/videos/{id}"), "Video jobs"
    return (
        Route(("POST",), _v1("/videos"), videos.create, "Start a video", tag, "key", "", ImageParams, _BOTH),
        Route(("GET",), _v1("/videos"), videos.list, "Your videos, the newest first", tag, "key"),
        Route(("GET",), one, videos.show, "A video's state and progress", tag, "key"),
        Route(("DELETE",), one, videos.delete, "Stop or forget a video", tag, "key"),
        Route(("GET",), _v1("/videos/{id}/content"), videos.content, "The film", tag, "key", answers="video/mp4"),
    )


def _lists(at: Handlers) -> tuple[Route, ...]:
    models, tag = at.models, "Models"
    return (
        Route(("GET",), _v1("/models"), models.openai, "Text models, OpenAI's shape", tag, "optional"),
        Route(("GET",), _v1("/models/status"), models.status, "How the routes of each model do", tag, "optional"),
        Route(("GET",), _v1("/models/{id}"), models.openai_one, "One model", tag, "optional"),
        Route(("GET",), ("/text/models",), models.text, "Text models with metadata", tag, "optional"),
        Route(("GET",), ("/image/models",), models.image, "Image and video models", tag, "optional"),
        Route(("GET",), ("/video/models",), models.video, "Video models", tag, "optional"),
        Route(("GET",), ("/audio/models",), models.audio, "Speech, music and transcription models", tag, "optional"),
        Route(("GET",), ("/embeddings/models",), models.embeddings, "Embedding models (none yet)", tag, "optional"),
    )


def _account(at: Handlers) -> tuple[Route, ...]:
    account, tag = at.account, "Account"
    daily = "Usage by day and model"
    return (
        Route(("GET",), _api("/profile"), account.profile, "Who you are", tag, "key", "account:profile"),
        Route(("GET",), _api("/balance"), account.balance, "Pollen left", tag, "key", "account:balance"),
        Route(
            ("GET",),
            _api("/usage"),
            account.usage,
            "Usage, request by request",
            tag,
            "key",
            "account:usage",
            UsageParams,
        ),
        Route(("GET",), _api("/usage/daily"), account.daily, daily, tag, "key", "account:usage", DailyParams),
        Route(("GET",), _api("/key"), account.key, "The calling key", tag, "key"),
        Route(("GET",), _api("/key/usage"), account.key_usage, "The calling key's usage", tag, "key", "", UsageParams),
        Route(("GET",), _api("/keys"), account.list_keys, "Your keys", tag, "secret key", "account:keys"),
        Route(
            ("POST",),
            _api("/keys"),
            account.create_key,
            "Make a key",
            tag,
            "secret key",
            "account:keys",
            KeyParams,
            _JSON,
        ),
        Route(("DELETE",), _api("/keys/{id}"), account.delete_key, "Revoke a key", tag, "secret key", "account:keys"),
    )


def _media(at: Handlers) -> tuple[Route, ...]:
    media, tag = at.media, "Media"
    anything = ("multipart/form-data", "application/json", "application/octet-stream")
    return (
        Route(("POST",), ("/upload",), media.upload, "Store a file", tag, "key", body=anything),
        Route(("GET",), ("/uploads",), media.list, "Your files", tag, "key"),
        Route(
            ("GET", "HEAD"),
            ("/{hash:hash}",),
            media.retrieve,
            "A file by its hash",
            tag,
            answers="application/octet-stream",
        ),
        Route(("DELETE",), ("/{hash:hash}",), media.delete, "Drop your file", tag, "key"),
    )


def _system(at: Handlers) -> tuple[Route, ...]:
    system, tag = at.system, "System"
    return (
        Route(("GET", "HEAD"), ("/health/live",), system.live, "The process answers", tag),
        Route(("GET", "HEAD"), ("/health/ready",), system.ready, "The program can work", tag),
        Route(("GET", "HEAD"), ("/openapi.json",), system.openapi, "This API as OpenAPI 3.1", tag),
        Route(("GET", "HEAD"), ("/docs",), system.docs, "This API as a page", tag, answers="text/html"),
    )
