"""`polli models`, run as the program that people run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.wheelhouse import Wheelhouse


@pytest.fixture
def house(tmp_path: Path) -> Wheelhouse:
    """Two small default models and one that is opt-in."""
    made = Wheelhouse(tmp_path)
    made.split_model("first")
    made.split_model("second")
    made.split_model("large", default=False)
    return made


def states(house: Wheelhouse) -> dict[str, str]:
    rows = json.loads(house.polli("list", "--json").stdout)["models"]
    return {row["name"]: row["state"] for row in rows}


def test_pull_brings_the_defaults_and_says_so_in_plain_lines(house: Wheelhouse) -> None:
    result = house.polli("pull")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("first 1/2: first-part1 1.0")
    assert lines[2].startswith("first is ready")
    assert lines[-1].startswith("second is ready")
    assert states(house) == {"first": "ready", "second": "ready", "large": "missing"}


def test_pull_by_name_and_all(house: Wheelhouse) -> None:
    assert house.polli("pull", "large").returncode == 0
    assert states(house) == {"first": "missing", "second": "missing", "large": "ready"}
    assert house.polli("pull", "--all").returncode == 0
    assert set(states(house).values()) == {"ready"}


def test_quiet_says_nothing(house: Wheelhouse) -> None:
    result = house.polli("pull", "first", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_one_failure_does_not_stop_the_others(house: Wheelhouse) -> None:
    (house.wheels / "first_part2-1.0-py3-none-any.whl").unlink()
    result = house.polli("pull", "--json")
    assert result.returncode == 1
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert {row["name"]: row["state"] for row in answer["models"]}["second"] == "ready"
    assert "first-part2" in answer["errors"]["first"]
    assert result.stderr.startswith("Could not pull first. first-part2 1.0: your package index does not have it")


def test_an_unknown_name_is_a_usage_error(house: Wheelhouse) -> None:
    result = house.polli("pull", "nonsense")
    assert result.returncode == 2
    assert "there are first, second, large" in result.stderr


def test_verify_finds_damage(house: Wheelhouse) -> None:
    assert house.polli("pull", "first", "--quiet").returncode == 0
    assert house.polli("verify").returncode == 0
    target = house.models / "first" / "model.bin"
    target.write_bytes(target.read_bytes()[:-1] + b"!")
    result = house.polli("verify", "--json")
    assert result.returncode == 1
    rows = {row["name"]: row["state"] for row in json.loads(result.stdout)["models"]}
    assert rows == {"first": "broken", "second": "missing", "large": "missing"}


def test_remove_frees_the_place(house: Wheelhouse) -> None:
    assert house.polli("pull", "first", "--quiet").returncode == 0
    assert house.polli("remove", "first").stdout == "first is removed.\n"
    assert not (house.models / "first").exists()
    assert house.polli("remove", "first").stdout == "first was not there.\n"
    assert house.polli("remove", "nonsense").returncode == 1


def test_a_broken_manifest_is_a_sentence(house: Wheelhouse) -> None:
    (house.root / "weights.toml").write_text("[models")
    for words in (["list"], ["pull"], ["verify"], ["remove", "first"]):
        result = house.polli(*words)
        assert result.returncode == 1
        assert "manifest of weights" in result.stderr
        assert "Traceback" not in result.stderr


def test_help_imports_no_engine() -> None:
    code = "import sys, openpollen.cli.main as m; m.polli(['--help'], standalone_mode=False); print(list(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "models" in result.stdout
    assert not [name for name in ("'numpy'", "'rich'", "'openpollen.engines'", "'starlette'") if name in result.stdout]
