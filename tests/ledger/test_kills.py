"""A thousand paid calls of fifty clients on three workers, some of which are killed: every answer is paid at most once."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, Reply, eventually
from tests.labconfig import ANSWER

CLIENTS, CALLS, KILLS = 50, 20, 5
#: The oldest charge that may be unwritten, in seconds: beyond it no call is taken on.
GAP = 1.0


@dataclass
class Run:
    """What the clients saw: when answers were complete, when workers died, and what else came."""

    complete: list[float] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    broken: int = 0
    refused: list[Reply] = field(default_factory=list)
    others: list[Reply] = field(default_factory=list)

    def call(self, payer: Account) -> None:
        try:
            reply = payer.chat("lab-chat", max_tokens=20)
        except (http.client.HTTPException, OSError):
            self.broken += 1
            return
        if reply.status == 200:
            self.complete.append(time.monotonic())
        elif reply.status == 402:
            self.refused.append(reply)
        else:
            self.others.append(reply)


def workers(gateway: Gateway) -> list[int]:
    """The process ids of a server's workers."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"openpollen.cli.worker" in (entry / "cmdline").read_bytes():
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(entry.name)] if parent == gateway.process.pid else []
        except (OSError, ValueError):
            continue
    return found


def hammer(gateway: Gateway, payer: Account) -> Run:
    run, dice, over = Run(), random.Random(7), threading.Event()

    def kill() -> None:
        at = [CLIENTS * CALLS * (number + dice.random()) / (KILLS + 1) for number in range(KILLS)]
        while len(run.kills) < KILLS and not over.wait(0.001):
            if len(run.complete) > at[len(run.kills)] and (alive := workers(gateway)):
                run.kills.append(time.monotonic())
                os.kill(dice.choice(alive), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in range(CLIENTS * CALLS):
            clients.submit(run.call, payer)
    over.set()
    killer.join()
    return run


@pytest.mark.parametrize("durability", ["queued", "strict", "intent"])
def test_every_complete_answer_is_paid_once(
    tmp_path: Path, lab: FakeProvider, database_env: dict[str, str], durability: str
) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(
        labconfig.operator_file(lab.base_url, f'[engines]\nenabled = false\n[ledger]\ndurability = "{durability}"\n')
    )
    env = {"LAB_KEY": labconfig.KEY, **database_env}
    with Gateway(tmp_path / "data", config, ("--workers", "3"), env=env) as gateway:
        payer = gateway.account(pack="10", budget="5")
        run = hammer(gateway, payer)
        assert run.refused == [], "refused while there was money"
        assert run.others == [], [reply.text for reply in run.others[:3]]
        assert len(run.complete) + run.broken == CLIENTS * CALLS
        assert len(run.kills) > 1, "nothing was tried"
        eventually(lambda: gateway.verify()["leased"] == 0, "quiet")
        report = gateway.verify()
        assert (report["problems"], report["held"]) == ([], 0)
        paid, rest = divmod(10 * NANO - payer.balance, ANSWER)
        assert rest == 0
        lost = sum(any(kill - GAP < done <= kill for kill in run.kills) for done in run.complete)
        assert len(run.complete) - (lost if durability == "queued" else 0) <= paid <= len(run.complete) + run.broken


def test_a_small_wallet_is_spent_to_the_end_whoever_dies(
    tmp_path: Path, lab: FakeProvider, database_env: dict[str, str]
) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, "[engines]\nenabled = false\n"))
    env = {"LAB_KEY": labconfig.KEY, **database_env}
    credit = 500 * ANSWER
    with Gateway(tmp_path / "data", config, ("--workers", "3"), env=env) as gateway:
        payer = gateway.account(tier=f"{credit / 4 / NANO:.9f}", pack=f"{credit * 3 / 4 / NANO:.9f}")
        run = hammer(gateway, payer)
        assert run.others == [], [reply.text for reply in run.others[:3]]
        assert run.refused, "the wallet was never empty"
        last = eventually(
            lambda: refused if (refused := payer.chat("lab-chat", max_tokens=20)).status == 402 else None, "its end", 20
        )
        details = last.error["details"]
        eventually(lambda: gateway.verify()["leased"] == 0, "quiet")
        assert 0 <= payer.balance < float(details["required"]) * NANO, "refused while unheld money was left"
        assert gateway.verify()["problems"] == []


def test_without_a_ledger_the_server_says_so_loudly_and_charges_nothing(tmp_path: Path, lab: FakeProvider) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(
        labconfig.operator_file(lab.base_url, '[engines]\nenabled = false\n[ledger]\ndurability = "off"\n')
    )
    with Gateway(tmp_path / "data", config, env={"LAB_KEY": labconfig.KEY}) as gateway:
        payer = gateway.account()
        assert payer.chat("lab-chat").cost == ANSWER
        assert payer.balance == NANO
        assert payer.rows(0) == []
        assert gateway.output.count("NOTHING IS CHARGED OR RECORDED") == 2
