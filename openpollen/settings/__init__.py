"""Every option on one page, with its type, default, range and sentence of help.

The groups are the tables of ``openpollen.toml``: ``server.port`` is ``port`` under ``[server]``. Each option can
also be set by a variable (``OPENPOLLEN_SERVER_PORT``), and on the command line where a command has a flag for it.
``reading`` makes settings of all of these. ``[providers.*]`` and ``[[models]]`` of the same file are
the catalogue's.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from openpollen.core.money import parse_pollen


class Pollen(int):
    """Nano-pollen, written in files and variables as decimal pollen: ``"0.1"``."""

    @classmethod
    def of(cls, value: object) -> Pollen:
        """Parse decimal pollen; raises ValueError with the reason."""
        if not isinstance(value, str | int | float | Decimal):
            raise ValueError("an amount of pollen is a number")
        return cls(parse_pollen(value))


class Env(Struct, frozen=True):
    """The name of an option's variable where that is not the regular one."""

    name: str


class Secret(Struct, frozen=True):
    """Marks an option whose value is never shown."""


Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Names = tuple[str, ...]


class Server(Struct, frozen=True):
    host: Annotated[str, "Address to listen on."] = "127.0.0.1"
    port: Annotated[Port, "Port to listen on; 0 picks a free one, which `DATA/server.json` then names."] = 8787
    workers: Annotated[Positive, "Worker processes under one supervisor."] = 1
    gen_url: Annotated[str, "Public address of the generation face. Empty: the address the server listens on."] = ""
    enter_url: Annotated[str, "Public address of accounts, sign-in and consent. Empty: as `gen_url`."] = ""
    media_url: Annotated[str, "Public address of uploaded and generated files. Empty: as `gen_url`."] = ""
    allowed_hosts: Annotated[
        Names,
        "Host names that requests may carry beside loopback, the machine's own addresses and the public addresses.",
    ] = ()
    trusted_proxies: Annotated[
        Names, "Addresses or networks (CIDR) of proxies whose forwarded client address counts."
    ] = ()
    drain_s: Annotated[
        Seconds,
        "Seconds that open calls may still run after SIGTERM; then streams end with an error event and the usage of what "
        "was sent, other calls with 503. The whole stop takes up to 4 seconds more.",
    ] = 5


class Generation(Struct, frozen=True):
    local_fallback: Annotated[
        bool, "Serve a model that has no live route by the local engine of its kind; false answers 503."
    ] = True
    allow_substitutes: Annotated[bool, "Use routes that lead to another model than the one named."] = False
    successor_aliases: Annotated[bool, "Accept older names that are served by a newer model."] = True
    cache_ttl_s: Annotated[Count, "Seconds for which an answer with a fixed seed is kept; 0 keeps none."] = 30 * 86_400
    cache_max_mb: Annotated[Count, "Disk space of kept answers, in MB; the oldest go first."] = 2_000
    idempotency_ttl_s: Annotated[Positive, "Seconds for which the outcome of an `Idempotency-Key` is kept."] = 86_400
    max_body: Annotated[Positive, "Largest request body in bytes."] = 20 * 1024 * 1024
    max_body_memory_mb: Annotated[Positive, "Memory that all request bodies together may take, in MB."] = 256
    connect_timeout_s: Annotated[Seconds, "Seconds to reach a provider."] = 10
    first_byte_timeout_s: Annotated[Seconds, "Seconds until a provider answers its first byte."] = 120
    idle_timeout_s: Annotated[Seconds, "Seconds between two pieces of a streamed answer."] = 60
    total_timeout_s: Annotated[Seconds, "Seconds that one call may take in all; a job has its own limit."] = 600
    job_timeout_s: Annotated[Seconds, "Seconds that a video or other job may take in all."] = 1_800
    enhance_timeout_s: Annotated[Seconds, "Seconds for rewriting a prompt (`enhance`), then the original is used."] = 5
    fetch_timeout_s: Annotated[Seconds, "Seconds to fetch an address that a caller gives."] = 30
    fetch_max_bytes: Annotated[Positive, "Largest file fetched from an address that a caller gives."] = 20 * 1024 * 1024
    safety_model: Annotated[
        str, "Chat model that judges content for `safe=true`, such as qwen-safety; empty answers such calls with 503."
    ] = ""
    rest_after: Annotated[Count, "Failures in a row after which a provider's route rests; 0 never rests one."] = 5
    rest_s: Annotated[Seconds, "Seconds that such a route rests first; each failed probe doubles them."] = 2
    longest_rest_s: Annotated[Seconds, "Longest rest of a route in seconds."] = 60
    default_max_output_tokens: Annotated[Positive, "Longest answer of a model whose own maximum is unknown."] = 16_384


