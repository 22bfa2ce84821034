"""The frame of every page and the headers that go with it. One stylesheet, no script, no other host."""

from __future__ import annotations

import html

_STYLE = """:root{color-scheme:light dark;--ink:#1d1b16;--soft:#6b6558;--paper:#fbf6ea;--card:#fffdf7;--line:#e6dcc4;
--accent:#a8620a}
@media(prefers-color-scheme:dark){:root{--ink:#f3eee0;--soft:#a9a18e;--paper:#14120d;--card:#1e1b15;--line:#37322a;--accent:#f2b445}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;background:var(--paper);color:var(--ink);
font:17px/1.6 system-ui,sans-serif}
main{max-width:44rem;margin:0 auto;padding:3rem 1.2rem}
h1{font-size:2rem;margin:0 0 .3em}h2{margin:2rem 0 .5rem;font-size:1.2rem}
section,form.card{background:var(--card);border:1px solid var(--line);border-radius:16px;
padding:1.2rem 1.4rem;margin:1rem 0}
button{font:inherit;border:0;border-radius:999px;background:var(--accent);color:var(--card);padding:.6rem 1.4rem;cursor:pointer}
button:focus-visible,a:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
input{font:inherit;padding:.5rem .8rem;border:1px solid var(--line);border-radius:10px;background:var(--paper);color:var(--ink)}
a{color:var(--accent)}code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}.soft{color:var(--soft)}
.big{font-size:2.4rem;font-weight:650}table{width:100%;border-collapse:collapse}
td,th{text-align:left;padding:.4rem .5rem;border-top:1px solid var(--line)}"""

HEADERS = {
    "cache-control": "private, no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}
TYPE = "text/html; charset=utf-8"


def render(title: str, body: str) -> bytes:
    """A whole page; ``body`` is HTML whose values were escaped with ``text``."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)} · OpenPollen</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    ).encode()


def text(value: object) -> str:
    """A value as HTML text or attribute."""
    return html.escape(str(value))
