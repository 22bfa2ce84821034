"""Names that people see of other people and their apps: nothing in them hides, turns the line around, or mixes letters that
look alike."""

from __future__ import annotations

import unicodedata

#: Scripts that share the looks of many letters. A name keeps to one of them.
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
#: Letters and symbols that show nothing.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: Letters in lower case, and what each is easily taken for: of Cyrillic, Greek, Armenian, Cherokee, and Latin itself.
_LOOKS = {
    ord(letter): look
    for letters, looks in (
        ("авекмнорстухіјѕһԁԛԝ", "abekmhopctyxijshdqw"),
        ("αβεζηικνορτυχγω", "abezhikvoptuxyw"),
        ("օսհոց", "ouhng"),
        ("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏚᎢᏙᎳᏃᎡ", "abcdeghijklmpstvwzr"),
        ("ıɑɡᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "iagabcdefghijklmnoprstuvwyz"),
    )
    for letter, look in zip(letters, looks, strict=True)
}


def plain(name: str) -> str:
    """A name as it is kept and compared: full-width and other compatibility forms as the usual letters, blanks single."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def name_fault(name: str) -> str:
    """What is wrong with a name that others see, or nothing."""
    if not name.isprintable() or not _BLANK.isdisjoint(name):
        return "has only characters that can be seen"
    if not any(unicodedata.category(character)[0] in "LNS" for character in name):
        return "has at least one letter or digit"
    scripts = {script for character in name if character.isalpha() and (script := _script(character))}
    if len(scripts) > 1:
        return f"keeps to one alphabet: {' and '.join(sorted(script.title() for script in scripts))} letters look alike"
    return ""


def likeness(name: str) -> str:
    """A name as people tell it from others: names of one likeness are one name. Case, forms of letters, marks that show
    nothing and letters of other alphabets that look alike make no difference."""
    folded = unicodedata.normalize("NFKC", plain(name).casefold())
    return "".join(character for character in folded if not _hidden(character)).translate(_LOOKS)


def _hidden(character: str) -> bool:
    """Whether a character only changes how the one before it is drawn, or shows nothing."""
    variant = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return variant or "\u180b" <= character <= "\u180f" or character in _BLANK


def _script(character: str) -> str:
    first = unicodedata.name(character, "").partition(" ")[0]
    return first if first in _ALIKE else ""
