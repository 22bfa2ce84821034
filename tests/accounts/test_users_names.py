"""Names of accounts: nobody's is somebody's address."""

from __future__ import annotations

from pathlib import Path

import pytest

from openpollen.accounts.users import create_user
from openpollen.core.errors import BadRequest
from openpollen.storage.database import Database


@pytest.mark.parametrize("name", ["vic@example.org", "vic\uff20example.org", "vic\ufe6bexample.org"])
def test_no_name_has_an_at_sign_however_it_is_written(tmp_path: Path, name: str) -> None:
    database = Database.open(tmp_path)
    with pytest.raises(BadRequest, match="no @"):
        database.write_sync(lambda connection: create_user(connection, name, tier="microbe"))
    database.close()
