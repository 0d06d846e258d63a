from __future__ import annotations

import pytest

from modica_facade.simulator import Simulator

from .support import HERE, modica, process, rows, sent_to

STEPS = ["gateway", "send", "broadcast", "get", "receipts", "reply"]


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_the_demo_tells_the_whole_story_on_the_simulator(gateway: Simulator, version: list[str]) -> None:
    result = modica("demo", "--json", *version)
    steps = {step.pop("step"): step for step in rows(result)}
    assert (result.exit_code, list(steps), gateway.requests) == (0, STEPS, [])
    assert steps["gateway"]["simulator"] is True
    message_id = steps["send"]["submitted"]["id"]
    assert [outcome["status"] for outcome in steps["broadcast"]["outcomes"]] == ["success", "success", "failure"]
    assert steps["get"]["message"]["id"] == message_id
    receipts = [each["status"] for each in steps["receipts"]["receipts"] if each["message_id"] == message_id]
    assert receipts == ["sent", "received"]
    assert steps["reply"]["answers"] == steps["get"]["message"]["content"]
    matched_by = steps["reply"]["matched_by"]
    assert matched_by == (HERE if version else steps["send"]["submitted"]["reference"])


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_a_live_demo_says_what_it_costs_first_and_sends_no_more_than_that(
    gateway: Simulator, version: list[str]
) -> None:
    result = modica("demo", "--live", "--destination", HERE, *version)
    assert result.exit_code == 0, result.stderr
    assert sent_to(gateway) == {HERE: 2}
    first, second, *_ = result.stdout.splitlines()
    assert "real" in first
    assert f"2 SMS will be sent to {HERE}" in second
    assert "Receipts and replies are left out" in result.stdout


def test_a_live_demo_says_what_it_costs_before_the_first_request(gateway: Simulator) -> None:
    before: list[str] = []
    with process("demo", "--live", "--destination", HERE) as running:
        assert running.stdout is not None
        gateway.fail(match=lambda _: before.append(running.stdout.readline() + running.stdout.readline()) is None)
        running.wait()
    assert "2 SMS will be sent" in before[0]
