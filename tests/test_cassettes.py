"""What is sent and how each answer reads, pinned byte for byte; sync and async play the same recordings, strictly."""

from __future__ import annotations

import base64
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from record_cassettes import CASSETTES, NUMBER, SCENARIOS, SIMULATED_NOW, UUID, main, replay
from vcr.errors import CannotOverwriteExistingCassetteException

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    BroadcastOutcome,
    BroadcastResult,
    Message,
    Modica,
    ModicaV2,
    RetryPolicy,
    SubmittedMessage,
    _v1,
    errors,
)

from .conftest import Flavour

ID = "9007199254740993"
ID_V2 = "e3e70682-c209-4cac-a29f-6fbed82c07cd"
LOCATION = f"https://api.modicagroup.com/rest/gateway/messages/{ID}"
GOOD = BroadcastOutcome(NUMBER, ID, "success")
EXPECTED: dict[str, Any] = {
    "v1/send_plain": SubmittedMessage(ID, NUMBER, location=LOCATION),
    "v1/send_macrons_and_emoji": SubmittedMessage(ID, NUMBER, location=LOCATION),
    "v1/send_all_options": SubmittedMessage(ID, NUMBER, "order-42", "2026-01-16T09:00:00+00:00", location=LOCATION),
    "v1/send_scheduled": SubmittedMessage(ID, NUMBER, None, "2026-01-15T10:00:00+00:00", location=LOCATION),
    "v1/send_refused_destination": (errors.InvalidAttributeError, "invalid_attrib"),
    "v1/broadcast_all_good": BroadcastResult([GOOD]),
    "v1/broadcast_mixed": BroadcastResult([GOOD, BroadcastOutcome("X", None, "failure", "Invalid destination (X)")]),
    "v1/get_found": Message(ID, "202", NUMBER, "Kia ora", "order-42"),
    "v1/get_not_found": (errors.NotFoundError, "404"),
    "v1/unauthorized": (errors.AuthenticationError, "401"),
    "v1/error_send_failed": (errors.SendFailedError, "send_failed"),
    "v1/error_invalid_json": (errors.InvalidJSONError, "invalid_json"),
    "v1/error_missing_attrib": (errors.MissingAttributeError, "missing_attrib"),
    "v1/error_invalid_attrib": (errors.InvalidAttributeError, "invalid_attrib"),
    "v1/error_broadcast_limit": (errors.BroadcastLimitError, "broadcast_limit"),
    "v1/error_400": (errors.InvalidScheduleError, "400"),
    "v1/error_422": (errors.InvalidScheduleError, "422"),
    "v2/send_plain": SubmittedMessage(ID_V2, NUMBER, status="accepted"),
    "v2/send_all_options": SubmittedMessage(ID_V2, NUMBER, "order-42", "2026-01-16T09:00:00+00:00", "queued"),
    "v2/send_refused_destination": (errors.RejectedError, "400"),
    "v2/unauthorized": (errors.AuthenticationError, "401"),
    "v2/get_found": Message(ID_V2, "202", NUMBER, "Kia ora", "order-42", direction="MT", status="accepted"),
    "v2/get_not_found": (errors.NotFoundError, "404"),
    "v2/send_many": [
        BroadcastOutcome(NUMBER, ID_V2, "success"),
        BroadcastOutcome("X", None, "failure", "Invalid attribute value; Invalid destination X"),
    ],
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "recording" in request.node.name:
        return

    def refuse(*_: object) -> None:
        raise AssertionError("a replay tried to use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def play(name: str, sync_or_async: Flavour, **settings: Any) -> Any:
    scenario = SCENARIOS[name]
    kind = (ModicaV2, AsyncModicaV2) if scenario.v2 else (Modica, AsyncModica)
    with sync_or_async.client(
        "application-name", "password", kind=kind, **{"retry": RetryPolicy(backoff=0)} | settings
    ) as modica:
        try:
            return scenario.call(modica, SIMULATED_NOW)
        except errors.GatewayError as error:
            return type(error), error.code


@pytest.mark.parametrize("name", SCENARIOS)
def test_sync_and_async_send_and_read_exactly_what_was_recorded(name: str, sync_or_async: Flavour) -> None:
    with replay(name):
        assert play(name, sync_or_async) == EXPECTED[name]


class TestStrictness:
    """A recording answers one request, the one it recorded; anything else fails and names the nearest."""

    def test_another_accept_header_is_not_recorded(
        self, sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for client in (Modica, AsyncModica):
            monkeypatch.setattr(client, "_accept", "application/json")
        missed = pytest.raises(CannotOverwriteExistingCassetteException)
        with (
            pytest.raises(AssertionError, match=r"(?s)gateway/messages.*accept: 'application/json' is not recorded"),
            replay("v1/send_plain"),
            missed,
        ):
            play("v1/send_plain", sync_or_async)

    @pytest.mark.parametrize("body", ["{}", '{"content":"Kia ora!","destination":"+64211234567"}'])
    def test_another_body_is_not_recorded(
        self, sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, body: str
    ) -> None:
        monkeypatch.setattr(_v1, "encode", lambda *_: body.encode())
        missed = pytest.raises(CannotOverwriteExistingCassetteException)
        with pytest.raises(AssertionError, match=r"(?s)gateway/messages.*raw_body"), replay("v1/send_plain"), missed:
            play("v1/send_plain", sync_or_async)

    @pytest.mark.parametrize(
        "base_url",
        [
            "https://api.modicagroup.com/rest/gateways",
            "https://api.modicagroup.com:444/rest/gateway",
            "https://api.sms.optus.com.au/rest/gateway",
        ],
    )
    def test_another_url_is_not_recorded(self, sync_or_async: Flavour, base_url: str) -> None:
        missed = pytest.raises(CannotOverwriteExistingCassetteException)
        with (
            pytest.raises(AssertionError, match=r"(?s)rest/gateway.*(path|port|host)"),
            replay("v1/send_plain"),
            missed,
        ):
            play("v1/send_plain", sync_or_async, base_url=base_url)

    def test_a_recording_plays_once(self, sync_or_async: Flavour) -> None:
        def twice() -> None:
            with replay("v1/send_plain"):
                play("v1/send_plain", sync_or_async)
                with pytest.raises(CannotOverwriteExistingCassetteException):
                    play("v1/send_plain", sync_or_async)

        with pytest.raises(AssertionError, match="already been played"):
            twice()

    def test_every_recording_must_be_played(self) -> None:
        with pytest.raises(AssertionError, match="was not made"), replay("v1/send_plain"):
            pass


class TestTheFolder:
    FILES = sorted(CASSETTES.rglob("*.yaml"))

    def test_it_has_a_recording_of_each_scenario_and_nothing_else(self) -> None:
        assert (
            {str(path.relative_to(CASSETTES).with_suffix("")) for path in self.FILES} == set(SCENARIOS) == set(EXPECTED)
        )

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_a_recording_says_its_origin_and_keeps_no_secret(self, path: Path) -> None:
        text = path.read_text("utf-8")
        recording = yaml.safe_load(text)
        assert recording["metadata"]["origin"] in (
            "the real gateway",
            "modica_facade.simulator, which follows the documentation",
        )
        for interaction in recording["interactions"]:
            assert set(interaction["request"]["headers"]) <= {"Accept", "Authorization", "Content-Type"}
            assert interaction["request"]["headers"]["Authorization"] == ["Basic REDACTED"]
            assert set(interaction["response"]["headers"]) <= {"Content-Type", "Location"}
            assert interaction["request"]["uri"].startswith("https://api.modicagroup.com/rest/")
        assert set(re.findall(r"\+\d{6,}", text)) <= {NUMBER}
        token = base64.b64encode(b"application-name:password").decode()
        assert not re.search(rf"{re.escape(token)}|://[^/\s]*@|127\.0\.0\.1|localhost", text)


def test_recording_again_without_a_change_gives_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("record_cassettes.CASSETTES", tmp_path)
    (tmp_path / "stale.yaml").write_text("interactions: []")
    main()
    assert capsys.readouterr().out.split() == list(SCENARIOS)
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.yaml")} == {
        path.relative_to(CASSETTES): path.read_bytes() for path in TestTheFolder.FILES
    }


def test_an_unknown_v2_id_is_the_documented_example_and_not_a_real_one() -> None:
    assert UUID == "3fa85f64-5717-4562-b3fc-2c963f66afa6"
