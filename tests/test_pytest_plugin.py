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
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], pytest.RunResult]:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of other packages, which take their time

    def run(tests: str) -> pytest.RunResult:
        pytester.makepyfile(SEND + textwrap.dedent(tests))
        return pytester.runpytest_inprocess("-W", "error", "-p", "modica_facade.pytest_plugin")

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


@pytest.mark.slow
def test_pytest_finds_the_plugin_by_itself_in_a_process_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(modica_simulator): assert modica_simulator.base_url.endswith('/rest/gateway')")
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1)


# One clock


def test_client_and_simulator_have_one_clock(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        from datetime import timedelta
        from modica_facade import InvalidRequestError, Modica
        from modica_facade._arguments import utc_now
        import pytest

        def test_in_an_hour_is_an_hour_after_what_the_simulator_says(modica_simulator):
            with Modica("name", "secret", base_url=modica_simulator.base_url) as modica:
                modica_simulator.advance(timedelta(days=400))
                in_an_hour = modica_simulator.now + timedelta(hours=1)
                modica.send("+64211234567", "Kia ora", scheduled=in_an_hour)
                modica_simulator.advance(in_an_hour)
                assert modica_simulator.sent_to("+64211234567")[0].status == "queued"
                modica_simulator.advance(2)
                assert modica_simulator.sent_to("+64211234567")[0].status == "received"
                modica_simulator.advance(600)
                with pytest.raises(InvalidRequestError, match="in the past"):
                    modica.send("+64211234567", "Kia ora", scheduled=in_an_hour)
                assert len(modica_simulator.requests) == 1

        def test_afterwards_the_client_has_its_own_clock_again():
            from datetime import datetime, UTC
            assert abs(utc_now() - datetime.now(UTC)) < timedelta(days=1)
    """)
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("order", ["modica_simulator, traveller", "traveller, modica_simulator"])
def test_the_order_of_the_fixtures_and_of_moving_the_time_does_not_matter(
    run: Callable[[str], pytest.RunResult], order: str
) -> None:
    result = run(f"""
        from datetime import datetime, timedelta, UTC
        from modica_facade import Modica
        import pytest
        import time_machine

        @pytest.fixture
        def traveller():
            with time_machine.travel(datetime(2035, 1, 1, tzinfo=UTC), tick=False) as traveller:
                yield traveller

        def test_application({order}):
            assert modica_simulator.now == datetime(2035, 1, 1, tzinfo=UTC)
            modica_simulator.advance(timedelta(days=30))
            traveller.move_to(modica_simulator.now)
            with Modica("name", "secret", base_url=modica_simulator.base_url) as modica:
                modica.send("+64211234567", "Kia ora", scheduled=datetime.now(UTC) + timedelta(hours=1))

        @time_machine.travel(datetime(2035, 1, 1, tzinfo=UTC), tick=False)
        def test_decorated(modica_simulator):
            with Modica("name", "secret", base_url=modica_simulator.base_url) as modica:
                modica.send("+64211234567", "Kia ora", scheduled=datetime.now(UTC) + timedelta(hours=1))
            assert modica_simulator.now == datetime(2035, 1, 1, tzinfo=UTC)
    """)
    result.assert_outcomes(passed=2)


# Settings


def test_settings_are_overridden_where_they_are_needed(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        from datetime import datetime, UTC
        import urllib.error
        import pytest

        @pytest.fixture
        def modica_simulator_settings():
            return {"username": "shop", "password": "other"}

        def test_credentials(modica_simulator):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                send(modica_simulator.base_url)

        @pytest.mark.parametrize("modica_simulator_settings", [{"now": datetime(2031, 5, 6, tzinfo=UTC)}])
        def test_one_test_alone(modica_simulator):
            assert send(modica_simulator.base_url) == [9007199254740993]
            assert modica_simulator.messages[0].accepted_at == datetime(2031, 5, 6, tzinfo=UTC)
    """)
    result.assert_outcomes(passed=2)


