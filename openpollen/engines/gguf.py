"""Reads the header of a GGUF file: its metadata and the names of its tensors, never the weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

Kind = Literal["chat", "image", "other"]

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MAX_COUNT = 1 << 20  # more entries or longer strings than this are damage, not metadata

#: Values of general.architecture that name a diffusion model, as its common converters write them.
_DIFFUSION = frozenset(
    ["flux", "flux2", "sd1", "sd2", "sdxl", "sd3", "lumina2", "z_image", "qwen_image", "hidream", "aura", "chroma"]
)
#: Encoders, decoders and video models: real GGUFs that no local engine runs alone.
_PARTS = frozenset(["t5", "t5encoder", "clip", "bert", "nomic-bert", "whisper", "wan", "ltxv", "hyvid", "vae"])
#: How the tensors of a diffusion checkpoint begin when its file names no architecture.
_DIFFUSION_TENSORS = ("model.diffusion_model.", "double_blocks.", "joint_blocks.", "input_blocks.")


class NotGguf(ValueError):
    """The file is not a GGUF, or its header is damaged."""


@dataclass(frozen=True)
class GgufHeader:
    """Scalar metadata by key (arrays are given as their length) and tensor names in file order."""

    version: int
    metadata: dict[str, str | int | float | bool]
    tensors: tuple[str, ...]

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    @property
    def kind(self) -> Kind:
        """What the model is for, guessed from its architecture, its tensors and whether it brings a tokenizer."""
        architecture = self.architecture.lower()
        if architecture in _DIFFUSION or any(name.startswith(_DIFFUSION_TENSORS) for name in self.tensors):
            return "image"
        if architecture and architecture not in _PARTS and "tokenizer.ggml.model" in self.metadata:
            return "chat"
        return "other"


def read_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file. Raises ``NotGguf`` for anything else, ``OSError`` when it cannot be read."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise NotGguf(f"{path.name} is not a GGUF file.")
        try:
            version = _scalar(file, "I")
            if version not in (2, 3):
                raise NotGguf(f"{path.name} is a GGUF of version {version}; versions 2 and 3 are understood.")
            tensor_count, pair_count = _count(file), _count(file)
            metadata = {_string(file): _value(file, int(_scalar(file, "I"))) for _ in range(pair_count)}
            tensors = tuple(_tensor(file) for _ in range(tensor_count))
        except (struct.error, UnicodeDecodeError, KeyError, OverflowError) as error:
            raise NotGguf(f"{path.name} has a damaged GGUF header.") from error
    return GgufHeader(int(version), metadata, tensors)


def _scalar(file: BinaryIO, code: str) -> int | float | bool:
    return struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))[0]


def _count(file: BinaryIO) -> int:
    count = int(_scalar(file, "Q"))
    if count > _MAX_COUNT:
        raise NotGguf("The GGUF header is damaged: a length in it is beyond reason.")
    return count


def _string(file: BinaryIO) -> str:
    length = _count(file)
    data = file.read(length)
    if len(data) != length:
        raise NotGguf("The GGUF header is cut short.")
    return data.decode("utf-8")


def _value(file: BinaryIO, kind: int) -> str | int | float | bool:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _scalar(file, _SCALARS[kind])
    element, count = int(_scalar(file, "I")), _count(file)
    if element == _STRING:
        for _ in range(count):
            file.seek(_count(file), 1)
    elif element in _SCALARS:
        file.seek(count * struct.calcsize(f"<{_SCALARS[element]}"), 1)
    else:
        raise NotGguf("The GGUF header holds an array of an unknown type.")
    return count


def _tensor(file: BinaryIO) -> str:
    name = _string(file)
    dimensions = int(_scalar(file, "I"))
    file.seek(dimensions * 8 + 4 + 8, 1)  # each dimension, the type, the offset
    return name
