"""Where people may be sent back to (rule 35), as properties: what an author did not write down is never reached."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.core.errors import BadRequest
from openpollen.oauth.redirects import Flow, allowed_unregistered, registered, target

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=3).map(".".join)
PORTS = st.one_of(st.just(""), st.integers(1, 65_535).map(lambda port: f":{port}"))
PATHS = st.from_regex(r"(/[a-z0-9._-]{0,6}){0,3}", fullmatch=True)
QUERIES = st.one_of(st.just(""), st.from_regex(r"\?[a-z]=[a-z0-9]{0,4}", fullmatch=True))
SCHEMES = st.sampled_from(["https", "http"])
ADDRESSES = st.builds("{}://{}{}{}{}".format, SCHEMES, HOSTS, PORTS, PATHS, QUERIES)
#: What people who look for holes put into addresses.
WILD = st.text(st.sampled_from("ab./:@\\?#%;,[]ß١\u200d\u3002\uff0f\t \n-0x7"), max_size=24)
FLOWS: tuple[Flow, ...] = ("fragment", "code")


def port_of(address: str) -> int:
    parts = urlsplit(address)
    return parts.port or {"https": 443, "http": 80}[parts.scheme]


@given(ADDRESSES, ADDRESSES)
def test_only_the_origin_that_was_registered_is_reached(place: str, entry: str) -> None:
    same = (urlsplit(place).scheme, urlsplit(place).hostname, port_of(place)) == (
        urlsplit(entry).scheme,
        urlsplit(entry).hostname,
        port_of(entry),
    )
    for flow in FLOWS:
        if registered(target(place), [entry], flow):
            assert same
    assert registered(target(entry), [entry], "code")


@given(HOSTS, PATHS, PATHS, QUERIES)
def test_an_entry_without_a_path_is_its_origin_and_one_with_a_path_that_path(
    host: str, path: str, other: str, query: str
) -> None:
    place = target(f"https://{host}{path}{query}")
    assert registered(place, [f"https://{host}"], "fragment")
    exact = registered(place, [f"https://{host}{other}"], "fragment")
    assert exact is (other in ("", "/") or path == other)
    assert registered(place, [f"https://{host}{other}"], "code") is (f"{path}{query}" == other)


@given(st.integers(1, 65_535), st.integers(1, 65_535), st.sampled_from(["127.0.0.1", "[::1]", "localhost"]))
def test_a_loopback_entry_matches_any_port_and_no_other_name(port: int, other: int, host: str) -> None:
    entry = f"http://{host}:{port}/cb"
    for flow in FLOWS:
        assert registered(target(f"http://{host}:{other}/cb"), [entry], flow)
        assert not registered(target(f"http://127.0.0.2:{other}/cb"), [entry], flow)
        assert not registered(target(f"http://{host}:{other}/cb/x"), [entry], flow)


@given(HOSTS, WILD)
def test_whatever_is_put_around_a_host_leads_nowhere_else(host: str, wild: str) -> None:
    """What is let through is sent to exactly the host that was compared and shown, in plain ASCII."""
    for address in (f"https://{wild}{host}/", f"https://{host}{wild}", f"https://{host}{wild}.evil.example/x"):
        try:
            place = target(address)
        except BadRequest:
            continue
        sent = urlsplit(place.location)
        assert place.location.isascii()
        assert place.location.isprintable()
        assert sent.netloc == place.host
        assert not set(place.host) & set(";,@\\%/?# \t\n")
        if registered(place, [f"https://{host}"], "fragment"):
            assert sent.hostname == host


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp://back",
        "//a.example",
        "https:a.example",
        "https:///a.example",
        "https://a.example@b.example",
        "https://:pass@b.example",
        "https://a.example\\@b.example",
        "https://a.example\t/",
        "https://a.example\n/",
        "https://a example/",
        "https://a.example:port/",
        "https://a.example:70000/",
        "https://a.example;sandbox/",
        "https://a.example,b.example/",
        "https://%61.example/",
        "https://straße.example/",
        "https://gar\u200dden.example/",
        "https://１２７.0.0.1/",
        "https://a\u3002example/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "https://a..example/",
        "https://" + "a" * 64 + ".example/",
        "https://a.example/" + "a" * 2000,
        "https://",
        "",
    ],
)
def test_what_is_no_address_to_return_to(address: str) -> None:
    with pytest.raises(BadRequest):
        target(address)


@pytest.mark.parametrize(
    ("address", "host", "location"),
    [
        ("https://bücher.example/é?q=ü#x", "xn--bcher-kva.example", "https://xn--bcher-kva.example/%C3%A9?q=%C3%BC"),
        ("https://BÜCHER.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://A.Example:443/x", "a.example", "https://a.example/x"),
        ("https://a.example./x", "a.example", "https://a.example/x"),
        ("http://[0::1]:8080/cb", "[::1]:8080", "http://[::1]:8080/cb"),
        ("https://a.example/%41?b=%20c", "a.example", "https://a.example/%41?b=%20c"),
    ],
)
def test_a_host_is_compared_and_shown_as_browsers_take_it(address: str, host: str, location: str) -> None:
    assert (target(address).host, target(address).location) == (host, location)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://a.example", True),
        ("http://a.example", False),
        ("http://localhost:3000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://0.0.0.0:3000", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://localhost.evil.example", False),
        ("http://192.168.0.1", False),
    ],
)
def test_without_an_app_key_people_go_to_https_or_their_own_machine(address: str, allowed: bool) -> None:
    assert allowed_unregistered(target(address)) is allowed
