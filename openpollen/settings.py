"""Every option on one page, with its type, default, range and sentence of help.

The groups are the tables of ``openpollen.toml``: ``server.port`` is ``port`` under ``[server]``. Each option can
also be set by a variable (``OPENPOLLEN_SERVER_PORT``), and on the command line where a command has a flag for it.
Order of strength: command line, environment, file, default. ``SETTINGS`` is the list from which files are parsed,
variables named and ``docs/reference/settings.md`` written. ``[providers.*]`` and ``[[models]]`` of the same file are
the catalogue's.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from openpollen.core import address
from openpollen.core.errors import ConfigError
from openpollen.core.money import parse_pollen

Table = dict[str, Any]


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


class Setting(Struct, frozen=True):
    """One option as the list has it."""

    name: str
    type: Any
    default: Any
    help: str
    env: str
    secret: bool = False

    @property
    def table(self) -> str:
        return self.name.rpartition(".")[0]


#: Longest name of an account.
_NAME_LENGTH = 64
#: Tables of the file that the catalogue reads.
CATALOG_TABLES = ("providers", "models")


def _collect(group: type[Struct], prefix: str = "") -> Iterable[Setting]:
    hints = get_type_hints(group, include_extras=True)
    for info in msgspec.structs.fields(group):
        name, hint = f"{prefix}{info.name}", hints[info.name]
        if isinstance(hint, type) and issubclass(hint, Struct):
            yield from _collect(hint, f"{name}.")
            continue
        notes = get_args(hint)[1:]
        default = info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
        env = next((note.name for note in notes if isinstance(note, Env)), _variable(name))
        told = next(note for note in notes if isinstance(note, str))
        yield Setting(name, hint, default, told, env, any(isinstance(note, Secret) for note in notes))


_PREFIX = "OPENPOLLEN_"
#: Variables of ours that are no settings: the file, a client's key, the weights, and what a server tells its own processes.
_OTHER_VARIABLES = frozenset(
    f"OPENPOLLEN_{name}"
    for name in (
        "CONFIG",
        "KEY",
        "MODELS",
        "WEIGHTS_MANIFEST",
        "SUPERVISOR_PID",
        "ENGINE_URL",
        "ENGINE_TOKEN",
        "ENGINE_THREADS",
        "ENGINE_MEMORY_MB",
        "ENGINE_QUEUE",
        "ENGINE_IDLE_S",
    )
)


def _variable(name: str) -> str:
    return _PREFIX + name.upper().replace(".", "_")


SETTINGS: tuple[Setting, ...] = tuple(_collect(Settings))
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def load_settings(
    config: Path | None = None, env: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from file, environment and command line. ``overrides`` is by option name (``{"server.port": 0}``), with
    ``None`` for a flag that was not given. Raises ConfigError with every fault of all three."""
    problems: list[str] = []
    tables = read_toml(config, problems) if config else {}
    settings = parse_settings(tables, str(config), env or {}, overrides or {}, problems)
    if problems:
        raise ConfigError(problems)
    return settings


def parse_settings(
    tables: Table, file: str, env: Mapping[str, str], overrides: Mapping[str, Any], problems: list[str]
) -> Settings:
    """Settings from tables already read; every fault is added to ``problems`` and its option keeps the default."""
    given: dict[str, tuple[str, Any]] = {}
    for key, value in tables.items():
        if key in CATALOG_TABLES:
            continue
        _flatten(key, value, file, given, problems)
    for setting in SETTINGS:
        if (text := env.get(setting.env)) not in (None, ""):
            given[setting.name] = (setting.env, text)
    _unknown_variables(tables, env, problems)
    for name, value in overrides.items():
        if value is not None:
            given[name] = (f"option {name}", value)
    values: dict[str, Any] = {}
    for name, (where, value) in given.items():
        try:
            if isinstance(value, str) and where != _BY_NAME[name].env and get_origin(_plain(_BY_NAME[name])) is tuple:
                raise ValueError(f'must be a list, such as ["{value[:40]}"], not {_show(value)}')
            values[name] = _convert(value, _BY_NAME[name])
        except ValueError as error:
            problems.append(f"{where}: {error}")
    settings = _build(Settings, values, "")
    _cross_check(settings, file, {name: where for name, (where, _) in given.items()}, problems)
    return settings


