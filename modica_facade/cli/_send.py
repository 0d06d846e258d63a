"""``modica send`` and ``modica get``: one message."""

from __future__ import annotations

from typing import Any

import click

from .._ids import parse_v1_id, parse_v2_id
from ..errors import OutcomeUnknownError
from ..models import SubmittedMessage
from ._destinations import read_standard_input
from ._options import Gateway, gateway_options, given_options, message_options
from ._output import OutputError, detach_stdout, echo, print_json, to_json_dict
from ._signals import terminations_interrupt


@click.command()
@click.argument("destination")
@click.argument("content")
@message_options
@gateway_options
def send(*, destination: str, content: str, gateway: Gateway, as_json: bool, **options: Any) -> None:
    """Send CONTENT to one DESTINATION: one SMS, never two.

    DESTINATION is a number in international format, such as +64211234567; the gateway judges it. CONTENT - is read from
    standard input. Prints the id.
    """
    given = given_options(options, v2=gateway.v2)
    if destination == "-":
        raise click.UsageError("DESTINATION cannot come from standard input; use broadcast --file - for that.")
    if content == "-":
        content = read_standard_input().rstrip("\r\n")
    sent: SubmittedMessage | None = None
    with gateway.connect() as modica, terminations_interrupt():
        try:
            sent = modica.send(destination, content, **given)
            if as_json:
                print_json(to_json_dict(sent))
            else:
                echo(f"id {sent.id}")
        except KeyboardInterrupt as error:
            if sent is not None:
                raise _not_printed(sent, "interrupted") from error
            raise OutcomeUnknownError(
                "interrupted: the message may have been sent; do not send it again, look for its receipt",
                reference=given.get("reference"),
            ) from None
        except BrokenPipeError as error:
            if sent is None:
                raise
            detach_stdout()
            raise _not_printed(sent, "nobody reads standard output") from error
        except OutputError as error:
            assert sent is not None
            raise _not_printed(sent, str(error)) from error


def _not_printed(sent: SubmittedMessage, why: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"sent, with id {sent.id}, but that could not be printed ({why}); do not send it again",
        reference=sent.reference,
    )


@click.command()
@click.argument("message_id")
@gateway_options
def get(*, message_id: str, gateway: Gateway, as_json: bool) -> None:
    """Fetch a stored message by its id."""
    if not gateway.v2 and parse_v2_id(message_id):
        raise click.UsageError(f"{message_id} is an id of REST v2; add --v2.")
    if gateway.v2 and parse_v1_id(message_id):
        raise click.UsageError(f"{message_id} is an id of REST v1; leave out --v2.")
    with gateway.connect() as modica:
        message = to_json_dict(modica.get(message_id))
    if as_json:
        print_json(message)
        return
    for name, value in message.items():
        if value is not None:
            echo(f"{name:<12} {value}")
