"""The page ``docs/reference/cli.md``: the help of every command, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from openpollen.cli.main import polli

_WIDTH = 100
_HEAD = """# Command line

Written by `make docs` from `--help`. `make setup` puts the command at `.venv/bin/polli`; `python -m openpollen` is the
same. Messages go to standard error; with `--json` the answer is one JSON value on standard output.
"""


def commands() -> dict[str, click.Command]:
    """Every command by its full name: ``polli admin key create``."""
    return {path: command for path, command, _ in _walk(polli, "polli", None)}


def cli_page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for path, command, context in _walk(polli, "polli", None):
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _walk(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH)
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _walk(found, child, context)
