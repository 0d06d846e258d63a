"""The fixtures, as a user's own test suite would use them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# The command every suite below starts with: a plain POST, so that these tests say nothing about the client.
SEND = """
import json
import urllib.request


def send(base_url):
    body = json.dumps({"destination": "+64211234567", "content": "Kia ora", "reference": "order-1"}).encode()
    request = urllib.request.Request(base_url + "/messages", body, {"Authorization": "Basic bmFtZTpzZWNyZXQ="})
    with urllib.request.urlopen(request) as response:
        return json.load(response)
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[[str], pytest.RunResult]:
    def run(tests: str) -> pytest.RunResult:
        pytester.makepyfile(SEND + textwrap.dedent(tests))
        return pytester.runpytest_inprocess("-W", "error")

    return run


def test_every_test_gets_a_simulator_with_a_fresh_state(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        def test_one(modica_simulator):
            assert send(modica_simulator.base_url) == [9007199254740993]
            assert [message.reference for message in modica_simulator.messages] == ["order-1"]

        def test_two(modica_simulator):
            assert modica_simulator.messages == []
            assert send(modica_simulator.base_url) == [9007199254740993]
    """)
    result.assert_outcomes(passed=2)


def test_a_receipt_is_delivered_without_sleeping(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        from modica_facade.simulator import serve

        def test_receipts(modica_simulator):
            got = []

            async def application(scope, receive, send):
                if scope["type"] == "http":
                    got.append(json.loads((await receive())["body"])["status"])
                    await send({"type": "http.response.start", "status": 200})
                    await send({"type": "http.response.body"})

            with serve(application) as modica_simulator.dlr_url:
                send(modica_simulator.base_url)
                assert all(delivery.ok for delivery in modica_simulator.deliver())
            assert got == ["sent", "received"]
    """)
    result.assert_outcomes(passed=1)


def test_the_asynchronous_fixture_needs_no_plugin_for_asynchronous_tests(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        import asyncio

        def test_clock(modica_simulator_async):
            async def main():
                await asyncio.to_thread(send, modica_simulator_async.base_url)
                await modica_simulator_async.advance(1)
                assert [message.status for message in modica_simulator_async.messages] == ["sent"]
                await modica_simulator_async.deliver()
                assert [message.status for message in modica_simulator_async.messages] == ["received"]

            asyncio.run(main())
    """)
    result.assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--fixtures")
    result.stdout.fnmatch_lines(["modica_simulator -- *", "*gateway as documented*", "modica_simulator_async -- *"])


def test_who_does_not_ask_for_a_simulator_does_not_import_one() -> None:
    code = "import sys, modica_facade.pytest_plugin; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"uvicorn", "modica_facade.simulator"} & set(modules)


def test_pytest_finds_the_plugin_by_itself_in_a_process_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(modica_simulator): assert modica_simulator.base_url.endswith('/rest/gateway')")
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1)
