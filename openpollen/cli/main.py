"""``polli``: the command. Each sub-command is imported only when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import click

#: Sub-command -> "module:command" and the line that ``--help`` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("openpollen.cli.serve:serve", "Serve the API."),
    "models": ("openpollen.cli.models:models", "Bring, list, check and remove the weights of local models."),
    "dev": ("openpollen.cli.dev:dev", "Pretended providers, to try everything offline."),
    "admin": ("openpollen.cli.admin:admin", "Accounts, keys, credit and ledger of a data folder."),
}


_JSON = "openpollen.json"


class LazyGroup(click.Group):
    """A group whose commands live in ``COMMANDS``. Where ``--json`` is among the words, a mistake in them is told as JSON
    too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        as_json = "--json" in args
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as mistake:
            if ctx.meta[_JSON]:
                click.echo(failure("USAGE", mistake.format_message()))
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.command(cls=LazyGroup)
@click.version_option(package_name="openpollen")
def polli() -> None:
    """One self-hosted API for text, images, video and audio."""


def failure(code: str, message: str) -> str:
    """A failure as every command prints it where JSON is asked for."""
    return json.dumps({"success": False, "error": {"code": code, "message": message}}, ensure_ascii=False)


def main() -> None:
    """The entry point of ``polli`` and ``python -m openpollen``."""
    polli()