class Engines(Struct, frozen=True):
    enabled: Annotated[bool, "Run the built-in engines."] = True
    models: Annotated[Path, "Folder of the weights, shared by every data folder.", Env("OPENPOLLEN_MODELS")] = Path(
        "~/.cache/openpollen/models"
    )
    threads: Annotated[Count, "Threads of one engine; 0 takes half the cores."] = 0
    memory_mb: Annotated[Positive, "Memory that loaded engines may take together, in MB."] = 3_000
    queue: Annotated[Positive, "Calls that may wait for an engine; one more is 429."] = 16
    idle_s: Annotated[Seconds, "Seconds without work after which an engine is unloaded."] = 600
    start_timeout_s: Annotated[Seconds, "Seconds that the engine host may take to start."] = 20
    chat_model: Annotated[str, "Local model that answers for chat models with no live route."] = "smollm2"


class Ledger(Struct, frozen=True):
    durability: Annotated[
        Literal["queued", "strict", "intent", "off"],
        "`queued` writes charges in groups, `strict` before the answer ends, `intent` writes the hold first as well; "
        "`off` charges and records nothing, for measuring only.",
    ] = "queued"
    open_share: Annotated[Share, "Share of what is available that a chat without a token limit may hold."] = 0.25
    hold_wait: Annotated[Seconds, "Seconds to wait for money that other calls hold."] = 2
    short_answer_tokens: Annotated[Positive, "Tokens that an open chat may always hold where they are affordable."] = (
        256
    )
    backlog: Annotated[Positive, "Charges that may wait to be written; beyond it new calls are 503."] = 10_000


class MediaStore(Struct, frozen=True):
    max_bytes: Annotated[Positive, "Largest upload in bytes."] = 10_000_000
    ttl_s: Annotated[Positive, "Seconds for which a file is kept after its last upload."] = 14 * 86_400
    account_max_bytes: Annotated[Positive, "Bytes that one account may keep."] = 1_000_000_000
    account_per_minute: Annotated[Positive, "Uploads of one account in a minute."] = 60


def _rises() -> dict[str, Pollen]:
    # More than the tier refills in 30 days, so that nobody earns by paying in an app of their own with other accounts.
    amounts = {"spore": "10", "seed": "150", "flower": "400", "nectar": "800"}
    return {tier: Pollen.of(amount) for tier, amount in amounts.items()}


def _refills() -> dict[str, Pollen]:
    amounts = {"microbe": "0", "spore": "0.01", "seed": "0.15", "flower": "0.4", "nectar": "0.8", "router": "10"}
    return {tier: Pollen.of(amount) for tier, amount in amounts.items()}


class Storage(Struct, frozen=True):
    database_url: Annotated[
        str,
        "PostgreSQL database, `postgresql://user:password@host/name`, for several hosts or very many calls. "
        "Empty: SQLite in the data folder.",
        Secret(),
    ] = ""

    def __repr__(self) -> str:
        """Without the address: it may have a password."""
        return f"Storage(database_url={'...' if self.database_url else ''!r})"


class Tiers(Struct, frozen=True):
    default: Annotated[str, "Tier of new accounts."] = "microbe"
    refill: Annotated[
        dict[str, Pollen],
        "Pollen that the tier balance is raised to each hour (UTC), by tier; tiers left out keep their default.",
    ] = field(default_factory=_refills)
    rise_at: Annotated[
        dict[str, Pollen],
        "Pollen (pack and crypto) that others have to spend in an account's apps within 30 days for it to rise to a tier by "
        "itself, by tier; tiers left out keep their default, 0 is never reached. A tier that an admin set stays.",
    ] = field(default_factory=_rises)
    rise_users: Annotated[Count, "How many accounts at least must have spent it; 0 turns rises off."] = 5
    rise_age_days: Annotated[Count, "Days that an account must be old for its spending to count."] = 7


