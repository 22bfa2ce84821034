"""What is wrong in [signin] and [mail] is told at the start, by place, and no secret is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from openpollen.core.errors import ConfigError
from openpollen.settings.reading import SETTINGS, load_settings

SECRET = "hush-4711"
GITHUB = f'[signin.github]\nclient_id = "a"\nclient_secret = "{SECRET}"\n'


def oidc(name: str = "work", issuer: str = "https://id.example.org", more: str = "") -> str:
    return f'[[signin.oidc]]\nname = "{name}"\nissuer = "{issuer}"\nclient_id = "a"\nclient_secret = "{SECRET}"\n{more}'


def load(tmp_path: Path, text: str, env: dict[str, str] | None = None):
    file = tmp_path / "openpollen.toml"
    file.write_text(text)
    return load_settings(file, env)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[signin]\nsignup = "maybe"\n', "signup: 'maybe' is not allowed: one of 'invite', 'open', 'closed'"),
        ('[signin]\nsingup = "open"\n', "[signin] singup: unknown key; did you mean signup?"),
        ('[signin.github]\nclient_id = "a"\n', "client_id and client_secret are given together"),
        ("[signin]\ngithub = 1\n", "[signin.github] must be a table"),
        ('[signin.github]\ntoken = "x"\n', "[signin.github] token: unknown key"),
        (oidc(name="github"), "name: small letters"),
        (oidc(name="Work Place"), "name: small letters"),
        (oidc() + oidc(), "each name once"),
        (oidc(issuer="id.example.org"), "issuer: a web address starts with"),
        (oidc(more='scopes = "x"\n'), "scopes"),
        ('[[signin.oidc]]\nname = "work"\n', "missing required field"),
        ('[mail]\nhost = "smtp.example.org"\n', "[mail] sender: say which address"),
        ('[mail]\ntls = "maybe"\n', "one of 'starttls', 'tls', 'none'"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as fault:
        load(tmp_path, text)
    assert told in str(fault.value)
    assert SECRET not in str(fault.value)


def test_everything_can_stand_in_the_file_or_in_variables(tmp_path: Path) -> None:
    told = load(tmp_path, GITHUB + oidc()).signin
    env = {
        "OPENPOLLEN_SIGNIN_GITHUB_CLIENT_ID": "a",
        "OPENPOLLEN_SIGNIN_GITHUB_CLIENT_SECRET": SECRET,
        "OPENPOLLEN_SIGNIN_OIDC": '[{"name": "work", "issuer": "https://id.example.org", "client_id": "a", '
        f'"client_secret": "{SECRET}"}}]',
    }
    assert load(tmp_path, "", env).signin == told
    assert told.oidc[0].client_secret == SECRET


def test_secrets_are_marked_and_not_shown(tmp_path: Path) -> None:
    marked = {setting.name for setting in SETTINGS if setting.secret}
    assert marked == {"storage.database_url", "signin.github.client_secret", "signin.oidc", "mail.password"}
    mail = f'[mail]\nhost = "h"\nsender = "a@b.c"\npassword = "{SECRET}"\n'
    assert SECRET not in repr(load(tmp_path, GITHUB + oidc() + mail))
