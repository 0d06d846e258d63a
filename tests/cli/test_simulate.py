from __future__ import annotations

import signal

from modica_facade import Modica

from .support import HERE, process


def test_simulate_serves_both_versions() -> None:
    with process("simulate", "--port", "0") as running:
        assert running.stdout is not None
        base_url = next(line.split()[-1] for line in running.stdout if "REST v1" in line)
        with Modica("any", "thing", base_url=base_url) as client:
            assert client.send(HERE, "Kia ora").id
        running.send_signal(signal.SIGINT)
        running.communicate()
    assert running.returncode == 0
