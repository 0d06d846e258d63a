"""The tree: pickles, copies, prints on one line, answers may_have_been_sent."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from modica_facade import errors
from modica_facade.models import BroadcastOutcome

TREE: list[type[errors.ModicaError]] = [getattr(errors, name) for name in errors.__all__]
ATTRIBUTES: dict[str, Any] = {
    "field": "scheduled",
    "timed_out": True,
    "reference": "order-42",
    "status_code": 503,
    "code": "send_failed",
    "descriptions": ("a", "b"),
    "body": "<html>",
    "retry_after": 5.0,
    "outcomes": (BroadcastOutcome("+64211234567", "1", "success"),),
    "batch": ("+64211234567",),
    "submitted_count": 3,
    "key": "message_id",
    "may_have_been_sent": True,
}


def example(kind: type[errors.ModicaError]) -> errors.ModicaError:
    accepted = inspect.signature(kind).parameters
    return kind("what happened; what to do", **{name: v for name, v in ATTRIBUTES.items() if name in accepted})


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_exception_copies_and_pickles_whole(kind: type[errors.ModicaError], copied: Any) -> None:
    error = example(kind)
    twin = copied(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    for name in ATTRIBUTES:
        assert getattr(twin, name, None) == getattr(error, name, None)


def test_an_interrupted_broadcast_loses_no_destination_when_it_is_pickled() -> None:
    cause = errors.NotSentError("down", timed_out=True)
    error = errors.BroadcastInterruptedError("stopped", cause=cause, unsent=iter(["+64211234561", "+64211234562"]))
    assert next(error.unsent) == "+64211234561"
    twin = pickle.loads(pickle.dumps(error))
    assert list(twin.unsent) == ["+64211234562"] == list(error.unsent)
    assert isinstance(twin.cause, errors.NotSentError)
    assert twin.cause.timed_out


def test_an_interrupted_broadcast_pickles_whatever_stopped_it() -> None:
    error = errors.BroadcastInterruptedError("stopped", cause=OSError(lambda: 0), unsent=iter(["+64211234561"]))
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin.cause) is errors.ModicaError
    assert str(twin.cause).startswith("OSError: <function")
    assert isinstance(error.cause, OSError)


def test_a_shallow_copy_of_an_interrupted_broadcast_does_not_read_its_input() -> None:
    error = errors.BroadcastInterruptedError("stopped", unsent=iter(lambda: "+64211234561", None))
    twin = copy.copy(error)
    assert next(twin.unsent) == next(error.unsent) == "+64211234561"


@pytest.mark.parametrize("kind", TREE)
def test_every_exception_can_be_made_bare(kind: type[errors.ModicaError]) -> None:
    assert str(kind()) == ""
    assert list(getattr(kind(), "unsent", ())) == []


def test_a_message_is_one_bounded_printable_line() -> None:
    error = errors.GatewayError("first\r\nsecond\x1b[31m\u2028third " + "x" * 10_000)
    assert str(error).startswith(r"first second\x1b[31m\u2028third xxx")
    assert str(error).isprintable()
    assert len(str(error)) <= 600


def test_the_tree_is_the_one_that_its_docstring_draws() -> None:
    drawn = {
        line.split()[i]: line
        for line in (errors.__doc__ or "").splitlines()
        for i in range(len(line.split()))
        if line.split()[i] in errors.__all__
    }
    assert set(drawn) == set(errors.__all__)
    assert [errors.__all__, sorted(errors.__all__)] == [sorted(errors.__all__)] * 2
    for kind in TREE:
        assert issubclass(kind, errors.ModicaError)


def test_only_an_unknown_outcome_says_by_itself_that_it_may_have_been_sent() -> None:
    assert [kind.__name__ for kind in TREE if kind().may_have_been_sent] == ["OutcomeUnknownError"]


@pytest.mark.parametrize("kind", [errors.InvalidRequestError, errors.InvalidCallbackError])
def test_bad_values_are_value_errors_too(kind: type[errors.ModicaError]) -> None:
    assert issubclass(kind, ValueError)


PARENTS = {
    "ModicaError": (Exception,),
    "ConfigurationError": (errors.ModicaError,),
    "InvalidRequestError": (errors.ModicaError, ValueError),
    "TransportError": (errors.ModicaError,),
    "NotSentError": (errors.TransportError,),
    "OutcomeUnknownError": (errors.TransportError,),
    "GatewayError": (errors.ModicaError,),
    "AuthenticationError": (errors.GatewayError,),
    "PermissionDeniedError": (errors.GatewayError,),
    "NotFoundError": (errors.GatewayError,),
    "RateLimitError": (errors.GatewayError,),
    "RejectedError": (errors.GatewayError,),
    "InvalidJSONError": (errors.RejectedError,),
    "MissingAttributeError": (errors.RejectedError,),
    "InvalidAttributeError": (errors.RejectedError,),
    "InvalidScheduleError": (errors.RejectedError,),
    "BroadcastLimitError": (errors.RejectedError,),
    "SendFailedError": (errors.GatewayError,),
    "ServerError": (errors.GatewayError,),
    "UnexpectedResponseError": (errors.ModicaError,),
    "BroadcastInterruptedError": (errors.ModicaError,),
    "InvalidCallbackError": (errors.ModicaError, ValueError),
}


def test_each_exception_is_caught_by_its_documented_parents() -> None:
    assert {kind.__name__: kind.__bases__ for kind in TREE} == PARENTS
