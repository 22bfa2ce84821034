"""Settings out of the command line, the environment, a file and the defaults, the first of them being the strongest.

``SETTINGS`` is the list of all options, from which files are parsed, variables named and ``docs/reference/settings.md``
written. Every fault is told at once, each by the key that it is in.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from openpollen.core import address
from openpollen.core.errors import ConfigError
from openpollen.core.nearest import nearest
from openpollen.settings import Env, Oidc, Pollen, Secret, Settings

Table = dict[str, Any]


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
    _PREFIX + name
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
