"""Workflows of ComfyUI with named places to fill: files in the format that its menu entry "Export (API)" writes.

An input whose value is a name in braces, such as ``"{prompt}"``, is a slot. Slots are ``prompt``, ``negative``, ``width``,
``height``, ``seed``, ``image`` (``image_2`` and so on for further pictures), ``mask``, ``frames``, ``length``, ``fps`` and
``audio``. ``grid_width`` and ``grid_height`` are the size rounded up to a multiple of ``side_step``, ``frames`` is the number
of pictures rounded up to a multiple of ``frame_step`` and one more, ``length`` the exact number. These steps and ``fps``
stand in an entry ``openpollen`` beside the nodes.

A node that lacks what it needs, a slot or another node, falls away. Three words in its ``_meta`` say more: ``needs`` names a
slot without which it falls away, ``else`` gives what an input has in place of what is lacking (``null`` leaves it out), and
``pass`` names the input that stands for the node when it has fallen away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

#: The workflows that come with the program, each named after the model that it runs.
FOLDER = Path(__file__).with_name("comfyui_workflows")
SETTINGS = "openpollen"
_SLOT = re.compile(r"\{([a-z]+(?:_[a-z0-9]+)*)\}")
_IMAGE = re.compile(r"image(?:_(\d+))?")
_SLOTS = frozenset({
    "prompt", "negative", "width", "height", "grid_width", "grid_height", "seed", "mask", "frames", "length", "fps", "audio",
})  # fmt: skip
_LACKING = object()

Graph = dict[str, dict[str, Any]]


class Node(Struct, frozen=True):
    class_type: str
    inputs: dict[str, Any] = {}
    meta: dict[str, Any] = msgspec.field(default_factory=dict[str, Any], name="_meta")


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model can make: ``fps`` pictures a second where nobody says, their number and sides in steps."""

    fps: int = 24
    frame_step: int = 1
    side_step: int = 1


class Workflow(Struct, frozen=True):
    """A file, read. ``slots`` are the names of those that it has."""

    nodes: Mapping[str, Node]
    slots: frozenset[str]
    settings: Settings = Settings()

    def images(self) -> int:
        """How many pictures it takes."""
        return max((_image_number(slot) for slot in self.slots), default=0)

    def keeps_size(self) -> bool:
        """Whether it finds a size by itself, that of a picture for one, where none is given."""
        sizes = {"width", "height", "grid_width", "grid_height"}
        return any(
            _slot(value) in sizes and name in _object(node.meta.get("else"))
            for node in self.nodes.values()
            for name, value in node.inputs.items()
        )

    def filled(self, values: Mapping[str, Any]) -> Graph:
        """The nodes to run, with every slot filled that has a value. Raises BadWorkflow when nothing is left to run for."""
        graph = _Filling(self.nodes, values).graph()
        used = {value[0] for node in self.nodes.values() for value in _values(node) if _is_link(value)}
        if not graph.keys() - used:
            raise BadWorkflow(f"nothing can be run without {', '.join(sorted(self.slots - values.keys())) or 'a node'}")
        return graph


class BadWorkflow(ValueError):
    """A file that is missing or no workflow."""


@lru_cache(maxsize=256)
def load(name: str) -> Workflow:
    """The workflow of a model: a file of the operator where the name is a path that ends with ``.json``, else one that comes
    with the program. Read once. Raises BadWorkflow."""
    path = Path(name).expanduser() if name.endswith(".json") else FOLDER / f"{Path(name).name.lower()}.json"
    try:
        text = path.read_bytes()
    except OSError:
        have = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise BadWorkflow(f"there is no workflow {name!r}: give the path of a .json file, or one of {have}") from None
    try:
        return parse(text)
    except (ValueError, msgspec.DecodeError) as fault:
        raise BadWorkflow(f"the workflow {name!r} cannot be read: {fault}") from None


def parse(text: bytes) -> Workflow:
    """Raises BadWorkflow for a file in another format and for a slot that there is none of, ValueError and msgspec's
    DecodeError for what is no JSON of this shape."""
    entries = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    settings = msgspec.json.decode(entries.pop(SETTINGS, msgspec.Raw(b"{}")), type=Settings)
    if "nodes" in entries or not entries:
        raise BadWorkflow("it is not in the API format; export it with Export (API)")
    nodes = {number: msgspec.json.decode(entry, type=Node) for number, entry in entries.items()}
    slots = frozenset(slot for node in nodes.values() for slot in _slots_of(node))
    for slot in sorted(slots):
        if slot not in _SLOTS and not _image_number(slot):
            raise BadWorkflow(f"there is no slot {{{slot}}}; there are {', '.join(sorted(_SLOTS))}, image and image_2")
    return Workflow(nodes, slots, settings)


def image_slot(number: int) -> str:
    """The slot of a picture, counted from 1."""
    return "image" if number == 1 else f"image_{number}"


def _image_number(slot: str) -> int:
    found = _IMAGE.fullmatch(slot)
    return int(found[1] or 1) if found else 0


def _values(node: Node) -> list[Any]:
    """What its inputs have, and what they have in place of it."""
    return [*node.inputs.values(), *_object(node.meta.get("else")).values()]


def _slots_of(node: Node) -> Iterator[str]:
    for value in _values(node):
        if (slot := _slot(value)) is not None:
            yield slot
    if isinstance(needed := node.meta.get("needs"), str):
        yield needed


def _slot(value: Any) -> str | None:
    found = _SLOT.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


class _Filling:
    """One filling of a workflow. Whether a node stands depends on others: each is looked at once."""

    def __init__(self, nodes: Mapping[str, Node], values: Mapping[str, Any]) -> None:
        self._nodes = nodes
        self._values = values
        self._filled: dict[str, dict[str, Any] | None] = {}

    def graph(self) -> Graph:
        graph: Graph = {}
        for number, node in self._nodes.items():
            if (inputs := self._inputs(number)) is not None:
                graph[number] = {"class_type": node.class_type, "inputs": inputs}
        return graph

    def _inputs(self, number: str) -> dict[str, Any] | None:
        """A node's inputs; ``None`` when it falls away, as one does that depends on itself."""
        if number not in self._filled:
            self._filled[number] = None
            self._filled[number] = self._fill(self._nodes[number])
        return self._filled[number]

    def _fill(self, node: Node) -> dict[str, Any] | None:
        if (needed := node.meta.get("needs")) is not None and self._values.get(needed) is None:
            return None
        instead = _object(node.meta.get("else"))
        inputs: dict[str, Any] = {}
        for name, given in node.inputs.items():
            value = self._value(given)
            if value is _LACKING and name in instead:
                if instead[name] is None:
                    continue
                value = self._value(instead[name])
            if value is _LACKING:
                return None
            inputs[name] = value
        return inputs

    def _value(self, value: Any) -> Any:
        if (slot := _slot(value)) is not None:
            filled = self._values.get(slot)
            return _LACKING if filled is None else filled
        if (source := self._source(value)) is None:
            return value
        if self._inputs(source) is not None:
            return value
        through = self._nodes[source].meta.get("pass")
        return _LACKING if through is None else self._value(self._nodes[source].inputs.get(through))

    def _source(self, value: Any) -> str | None:
        """The node that a link leads to; ``None`` for any other value."""
        return value[0] if _is_link(value) and value[0] in self._nodes else None


def _is_link(value: Any) -> bool:
    link = cast("list[Any]", value) if isinstance(value, list) else []
    return len(link) == 2 and isinstance(link[0], str) and isinstance(link[1], int)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
