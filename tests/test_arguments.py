"""What is refused before a request: only what is certainly wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modica_facade import _arguments, errors

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

    @pytest.mark.parametrize("bad", ["soon", 5, "0001-01-01T00:00:00+23:59"])
    def test_what_is_no_date_is_refused_by_name(self, bad: Any) -> None:
        with pytest.raises(errors.InvalidRequestError, match="scheduled"):
            self.check(scheduled=bad)
