"""How long a route rests: as it says, whatever was on its way when it began to fail."""

from __future__ import annotations

from pathlib import Path

from openpollen.core.model import Route
from openpollen.generation.health import Health

ROUTE = Route("lab", "m")


def test_calls_that_fail_together_are_one_reason_to_rest_and_a_probe_that_fails_doubles_it(tmp_path: Path) -> None:
    now = [100.0]
    health = Health(tmp_path, failures=3, pause=2.0, longest=60.0, clock=lambda: now[0])
    for _ in range(25):
        assert health.enter(ROUTE) == 0.0
    for _ in range(25):
        health.failed(ROUTE, "overloaded")
        health.leave(ROUTE)
    assert health.enter(ROUTE) == 2.0
    now[0] += 2.0
    assert health.enter(ROUTE) == 0.0  # the probe
    health.failed(ROUTE, "overloaded")
    health.leave(ROUTE)
    assert health.enter(ROUTE) == 4.0
