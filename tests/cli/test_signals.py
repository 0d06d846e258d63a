from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from modica_facade.simulator import Simulator

from .support import HERE, THERE, broadcast, noted, process, sent_to


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_the_batch_in_flight_finish(gateway: Simulator, results: Path, signal_: int) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal_) is None)
    command = [HERE, THERE, "--batch-size", "1", "--results", str(results)]
    result = broadcast(*command)
    assert (result.exit_code, noted(results)) == (3, {HERE: "success"})
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
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
