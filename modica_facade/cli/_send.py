"""``modica send`` and ``modica get``: one message."""

from __future__ import annotations

from typing import Any

import click

from ..errors import OutcomeUnknownError
from ._options import gateway_options, given_options, make_client, message_options
from ._output import detach_stdout, echo, print_json, to_json_dict


@click.command()
@click.argument("destination")
@click.argument("content")
@message_options
@gateway_options
def send(destination: str, content: str, v2: bool, base_url: str | None, as_json: bool, **options: Any) -> None:
    """Send CONTENT to one DESTINATION: one SMS, never two.

    DESTINATION is a number in international format, such as +64211234567; the gateway judges it. Prints the id.
    """
    given = given_options(v2, options)
    with make_client(v2, base_url) as modica:
        try:
            sent = modica.send(destination, content, **given)
        except KeyboardInterrupt:
            raise OutcomeUnknownError(
                "interrupted: the message may have been sent; do not send it again, look for its receipt",
                reference=given.get("reference"),
            ) from None
    try:
        if as_json:
            print_json(to_json_dict(sent))
        else:
            echo(f"id {sent.id}")
    except OSError as error:
        detach_stdout()
        raise OutcomeUnknownError(
            f"sent, with id {sent.id}, but that could not be printed ({error.strerror}); do not send it again",
            reference=sent.reference,
        ) from error


@click.command()
@click.argument("message_id")
@gateway_options
def get(message_id: str, v2: bool, base_url: str | None, as_json: bool) -> None:
    """Fetch a stored message by its id."""
    with make_client(v2, base_url) as modica:
        message = to_json_dict(modica.get(message_id))
    if as_json:
        print_json(message)
        return
    for name, value in message.items():
        if value is not None:
            echo(f"{name:<12} {value}")
