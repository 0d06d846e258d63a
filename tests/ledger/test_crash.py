"""`make crash-test`, in small: processes killed with -9 send nothing twice and lose nothing, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from postgres_server import PostgresServer

CRASH_TEST = Path(__file__).parents[2] / "scripts" / "crash_test.py"


@pytest.mark.slow
def test_a_short_crash_test_finds_everything_as_it_must_be(postgres_server: PostgresServer) -> None:
    assert postgres_server
    command = [sys.executable, "-W", "error", str(CRASH_TEST), "--kills", "25"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for database in "sqlite", "postgresql":
        assert f"{database}: 2" in done.stdout
    assert done.stdout.endswith("all as it must be\n")