def _unknown_variables(tables: Table, env: Mapping[str, str], problems: list[str]) -> None:
    """Variables that look like options and are none, but for those that the file itself speaks of, as a key's."""
    known = [setting.env for setting in SETTINGS]
    said = repr(tables)
    for name in sorted(env):
        ours = name in known or name in _OTHER_VARIABLES
        if name.startswith(_PREFIX) and env[name] and not ours and name not in said:
            problems.append(f"{name}: unknown setting in the environment{nearest(name, known)}")


def _flatten(name: str, value: Any, file: str, given: dict[str, tuple[str, Any]], problems: list[str]) -> None:
    """Adds the options of one key or table; unknown names become problems with the nearest known one."""
    groups = {setting.table for setting in SETTINGS if setting.table}
    if name in groups:
        if not isinstance(value, dict):
            problems.append(f"{file}: [{name}] must be a table, not {_show(value)}")
            return
        for key, item in cast(Table, value).items():
            full = f"{name}.{key}"
            if full in _BY_NAME:
                given[full] = (f"{file}: [{name}] {key}", item)
            elif full in groups:
                _flatten(full, item, file, given, problems)
            else:
                known = [s.name.removeprefix(f"{name}.") for s in SETTINGS if s.name.startswith(f"{name}.")]
                problems.append(f"{file}: [{name}] {key}: unknown key{nearest(key, known)}")
    elif name in _BY_NAME:
        given[name] = (f"{file}: {name}", value)
    else:
        known = [*groups, *CATALOG_TABLES, *(s.name for s in SETTINGS if not s.table)]
        problems.append(
            f"{file}: {name}: unknown {'table' if isinstance(value, dict) else 'key'}{nearest(name, known)}"
        )


def _convert(value: Any, setting: Setting) -> Any:
    """One value in the option's type; text (from a variable or flag) is read as that type. Raises ValueError."""
    hint, plain = setting.type, _plain(setting)
    if plain is Pollen:
        return Pollen.of(value)
    if get_origin(plain) is dict:
        if isinstance(value, str):
            pairs = [pair.partition("=") for pair in value.split(",")]
            value = {name.strip(): amount.strip() for name, _, amount in pairs}
        if not isinstance(value, dict):
            raise ValueError(f"must be a table of name = amount, not {_show(value)}")
        return setting.default | {str(name): Pollen.of(amount) for name, amount in cast(Table, value).items()}
    if plain is Path:
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError(f"must be a path, not {_show(value)}")
        return Path(value)
    if plain == tuple[Oidc, ...] and isinstance(value, str):
        value = _json_list(value)
    elif get_origin(plain) is tuple and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Decimal):
        value = float(value)
    text = isinstance(value, str) and plain is not str and get_origin(plain) is not Literal
    try:
        result = msgspec.convert(value, hint, strict=not text)
    except msgspec.ValidationError as error:
        shown = "this" if setting.secret else _show(value)
        raise ValueError(f"{shown} is not allowed: {_reason(str(error), plain)}") from None
    if isinstance(result, float) and not math.isfinite(result):
        raise ValueError(f"{_show(value)} is not allowed: a finite number")
    return result


