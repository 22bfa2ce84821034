"""Writes the pages of ``docs/reference`` that are made from the code: ``python tools/build_docs.py``.

With ``--check`` nothing is written: the names of pages that are not what the code says are printed, and the exit code
is 1 when there are any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from docs_api import errors_page, routes_page
from docs_catalog import models_page, voices_page
from docs_cli import cli_page
from docs_proofs import proofs_page

from openpollen.catalog.reference import prices_reference, settings_reference
from openpollen.storage.describe import tables_page

REFERENCE = Path(__file__).parents[1] / "docs/reference"

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "models.md": models_page,
    "prices.md": prices_reference,
    "proofs.md": proofs_page,
    "routes.md": routes_page,
    "settings.md": settings_reference,
    "tables.md": tables_page,
    "voices.md": voices_page,
}


def stale(folder: Path) -> list[str]:
    """The names of pages in ``folder`` that are missing or not what the code says now."""
    return [name for name, page in PAGES.items() if _read(folder / name) != page()]


def write(folder: Path) -> None:
    """Writes every page that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale(folder):
        (folder / name).write_text(PAGES[name](), "utf-8")
        print(f"wrote {folder / name}")


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/reference.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 naming the pages that are stale")
    parser.add_argument("--folder", type=Path, default=REFERENCE, help="where the pages are")
    options = parser.parse_args()
    if not options.check:
        write(options.folder)
        return 0
    names = stale(options.folder)
    for name in names:
        print(f"docs/reference/{name} is not what the code says; run `make docs`.", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
