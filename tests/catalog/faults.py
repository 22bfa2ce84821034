"""The faults of a configuration file, as every command tells them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openpollen.configuration import read_configuration
from openpollen.core.errors import ConfigError


def validate(config: Path | None = None, env: Mapping[str, str] | None = None) -> list[str]:
    """Every fault of settings and catalogue; empty for a sound file."""
    try:
        read_configuration(config, env or {}, {})
    except ConfigError as error:
        return error.problems
    return []
