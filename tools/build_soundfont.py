"""Cuts a General MIDI soundfont in SF3 form down to the presets that the composer plays.

    python tools/build_soundfont.py FluidR3Mono_GM.sf3 openpollen/engines/assets/soundfont/composer.sf3

The source is FluidR3Mono_GM.sf3 of Debian's package fluidr3mono-gm-soundfont 2.315-7 (MIT). Presets, instruments and
samples in use are kept byte for byte; only the tables are renumbered. Format: SoundFont 2.04 technical specification,
chapter 7; SF3 stores each sample as an Ogg Vorbis file and its bounds in bytes.
"""

from __future__ import annotations

import itertools
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from openpollen.engines.music.instruments import PRESETS

_INSTRUMENT, _SAMPLE = 41, 53  # generator operators that point at the next table
_PRESET_HEADER, _INSTRUMENT_HEADER, _BAG, _GENERATOR, _MODULATOR, _SAMPLE_HEADER = (
    "<20sHHHIII", "<20sH", "<HH", "<HH", "<HHhHH", "<20sIIIIIBbHH",
)  # fmt: skip


@dataclass
class Zone:
    """One zone of a preset or instrument: its generators and modulators."""

    generators: list[tuple[int, int]]
    modulators: list[tuple[int, ...]]


@dataclass
class Owner:
    """A preset or an instrument: the fields of its header but the zone index, and its zones."""

    head: tuple[object, ...]
    zones: list[Zone]


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The sub-chunks of every LIST in a RIFF file, by id."""
    found: dict[bytes, bytes] = {}
    place = 12
    while place < len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        if name == b"LIST":
            place += 12
            continue
        found[name] = data[place + 8 : place + 8 + size]
        place += 8 + size
        if size % 2 and data[place : place + 4] != b"LIST":  # the source leaves out the padding byte of its sample data
            place += 1
    return found


def read(layout: str, data: bytes) -> list[tuple[int, ...]]:
    return list(struct.iter_unpack(layout, data))


def owners(heads: list[tuple[int, ...]], bag_field: int, prefix: str, parts: dict[bytes, bytes]) -> list[Owner]:
    """Presets (prefix p) or instruments (prefix i) with their zones; the closing record of each table is dropped."""
    bags = read(_BAG, parts[f"{prefix}bag".encode()])
    generators = read(_GENERATOR, parts[f"{prefix}gen".encode()])
    modulators = read(_MODULATOR, parts[f"{prefix}mod".encode()])
    result: list[Owner] = []
    for head, following in itertools.pairwise(heads):
        zones: list[Zone] = []
        for bag in range(head[bag_field], following[bag_field]):
            (first, mod), (end, mod_end) = bags[bag], bags[bag + 1]
            zones.append(Zone(generators[first:end], modulators[mod:mod_end]))  # type: ignore[arg-type]  # pairs by layout
        result.append(Owner(head[:bag_field] + head[bag_field + 1 :], zones))
    return result


def targets(kept: list[Owner], operator: int) -> list[int]:
    """What the kept zones point at, in order of first use."""
    found = {amount: None for owner in kept for zone in owner.zones for op, amount in zone.generators if op == operator}
    return sorted(found)


def renumber(kept: list[Owner], operator: int, order: list[int]) -> None:
    for owner in kept:
        for zone in owner.zones:
            zone.generators = [(op, order.index(n) if op == operator else n) for op, n in zone.generators]


def tables(kept: list[Owner], bag_field: int, layout: str, prefix: str, end: tuple[object, ...]) -> dict[bytes, bytes]:
    """The header, bag, modulator and generator chunks of presets or instruments, with their closing records."""
    heads, bags, mods, gens = b"", b"", b"", b""
    mod_count = gen_count = bag_count = 0
    for owner in [*kept, Owner(end, [])]:
        fields = (*owner.head[:bag_field], bag_count, *owner.head[bag_field:])
        heads += struct.pack(layout, *fields)
        for zone in owner.zones:
            bags += struct.pack(_BAG, gen_count, mod_count)
            gens += b"".join(struct.pack(_GENERATOR, *generator) for generator in zone.generators)
            mods += b"".join(struct.pack(_MODULATOR, *modulator) for modulator in zone.modulators)
            gen_count, mod_count, bag_count = (
                gen_count + len(zone.generators),
                mod_count + len(zone.modulators),
                bag_count + 1,
            )
    bags += struct.pack(_BAG, gen_count, mod_count)
    name = b"phdr" if prefix == "p" else b"inst"
    return {
        name: heads,
        f"{prefix}bag".encode(): bags,
        f"{prefix}mod".encode(): mods + bytes(10),
        f"{prefix}gen".encode(): gens + bytes(4),
    }


def samples(headers: list[tuple[int, ...]], order: list[int], data: bytes) -> tuple[bytes, bytes]:
    """The sample headers and the sample data of the kept samples."""
    heads, body = b"", b""
    for number in order:
        name, start, end, *rest = headers[number]
        link = order.index(rest[5]) if rest[5] in order else 0
        heads += struct.pack(_SAMPLE_HEADER, name, len(body), len(body) + end - start, *rest[:5], link, rest[6])
        body += data[start:end]
    return heads + struct.pack(_SAMPLE_HEADER, b"EOS", *[0] * 9), body + b"\0" * (len(body) % 2)


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def cut(source: bytes, wanted: set[tuple[int, int]]) -> bytes:
    """The soundfont with only the ``wanted`` presets, given as (bank, program)."""
    parts = chunks(source)
    presets = [
        p for p in owners(read(_PRESET_HEADER, parts[b"phdr"]), 3, "p", parts) if (p.head[2], p.head[1]) in wanted
    ]
    if missing := wanted - {(int(str(p.head[2])), int(str(p.head[1]))) for p in presets}:
        raise SystemExit(f"The source has no presets {sorted(missing)}.")
    instruments = owners(read(_INSTRUMENT_HEADER, parts[b"inst"]), 1, "i", parts)
    used = targets(presets, _INSTRUMENT)
    renumber(presets, _INSTRUMENT, used)
    kept = [instruments[number] for number in used]
    order = targets(kept, _SAMPLE)
    renumber(kept, _SAMPLE, order)
    heads, body = samples(read(_SAMPLE_HEADER, parts[b"shdr"]), order, parts[b"smpl"])
    pdta = tables(presets, 3, _PRESET_HEADER, "p", (b"EOP", 0, 0, 0, 0, 0))
    pdta |= tables(kept, 1, _INSTRUMENT_HEADER, "i", (b"EOI",)) | {b"shdr": heads}
    info = {name: parts[name] for name in (b"ifil", b"isng", b"INAM", b"IENG", b"ICOP", b"ICMT") if name in parts}
    lists = b"".join(
        chunk(b"LIST", kind + b"".join(chunk(name, data) for name, data in content.items()))
        for kind, content in ((b"INFO", info), (b"sdta", {b"smpl": body}), (b"pdta", pdta))
    )
    return b"RIFF" + struct.pack("<I", len(lists) + 4) + b"sfbk" + lists


def main() -> None:
    source, target = (Path(word) for word in sys.argv[1:3])
    result = cut(source.read_bytes(), set(PRESETS))
    target.write_bytes(result)
    print(f"{target}: {len(PRESETS)} presets, {len(result) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
