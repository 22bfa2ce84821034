"""Build openpollen/engines/assets/icons/icons.zip from two npm archives.

    npm pack @iconify-json/fluent-emoji@1.2.7
    npm pack emojibase-data@17.0.0
    python tools/build_icons.py iconify-json-fluent-emoji-1.2.7.tgz emojibase-data-17.0.0.tgz

The first holds Microsoft's Fluent Emoji (MIT) as SVG bodies; the second names every emoji in many languages (MIT, names
from Unicode CLDR). The result keeps base icons only: skin-tone copies, arrows, buttons, keycaps and clock-face copies go.
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent.parent / "openpollen" / "engines" / "assets" / "icons" / "icons.zip"
LANGUAGES = ("es", "fr", "de", "it", "pt", "nl")
DROPPED = re.compile(
    r"-(light|medium|dark)(-|$)|-(button|arrows|thirty|oclock|sign)$|(?<!with)(?<!and)-arrow$|^(keycap|input|no|left-arrow|right-arrow)-"
    r"|button|-square-|^(trade-mark|registered|copyright|part-alternation-mark|customs|passport-control|left-luggage)$"
    r"|^(baggage-claim|water-closet|wireless|information|antenna-bars|vibration-mode|mens-room|womens-room|restroom)$"
    r"|^(non-potable-water|potable-water|circled-m|heavy-.*|mobile-phone-off|baby-symbol|wheelchair-symbol)$"
    r"|^(middle-finger|place-of-worship|prohibited|currency-exchange|elevator|cinema)$"
)
NUMBER = re.compile(r"-?\d*\.\d{4,}(?![\de])")
# Water and ground that belong to the scene, not to the drawing: beginnings of the paths to leave out.
STRIPPED: dict[str, tuple[str, ...]] = {
    "sailboat": ("M30 24c",),
    "speedboat": ("M30 23c",),
    "motor-boat": ("M30 23c",),
    "ship": ("M30 27.68c",),
    "ferry": ("M30.04 27.023c",),
    "passenger-ship": ("M30.005 27.81c",),
    "canoe": ("M29.949 23c",),
    "man-rowing-boat": ("M3.504 24.343c", "M3.504 20.843c"),
    "woman-rowing-boat": ("M2.939 24.36c", "M2.939 20.86c"),
    "tent": ("M28.662 12.995c",),
    "house-with-garden": ("M2.076 30.048c",),
    "house": ("M2.148 29.932c",),
    "houses": ("M1.986 18.703h",),
}
EPOCH = (1980, 1, 1, 0, 0, 0)


def slug(label: str) -> str:
    """The icon set's id for an English emoji name: "woman’s hat" becomes "womans-hat"."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def minify(body: str) -> str:
    """Shorten numbers to three decimals (a tenth of a pixel at 1024) and gradient ids to one or two characters."""
    names: dict[str, str] = {}
    for name in re.findall(r'id="([^"]+)"', body):
        names.setdefault(name, f"g{len(names):x}")
    body = re.sub(r'id="([^"]+)"', lambda m: f'id="{names[m[1]]}"', body)
    body = re.sub(r"(url\(#|href=\"#)([^)\"]+)", lambda m: m[1] + names.get(m[2], m[2]), body)

    def shorter(match: re.Match[str]) -> str:
        value = float(match[0])
        return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 else f"{value:.3g}"

    return NUMBER.sub(shorter, body)


def strip(name: str, body: str) -> str:
    """`body` without the paths that STRIPPED names for this drawing."""
    for start in STRIPPED.get(name, ()):
        body, found = re.subn(rf'<path [^>]*d="{re.escape(start)}[^>]*/>', "", body)
        if not found:
            raise SystemExit(f"{name}: no path starts with {start}")
    return body


def member(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"package/{name}")
        assert file is not None, name
        return json.loads(file.read())


def names_by_icon(data: list[dict[str, Any]], icons: set[str], english: list[dict[str, Any]]) -> dict[str, str]:
    """Icon id -> name, where the English table (same emoji) says which icon an emoji is."""
    ids = {entry["hexcode"]: slug(entry["label"]) for entry in english}
    return {
        ids[entry["hexcode"]]: entry["label"].lower()
        for entry in data
        if ids.get(entry["hexcode"]) in icons and "label" in entry
    }


def build(icons_archive: Path, names_archive: Path, out: Path) -> None:
    bodies = {name: icon["body"] for name, icon in member(icons_archive, "icons.json")["icons"].items()}
    kept = {name: strip(name, minify(body)) for name, body in sorted(bodies.items()) if not DROPPED.search(name)}
    english = member(names_archive, "en/data.json")
    subgroups = member(names_archive, "meta/groups.json")["subgroups"]
    index: dict[str, list[str]] = {name: ["", "other"] for name in kept}
    for entry in english:
        name = slug(entry["label"])
        if name in index and "subgroup" in entry:
            index[name] = [entry["emoji"], subgroups[str(entry["subgroup"])]]
    labels = {lang: names_by_icon(member(names_archive, f"{lang}/data.json"), set(kept), english) for lang in LANGUAGES}
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as pack:
        files = {"index.json": index, "labels.json": labels}
        for name, value in files.items():
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
            pack.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED, 9)
        for name, body in kept.items():
            pack.writestr(zipfile.ZipInfo(name, EPOCH), body, zipfile.ZIP_DEFLATED, 9)
    unnamed = [name for name, (emoji, _) in index.items() if not emoji]
    print(f"{len(kept)} icons, {out.stat().st_size / 1e6:.1f} MB; without an emoji: {', '.join(unnamed)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("icons", type=Path)
    parser.add_argument("names", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    build(options.icons, options.names, options.out)