def test_the_environment_can_point_to_the_simulator(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        import os
        from modica_facade import Modica, ModicaV2
        from modica_facade.simulator import Application
        import pytest

        @pytest.mark.parametrize("modica_simulator_settings", [
            {},
            {"username": "shop", "password": "s3cret"},
            {"applications": {"shop": Application("s3cret"), "alerts": Application("0ther")}},
        ])
        def test_environment(modica_simulator_env):
            with Modica() as v1, ModicaV2() as v2:
                v1.send("+64211234567", "Kia ora")
                v2.send("+64211234567", "Kia ora")
            modica_simulator_env.assert_sent(to="+64211234567", times=2)

        def test_nothing_of_it_is_left():
            assert not [name for name in os.environ if name.startswith("MODICA_")]
    """)
    result.assert_outcomes(passed=4)


# Rules that match nothing


UNUSED = """
    import pytest
    import urllib.error

    def test_forgotten(modica_simulator):
        modica_simulator.fail(status=503, match={"destination": "+64211234568"})
        send(modica_simulator.base_url)

    @pytest.mark.modica_allow_unused_faults
    def test_allowed(modica_simulator):
        modica_simulator.fail(status=503, match={"destination": "+64211234568"})

    def test_used(modica_simulator):
        modica_simulator.fail(status=503)
        with pytest.raises(urllib.error.HTTPError):
            send(modica_simulator.base_url)

    def test_forgotten_too(modica_simulator_async):
        modica_simulator_async.fail(cut="before")

    def test_forgotten_by_name(request):
        request.getfixturevalue("modica_simulator").fail(status=503)

    def test_what_failed_by_itself_is_not_made_worse(modica_simulator):
        modica_simulator.fail(status=503)
        assert not "the reason"

    def test_seen(modica_simulator):
        seen = []
        modica_simulator.fail(match=lambda request: seen.append(request), times=None)
        assert seen == []
"""


def test_a_rule_that_matched_nothing_fails_the_test_that_made_it(run: Callable[[str], pytest.RunResult]) -> None:
    result = run(UNUSED)
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines(
        [
            "no request matched these rules, so nothing they stand for was tested:",
            "  <fail(status=503, times=1, match={'destination': '+64211234568'}), 0 hits>",
            "  <fail(cut='before', times=1, match=None), 0 hits>",
            "E * AssertionError: assert not 'the reason'",
            "FAILED *::test_forgotten*",
            "FAILED *::test_forgotten_too*",
            "FAILED *::test_forgotten_by_name*",
            "FAILED *::test_what_failed_by_itself_is_not_made_worse*",
        ]
    )
    result.stdout.no_fnmatch_line("During handling of the above exception*")


# Scopes, order and workers

SHARED = """
    import pytest

    seen = set()

    @pytest.fixture(scope="{scope}")
    def gateway(modica_simulator_{scope}):
        return modica_simulator_{scope}

    @pytest.mark.parametrize("number", range(6))
    def test_each_finds_it_as_new(gateway, number):
        seen.add(gateway.base_url)
        assert len(seen) == 1
        assert gateway.messages == []
        assert gateway.dlr_url is None
        assert send(gateway.base_url) == [9007199254740993]
        gateway.dlr_url = "http://127.0.0.1:9"
        gateway.advance(3600)
"""


@pytest.mark.parametrize("scope", ["module", "session"])
def test_one_simulator_may_serve_many_tests(run: Callable[[str], pytest.RunResult], scope: str) -> None:
    run(SHARED.format(scope=scope)).assert_outcomes(passed=6)


def test_a_rule_is_reported_for_the_test_that_made_it_and_for_no_later_one(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        def test_forgotten(modica_simulator_session):
            modica_simulator_session.fail(status=503, match={"method": "DELETE"})

        def test_later(modica_simulator_session):
            assert send(modica_simulator_session.base_url) == [9007199254740993]
    """)
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("-p", "randomly", "-p", "no:xdist"), ("-p", "no:randomly", "-n", "2")], ids=["randomly", "xdist"]
)
def test_any_order_and_any_number_of_workers_will_do(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    for scope in ("module", "session"):
        pytester.makepyfile(**{f"test_{scope}": SEND + textwrap.dedent(SHARED.format(scope=scope))})
    result = pytester.runpytest_subprocess("-W", "error", *options)
    result.assert_outcomes(passed=12)


def test_the_ledger_has_the_same_clock(run: Callable[[str], pytest.RunResult]) -> None:
    result = run("""
        from datetime import timedelta
        from modica_facade import Modica
        from modica_facade.ledger import Ledger

        def test_ledger(modica_simulator, tmp_path):
            modica_simulator.advance(timedelta(days=400))
            with (
                Modica("name", "secret", base_url=modica_simulator.base_url) as modica,
                Ledger(tmp_path / "ledger.sqlite") as ledger,
            ):
                ledger.migrate()
                ledger.send(modica, "+64211234567", "Kia ora", reference="order-42")
                assert ledger.entry("order-42").attempted_at == modica_simulator.now
    """)
    result.assert_outcomes(passed=1)
