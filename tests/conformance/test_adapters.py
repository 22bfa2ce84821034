"""How adapters are found: modules of the package and plug-ins of other packages, with no list to edit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openpollen.core.errors import ConfigError
from openpollen.providers.adapter import adapters


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    adapters.cache_clear()
    yield
    adapters.cache_clear()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Lays a package with one entry point where Python finds it, as an installer would."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[openpollen.adapters]\n{name} = {name}:ADAPTER\n")
    monkeypatch.syspath_prepend(str(folder))


def test_built_in_wires() -> None:
    found = adapters()
    assert "openai_compatible" in found
    assert all(found[wire].wire == wire for wire in found)


def test_a_plug_in_adds_its_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "carrier_pigeon", "class ADAPTER:\n    wire = 'pigeon'\n")
    assert adapters()["pigeon"].wire == "pigeon"
    assert "openai_compatible" in adapters()


def test_two_adapters_of_one_wire_are_a_fault_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "rival_adapter", "class ADAPTER:\n    wire = 'openai_compatible'\n")
    with pytest.raises(ConfigError, match="plug-in rival_adapter: the wire 'openai_compatible'"):
        adapters()


def test_a_plug_in_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "broken_adapter", "raise RuntimeError('no wings')\n")
    with pytest.raises(ConfigError, match="plug-in broken_adapter: cannot be loaded: no wings"):
        adapters()