def _json_list(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise ValueError("must be a list of tables as JSON") from None


def _plain(setting: Setting) -> Any:
    """The option's type without its notes."""
    return get_args(setting.type)[0] if get_origin(setting.type) is Annotated else setting.type


def _reason(message: str, plain: Any) -> str:
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(repr(word) for word in get_args(plain))
    return message[:1].lower() + message[1:]


def _show(value: Any) -> str:
    text = repr(value) if not isinstance(value, Decimal) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _build(group: type[Any], values: Mapping[str, Any], prefix: str) -> Any:
    """The struct of one group, with the given values over its defaults."""
    arguments: Table = {}
    hints = get_type_hints(group)
    for info in msgspec.structs.fields(group):
        hint, name = hints[info.name], f"{prefix}{info.name}"
        if isinstance(hint, type) and issubclass(hint, Struct):
            arguments[info.name] = _build(hint, values, f"{name}.")
        elif name in values:
            value = values[name]
            arguments[info.name] = value.expanduser() if isinstance(value, Path) else value
        elif isinstance(info.default, Path):
            arguments[info.name] = info.default.expanduser()
    return group(**arguments)


def _cross_check(settings: Settings, file: str, given: Mapping[str, str], problems: list[str]) -> None:
    """Rules that types do not say, and those that span options. ``given`` tells where an option was set."""
    if settings.tiers.default not in settings.tiers.refill:
        tiers = ", ".join(settings.tiers.refill)
        problems.append(f"{file}: [tiers] default: {settings.tiers.default!r} is not a tier of [tiers.refill]: {tiers}")
    unknown = sorted(settings.tiers.rise_at.keys() - settings.tiers.refill.keys())
    problems += [f"{file}: [tiers.rise_at] {tier}: is not a tier of [tiers.refill]" for tier in unknown]
    server = settings.server
    values = [(name, getattr(server, name), address.origin_fault) for name in ("gen_url", "enter_url", "media_url")]
    values += [("host", server.host, address.host_fault)]
    values += [("allowed_hosts", host, address.host_fault) for host in server.allowed_hosts]
    values += [("trusted_proxies", proxy, address.network_fault) for proxy in server.trusted_proxies]
    for name, value, fault_of in values:
        fault = fault_of(value) if value or not name.endswith("_url") else ""
        if fault:
            where = given.get(f"server.{name}", f"{file}: [server] {name}")
            problems.append(f"{where}: {_show(value)} is not allowed: {fault}")
    database = settings.storage.database_url
    if database and not database.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        where = given.get("storage.database_url", f"{file}: [storage] database_url")
        # The address is not repeated, as it may have a password.
        problems.append(f"{where}: not allowed: the address of a database starts with postgresql://")
    _check_signin(settings, file, problems)
    admin = settings.accounts.admin_name
    if not 0 < len(admin.strip()) <= _NAME_LENGTH or not admin.isprintable():
        where = given.get("accounts.admin_name", f"{file}: [accounts] admin_name")
        problems.append(f"{where}: {_show(admin)} is not allowed: a name has 1 to {_NAME_LENGTH} printable characters")


def _check_signin(settings: Settings, file: str, problems: list[str]) -> None:
    """What [signin] and [mail] need to work; values that are secret are not repeated."""
    github, mail = settings.signin.github, settings.mail
    if bool(github.client_id) != bool(github.client_secret):
        problems.append(f"{file}: [signin.github]: client_id and client_secret are given together")
    names = [oidc.name for oidc in settings.signin.oidc]
    for oidc in settings.signin.oidc:
        where = f"{file}: [[signin.oidc]] {_show(oidc.name)}"
        if not re.fullmatch(r"[a-z0-9-]{1,40}", oidc.name) or oidc.name == "github" or names.count(oidc.name) > 1:
            problems.append(f"{where}: name: small letters, digits and dashes, each name once, and not 'github'")
        if fault := address.page_fault(oidc.issuer):
            problems.append(f"{where}: issuer: {fault}")
        if not oidc.client_id or not oidc.client_secret:
            problems.append(f"{where}: client_id and client_secret are both needed")
    if mail.host and not mail.sender:
        problems.append(f"{file}: [mail] sender: say which address mail comes from")


def read_toml(path: Path, problems: list[str]) -> Table:
    """The tables of a file, numbers with a point as exact Decimals. A file that cannot be read is a problem."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"), parse_float=Decimal)  # Notepad writes a mark
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
    return {}


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known ones, or all of them when none is near."""
    words = sorted(set(known))
    close = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; known are {', '.join(words)}" if len(words) <= 24 else ""
