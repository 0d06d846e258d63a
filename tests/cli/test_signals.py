from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modica_facade import BroadcastOutcome
from modica_facade.cli._results_file import ResultsFile
from modica_facade.simulator import Simulator

from .support import (
    HERE,
    THERE,
    broadcast,
    listening,
    modica,
    noted,
    process,
    rows,
    sent_to,
)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("signal_", SIGNALS)
def test_ctrl_c_lets_the_batch_in_flight_finish(gateway: Simulator, results: Path, signal_: int) -> None:
    handlers = [*map(signal.getsignal, SIGNALS)]
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal_) is None)
    command = [HERE, THERE, "--batch-size", "1", "--results", str(results)]
    result = broadcast(*command)
    assert (result.exit_code, noted(results)) == (3, {HERE: "success"})
    assert [*map(signal.getsignal, SIGNALS)] == handlers
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == {HERE: 1, THERE: 1}


def test_a_broadcast_in_the_background_is_not_stopped_by_ctrl_c(gateway: Simulator, results: Path) -> None:
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a job in the background
    try:
        assert broadcast(HERE, THERE, "--batch-size", "1").exit_code == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_stops_at_once_and_says_what_is_unknown(gateway: Simulator, results: Path) -> None:
    received = threading.Event()
    gateway.fail(delay=60, match=lambda _: received.set() is None)
    command = [
        "--content",
        "Kia ora koutou",
        HERE,
        THERE,
        "--batch-size",
        "1",
        "--results",
        str(results),
        "--reference",
        "r",
    ]
    with process("broadcast", *command) as running:
        assert received.wait(60)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert running.stderr.readline() == "\n"
        assert "once more to stop at once" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate()
    assert (running.returncode, noted(results)) == (4, {HERE: "unknown"})
    assert "1 unknown, 1 not sent" in complaint


@pytest.mark.slow
@pytest.mark.parametrize("signal_", SIGNALS)
@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_a_send_that_is_ended_by_a_signal_says_that_it_may_have_gone_out(
    gateway: Simulator, signal_: int, version: list[str]
) -> None:
    received = threading.Event()
    gateway.fail(delay=60, match=lambda _: received.set() is None)
    with process("send", HERE, "Kia ora", *version) as running:
        assert received.wait(60)
        running.send_signal(signal_)
        shown, complaint = running.communicate()
    assert (running.returncode, shown, sent_to(gateway)) == (4, "", {HERE: 1})
    [line] = complaint.splitlines()
    assert line.startswith("modica: interrupted: the message may have been sent; do not send it again")


def test_a_send_under_nohup_outlives_its_terminal(gateway: Simulator) -> None:
    gateway.fail(match=lambda _: running.send_signal(signal.SIGHUP) is None)
    ignore = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    code = ignore + f"sys.argv[1:] = ['send', {HERE!r}, 'Kia ora']; from modica_facade.__main__ import main; main()"
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    shown, _ = running.communicate()
    assert (running.returncode, shown) == (0, f"id {gateway.messages[0].id}\n")


@pytest.mark.parametrize("signal_", SIGNALS)
def test_listen_ends_in_order(signal_: int) -> None:
    with listening() as (running, _):
        running.send_signal(signal_)
        assert running.communicate() == ("", "")
    assert running.returncode == 0


def test_a_hang_up_stops_a_broadcast_in_order_although_nobody_can_be_told(gateway: Simulator, results: Path) -> None:
    command = ["--content", "Kia ora koutou", HERE, THERE, "--batch-size", "1", "--results", str(results)]
    mine, theirs = os.openpty()
    hung_up = threading.Event()

    def hang_up(_request: object) -> bool:
        if not hung_up.is_set():
            os.close(mine)
            hung_up.set()
            running.send_signal(signal.SIGHUP)
        return True

    gateway.fail(delay=0, match=hang_up)
    with process("broadcast", *command, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        running.wait()
    assert (running.returncode, noted(results), sent_to(gateway)) == (3, {HERE: "success"}, {HERE: 1})


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupt_at_an_outcome_loses_none_and_repeats_none(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch, version: list[str], when: str, nth: int
) -> None:
    record, calls = ResultsFile.record, 0

    def interrupted(self: ResultsFile, outcome: BroadcastOutcome) -> BroadcastOutcome:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            raise KeyboardInterrupt
        noted_outcome = record(self, outcome)
        if calls == nth:
            raise KeyboardInterrupt
        return noted_outcome

    monkeypatch.setattr(ResultsFile, "record", interrupted)
    everyone = [f"+6421{number}" for number in range(1_000_000, 1_000_006)]
    command = [*everyone, "--batch-size", "2", "--results", str(results), *version]
    assert broadcast(*command).exit_code in {3, 4}
    assert {each for each, status in noted(results).items() if status == "success"} == set(sent_to(gateway))
    monkeypatch.undo()
    again = json.loads(results.read_text().splitlines()[0])["broadcast"]["client"]
    assert gateway.base_url in again or gateway.v2_base_url in again
    for name, value in (("USERNAME", "application"), ("PASSWORD", "p"), ("BASE_URL", gateway.base_url)):
        monkeypatch.setenv(f"MODICA_{name}", value)
    monkeypatch.setenv("MODICA_V2_BASE_URL", gateway.v2_base_url)
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == dict.fromkeys(everyone, 1)


@pytest.mark.slow
@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_kill_9_again_and_again_sends_to_nobody_twice_and_forgets_nobody(
    gateway: Simulator, results: Path, tmp_path: Path, version: list[str]
) -> None:
    everyone = [f"+6421{number}" for number in range(1_000_000, 1_000_200)]
    (tmp_path / "numbers").write_text("\n".join(everyone))
    command = ["--content", "Kia ora koutou", "--file", str(tmp_path / "numbers"), "--batch-size", "5"]
    command += ["--results", str(results), *version]
    until_killed = 0
    running: list[subprocess.Popen[str]] = []

    def kill(_request: object) -> bool:
        nonlocal until_killed
        until_killed -= 1
        if until_killed <= 0 and running:
            running[-1].kill()  # the request is here; its answer finds nobody
        return False

    gateway.fail(match=kill, times=None)
    for requests in (2, 4, 8, 3, 6):
        until_killed = requests
        with process("broadcast", *command) as started:
            running.append(started)
            started.wait()
        assert started.returncode == -signal.SIGKILL
    running.clear()
    last = modica("broadcast", *command)
    statuses = {row["destination"]: row["status"] for row in rows(modica("results", str(results), "--json"))}
    assert last.exit_code == 4
    assert set(sent_to(gateway).values()) == {1}
    assert set(statuses) == set(everyone)
    assert set(statuses.values()) == {"success", "unknown"}
    assert {each for each, status in statuses.items() if status == "success"} <= set(sent_to(gateway))
    assert set(everyone) - set(sent_to(gateway)) <= {each for each, status in statuses.items() if status == "unknown"}
