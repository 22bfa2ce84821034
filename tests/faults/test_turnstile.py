"""What limits a route is counted over all processes, and what a killed one held is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openpollen.core.model import Route
from openpollen.generation.turnstile import Turnstile

AT_ONCE = Route("lab", "m", concurrent=2)
A_MINUTE = Route("lab", "m", per_minute=3)
_HOLDS = """
import sys
from pathlib import Path
from openpollen.core.model import Route
from openpollen.generation.turnstile import Turnstile
route = Route("lab", "m", concurrent=2)
turnstile = Turnstile(Path(sys.argv[1]), route)
print(turnstile.enter(route), turnstile.enter(route), turnstile.enter(route), flush=True)
sys.stdin.read()
"""
_BEGINS = """
import sys
from pathlib import Path
from openpollen.core.model import Route
from openpollen.generation.turnstile import Turnstile
route = Route("lab", "m", per_minute=500)
turnstile = Turnstile(Path(sys.argv[1]), route)
sys.stdin.readline()
begun = 0
while (wait := turnstile.enter(route)) <= 1.0:  # 1.0: another process was writing just then
    begun += wait == 0.0
print(begun)
"""


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    here = Turnstile(tmp_path, AT_ONCE)
    with subprocess.Popen([sys.executable, "-c", _HOLDS, str(tmp_path)], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "0.0 0.0 1.0\n"
        assert here.enter(AT_ONCE) == 1.0
        os.kill(other.pid, signal.SIGKILL)
    assert [here.enter(AT_ONCE) for _ in range(3)] == [0.0, 0.0, 1.0]
    here.leave(AT_ONCE)
    assert here.enter(AT_ONCE) == 0.0


def test_a_minute_is_any_sixty_seconds(tmp_path: Path) -> None:
    now = [1000.0]
    here, there = (Turnstile(tmp_path, A_MINUTE, lambda: now[0]) for _ in range(2))
    assert [turnstile.enter(A_MINUTE) for turnstile in (here, there, here)] == [0.0] * 3
    now[0] += 50
    assert here.enter(A_MINUTE) == there.enter(A_MINUTE) == pytest.approx(10)
    now[0] += 10
    assert [turnstile.enter(A_MINUTE) for turnstile in (there, there, here)] == [0.0] * 3
    assert here.enter(A_MINUTE) == pytest.approx(60)
    now[0] = 5.0  # the machine was started anew, and with it the clock
    assert here.enter(A_MINUTE) == 0.0


def test_a_call_that_is_one_too_many_for_the_minute_takes_no_place(tmp_path: Path) -> None:
    route = Route("lab", "m", concurrent=1, per_minute=1)
    now = [1000.0]
    turnstile = Turnstile(tmp_path, route, lambda: now[0])
    assert turnstile.enter(route) == 0.0
    turnstile.leave(route)
    assert turnstile.enter(route) == pytest.approx(60)
    now[0] += 60
    assert turnstile.enter(route) == 0.0


def test_processes_that_begin_together_are_counted_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _BEGINS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sum(int(process.communicate()[0]) for process in processes) == 500