class Accounts(Struct, frozen=True):
    admin_name: Annotated[str, "Name of the account that the first start makes."] = "admin"
    welcome_grant: Annotated[Pollen, "Pollen (pack) that the first start gives to that account."] = Pollen.of("10")
    signup_grant: Annotated[Pollen, "Pollen (pack) that every other new account gets."] = Pollen.of("0")
    max_keys: Annotated[Positive, "Keys that one account may hold, those of connected apps among them."] = 500


class Github(Struct, frozen=True):
    client_id: Annotated[
        str, "Client id of your GitHub OAuth app, whose callback is `ENTER/login/with/github/callback`. Empty: off."
    ] = ""
    client_secret: Annotated[str, "Its client secret, or `env:NAME`.", Secret()] = ""
    url: Annotated[str, "Where people sign in; an address of your own for GitHub Enterprise."] = "https://github.com"
    api_url: Annotated[str, "GitHub's API."] = "https://api.github.com"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Github(client_id={self.client_id!r})"


class Oidc(Struct, frozen=True, forbid_unknown_fields=True):
    """One provider of OpenID Connect. Its callback is ``ENTER/login/with/NAME/callback``."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    title: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Oidc(name={self.name!r}, issuer={self.issuer!r})"


class Signin(Struct, frozen=True):
    signup: Annotated[
        Literal["invite", "open", "closed"],
        "Who may make an account: whoever has an invitation (`polli admin invite`), everybody, or nobody.",
    ] = "invite"
    github: Github = Github()
    oidc: Annotated[
        tuple[Oidc, ...],
        "Providers of OpenID Connect, each a table `[[signin.oidc]]` with `name` (small letters, digits, dashes), `issuer`, "
        "`client_id`, `client_secret` (or `env:NAME`) and, if you like, `title`; as a variable, a JSON list.",
        Secret(),
    ] = ()


class OAuth(Struct, frozen=True):
    refresh_tokens: Annotated[
        bool, "Give apps that ask for `offline_access` refresh tokens; each is good for one use and brings the next."
    ] = True
    registration: Annotated[
        bool,
        "Let clients register themselves at `/api/oauth/register` (RFC 7591), as those of MCP do; the consent page shows "
        "them as apps that nobody knows.",
    ] = False


class Mail(Struct, frozen=True):
    host: Annotated[str, "SMTP server. Empty: no mail is sent, and pages say whom to ask instead."] = ""
    port: Annotated[Port, "Its port; 0 is 587, or 465 with `tls`."] = 0
    user: Annotated[str, "User name there, if it wants one."] = ""
    password: Annotated[str, "Password there, or `env:NAME`.", Secret()] = ""
    sender: Annotated[str, "Address that mail comes from, such as `OpenPollen <pollen@example.org>`."] = ""
    tls: Annotated[
        Literal["starttls", "tls", "none"], "How the connection is encrypted; `none` is for a server on this machine."
    ] = "starttls"

    def __repr__(self) -> str:
        """Without the password."""
        return f"Mail(host={self.host!r}, port={self.port}, user={self.user!r}, sender={self.sender!r})"


class Keys(Struct, frozen=True):
    pk_capacity: Annotated[Pollen, "Pollen that a publishable key may spend at once, per client address."] = Pollen.of(
        "0.1"
    )
    pk_refill: Annotated[Pollen, "Pollen that comes back per hour to that allowance."] = Pollen.of("1")
    pk_daily: Annotated[Pollen, "Pollen that a publishable key may spend in a day over all addresses."] = Pollen.of(
        "10"
    )


class Settings(Struct, frozen=True):
    data: Annotated[Path, "Folder of the database, files and server state."] = Path("~/.local/share/openpollen")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], "How much is logged."] = "info"
    server: Server = Server()
    generation: Generation = Generation()
    engines: Engines = Engines()
    ledger: Ledger = Ledger()
    storage: Storage = Storage()
    media: MediaStore = MediaStore()
    tiers: Tiers = field(default_factory=Tiers)
    accounts: Accounts = Accounts()
    signin: Signin = Signin()
    oauth: OAuth = OAuth()
    mail: Mail = Mail()
    keys: Keys = Keys()
