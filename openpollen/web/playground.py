"""The playground: one page for each kind of thing that can be made. The pages only offer forms; what they ask for is the
public API, as the account that is signed in (see ``PageAuthentication``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.catalog.registry import Endpoint, Registry
from openpollen.core.errors import NotFound
from openpollen.core.model import Capability
from openpollen.generation.status import waiting_engines
from openpollen.ledger import credit
from openpollen.storage.database import Connection
from openpollen.web import play_models
from openpollen.web.pages import Pages


class Tab(Struct, frozen=True):
    """One of the pages: what its models can do, the first ability counting, and the endpoint whose default it takes."""

    name: str
    title: str
    abilities: tuple[Capability, ...]
    endpoint: Endpoint


TABS: dict[str, Tab] = {
    tab.name: tab
    for tab in (
        Tab("chat", "Chat", (Capability.CHAT,), "chat"),
        Tab("image", "Image", (Capability.IMAGE, Capability.EDIT), "images"),
        Tab("video", "Video", (Capability.VIDEO,), "video"),
        Tab("speech", "Speech", (Capability.SPEECH,), "speech"),
        Tab("music", "Music", (Capability.MUSIC,), "music"),
        Tab("transcribe", "Transcribe", (Capability.TRANSCRIPTION,), "transcriptions"),
    )
}


class PlaygroundPages:
    """``registry`` gives the models of now, ``gen_url`` the public address of calls."""

    def __init__(self, pages: Pages, registry: Callable[[], Registry], gen_url: str) -> None:
        self._pages = pages
        self._registry = registry
        self._gen_url = gen_url

    async def first(self, exchange: Exchange) -> None:
        """GET /play."""
        await self._pages.redirect(exchange, "/play/chat")

    async def show(self, exchange: Exchange) -> None:
        """GET /play/{tab}."""
        tab = TABS.get(exchange.args["tab"])
        if tab is None:
            raise NotFound("The playground has no such page.")
        viewer = await self._pages.require(exchange)
        registry = self._registry()
        missing = await asyncio.to_thread(waiting_engines)

        def look(connection: Connection) -> int:
            return credit.balances(connection, viewer.user.id).total

        choices = [
            play_models.choice(registry, model, ability, missing)
            for model in registry.models()
            if (ability := next((one for one in tab.abilities if model.can(one)), None)) is not None
        ]
        await self._pages.show(
            exchange,
            f"play/{tab.name}.html",
            viewer=viewer,
            tab=tab,
            tabs=TABS.values(),
            groups=play_models.grouped(choices),
            chosen=play_models.default(registry, tab.endpoint, choices),
            balance=await self._pages.database.read(look),
            gen_url=self._gen_url,
        )


def routes(playground: PlaygroundPages, pages: Pages) -> tuple[Route, ...]:
    """The paths of these pages."""
    return (
        pages.route("GET", "/play", playground.first, "The playground"),
        pages.route("GET", "/play/{tab}", playground.show, "A page of the playground"),
    )
