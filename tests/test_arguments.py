"""What is refused before a request: only what is certainly wrong."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from modica_facade import Modica, ModicaV2, _arguments, errors

from .conftest import NOW


@pytest.mark.usefixtures("fixed_now")
class TestDates:
    NOW = NOW

    def check(self, **dates: Any) -> dict[str, Any]:
        options: dict[str, Any] = dict.fromkeys(("source", "reference", "class_", "mask", "sms_class", "scheduled"))
        return _arguments.check_options(**options | dates)

    def test_five_minutes_of_skew_are_allowed_and_no_more(self) -> None:
        self.check(scheduled=self.NOW - timedelta(minutes=4))
        self.check(scheduled=self.NOW + timedelta(days=60, minutes=4))
        with pytest.raises(errors.InvalidRequestError, match="in the past"):
            self.check(scheduled=self.NOW - timedelta(minutes=6))
        with pytest.raises(errors.InvalidRequestError, match="60 days"):
            self.check(scheduled=self.NOW + timedelta(days=60, minutes=6))

    def test_expires_may_be_far_ahead_but_after_scheduled(self) -> None:
        later = self.NOW + timedelta(hours=1)
        assert self.check(expires=self.NOW + timedelta(days=400)).keys() == {"expires"}
        assert self.check(scheduled=later, expires=later + timedelta(seconds=1)).keys() == {"scheduled", "expires"}
        for expires in (later, self.NOW):
            with pytest.raises(errors.InvalidRequestError, match="later than scheduled") as error:
                self.check(scheduled=later, expires=expires)
            assert error.value.field == "expires"

    @pytest.mark.parametrize(
        ("scheduled", "expires", "fine"),
        [
            ((2, 30, 0), (2, 30, 1), True),  # an hour, though the clocks say the same
            ((2, 45, 0), (2, 15, 1), True),
            ((2, 15, 1), (2, 45, 0), False),  # half an hour before, though the clock says later
            ((1, 0, 0), (4, 0, 0), True),
        ],
    )
    def test_in_the_night_when_the_clocks_go_back_instants_are_compared(
        self, scheduled: tuple[int, int, int], expires: tuple[int, int, int], fine: bool
    ) -> None:
        auckland = ZoneInfo("Pacific/Auckland")

        def at(hour: int, minute: int, fold: int) -> datetime:
            return datetime(2030, 4, 7, hour, minute, fold=fold, tzinfo=auckland)

        dates = {"scheduled": at(*scheduled), "expires": at(*expires)}
        with mock.patch.object(_arguments, "utc_now", return_value=datetime(2030, 4, 1, tzinfo=UTC)):
            if fine:
                assert self.check(**dates).keys() == dates.keys()
            else:
                with pytest.raises(errors.InvalidRequestError, match="later than scheduled"):
                    self.check(**dates)

    @pytest.mark.parametrize("bad", ["soon", 5, "0001-01-01T00:00:00+23:59"])
    def test_what_is_no_date_is_refused_by_name(self, bad: Any) -> None:
        with pytest.raises(errors.InvalidRequestError, match="scheduled"):
            self.check(scheduled=bad)


BAD_TEXTS = {
    "": "is empty",
    " \t": "is empty",
    "x\ud83d": "half of a character",
    "\udc00": "half of a character",
    None: "must be a str, not NoneType",
    64211234567: "must be a str, not int",
    b"+64211234567": "must be a str, not bytes",
}


def calls(value: Any) -> dict[str, Any]:
    """A call for each argument that is a text, with this value for it."""
    v1 = Modica("name", "secret", base_url="http://127.0.0.1:1/rest/gateway")
    v2 = ModicaV2("name", "secret", base_url="http://127.0.0.1:1/rest/sms/v2")
    by_field: dict[str, Any] = {
        "destination": lambda client: client.send(value, "Kia ora"),
        "content": lambda client: client.send("+64211234567", value),
    }
    if value is not None:  # None: not given
        for option in ("source", "reference", "class_", "mask"):
            by_field[option] = lambda client, option=option: client.send("+64211234567", "Kia ora", **{option: value})
    numbers = [f"+6421123{number:04}" for number in range(10)]
    return {
        "destinations": lambda: v1.broadcast([*numbers[:7], value, *numbers[7:]], "Kia ora"),
        **{f"{field} of v1": lambda call=call: call(v1) for field, call in by_field.items()},
        **{f"{field} of v2": lambda call=call: call(v2) for field, call in by_field.items()},
    }


@pytest.mark.parametrize("value", BAD_TEXTS)
def test_the_error_names_the_argument_that_is_wrong_and_in_a_list_the_element(value: Any) -> None:
    for name, call in calls(value).items():
        with pytest.raises(errors.InvalidRequestError, match=BAD_TEXTS[value]) as error:
            call()
        field = name.split()[0]
        assert error.value.field == field
        assert str(error.value).startswith("destinations[7] " if field == "destinations" else f"{field} ")


def test_an_empty_list_is_not_told_to_be_a_broadcast_of_many() -> None:
    with pytest.raises(errors.InvalidRequestError, match="destinations is empty: give 1 to 1000") as error:
        Modica("name", "secret").broadcast([], "Kia ora")
    assert "broadcast_many" not in str(error.value)


def test_an_endless_list_is_refused_as_too_long() -> None:
    with pytest.raises(errors.InvalidRequestError, match="1 to 1000 destinations, these are more; use broadcast_many"):
        Modica("name", "secret").broadcast(itertools.repeat("+64211234567"), "Kia ora")


async def _numbers() -> AsyncIterator[str]:
    yield "+64211234567"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [("+64211234567", "one text"), (b"+64", "one text"), (None, "NoneType"), (_numbers(), "an asynchronous one")],
)
def test_what_is_no_iterable_of_destinations_is_named_for_what_it_is(wrong: object, what: str) -> None:
    with pytest.raises(
        errors.InvalidRequestError, match=f"^destinations must be an iterable of str, not {what}"
    ) as caught:
        _arguments.check_iterable(wrong)
    assert caught.value.field == "destinations"
