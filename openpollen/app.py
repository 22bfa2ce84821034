"""The composition root: settings -> stores -> services -> the ASGI application of one worker. The only file that knows
every other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.limiter import Limiter, LimiterSettings
from openpollen.accounts.rises import Rises, Rules
from openpollen.accounts.tiers import Refills, Tiers
from openpollen.api import oauth
from openpollen.api.account import AccountApi
from openpollen.api.audio import AudioApi
from openpollen.api.auth import Authentication, PageAuthentication
from openpollen.api.calls import Calls
from openpollen.api.dispatch import Application
from openpollen.api.estimate import EstimateApi
from openpollen.api.images import ImagesApi
from openpollen.api.media import MediaApi
from openpollen.api.models import ModelsApi
from openpollen.api.oauth import OAuthApi
from openpollen.api.route import Route as RouteLine
from openpollen.api.routes import Handlers, routes
from openpollen.api.sources import Sources
from openpollen.api.system import SystemApi
from openpollen.api.text import TextApi
from openpollen.api.videos import VideosApi
from openpollen.catalog.load import CHANGES, Catalog, load
from openpollen.catalog.registry import Registry
from openpollen.catalog.reloading import Reloading
from openpollen.configuration import Files, build_registry, read_configuration
from openpollen.core.assets import Asset
from openpollen.core.errors import GatewayError
from openpollen.generation.answers import Answers
from openpollen.generation.jobs import VideoJobs
from openpollen.generation.making import Maker
from openpollen.generation.prompt import Prompts
from openpollen.generation.service import Pipeline
from openpollen.generation.upstream import Upstream
from openpollen.ledger.corrections import give_back
from openpollen.ledger.spill import Spill
from openpollen.ledger.unbooked import WARNING, Unbooked
from openpollen.ledger.wallet import Wallet
from openpollen.media.sniff import sniff
from openpollen.media.store import MediaStore
from openpollen.outbound.client import Client
from openpollen.outbound.guard import Guard
from openpollen.outbound.message import Timeouts
from openpollen.providers.adapter import adapters
from openpollen.settings import Generation, Settings
from openpollen.storage.bell import open_bell
from openpollen.storage.blobs import Blobs
from openpollen.storage.cache import Cache
from openpollen.storage.database import Connection, Database
from openpollen.storage.deliveries import Deliveries
from openpollen.storage.idempotency import Idempotency
from openpollen.storage.jobs import Jobs
from openpollen.web import consent, pages, playground, signin
from openpollen.web.admin import pages as admin
from openpollen.web.consent import ConsentPages
from openpollen.web.dashboard import pages as dashboard
from openpollen.web.dashboard.services import Services
from openpollen.web.desk import open_desk

log = logging.getLogger("openpollen")

_SWEEP_SECONDS = 60.0
#: What the bell calls when another worker recalls leases or gave some back, and when the catalogue was changed.
_LEDGER, CATALOG = "ledger", "catalog"
_FILM_MAX = 512 * 1024 * 1024
#: What a chat's pictures and files may be.
_READABLE = ("image/", "application/pdf")


class Worker:
    """Everything that one worker process runs: its services, and the tasks that tidy up behind them."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        env: Mapping[str, str],
        url: str,
        files: Files | None = None,
    ) -> None:
        name = worker_name(instance(settings.data), os.getpid())
        server, generation = settings.server, settings.generation
        self.settings = settings
        self.gen_url = server.gen_url.rstrip("/") or url
        self.enter_url = server.enter_url.rstrip("/") or self.gen_url
        self.media_url = server.media_url.rstrip("/") or self.gen_url
        self.database = Database.open(settings.data, settings.storage.database_url)
        self.bell = open_bell(self.database)
        self.wallet = _open_wallet(settings, self.database, name, partial(self.bell.ring, _LEDGER))
        blobs = Blobs(settings.data / "blobs")
        self.store = _open_store(settings, self.database, blobs)
        self.tiers = Tiers(settings.tiers.refill, settings.tiers.default)
        self.refills = Refills(self.database, self.tiers)
        rules = Rules(settings.tiers.rise_at, settings.tiers.rise_users, settings.tiers.rise_age_days)
        self.rises = Rises(self.database, rules, self.tiers)
        keys = settings.keys
        self.limiter = Limiter(self.database, LimiterSettings(keys.pk_capacity, keys.pk_refill, keys.pk_daily))
        self.client = Client()
        self._guard = Guard(self.client, sniff, own=self._own_media)
        upstream = Upstream(self.client, _timeouts(generation))
        registry = build_registry(settings, catalog, env)
        files = files or Files(lambda: catalog)
        self._reloading = Reloading(
            registry, lambda: build_registry(settings, files.read(), env), files.paths, self._replace
        )
        maker = Maker(upstream, self._fetch, self._bring, generation.job_timeout_s)
        self.pipeline = Pipeline(
            registry, adapters(), upstream, maker, self.wallet, self.limiter, self.refills, self.tiers, settings
        )
        self.prompts = Prompts(self._registry, adapters(), upstream, settings)
        self.cache = Cache(self.database, blobs, seconds=generation.cache_ttl_s)
        self.deliveries = Deliveries(self.database, blobs, name, give_back)
        self.repeats = Idempotency(self.database, blobs, name, give_back)
        self.jobs = VideoJobs(Jobs(self.database, name), self.pipeline, self.prompts, self.store)
        self.authenticator = Authenticator(self.database)
        self.authentication = Authentication(self.authenticator, server.trusted_proxies)
        self.pages = pages.Pages(self.database, self.enter_url)
        self.desk = open_desk(
            self.pages, settings, self.client, self.authentication.address, self.authenticator.forget, env
        )
        self.routes = (*self._api(), *self._web())
        self.app = Application(self.routes, self, allowed_hosts(settings, url))
        self._sweeper: asyncio.Task[None] | None = None

    def _api(self) -> tuple[RouteLine, ...]:
        """The paths that programs call, and the document that describes them."""
        settings, generation = self.settings, self.settings.generation
        callers = PageAuthentication(self.authenticator, settings.server.trusted_proxies, self.database, self.enter_url)
        answers = Answers(self.cache, self.deliveries, self.repeats)
        self._calls = calls = Calls(callers, self.pipeline, answers, self.prompts, self.jobs, generation.max_body)
        sources = Sources(self._guard, generation.fetch_max_bytes, generation.fetch_timeout_s)
        text, audio = TextApi(calls), AudioApi(calls)
        images = ImagesApi(calls, sources, self.store, self.media_url)
        system = SystemApi(self.gen_url, self._check)
        handlers = Handlers(
            text=text,
            images=images,
            audio=audio,
            videos=VideosApi(calls, sources, self.jobs, answers),
            models=ModelsApi(callers, self.pipeline),
            account=AccountApi(
                callers, self.database, self.tiers, self.refills, self.pipeline, settings.accounts.max_keys
            ),
            media=MediaApi(callers, self.store, self.media_url, settings.media.max_bytes),
            estimate=EstimateApi(calls, text, images, audio),
            system=system,
        )
        granting = OAuthApi(
            self.authentication,
            self.authenticator,
            self.database,
            self.enter_url,
            settings.oauth,
            settings.accounts.max_keys,
        )
        table = (*routes(handlers), *oauth.routes(granting))
        system.describe(table)
        return table

    def _web(self) -> tuple[RouteLine, ...]:
        """The pages that people see."""
        services = Services(
            self.pages,
            self._registry,
            self.tiers,
            self.refills,
            self.store,
            self.pipeline.health,
            self.settings,
            self.authenticator.forget,
            self.gen_url,
            self.media_url,
        )
        asking = ConsentPages(self.pages, self.authentication, self._registry, self.settings)
        return (
            *pages.routes(),
            *signin.routes(self.desk),
            *dashboard.routes(services),
            *admin.routes(services),
            *consent.routes(asking),
            *playground.routes(playground.PlaygroundPages(self.pages, self._registry, self.gen_url), self.pages),
        )

    async def start(self) -> None:
        """Begins the tidying; called when the event loop runs."""
        self.bell.listen(asyncio.get_running_loop(), self._heard)
        self.wallet.start()
        self.jobs.begin()
        if isinstance(self.wallet, Unbooked):
            log.warning(WARNING)
        self._sweeper = asyncio.create_task(self._sweep())

    def break_off(self) -> None:
        """Streams that are cancelled after this end with an error event: the server stops."""
        self._calls.stop()

    async def stop(self) -> None:
        """Hands jobs over, ends tasks, writes what is queued, closes every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._reloading.end()
        await self._calls.end()
        await self.jobs.stop()
        await self.wallet.stop()
        self.bell.close()
        await self.client.close()
        await asyncio.to_thread(self.database.close)

    async def _sweep(self) -> None:
        while True:
            for tidy in (
                self.wallet.recover,
                self.wallet.sweep,
                self.store.sweep,
                self.cache.sweep,
                self.repeats.sweep,
                self.deliveries.sweep,
                self.jobs.sweep,
                self.limiter.sweep,
                self.desk.sweep,
                self.refills.sweep,
                self.rises.sweep,
                self._reloading.look,
            ):
                try:
                    await tidy()
                except GatewayError as fault:
                    log.warning("tidying waits for the next round: %s", fault.message)
                except Exception:
                    log.exception("tidying failed")
            await asyncio.sleep(_SWEEP_SECONDS)

    def _heard(self, topic: str) -> None:
        if topic == _LEDGER:
            self.wallet.woken()
        elif topic == CATALOG:
            self._reloading.rung()

    def _replace(self, registry: Registry) -> None:
        self.pipeline.registry = registry

    async def _check(self) -> None:
        await self.database.read(_one)

    def _registry(self) -> Registry:
        return self.pipeline.registry

    async def _bring(self, address: str) -> Asset:
        settings = self.settings.generation
        return await self._guard.fetch_public(
            address, max_bytes=settings.fetch_max_bytes, timeout=settings.fetch_timeout_s, accept=_READABLE
        )

    async def _fetch(self, address: str, base_url: str) -> Asset:
        return await self._guard.fetch_result(address, base_url, max_bytes=_FILM_MAX)

    async def _own_media(self, url: str) -> Asset | None:
        """Reads one of our own media addresses from the store."""
        prefix = self.media_url + "/"
        if not url.startswith(prefix):
            return None
        stored, data = await self.store.get(url.removeprefix(prefix).partition("?")[0])
        return Asset(data, stored.content_type, stored.id)


def _open_wallet(settings: Settings, database: Database, name: str, ring: Callable[[], None]) -> Wallet:
    ledger = settings.ledger
    kind = Unbooked if ledger.durability == "off" else Wallet
    return kind(
        database,
        worker=name,
        hold_wait=ledger.hold_wait,
        intent=ledger.durability == "intent",
        strict=ledger.durability == "strict",
        spill=Spill(settings.data, name),
        backlog=ledger.backlog,
        ring=ring,
    )


def _open_store(settings: Settings, database: Database, blobs: Blobs) -> MediaStore:
    media = settings.media
    return MediaStore(
        database,
        blobs,
        max_bytes=media.max_bytes,
        seconds=media.ttl_s,
        account_bytes=media.account_max_bytes,
        account_per_minute=media.account_per_minute,
    )


def _timeouts(generation: Generation) -> Timeouts:
    return Timeouts(
        generation.connect_timeout_s,
        generation.first_byte_timeout_s,
        generation.idle_timeout_s,
        generation.total_timeout_s,
    )


def instance(data: Path) -> str:
    """What tells this data folder's workers from those of others that share a database; made once."""
    path = data / "instance"
    with contextlib.suppress(FileExistsError), path.open("x") as made:
        made.write(secrets.token_hex(6))
    return path.read_text()


