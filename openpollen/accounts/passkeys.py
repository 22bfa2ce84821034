"""Passkeys (WebAuthn): discoverable credentials with user verification, on https or on ``localhost``.

The library is loaded when the first passkey needs it."""

from __future__ import annotations

import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from sqlalchemy import Row, delete, func, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.users import User, get_user
from openpollen.core.errors import BadRequest, Conflict, NotFound, Unauthorized
from openpollen.storage.database import Connection
from openpollen.storage.schema import passkeys

_MOST = 20
_NAME_LENGTH = 64
_UNKNOWN = "This passkey is not known here. Sign in another way; passkeys are added on the account page."


class RelyingParty(Struct, frozen=True):
    """Who we are to a browser: the host that passkeys are bound to, and the origin of our pages."""

    id: str
    origin: str


class Passkey(Struct, frozen=True):
    """A stored passkey; times are milliseconds."""

    id: str
    user_id: str
    name: str
    public_key: bytes
    sign_count: int
    created_at: int
    last_used_at: int | None


def relying_party(url: str, host: str) -> RelyingParty | None:
    """Who we are on a page asked for at ``host``, of the server whose public address is ``url``. ``None`` where browsers
    allow no passkeys: on plain http but for localhost, and on bare IP addresses."""
    name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
    if name == "localhost":
        return RelyingParty(name, f"http://{host.lower()}")
    public = urlsplit(url)
    if public.scheme != "https" or public.hostname is None or _is_ip(public.hostname):
        return None
    return RelyingParty(public.hostname, f"https://{public.netloc.lower()}")


def registration_options(connection: Connection, user: User, party: RelyingParty, challenge: bytes) -> str:
    """What the browser needs to make a passkey, as JSON. Raises Conflict when the account has too many."""
    from webauthn import base64url_to_bytes, generate_registration_options, options_to_json
    from webauthn.helpers import structs

    known = list_passkeys(connection, user.id)
    if len(known) >= _MOST:
        raise Conflict(f"An account has at most {_MOST} passkeys. Remove one first.")
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="OpenPollen",
        user_id=user.id.encode(),
        user_name=user.name,
        challenge=challenge,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.id)) for passkey in known
        ],
    )
    return options_to_json(options)


def register(
    connection: Connection, user_id: str, name: str, credential: dict[str, Any], party: RelyingParty, challenge: bytes
) -> Passkey:
    """Stores the passkey that a browser made for this challenge. Raises BadRequest, Conflict."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    name = " ".join(name.split())[:_NAME_LENGTH] or "Passkey"
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as fault:
        raise BadRequest("The browser's answer does not prove a passkey. Try again.") from fault
    identifier = bytes_to_base64url(made.credential_id)
    if connection.execute(select(passkeys.c.id).where(passkeys.c.id == identifier)).first():
        raise Conflict("This passkey is in use already.")
    passkey = Passkey(
        identifier, user_id, name, made.credential_public_key, made.sign_count, int(time.time() * 1000), None
    )
    connection.execute(
        insert(passkeys).values({column.name: getattr(passkey, column.name) for column in passkeys.columns})
    )
    audit.note(connection, user_id, "passkey.add", user_id, name=name)
    return passkey


def sign_in_options(party: RelyingParty, challenge: bytes) -> str:
    """What the browser needs to offer its passkeys for this site, as JSON."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=party.id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json(options)


def sign_in(connection: Connection, credential: dict[str, Any], party: RelyingParty, challenge: bytes) -> User:
    """Whose passkey answered the challenge. Raises Unauthorized."""
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    row = connection.execute(select(passkeys).where(passkeys.c.id == str(credential.get("id")))).one_or_none()
    if row is None:
        raise Unauthorized(_UNKNOWN)
    known = _passkey(row)
    try:
        proven = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as fault:
        raise Unauthorized("The passkey could not be checked. Try again.") from fault
    user = get_user(connection, known.user_id)
    if user.banned_at is not None:
        raise Unauthorized("This account is closed.")
    now = int(time.time() * 1000)
    used = {"sign_count": proven.new_sign_count, "last_used_at": now}
    connection.execute(update(passkeys).where(passkeys.c.id == known.id).values(used))
    return user


def list_passkeys(connection: Connection, user_id: str) -> list[Passkey]:
    """An account's passkeys, the oldest first."""
    rows = connection.execute(
        select(passkeys).where(passkeys.c.user_id == user_id).order_by(passkeys.c.created_at, passkeys.c.id)
    )
    return [_passkey(row) for row in rows]


def count_passkeys(connection: Connection, user_id: str) -> int:
    return connection.execute(select(func.count()).where(passkeys.c.user_id == user_id)).scalar_one()


def remove_passkey(connection: Connection, user_id: str, passkey_id: str) -> None:
    """Removes a passkey. Raises NotFound."""
    mine = (passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
    name = connection.execute(delete(passkeys).where(*mine).returning(passkeys.c.name)).scalar_one_or_none()
    if name is None:
        raise NotFound("You have no such passkey.")
    audit.note(connection, user_id, "passkey.remove", user_id, name=name)


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(**{column.name: getattr(row, column.name) for column in passkeys.columns})


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
