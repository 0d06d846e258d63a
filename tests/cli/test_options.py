from __future__ import annotations

from pathlib import Path

import pytest

from modica_facade.cli._options import Gateway
from modica_facade.simulator import Simulator

from .support import HERE, PASSWORD, modica, on_terminal


def test_a_password_comes_from_the_first_line_of_a_file(
    gateway: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("från-en-fil \nsecond line\n", encoding="utf-8")
    monkeypatch.setenv("MODICA_PASSWORD", "another")
    with Simulator(username="application", password="från-en-fil ") as strict:
        options = ["--base-url", strict.base_url, "--password-file", str(file)]
        assert modica("send", HERE, "Kia ora", *options).exit_code == 0
        assert modica("send", HERE, "Kia ora", *options[:2]).exit_code == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\nsecret", "is empty"), (b"\xff\xfe", "is not UTF-8"), (None, "No such")],
)
def test_a_file_without_a_password_is_named_and_nothing_of_it_shown(
    gateway: Simulator, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    result = modica("send", HERE, "Kia ora", "--password-file", str(file))
    assert (result.exit_code, gateway.requests) == (2, [])
    assert complaint in result.stderr
    assert "secret" not in result.stderr


def test_on_a_terminal_what_is_missing_is_asked_for_and_the_password_not_shown(gateway: Simulator) -> None:
    with Simulator(username="application", password=PASSWORD) as strict:
        code, shown = on_terminal(
            *("send", HERE, "Kia ora"),
            answers={"Application name: ": "application", "Password: ": PASSWORD},
            MODICA_USERNAME="",
            MODICA_PASSWORD="",
            MODICA_BASE_URL=strict.base_url,
        )
        [message] = strict.messages
    assert code == 0
    assert shown.splitlines() == ["Application name: application", "Password: ", f"id {message.id}"]


def test_a_gateway_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(Gateway(False, None, PASSWORD))
