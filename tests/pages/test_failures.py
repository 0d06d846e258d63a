"""docs/failures.md: the table is complete and true, and every sample runs and prints what the page says."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modica_facade import errors

TEXT = (Path(__file__).parents[2] / "docs" / "failures.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", TEXT, re.MULTILINE))
SAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)


def test_every_exception_of_a_call_has_its_row() -> None:
    assert set(ROWS) == set(errors.__all__) - {"ModicaError", "InvalidCallbackError"}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_no_only_where_it_is_always_no(name: str) -> None:
    """What "see attribute" means for each status is the table of `test_faults`."""
    kind: type[errors.ModicaError] = getattr(errors, name)
    assert kind.may_have_been_sent is (name == "OutcomeUnknownError")
    assert ROWS[name] in {"no", "**yes**", "see attribute"}
    if name == "OutcomeUnknownError":
        assert ROWS[name] == "**yes**"


@pytest.mark.parametrize(("code", "output"), SAMPLES, ids=["outbox", "bulk"])
def test_a_sample_prints_what_the_page_says(tmp_path: Path, code: str, output: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == output


class Failing:
    """A client that raises instead of sending."""

    def __init__(self, error: errors.ModicaError) -> None:
        self.error = error

    def send(self, *_: object, **__: object) -> None:
        raise self.error


OUTBOX = {
    "to send": [errors.NotSentError, errors.RateLimitError, errors.SendFailedError, errors.GatewayError],
    "refused": [errors.InvalidRequestError, errors.RejectedError, errors.InvalidAttributeError],
    "in doubt": [
        errors.OutcomeUnknownError,
        errors.ServerError,
        errors.SendFailedError,
        errors.UnexpectedResponseError,
    ],
    "to send, and nothing else is tried": [
        errors.ConfigurationError,
        errors.AuthenticationError,
        errors.PermissionDeniedError,
        errors.NotFoundError,
    ],
}


@pytest.mark.parametrize(("fate", "kind"), [(fate, kind) for fate, kinds in OUTBOX.items() for kind in kinds])
def test_the_outbox_gives_up_only_what_is_refused_because_of_the_message(
    fate: str, kind: type[errors.ModicaError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(SAMPLES[0][0].partition("with Simulator()")[0], names)
    for number in ("+64211234560", "+64211234561"):
        names["put"](number, "Kia ora")
    client = Failing(kind(may_have_been_sent=True) if fate == "in doubt" else kind())
    stops = contextlib.nullcontext() if "nothing else" not in fate else pytest.raises(kind)
    with contextlib.closing(names["outbox"]) as outbox:
        with stops:
            names["send_all"](client)
        states = [state for (state,) in outbox.execute("SELECT state FROM message")]
    assert states == [fate.partition(",")[0]] * 2


def test_every_sample_is_run() -> None:
    assert TEXT.count("```python") == len(SAMPLES) == 2
