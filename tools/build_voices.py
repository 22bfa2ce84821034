"""Pack the Kokoro voices that the speech engine uses, from the npm archive of kokoro-js, into the package's assets.

    npm pack kokoro-js@1.2.1
    python tools/build_voices.py kokoro-js-1.2.1.tgz

Each voice is a table of style vectors, one row for each length of text in phonemes. The engine speaks pieces of at most
``PIECE_PHONEMES``, so the rows above are left out; 16-bit floats keep what the 8-bit model can tell apart.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np

from openpollen.engines import voices
from openpollen.engines.kokoro import STYLE_ROWS, STYLE_WIDTH, VOICE_FILE


def main(archive: Path) -> None:
    tables: dict[str, np.ndarray] = {}
    with tarfile.open(archive) as tar:
        for name in voices.kokoro_names():
            table = np.frombuffer(_read(tar, f"package/voices/{name}.bin"), dtype="<f4").reshape(-1, STYLE_WIDTH)
            tables[name] = table[:STYLE_ROWS].astype(np.float16)
        licence = _read(tar, "package/LICENSE")
    VOICE_FILE.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(VOICE_FILE, allow_pickle=False, **tables)
    (VOICE_FILE.parent / "LICENSE").write_bytes(licence)
    print(f"{len(tables)} voices, {VOICE_FILE.stat().st_size:,} bytes: {VOICE_FILE}")


def _read(tar: tarfile.TarFile, member: str) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise SystemExit(f"{member} is not in the archive: is it kokoro-js 1.2.1?")
    return file.read()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