def worker_name(instance: str, pid: int | Literal[""]) -> str:
    """Whose leases are whose: unique among the live workers of an installation. Without a pid, the start of the names
    of all its workers."""
    return f"{instance}-{pid}"


def allowed_hosts(settings: Settings, url: str) -> frozenset[str]:
    """The host names that requests may carry (rule 1): loopback, this machine's, the public addresses', the listed."""
    hosts = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower()}
    with contextlib.suppress(OSError):
        hosts.update(str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None))
    server = settings.server
    for address in (url, server.gen_url, server.enter_url, server.media_url):
        name = urlsplit(address).hostname if address else None
        if name:
            hosts.add(name.lower())
    hosts.update(host.lower() for host in server.allowed_hosts)
    return frozenset(hosts)


def build_worker(config: Path | None, env: Mapping[str, str], url: str, overrides: Mapping[str, Any]) -> Worker:
    """A worker from its configuration file and environment. Raises ConfigError with every fault."""
    settings, catalog = read_configuration(config, env, overrides)
    for warning in catalog.warnings:
        log.warning("%s", warning)
    paths = (*((config,) if config else ()), settings.data / CHANGES)
    return Worker(settings, catalog, env, url, Files(lambda: read_configuration(config, env, overrides)[1], paths))


def every_route() -> tuple[RouteLine, ...]:
    """Every path that is served, for the documents: of a worker over an empty folder, which is never started."""
    with tempfile.TemporaryDirectory() as folder:
        settings, catalog = load(None, {}, {"data": folder}, lambda _: [])
        worker = Worker(settings, catalog, {}, "http://localhost")
        worker.database.close()
        worker.bell.close()
        return worker.routes


def _one(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT 1").scalar_one())
