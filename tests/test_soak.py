"""``make soak``, in small: none twice, none lost, whatever the gateway does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "scripts" / "soak.py"


@pytest.mark.slow
def test_a_short_soak_finds_everything_as_it_must_be() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(SOAK), "--sends", "1000"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    for sync_or_async in "blocking", "asynchronous":
        assert f"{sync_or_async}: 500 sends, " in ended.stdout
    assert ended.stdout.endswith("all as it must be\n")
