"""`make bench` in its smallest size: every measure is taken, and the JSON file has the shape docs/cost.md describes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), "--smoke", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for row in report["rows"]:
        assert row["measure"] in done.stdout
    return report


def row(report: dict[str, Any], measure: str) -> dict[str, Any]:
    (found,) = (row for row in report["rows"] if row["measure"] == measure)
    assert isinstance(found, dict)
    return found


def test_the_file_has_the_documented_shape(report: dict[str, Any]) -> None:
    assert set(report) == {"machine", "rows", "skipped"}
    assert set(report["machine"]) == {"system", "processors", "python", "packages", "sniffio"}
    for row in report["rows"]:
        assert set(row) == {"measure", "unit", "ours", "other", "ratio", "spread", "goal", "met"}
        assert row["met"] is (None if row["goal"] is None else (row["ratio"] or row["ours"]) <= row["goal"])
        if row["other"] is not None and "handshakes" not in row["measure"]:
            assert row["ours"] > 0
            assert row["other"] > 0
            low, high = row["spread"] or (row["ratio"], row["ratio"])
            assert low <= row["ratio"] <= high


@pytest.mark.parametrize(
    "measure",
    [
        "import modica_facade (import httpx), CPU",
        "another client",
        "broadcast of 1,000 without transport (json.dumps + json.loads), CPU",
        "parse_callback (json.loads), CPU",
        "a callback received behind uvicorn (bare ASGI app), CPU",
    ],
)
def test_every_promise_has_its_goal(report: dict[str, Any], measure: str) -> None:
    assert row(report, measure)["goal"] is not None


def test_connections_are_used_again(report: dict[str, Any]) -> None:
    assert row(report, "TLS handshakes for 50 sends")["ours"] == 1
