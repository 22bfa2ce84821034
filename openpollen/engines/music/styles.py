"""The styles that the composer knows: what it plays, how fast, on which chords and with which patterns.

Drum patterns have one character for each sixteenth of a bar (12 in 3/4): ``X`` accented, ``x`` played, ``o`` soft. Bass
and comping patterns are names that ``patterns`` knows. Progressions are Roman numerals, a chord for each bar; a slash
splits a bar between two chords.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Drums = dict[str, str]
Ending = Literal["V", "IV", "bVII"]


@dataclass(frozen=True)
class Style:
    """``words`` name it in a prompt. ``tempo`` is the usual range in beats per minute, ``swing`` where the second eighth
    of a beat falls (0.5 is even), ``loose`` the timing spread of players in milliseconds, ``density`` how many notes a
    melody has (0 to 1), ``pump`` how deeply chords duck under the kick."""

    words: tuple[str, ...]
    tempo: tuple[int, int]
    major: tuple[str, ...]
    minor: tuple[str, ...]
    lead: tuple[str, ...]
    chords: tuple[str, ...]
    bass: tuple[str, ...]
    comp: str
    bass_line: str
    mode: Literal["major", "minor"] = "major"
    pad: tuple[str, ...] = ()
    kit: str = ""
    drums: Drums = field(default_factory=dict[str, str])
    meter: int = 4
    swing: float = 0.5
    loose: float = 7.0
    sevenths: bool = False
    density: float = 0.5
    reverb: float = 0.16
    ending: Ending = "V"
    colour: str = ""


_ROCK: Drums = {"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."}
_FOUR: Drums = {
    "kick": "X...X...X...X...",
    "clap": "....X.......X...",
    "open": "..x...x...x...x.",
    "hat": "x.o.x.o.x.o.x.o.",
}

STYLES: dict[str, Style] = {
    "lofi": Style(
        ("lofi", "lo-fi", "lo fi", "chillhop", "study beats", "chill", "chillout"), (70, 84),
        ("IVmaj9 iii7 ii7 Imaj9", "ii9 V9 Imaj9 vi9"), ("i9 iv9 bVIImaj7 bIIImaj7", "i9 bVImaj7 iv9 V7"),
        ("vibraphone", "electric piano", "jazz guitar"), ("electric piano", "jazz guitar"), ("electric bass", "upright bass"),
        "lazy", "lazy", kit="brush", swing=0.6, loose=14, sevenths=True, density=0.32, reverb=0.14, pad=("warm pad",),
        drums={"kick": "X......x..X.....", "snare": "....x.......x..o", "hat": "x.o.x.o.x.o.x.oo"},
    ),
    "jazz": Style(
        ("jazz", "jazzy", "swing", "bebop", "big band", "lounge", "smooth jazz"), (112, 168),
        ("ii7 V7 Imaj7 vi7", "Imaj7/vi7 ii7/V7 iii7/vi7 ii7/V7"), ("i6 iv7 bVImaj7/V7 i6", "iv7 bVII7 bIIImaj7 V7"),
        ("saxophone", "trumpet", "vibraphone", "clarinet"), ("piano", "jazz guitar"), ("upright bass",),
        "charleston", "walking", kit="jazz", swing=0.64, loose=11, sevenths=True, density=0.62,
        drums={"ride": "X...x.x.X...x.x.", "pedal": "....x.......x...", "kick": "o.......o.......", "side": "..........o....."},
    ),
    "blues": Style(
        ("blues", "bluesy", "delta blues"), (76, 112),
        ("I7 I7 I7 I7", "IV7 IV7 I7 I7", "V7 IV7 I7 V7"), ("i7 i7 i7 i7", "iv7 iv7 i7 i7", "V7 iv7 i7 V7"),
        ("harmonica", "clean guitar", "saxophone"), ("piano", "organ", "clean guitar"), ("electric bass",),
        "shuffle", "shuffle", kit="standard", swing=0.66, loose=10, density=0.5, colour="blues", ending="IV",
        drums={"kick": "X.......X.......", "snare": "....X.......X...", "ride": "x.x.x.x.x.x.x.x."},
    ),
    "rock": Style(
        ("rock", "hard rock", "indie", "punk", "grunge", "alternative"), (112, 144),
        ("I V vi IV", "I bVII IV I"), ("i bVI bIII bVII", "i bVII bVI V"),
        ("distorted guitar", "clean guitar", "organ"), ("distorted guitar", "clean guitar"), ("electric bass",),
        "eighths", "eighths", kit="power", drums=_ROCK, loose=7, density=0.5, reverb=0.12, ending="IV",
    ),
    "metal": Style(
        ("metal", "heavy metal", "thrash"), (138, 176),
        ("I bVII IV I", "I V vi IV"), ("i bVI bVII i", "i bII i bVII"),
        ("distorted guitar",), ("distorted guitar",), ("electric bass",),
        "gallop", "gallop", mode="minor", kit="power", loose=5, density=0.6, reverb=0.1, ending="bVII",
        drums={"kick": "X.xxX.xxX.xxX.xx", "snare": "....X.......X...", "crash": "x.......x......."},
    ),
    "pop": Style(
        ("pop", "radio", "upbeat", "summer", "commercial", "jingle", "corporate"), (100, 126),
        ("I V vi IV", "vi IV I V"), ("i bVI bIII bVII", "iv bVI i bVII"),
        ("polysynth", "clean guitar", "piano"), ("piano", "clean guitar"), ("electric bass",),
        "eighth strum", "syncopated", kit="standard", loose=5, density=0.55, pad=("synth strings",),
        drums={"kick": "X.....x.X..x....", "snare": "....X.......X...", "clap": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "classical": Style(
        ("classical", "baroque", "mozart", "bach", "chamber", "sonata", "symphony", "string quartet", "romantic era"), (84, 126),
        ("I IV V I", "I vi ii V", "vi ii V I"), ("i iv V i", "i bVI iv V", "iv bVII bIII V"),
        ("violin", "flute", "oboe", "clarinet"), ("piano", "harpsichord", "harp"), ("cello",),
        "alberti", "classical", pad=("strings",), loose=9, density=0.66, reverb=0.24,
    ),
    "ambient": Style(
        ("ambient", "meditation", "drone", "atmospheric", "space", "relaxing", "spa", "sleep", "yoga", "new age"), (58, 72),
        ("Imaj9 IVadd9 Imaj9 vi9", "Iadd9 iii7 IVmaj7 Isus2"), ("i9 bVImaj7 iv9 i9", "iadd9 bVIIadd9 bVImaj7 i9"),
        ("new age pad", "pan flute", "celesta"), ("new age pad", "harp"), ("sub bass",),
        "slow arpeggio", "drone", pad=("warm pad", "halo pad", "choir"), loose=18, sevenths=True, density=0.14, reverb=0.42,
        ending="IV",
    ),
    "techno": Style(
        ("techno", "trance", "rave", "edm", "electronic", "electro", "club"), (126, 138),
        ("I I vi IV", "vi IV I V"), ("i i bVI bVII", "i bVII iv i"),
        ("saw lead", "square lead", "polysynth"), ("polysynth", "saw lead"), ("synth bass",),
        "sixteenth arpeggio", "offbeat", mode="minor", pad=("synth strings",), kit="electronic", drums=_FOUR, loose=1,
        density=0.45, reverb=0.16, ending="bVII",
    ),
    "house": Style(
        ("house", "deep house", "dance", "disco house", "nightclub"), (118, 126),
        ("Imaj7 vi7 ii7 V7", "IVmaj7 iii7 vi7 ii7"), ("i7 iv7 bVIImaj7 bIIImaj7", "i9 bVImaj7 iv9 v7"),
        ("electric piano", "saxophone", "polysynth"), ("piano", "electric piano"), ("synth bass",),
        "stabs", "octaves", kit="808", drums=_FOUR, loose=2, sevenths=True, density=0.4, pad=("synth strings",),
    ),
    "disco": Style(
        ("disco", "seventies", "70s"), (112, 124),
        ("I vi ii V", "IVmaj7 iii7 ii7 V7"), ("i7 iv7 bVII7 bIIImaj7", "i7 bVImaj7 iv7 V7"),
        ("strings", "brass"), ("clean guitar", "electric piano"), ("electric bass",),
        "funk", "octaves", kit="standard", drums=_FOUR, loose=5, density=0.5, pad=("strings",),
    ),
    "drum and bass": Style(
        ("drum and bass", "drum n bass", "dnb", "jungle", "breakbeat"), (168, 176),
        ("Imaj9 vi9 IVmaj7 V", "IVmaj7 V vi9 Imaj9"), ("i bVI bIII bVII", "i9 iv9 bVImaj7 v7"),
        ("polysynth", "saw lead"), ("electric piano", "polysynth"), ("sub bass",),
        "stabs", "long", mode="minor", kit="electronic", pad=("warm pad",), loose=2, density=0.35, reverb=0.18,
        drums={"kick": "X.........X.....", "snare": "....X..o.o..X..o", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "folk": Style(
        ("folk", "acoustic", "campfire", "singer-songwriter", "americana"), (92, 116),
        ("I IV I V", "vi IV I V"), ("i bVII bVI bVII", "i iv bVII i"),
        ("fiddle", "flute", "harmonica"), ("steel guitar", "nylon guitar"), ("upright bass",),
        "fingerpick", "root fifth", kit="", loose=10, density=0.5, reverb=0.15, drums={},
    ),
    "celtic": Style(
        ("celtic", "irish", "scottish", "medieval", "tavern", "pirate", "shanty"), (104, 126),
        ("I bVII I IV", "I V vi V"), ("i bVII i bVII", "i bIII bVII v"),
        ("fiddle", "flute", "bagpipe"), ("harp", "mandolin"), ("cello",),
        "fingerpick", "root fifth", mode="minor", kit="orchestra", loose=8, density=0.8, reverb=0.2, ending="bVII",
        drums={"lowtom": "X.....x.X.....x.", "tambourine": "x..x..x.x..x..x."},
    ),
    "country": Style(
        ("country", "western", "bluegrass", "cowboy", "honky tonk"), (104, 132),
        ("I I IV V", "I IV I V"), ("i bVII i V", "i iv bVII i"),
        ("fiddle", "banjo", "harmonica"), ("steel guitar", "banjo"), ("upright bass",),
        "boom chick", "root fifth", kit="brush", loose=8, density=0.62, reverb=0.12,
        drums={"kick": "X.......X.......", "snare": "..o.X.o...o.X.o.", "hat": "x...x...x...x..."},
    ),
    "funk": Style(
        ("funk", "funky", "groove", "groovy", "soul", "motown", "rnb", "r&b"), (96, 112),
        ("I9 I9 IV9 I9", "ii7 V9 ii7 V9"), ("i7 i7 IV9 i7", "i9 iv9 i9 V7"),
        ("brass", "saxophone", "clean guitar"), ("clean guitar", "organ"), ("electric bass",),
        "funk", "funk", mode="minor", kit="standard", loose=5, sevenths=True, density=0.5, reverb=0.1, swing=0.53,
        drums={"kick": "X..x..X...x.....", "snare": "....X..o.o..X..o", "hat": "xxoxxxoxxxoxxxox"},
    ),
    "reggae": Style(
        ("reggae", "ska", "dub", "jamaica", "jamaican", "island"), (72, 88),
        ("I IV I V", "I vi ii V"), ("i iv i bVII", "i bVII bVI V"),
        ("organ", "trumpet", "steel drums"), ("clean guitar", "organ"), ("electric bass",),
        "skank", "reggae", kit="standard", loose=8, swing=0.57, density=0.4, ending="IV",
        drums={"kick": "........X.......", "side": "........X.......", "hat": "x.x.X.x.x.x.X.x."},
    ),
    "cinematic": Style(
        ("cinematic", "epic", "trailer", "orchestral", "soundtrack", "film", "movie", "heroic", "battle", "adventure", "fantasy"),
        (84, 112),
        ("I V vi IV", "I bVII IV I", "vi IV I V"), ("i bVI bIII bVII", "i bVI iv V", "iv bVI i bVII"),
        ("french horn", "violin", "trumpet"), ("strings", "brass"), ("cello",),
        "ostinato", "long", mode="minor", pad=("strings", "choir"), kit="orchestra", loose=7, density=0.42, reverb=0.32,
        ending="bVII",
        drums={"lowtom": "X.....x.X...x.x.", "snare": "o.ooo.ooo.ooo.oo", "kick": "X.......X......."},
    ),
    "chiptune": Style(
        ("chiptune", "8-bit", "8 bit", "8bit", "video game", "videogame", "game", "arcade", "retro game", "nintendo"), (132, 164),
        ("I V vi IV", "I bVI bVII I"), ("i bVI bVII i", "i bVII bVI V"),
        ("square lead",), ("square lead", "saw lead"), ("synth bass",),
        "sixteenth arpeggio", "octaves", kit="electronic", loose=0, density=0.78, reverb=0.03, ending="bVII",
        drums={"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "waltz": Style(
        ("waltz", "ballroom", "viennese", "carousel", "3/4"), (136, 168),
        ("I I V7 V7", "V7 V7 I I", "IV I V7 I"), ("i i V7 V7", "V7 V7 i i", "iv i V7 i"),
        ("violin", "clarinet", "accordion"), ("piano", "strings"), ("cello", "upright bass"),
        "waltz", "waltz", meter=3, kit="", pad=("strings",), loose=9, density=0.5, reverb=0.22, drums={},
    ),
    "bossa nova": Style(
        ("bossa", "bossa nova", "brazil", "brazilian", "samba"), (118, 138),
        ("Imaj7 II7 ii7 V7", "Imaj9 vi7 ii9 V9"), ("i9 iv9 bVII9 bIIImaj7", "i6 bVImaj7 iv7 V7"),
        ("flute", "saxophone", "nylon guitar"), ("nylon guitar", "piano"), ("upright bass",),
        "bossa", "bossa", kit="brush", loose=8, sevenths=True, density=0.45, reverb=0.14,
        drums={"side": "x..x..x...x..x..", "hat": "xoxoxoxoxoxoxoxo", "kick": "x..ox..ox..ox..o"},
    ),
    "latin": Style(
        ("latin", "salsa", "mambo", "cumbia", "tango", "flamenco", "reggaeton", "mariachi"), (92, 112),
        ("I IV V IV", "ii7 V7 I I"), ("i iv V7 i", "i bVII bVI V7"),
        ("trumpet", "brass", "nylon guitar"), ("piano", "nylon guitar"), ("upright bass",),
        "montuno", "tumbao", mode="minor", kit="standard", loose=6, density=0.55,
        drums={"cowbell": "x...x.x.x...x.x.", "conga": "..ox..xx..ox..xx", "side": "x..x..x...x.x...",
               "maracas": "x.x.x.x.x.x.x.x."},
    ),
    "lullaby": Style(
        ("lullaby", "bedtime", "baby", "cradle", "nursery", "children"), (72, 88),
        ("I IV I V", "vi IV I V", "IV I V I"), ("i iv i V", "bVI iv i V"),
        ("music box", "celesta", "flute"), ("harp", "music box"), ("cello",),
        "waltz arpeggio", "waltz", meter=3, kit="", pad=("warm pad",), loose=10, density=0.36, reverb=0.28, ending="IV",
        drums={},
    ),
    "hip hop": Style(
        ("hip hop", "hip-hop", "hiphop", "rap", "boom bap", "trap", "beat", "beats"), (80, 94),
        ("ii7 V7 Imaj7 vi7", "I vi IV V"), ("i7 bVImaj7 iv7 V7", "i i bVI v"),
        ("electric piano", "flute", "pizzicato strings"), ("piano", "electric piano"), ("sub bass",),
        "lazy", "sub", mode="minor", kit="808", pad=("strings",), loose=6, swing=0.56, density=0.3, reverb=0.12,
        drums={"kick": "X.....x..xX.....", "snare": "....X.......X...", "hat": "x.x.x.xxx.x.x.ox"},
    ),
    "synthwave": Style(
        ("synthwave", "retrowave", "outrun", "80s", "eighties", "vaporwave", "cyberpunk", "neon", "new wave"), (84, 112),
        ("I V vi IV", "IV V vi I"), ("i bVI bIII bVII", "bVI bVII i i"),
        ("saw lead", "polysynth"), ("polysynth", "synth strings"), ("synth bass",),
        "sixteenth arpeggio", "eighths", mode="minor", pad=("synth strings", "warm pad"), kit="electronic", loose=1,
        density=0.4, reverb=0.24, ending="bVII",
        drums={"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "christmas": Style(
        ("christmas", "xmas", "holiday", "winter", "santa", "carol", "jingle bells", "festive"), (100, 126),
        ("I IV I V", "vi ii V I", "IV I ii V"), ("i iv V i", "bVI iv i V"),
        ("celesta", "glockenspiel", "trumpet"), ("piano", "strings"), ("upright bass",),
        "block", "root fifth", pad=("strings", "choir"), kit="brush", loose=7, density=0.55, reverb=0.24, ending="IV",
        drums={"sleigh": "x.x.x.x.x.x.x.x.", "kick": "o.......o.......", "snare": "....o.......o..."},
    ),
    "march": Style(
        ("march", "marching", "military", "parade", "anthem", "national", "victory", "fanfare"), (104, 120),
        ("I IV I V", "I vi ii V", "IV I V I"), ("i iv i V", "i bVI iv V"),
        ("trumpet", "french horn", "flute"), ("brass",), ("trombone", "cello"),
        "block", "root fifth", kit="orchestra", loose=5, density=0.55, reverb=0.2,
        drums={"kick": "X.......X.......", "snare": "x.oox.oox.oox.xx", "crash": "o..............."},
    ),
    "world": Style(
        ("india", "indian", "raga", "sitar", "oriental", "middle eastern",
         "arabic", "asian", "japanese", "chinese", "africa", "african", "tribal"),
        (84, 108),
        ("I bII I bVII", "I I bVII I"), ("i bII i bVII", "i i bVII i"),
        ("sitar", "koto", "pan flute"), ("koto", "kalimba"), ("cello",),
        "fingerpick", "drone", mode="minor", pad=("warm pad",), kit="orchestra", loose=8, density=0.6, reverb=0.22,
        colour="phrygian", ending="bVII",
        drums={"lowtom": "X..x..x.X..x..x.", "conga": "x.xxx.xxx.xxx.xx", "tambourine": "....x.......x..."},
    ),
}  # fmt: skip
