"""What the pages of sign-in and account share: who may try how often, and how a session begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from openpollen.accounts import flows, known_browsers, passwords, sessions
from openpollen.accounts.attempts import Attempt, Attempts, Limit, forget_worked_off
from openpollen.accounts.github import GithubProvider
from openpollen.accounts.invites import NewAccount, Signup
from openpollen.accounts.login import create_link, verify_url
from openpollen.accounts.mail import Mailer
from openpollen.accounts.oidc import OidcProvider, Provider
from openpollen.accounts.passkeys import relying_party
from openpollen.accounts.passwords import Hasher
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.core.errors import ConfigError
from openpollen.outbound.client import Client
from openpollen.settings import Settings
from openpollen.storage.database import Connection
from openpollen.web.pages import Pages, Viewer

#: Guesses of one account's password from one address, of it from anywhere, and of any from one address. Who guesses from
#: one place cannot lock the owner out, who is at another; who guesses from many cannot either, in a browser of theirs.
GUESSES = Limit("password", burst=10, seconds=60)
GUESSES_ANYWHERE = Limit("password-anywhere", burst=100, seconds=15)
GUESSES_FROM = Limit("password-from", burst=30, seconds=10)
#: Guesses in a browser in which the account has signed in before, which counts in none of these.
GUESSES_KNOWN = Limit("password-known", burst=10, seconds=60)
SIGNUPS_FROM = Limit("signup-from", burst=20, seconds=180)
#: Mails to one person, and those that one address asks for.
MAILS = Limit("mail", burst=3, seconds=600)
MAILS_FROM = Limit("mail-from", burst=10, seconds=120)


class Desk(Struct, frozen=True):
    """The services behind these pages. ``address`` tells where a request comes from; ``forget`` makes this process look at
    changed keys at once."""

    pages: Pages
    address: Callable[[Exchange], str]
    attempts: Attempts
    hasher: Hasher
    mailer: Mailer
    providers: Sequence[Provider]
    signup: Signup
    new: NewAccount
    forget: Callable[[], None]

    async def enter(
        self,
        exchange: Exchange,
        user_id: str,
        via: str,
        to: str,
        *,
        flash: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Signs the browser in, with a session of its own, and goes on to ``to``."""
        cookie = await self.start(exchange, user_id, via)
        await self.pages.redirect(exchange, to, flash=flash, cookie=cookie, headers=headers)

    async def start(self, exchange: Exchange, user_id: str, via: str) -> str:
        """Starts a session in place of the browser's older one; returns the cookie line. From now on the account knows this
        browser."""
        browser = sessions.browser_name(exchange.headers.get("user-agent", ""))
        before, marks = self.pages.session_value(exchange), self.pages.known_value(exchange)

        def begin(connection: Connection) -> tuple[str, str]:
            value = sessions.start_session(connection, user_id, browser=browser, via=via, instead_of=before)
            return value, known_browsers.remember(connection, user_id, marks)

        value, marks = await self.pages.database.write(begin)
        exchange.common.append((b"set-cookie", self.pages.known_cookie(marks).encode()))
        return self.pages.session_cookie(value)

    async def guess(self, exchange: Exchange, name: str) -> Attempt:
        """Counts one guess of a password. Raises RateLimited."""
        marks = self.pages.known_value(exchange)
        if marks and (browser := await self.pages.database.read(lambda c: known_browsers.known(c, marks, name))):
            return await self.attempts.take((GUESSES_KNOWN, browser))
        place = self.address(exchange)
        return await self.attempts.take((GUESSES, f"{name}\0{place}"), (GUESSES_ANYWHERE, name), (GUESSES_FROM, place))

    async def sweep(self) -> int:
        """Forgets steps that nobody came back for, and tries that mean nothing any more; returns how many went."""

        def forget(connection: Connection) -> int:
            return flows.forget_old(connection) + forget_worked_off(connection)

        return await self.pages.database.write(forget)

    async def fresh(self, viewer: Viewer) -> bool:
        """Whether the person signed in lately, as changes to sign-in ask for."""
        session = await self.pages.database.read(lambda connection: sessions.get_session(connection, viewer.session))
        return session is not None and session.fresh

    async def again(self, exchange: Exchange) -> None:
        """Asks to sign in once more before a change that a borrowed browser must not make."""
        told = "Sign in again to go on: this needs a sign-in within the last ten minutes."
        await self.pages.redirect(exchange, "/login?again=1&next=/me/account", flash=told)

    async def mail_verification(self, exchange: Exchange, user: User) -> None:
        """Mails a link that verifies the account's address. Raises RateLimited."""
        email = user.email
        if email is None or not self.mailer.available:
            return
        await self.attempts.take((MAILS, email), (MAILS_FROM, self.address(exchange)))
        token = await self.pages.database.write(
            lambda connection: create_link(connection, user.id, purpose="verify", email=email)
        )
        self.mailer.send_verification(email, user.name, verify_url(self.pages.url, token))

    async def password_is_right(self, user_id: str, stored: str | None, password: str) -> bool:
        """Checks a password, and hashes it anew when today's parameters are others."""
        if not await self.hasher.matches(stored, password):
            return False
        if stored is not None and self.hasher.is_old(stored):
            renewed = await self.hasher.hash(password)
            await self.pages.database.write(
                lambda connection: passwords.renew_hash(connection, user_id, stored, renewed)
            )
        return True


def open_desk(
    pages: Pages,
    settings: Settings,
    client: Client,
    address: Callable[[Exchange], str],
    forget: Callable[[], None],
    env: Mapping[str, str],
) -> Desk:
    """The services for these settings. Raises ConfigError for a secret that the environment lacks."""
    github = settings.signin.github
    providers: list[Provider] = []
    if github.client_id:
        secret = _secret("[signin.github] client_secret", github.client_secret, env)
        providers.append(GithubProvider(github, secret, client))
    for oidc in settings.signin.oidc:
        secret = _secret(f"[[signin.oidc]] {oidc.name}: client_secret", oidc.client_secret, env)
        providers.append(OidcProvider(oidc, secret, client))
    return Desk(
        pages=pages,
        address=address,
        attempts=Attempts(pages.database),
        hasher=Hasher(),
        mailer=Mailer(settings.mail, _secret("[mail] password", settings.mail.password, env)),
        providers=providers,
        signup=settings.signin.signup,
        new=NewAccount(settings.tiers.default, settings.accounts.signup_grant),
        forget=forget,
    )


def _secret(where: str, value: str, env: Mapping[str, str]) -> str:
    """A secret of the settings, which may name a variable: ``env:NAME``."""
    if not value.startswith("env:"):
        return value
    if not (found := env.get(value.removeprefix("env:"))):
        raise ConfigError([f"{where}: the variable {value.removeprefix('env:')} is not set"])
    return found


def doors(desk: Desk, exchange: Exchange) -> dict[str, Any]:
    """What every page with ways to sign in shows of them."""
    return {
        "providers": [(provider.name, provider.title) for provider in desk.providers],
        "passkeys": relying_party(desk.pages.url, exchange.headers.get("host", "")) is not None,
        "mail": desk.mailer.available,
        "signup": desk.signup,
    }
