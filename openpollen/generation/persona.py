"""Models that are a persona over another one: what they are told before the caller's own messages."""

from __future__ import annotations

from msgspec import Raw, json, structs

from openpollen.core.chat import ChatRequest
from openpollen.core.model import Model

_COMPOSER = (
    "You are MIDIjourney, a music composition assistant. Answer a musical idea with a short title, the key, the tempo in "
    "beats per minute, and the notes as CSV lines of pitch,start_beats,duration_beats,velocity. Keep to the idea's style "
    "and length, and say in one sentence how it was composed."
)
_PERSONAS = {
    "polly": (
        "You are Polly, the assistant of this OpenPollen server. You help people generate text, images, video and audio "
        "through its API. Be brief, friendly and exact, use the tools you are given, and say so when you do not know."
    ),
    "midijourney": _COMPOSER,
    "midijourney-large": _COMPOSER,
}


def with_persona(request: ChatRequest, model: Model) -> ChatRequest:
    """The request with the model's persona in front; unchanged for a model that has none."""
    said = _PERSONAS.get(model.name)
    if said is None:
        return request
    head = Raw(json.encode({"role": "system", "content": said}))
    messages = json.decode(request.fields["messages"], type=list[Raw])
    return structs.replace(request, fields={**request.fields, "messages": Raw(json.encode([head, *messages]))})
