"""Record tests/cassettes, what the clients send and what they were answered, byte for byte; and replay them strictly.

Against the simulator, or, with MODICA_USERNAME, MODICA_PASSWORD and MODICA_TEST_DESTINATION set, against the real
gateway (MODICA_BASE_URL and MODICA_V2_BASE_URL as for the clients; it sends real, billed messages to that number).
What only a simulator can be made to answer is recorded from it in both cases. Every file says where it comes from.

Hosts are rewritten to the official one, credentials and the real destination are replaced before anything is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import vcr
from attrs import frozen
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request

from modica_facade import Modica, ModicaError, ModicaV2, RetryPolicy, _arguments
from modica_facade.simulator import Simulator

CASSETTES = Path(__file__).resolve().parents[1] / "tests" / "cassettes"
NUMBER = DOCUMENTED = "+64211234567"
OFFICIAL = "https://api.modicagroup.com"
KEPT_REQUEST_HEADERS = ("Accept", "Authorization", "Content-Type")
KEPT_ANSWER_HEADERS = ("Content-Type", "Location")
SIMULATED_NOW = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
LIVE = frozenset({"MODICA_USERNAME", "MODICA_PASSWORD", "MODICA_TEST_DESTINATION"})
ONE_TRY = RetryPolicy(attempts=1)
WELL_FORMED = re.compile(r"Basic [A-Za-z0-9+/]+={0,2}")


@frozen
class Scenario:
    """One cassette: calls on a client at a moment; ``prepare`` makes a simulator answer what no gateway will."""

    call: Callable[[Any, datetime], Any]
    v2: bool = False
    prepare: Callable[[Simulator], object] | None = None
    password: str = "password"


def _error(code: str) -> Scenario:
    return Scenario(lambda modica, _: modica.send(NUMBER, "Kia ora"), prepare=lambda sim: sim.fail(error=code))


def _options(now: datetime) -> dict[str, Any]:
    return {"scheduled": now + timedelta(days=1), "reference": "order-42", "mask": "ACME", "sms_class": 1}


def _sent_then_found(modica: Any, _now: datetime) -> Any:
    sent = modica.send(NUMBER, "Kia ora", reference="order-42")
    return modica.get(sent.id)


SCENARIOS: dict[str, Scenario] = {
    "v1/send_plain": Scenario(lambda modica, _: modica.send(NUMBER, "Kia ora")),
    "v1/send_macrons_and_emoji": Scenario(lambda modica, _: modica.send(NUMBER, "Tēnā koe 👋")),
    "v1/send_all_options": Scenario(
        lambda modica, now: modica.send(
            NUMBER, "Kia ora", **_options(now), class_="mt_message", expires=now + timedelta(days=2)
        )
    ),
    "v1/send_scheduled": Scenario(
        lambda modica, now: modica.send(NUMBER, "Kia ora", scheduled=(now + timedelta(hours=1)).isoformat())
    ),
    "v1/send_refused_destination": Scenario(lambda modica, _: modica.send("X", "Kia ora")),
    "v1/broadcast_all_good": Scenario(lambda modica, _: modica.broadcast([NUMBER], "Kia ora")),
    "v1/broadcast_mixed": Scenario(lambda modica, _: modica.broadcast([NUMBER, "X"], "Kia ora", reference="order-42")),
    "v1/get_found": Scenario(_sent_then_found),
    "v1/get_not_found": Scenario(lambda modica, _: modica.get("1")),
    "v1/unauthorized": Scenario(lambda modica, _: modica.send(NUMBER, "Kia ora"), password="wrong"),
    **{
        f"v1/error_{code}": _error(code)
        for code in ("send_failed", "invalid_json", "missing_attrib", "invalid_attrib", "broadcast_limit", "400", "422")
    },
    "v2/send_plain": Scenario(lambda modica, _: modica.send(NUMBER, "Kia ora"), v2=True),
    "v2/send_all_options": Scenario(
        lambda modica, now: modica.send(NUMBER, "Kia ora", **_options(now), class_="mt_message", integration_id=UUID),
        v2=True,
    ),
    "v2/send_refused_destination": Scenario(lambda modica, _: modica.send("X", "Kia ora"), v2=True),
    "v2/unauthorized": Scenario(lambda modica, _: modica.send(NUMBER, "Kia ora"), v2=True, password="wrong"),
    "v2/get_found": Scenario(_sent_then_found, v2=True),
    "v2/get_not_found": Scenario(lambda modica, _: modica.get(UUID), v2=True),
    "v2/send_many": Scenario(
        lambda modica, _: list(modica.send_many([NUMBER, "X"], "Kia ora", concurrency=1)), v2=True
    ),
}


def _recorder(origin: str = OFFICIAL, destination: str = DOCUMENTED) -> vcr.VCR:
    """VCR for both recording and replay: the same filters, which may run any number of times, and every matcher."""

    def official(url: str) -> str:
        return OFFICIAL + url.removeprefix(origin) if url.startswith(f"{origin}/") else url

    def clean_request(request: Request) -> Request:
        request.uri = official(request.uri)
        headers = {}
        for name in KEPT_REQUEST_HEADERS:
            if name in request.headers:
                headers[name] = request.headers[name]
        if "Authorization" in headers:
            well_formed = headers["Authorization"] == "Basic REDACTED" or WELL_FORMED.fullmatch(
                headers["Authorization"]
            )
            headers["Authorization"] = "Basic REDACTED" if well_formed else "MALFORMED"
        request.headers = headers
        if request.body:
            request.body = request.body.replace(destination.encode(), DOCUMENTED.encode())
        return request

    def clean_answer(answer: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name.title(): values for name, values in answer["headers"].items() if name.title() in KEPT_ANSWER_HEADERS
        }
        for location in kept.get("Location", [])[:1]:
            kept["Location"] = [official(location)]
        answer["headers"] = kept
        answer["body"]["string"] = answer["body"]["string"].replace(destination.encode(), DOCUMENTED.encode())
        return answer

    recorder = vcr.VCR(
        before_record_request=clean_request,
        before_record_response=clean_answer,
        match_on=(
            "method",
            "scheme",
            "host",
            "port",
            "path",
            "query",
            "raw_body",
            "accept",
            "content_type",
            "authorization",
        ),
        record_on_exception=False,
    )
    for name in ("accept", "content_type", "authorization"):
        recorder.register_matcher(name, _same_header(name.replace("_", "-")))
    return recorder


def _same_header(name: str) -> Callable[[Request, Request], None]:
    def same(one: Request, other: Request) -> None:
        assert one.headers.get(name) == other.headers.get(name), f"{name}: {one.headers.get(name)!r} is not recorded"

    return same


@contextmanager
def replay(name: str) -> Iterator[None]:
    """Response from a cassette and from nothing else, at the moment it was recorded at.

    Raises:
        AssertionError: a request was made that is not recorded (the message names the nearest recording), one was made
            twice, or a recorded one was not made.
    """
    misses: list[str] = []
    construct = CannotOverwriteExistingCassetteException.__init__

    def note(error: CannotOverwriteExistingCassetteException, *args: Any, **kwargs: Any) -> None:
        # What is under test may catch it: a miss must be kept where it happens.
        construct(error, *args, **kwargs)
        misses.append(str(error))

    noting = mock.patch.object(CannotOverwriteExistingCassetteException, "__init__", note)
    with noting, _recorder().use_cassette(str(CASSETTES / f"{name}.yaml"), record_mode="none") as cassette:
        now = datetime.fromisoformat(cassette.get_metadata("now", None))
        with mock.patch.object(_arguments, "utc_now", return_value=now):
            try:
                yield
            finally:
                assert not misses, misses[0]
        assert cassette.all_played, f"{name}: a recorded request was not made"


def record(name: str, scenario: Scenario) -> None:
    """Write one cassette again."""
    live = scenario.prepare is None and set(os.environ) >= LIVE
    path = CASSETTES / f"{name}.yaml"
    path.unlink(missing_ok=True)
    client = ModicaV2 if scenario.v2 else Modica
    if live:
        base_url = os.environ.get("MODICA_V2_BASE_URL" if scenario.v2 else "MODICA_BASE_URL", OFFICIAL)
        wrong = scenario.password if scenario.password == "wrong" else None
        modica = client(password=wrong, retry=ONE_TRY)
        now = datetime.now(UTC).replace(microsecond=0)
        _play(path, scenario, now, modica, base_url, os.environ["MODICA_TEST_DESTINATION"], "the real gateway")
        return
    with Simulator(username="application-name", password="password", now=SIMULATED_NOW) as simulator:
        if scenario.prepare is not None:
            scenario.prepare(simulator)
        base_url = simulator.v2_base_url if scenario.v2 else simulator.base_url
        modica = client("application-name", scenario.password, base_url=base_url, retry=ONE_TRY)
        origin = "modica_facade.simulator, which follows the documentation"
        _play(path, scenario, SIMULATED_NOW, modica, base_url, DOCUMENTED, origin)


def _play(
    path: Path, scenario: Scenario, now: datetime, modica: Any, base_url: str, destination: str, origin: str
) -> None:
    parts = urlsplit(base_url)
    recorder = _recorder(f"{parts.scheme}://{parts.netloc}", destination)
    with (
        modica,
        mock.patch.object(_arguments, "utc_now", return_value=now),
        mock.patch.dict(globals(), NUMBER=destination),
        recorder.use_cassette(str(path), record_mode="once") as cassette,
    ):
        cassette.get_metadata("now", now.isoformat())
        cassette.get_metadata("origin", origin)
        with suppress(ModicaError):
            scenario.call(modica, now)
    assert path.exists(), f"{path.name}: nothing was recorded"


def main() -> None:
    """Record every scenario; remove what no scenario makes any more."""
    for stale in set(CASSETTES.rglob("*.yaml")) - {CASSETTES / f"{name}.yaml" for name in SCENARIOS}:
        stale.unlink()
    for name, scenario in SCENARIOS.items():
        record(name, scenario)
        print(name)


if __name__ == "__main__":
    main()
