"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The models folder, filled with the default local models (fetched once; a second run fetches nothing)."""
    from openpollen.engines import weights

    folder = weights.models_folder()
    subprocess.run([sys.executable, "-m", "openpollen", "models", "pull", "--quiet"], check=True, env=os.environ)
    return folder
