"""Settings: where they come from, in which order of strength, and in which types."""

from __future__ import annotations

from pathlib import Path

import pytest

from openpollen.core.errors import ConfigError
from openpollen.settings.reading import SETTINGS, load_settings


def test_defaults() -> None:
    settings = load_settings()
    assert settings.generation.local_fallback
    assert not settings.generation.allow_substitutes
    assert settings.generation.max_body == 20 * 1024 * 1024
    assert settings.generation.cache_ttl_s == 30 * 24 * 3600
    assert (settings.ledger.open_share, settings.ledger.hold_wait) == (0.25, 2)
    assert (settings.media.max_bytes, settings.media.ttl_s) == (10_000_000, 14 * 24 * 3600)
    assert settings.tiers.default == "microbe"
    assert settings.tiers.refill["seed"] == 150_000_000
    assert settings.accounts.welcome_grant == 10_000_000_000
    assert settings.data.is_absolute()


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text('[server]\nport = 1\nworkers = 3\nhost = "10.0.0.1"\n', "utf-8")
    env = {"OPENPOLLEN_SERVER_PORT": "2", "OPENPOLLEN_SERVER_HOST": "10.0.0.2"}
    server = load_settings(path, env, {"server.port": 4, "server.host": None}).server
    assert (server.port, server.host, server.workers) == (4, "10.0.0.2", 3)


def test_variables_are_read_in_the_type_of_the_option() -> None:
    settings = load_settings(
        None,
        {
            "OPENPOLLEN_DATA": "/srv/pollen",
            "OPENPOLLEN_MODELS": "/srv/models",
            "OPENPOLLEN_GENERATION_LOCAL_FALLBACK": "false",
            "OPENPOLLEN_SERVER_ALLOWED_HOSTS": "a.example, b.example",
            "OPENPOLLEN_LEDGER_OPEN_SHARE": "0.5",
            "OPENPOLLEN_ACCOUNTS_WELCOME_GRANT": "2.5",
            "OPENPOLLEN_TIERS_REFILL": "seed=0.2",
            "OPENPOLLEN_LEDGER_DURABILITY": "",
        },
    )
    assert (settings.data, settings.engines.models) == (Path("/srv/pollen"), Path("/srv/models"))
    assert not settings.generation.local_fallback
    assert settings.server.allowed_hosts == ("a.example", "b.example")
    assert settings.ledger.open_share == 0.5
    assert settings.accounts.welcome_grant == 2_500_000_000
    assert settings.tiers.refill["seed"] == 200_000_000
    assert settings.tiers.refill["spore"] == 10_000_000
    assert settings.ledger.durability == "queued"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENPOLLEN_SERVER_PORT", "http"),
        ("OPENPOLLEN_SERVER_PORT", "65536"),
        ("OPENPOLLEN_LEDGER_OPEN_SHARE", "nan"),
        ("OPENPOLLEN_LEDGER_HOLD_WAIT", "-1"),
        ("OPENPOLLEN_LEDGER_HOLD_WAIT", "inf"),
        ("OPENPOLLEN_GENERATION_LOCAL_FALLBACK", "perhaps"),
        ("OPENPOLLEN_ACCOUNTS_WELCOME_GRANT", "1e400"),
        ("OPENPOLLEN_TIERS_REFILL", "seed"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load_settings(None, {name: value})


def test_names_and_variables_are_unique_and_every_option_has_help() -> None:
    assert len({s.name for s in SETTINGS}) == len({s.env for s in SETTINGS}) == len(SETTINGS)
    assert all(s.env.startswith("OPENPOLLEN_") and s.help.endswith(".") for s in SETTINGS)
