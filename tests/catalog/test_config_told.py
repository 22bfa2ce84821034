"""Faults of a configuration that used to hide: unknown variables, models that nobody serves, names that are there twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from openpollen.catalog.load import load_catalog
from tests.catalog.faults import validate

LAB = '[providers.lab]\nwire = "openai_compatible"\nbase_url = "http://127.0.0.1:9100/v1"\n'
MODEL = '[[models]]\nname = "x"\ncapabilities = ["chat"]\n'
ROUTE = '[[models.routes]]\nprovider = "lab"\nmodel = "m"\n'
PRICE = 'price = { input_token = "1", output_token = "2" }\n'


def faults(folder: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    path = folder / "openpollen.toml"
    path.write_text(text, "utf-8")
    return validate(path, env)


def test_an_unknown_variable_is_a_fault_with_the_nearest_name(tmp_path: Path) -> None:
    [line] = faults(tmp_path, "", {"OPENPOLLEN_SERVER_PROT": "1"})
    assert line.startswith("OPENPOLLEN_SERVER_PROT: unknown")
    assert "OPENPOLLEN_SERVER_PORT" in line
    assert len(faults(tmp_path, "", {"OPENPOLLEN_ENGINE_CHAT_MODEL": "smollm2"})) == 1


def test_variables_of_ours_and_those_the_file_names_are_no_faults(tmp_path: Path) -> None:
    ours = (
        "DATA",
        "MODELS",
        "CONFIG",
        "WEIGHTS_MANIFEST",
        "SUPERVISOR_PID",
        "ENGINE_URL",
        "ENGINE_TOKEN",
        "ENGINE_QUEUE",
    )
    env = {f"OPENPOLLEN_{name}": "/tmp/x" for name in ours} | {"OPENPOLLEN_SERVER_PROT": "", "OTHER": "1"}
    assert faults(tmp_path, "", env) == []
    assert faults(tmp_path, LAB + 'key = "env:OPENPOLLEN_LAB_KEY"\n', {"OPENPOLLEN_LAB_KEY": "s"}) == []


def test_a_model_without_routes_is_told_that_and_nothing_of_prices(tmp_path: Path) -> None:
    [line] = faults(tmp_path, LAB + MODEL)
    assert "[[models]] x [[models.routes]]: is missing" in line
    path = tmp_path / "openpollen.toml"
    path.write_text(LAB + MODEL + PRICE, "utf-8")
    assert any("x [[models.routes]]: is missing" in warning for warning in load_catalog(path).warnings)


def test_a_name_that_is_there_twice_does_not_hide_the_second_blocks_faults(tmp_path: Path) -> None:
    second = MODEL + "alpah = true\n" + ROUTE.replace('"lab"', '"labb"')
    told = faults(tmp_path, LAB + MODEL + ROUTE + PRICE + second)
    for words in ("x name: is there twice", "number 2, x alpah: unknown key", "[providers.labb]", "x price"):
        assert sum(words in line for line in told) == 1, (words, told)


def polli(*words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_URL"))}
    command = [sys.executable, "-m", "openpollen", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_a_data_folder_that_cannot_be_made_is_told_with_what_to_do() -> None:
    done = polli("serve", "--port", "0", "--data", "/proc/x")
    assert done.returncode == 4
    assert "the data folder /proc/x cannot be made" in done.stderr
    assert "--data" in done.stderr
