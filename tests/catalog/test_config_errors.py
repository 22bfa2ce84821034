"""Each fault of a configuration file is told, and its line names the file, the table and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from openpollen.catalog.load import load
from openpollen.core.errors import ConfigError
from tests.catalog.faults import validate

LAB = '[providers.lab]\nwire = "openai_compatible"\nbase_url = "http://127.0.0.1:9100/v1"\n'
PRICE = 'price = { input_token = "1", output_token = "2" }\n'
ROUTE = '[[models.routes]]\nprovider = "lab"\nmodel = "m"\n'
HEAD = LAB + '[[models]]\nname = "x"\n'
CHAT = HEAD + 'capabilities = ["chat"]\n'

#: The file, and what the line about it must say.
BAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "not toml": ("[server\n", ("is not TOML",)),
    "unknown table": ("[sever]\nport = 1\n", ("sever", "did you mean server")),
    "unknown key": ("[server]\nprot = 1\n", ("[server] prot", "did you mean port")),
    "unknown top key": ('dta = "/tmp"\n', ("dta", "did you mean data")),
    "table wanted": ("server = 3\n", ("[server]", "must be a table")),
    "port too large": ("[server]\nport = 70000\n", ("[server] port", "70000", "65535")),
    "port is text": ('[server]\nport = "many"\n', ("[server] port", "'many'")),
    "share above one": ("[ledger]\nopen_share = 1.5\n", ("[ledger] open_share", "1.5")),
    "word not allowed": ('[ledger]\ndurability = "fast"\n', ("[ledger] durability", "'queued', 'strict', 'intent'")),
    "not a boolean": ('[generation]\nlocal_fallback = "maybe"\n', ("[generation] local_fallback", "'maybe'")),
    "tier unknown": ('[tiers]\ndefault = "algae"\n', ("[tiers] default", "'algae'", "microbe")),
    "refill negative": ('[tiers.refill]\nseed = "-1"\n', ("[tiers] refill", "0 or more")),
    "grant too fine": ('[accounts]\nwelcome_grant = "0.0000000001"\n', ("[accounts] welcome_grant", "nine decimal")),
    "address without scheme": ('[server]\ngen_url = "gen.example"\n', ("[server] gen_url", "http://")),
    "address with a path": ('[server]\ngen_url = "https://a.example/gen"\n', ("[server] gen_url", "no user, path")),
    "address with a query": ('[server]\ngen_url = "https://a.example?x=1"\n', ("[server] gen_url", "query")),
    "address with a blank": ('[server]\nmedia_url = "https://a b"\n', ("[server] media_url", "without blanks")),
    "address with a wrong port": ('[server]\nenter_url = "https://a:99999"\n', ("[server] enter_url", "port")),
    "proxy wrong": (
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "300.1.1.1/8"]\n',
        ("trusted_proxies", "'300.1.1.1/8'"),
    ),
    "proxy no address": ('[server]\ntrusted_proxies = ["x"]\n', ("[server] trusted_proxies", "'x'")),
    "list wanted": ('[server]\nallowed_hosts = "x"\n', ("[server] allowed_hosts", '["x"]')),
    "host with scheme": ('[server]\nallowed_hosts = ["https://x"]\n', ("[server] allowed_hosts", "without scheme")),
    "host wrong": ('[server]\nhost = "999.1.1.1"\n', ("[server] host", "'999.1.1.1'")),
    "admin without name": ('[accounts]\nadmin_name = ""\n', ("[accounts] admin_name", "1 to 64")),
    "safety model unknown": (
        '[generation]\nsafety_model = "qwen-safty"\n',
        ("[generation] safety_model", "did you mean qwen-safety"),
    ),
    "safety model of another kind": ('[generation]\nsafety_model = "flux"\n', ("[generation] safety_model", "'flux'")),
    "chat model unknown": ('[engines]\nchat_model = "smolm2"\n', ("[engines] chat_model", "smollm2")),
    "local taken": ('[providers.local]\nkey = "x"\n', ("[providers.local]", "built-in")),
    "wire missing": ('[providers.lab]\nbase_url = "http://h/v1"\n', ("[providers.lab] wire", "is missing")),
    "wire unknown": (LAB.replace("openai_compatible", "openai"), ("[providers.lab] wire", "openai_compatible")),
    "address missing": ('[providers.lab]\nwire = "openai_compatible"\n', ("[providers.lab] base_url", "is missing")),
    "address wrong": (LAB.replace("http://", "ftp://"), ("[providers.lab] base_url", "ftp://")),
    "host with a blank": (LAB.replace("9100/v1", "9100/ v1"), ("[providers.lab] base_url", "no blanks")),
    "host after a blank": (LAB.replace('"http', '" http'), ("[providers.lab] base_url", "no blanks")),
    "address with user": (LAB.replace("http://", "http://me:pw@"), ("[providers.lab] base_url", "no user")),
    "key empty": (LAB + 'key = "env:"\n', ("[providers.lab] key", "is empty")),
    "key of provider unknown": (LAB + 'apikey = "s"\n', ("[providers.lab] apikey", "did you mean key")),
    "model without name": ('[[models]]\ncapabilities = ["chat"]\n' + PRICE, ("[[models]] number 1 name", "missing")),
    "model twice": (CHAT + PRICE + ROUTE + '[[models]]\nname = "x"\n', ("[[models]] x name", "twice")),
    "key of model unknown": (CHAT + "max_output_token = 5\n" + PRICE, ("x max_output_token", "max_output_tokens")),
    "capability unknown": (HEAD + 'capabilities = ["chatt"]\n' + PRICE, ("[[models]] x capabilities", "chat")),
    "capabilities missing": (HEAD + PRICE, ("[[models]] x capabilities", "is missing")),
    "route dangling": (CHAT + PRICE + ROUTE.replace('"lab"', '"labb"'), ("routes]] provider", "did you mean lab")),
    "route without model": (CHAT + PRICE + '[[models.routes]]\nprovider = "lab"\n', ("routes]] model", "is missing")),
    "no price": (CHAT + ROUTE, ("[[models]] x price", "input_token", "output_token")),
    "no routes": (CHAT, ("[[models]] x [[models.routes]]", "is missing")),
    "price without output": (CHAT + 'price = { input_token = "1" }\n' + ROUTE, ("[[models]] x price", "output_token")),
    "image without price": (
        HEAD + 'capabilities = ["image"]\n' + PRICE + ROUTE,
        ("[[models]] x price", "image or output_image_token"),
    ),
    "picture by token without a largest one": (
        HEAD
        + 'capabilities = ["image"]\nprice = { input_token = "1", output_image_token = "30", per = 1_000_000 }\n'
        + ROUTE,
        ("[[models]] x limits.image_tokens", "is missing"),
    ),
    "unit unknown": (CHAT + PRICE.replace("output_token", "output_tokens"), ("price.output_tokens", "output_token")),
    "price negative": (CHAT + PRICE.replace('"2"', '"-2"'), ("price.output_token", "'-2'")),
    "price no number": (CHAT + PRICE.replace('"2"', '"two"'), ("price.output_token", "plain decimal")),
    "price of other digits": (CHAT + PRICE.replace('"2"', '"\u0662"'), ("price.output_token", "plain decimal")),
    "price with a separator": (CHAT + PRICE.replace('"2"', '"2_0"'), ("price.output_token", "plain decimal")),
    "price endless": (CHAT + PRICE.replace('"2"', '"Infinity"'), ("price.output_token", "plain decimal")),
    "per zero": (CHAT + PRICE.replace(" }", ", per = 0 }") + ROUTE, ("price.per", "1 or more")),
    "price of route": (CHAT + ROUTE + PRICE.replace("input_token", "input"), ("routes]] price.input", "input_token")),
    "limit unknown": (CHAT + PRICE + "limits = { maxsize = 3 }\n", ("limits maxsize", "max_size")),
    "variant without condition": (
        CHAT + PRICE + '[[models.variants]]\nprice = { input_token = "1" }\n',
        ("[[models.variants]]", "above_input_tokens"),
    ),
    "alias is a model": (CHAT + 'aliases = ["flux"]\n' + PRICE + ROUTE, ("[[models]] x aliases", "'flux'")),
    "aliases in a circle": (
        CHAT
        + 'aliases = ["y"]\n'
        + PRICE
        + '[[models]]\nname = "y"\naliases = ["x"]\ncapabilities = ["chat"]\n'
        + PRICE,
        ("[[models]] y aliases", "'x'"),
    ),
    "alias of two": (
        CHAT
        + 'aliases = ["z"]\n'
        + PRICE
        + '[[models]]\nname = "y"\naliases = ["z"]\ncapabilities = ["chat"]\n'
        + PRICE,
        ("[[models]] y aliases", "'z'", "already"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_names_its_file_table_and_key(name: str, tmp_path: Path) -> None:
    text, words = BAD[name]
    path = tmp_path / "openpollen.toml"
    path.write_text(text, "utf-8")
    problems = validate(path)
    line = next((line for line in problems if all(word in line for word in words)), None)
    assert line is not None, problems
    assert line.startswith(str(path))


def test_a_wrong_price_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text(CHAT + ROUTE + PRICE.replace('"1"', '"abc"').replace('"2"', '"-1"'), "utf-8")
    first, second = validate(path)
    assert "price.input_token: 'abc'" in first
    assert "price.output_token: '-1'" in second


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\nport = 1\n")
    assert validate(path) == []


def test_a_wrong_variable_is_named_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text("", "utf-8")
    [line] = validate(path, {"OPENPOLLEN_SERVER_TRUSTED_PROXIES": "10.0.0.1, x"})
    assert line.startswith("OPENPOLLEN_SERVER_TRUSTED_PROXIES: 'x'")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text("[server]\nport = -1\nhots = 1\n[ledger]\nopen_share = 0\n" + CHAT + "alpha = 3\n" + ROUTE, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {"OPENPOLLEN_SERVER_WORKERS": "none"}, {"log_level": "loud"})
    told = caught.value.problems
    for words in ("[server] port", "[server] hots", "open_share", "OPENPOLLEN_SERVER_WORKERS", "log_level", "alpha"):
        assert sum(words in line for line in told) == 1, words
    assert any("[[models]] x price" in line for line in told)


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text('[providers.openai]\nkey = 123456789\nbase_url = "http://me:123456789@127.0.0.1/v1"\n', "utf-8")
    problems = validate(path)
    assert any("[providers.openai] key" in line for line in problems)
    assert any("[providers.openai] base_url" in line for line in problems)
    assert not any("123456789" in line for line in problems)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in validate(tmp_path / "absent.toml")[0]
