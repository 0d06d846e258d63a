"""``modica trigger``: post a callback as the gateway documents it, to an application that is being developed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import click

from ..models import DeliveryStatus
from ._errors import NOT_SENT, REFUSED, FailedError
from ._options import json_option, url_option
from ._output import echo, print_json, to_json_dict
from ._post import post

_to = url_option("--to", required=True, help="Where, such as http://name:password@localhost:8000/modica.")
_v2 = click.option("--v2", is_flag=True, help="As REST v2 posts it.")
_V1_STATUSES = ("sent", "received", "rejected", "expired")


@click.group()
def trigger() -> None:
    """Post a documented callback to your application, and show what it answers.

    Exit code 1 if it does not take it (the status is not 2xx), 3 if it cannot be reached.
    """


@trigger.command()
@_to
@click.option(
    "--status",
    type=click.Choice([status.value for status in DeliveryStatus]),
    default="received",
    show_default=True,
    help=f"REST v1 documents {', '.join(_V1_STATUSES)} only.",
)
@click.option("--id", "message_id", help="Of the message; by default one that was never sent.")
@click.option("--reference", help="Which the message was sent with; REST v1.")
@click.option("--detail", help="Further words on the status; REST v2.")
@_v2
@json_option
def receipt(
    *,
    to: str,
    status: str,
    message_id: str | None,
    reference: str | None,
    detail: str | None,
    v2: bool,
    as_json: bool,
) -> None:
    """A delivery receipt (DLR)."""
    if v2:
        # The shape of the published specification; the prose documentation shows that of v1.
        payload = {"id": message_id or str(uuid4()), "status": status, "detail": detail, "reference": reference}
    else:
        payload = {"message_id": message_id or _new_id(), "status": status, "detail": detail, "reference": reference}
    _post(to, payload, as_json=as_json)


@trigger.command()
@_to
@click.option("--from", "source", default="+64211234567", show_default=True, help="The handset.")
@click.option("--destination", default="2020", show_default=True, help="Your short code or number.")
@click.option("--content", default="Ka pai!", show_default=True)
@click.option("--operator", default="Operator", show_default=True)
@click.option("--id", "message_id", help="By default one that was never used.")
@click.option("--reply-to", metavar="ID", help="The message that this one answers; REST v1 only.")
@click.option("--reference", help="Of the message that this one answers; REST v1 only.")
@_v2
@json_option
def inbound(*, to: str, message_id: str | None, v2: bool, as_json: bool, **fields: str | None) -> None:
    """An inbound message (MO), such as a reply."""
    new_id: str | int = str(uuid4()) if v2 else int(_new_id())
    identity = message_id if message_id is not None else new_id
    if not v2 and isinstance(identity, str) and identity.isdecimal():
        identity = int(identity)  # REST v1 posts a JSON number here, and text in a receipt
    _post(to, {"id": identity, **fields}, as_json=as_json)


def _new_id() -> str:
    return str(secrets.randbelow(2**63 - 1) + 1)


def _post(to: str, payload: Mapping[str, Any], *, as_json: bool) -> None:
    """Post what is not None, print the answer.

    Raises:
        FailedError: the application did not take it.
    """
    payload = {name: value for name, value in payload.items() if value is not None}
    answer = post(to, payload)
    if as_json:
        print_json({"payload": payload, **to_json_dict(answer)})
    else:
        echo(f"-> {answer}")
    if not answer.ok:
        code = REFUSED if answer.status_code is not None else NOT_SENT
        raise FailedError(code, f"the application did not take it: {answer}")
