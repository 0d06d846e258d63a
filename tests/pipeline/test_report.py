"""What the report says to people and to programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.pipeline import (
    report,
)
from scripts.pipeline.contract import surface
from scripts.pipeline.schema_diff import Location

from .comparing import (
    examined,
)
from .mutations import (
    V1,
    V2,
    put,
)


def test_new_operations_and_fields_that_the_facade_does_not_offer_are_listed(tmp_path: Path) -> None:
    found = examined(
        tmp_path,
        V2,
        put("components > schemas > MessageDetails > properties > operator", {"type": "string"}),
        put("components > schemas > SingleMessage > properties > expires", {"type": "string"}),
        put("components > schemas > StatusCallback > properties > reference", {"type": "string"}),
        put("paths > /balance", {"get": {"responses": {"200": {"description": "Left"}}}}),
    )
    assert found.not_offered == [
        "'operator' is new (GET /messages, response 200, operator)",
        "'expires' is new (POST /messages, request, expires)",
        "operation GET /balance is new (GET /balance)",
    ]
    assert "### Not offered by the facade\n\n- 'operator' is new" in report.markdown(found, "today")


def test_the_vendors_new_words_are_shown_but_not_written_into_a_file(tmp_path: Path) -> None:
    found = examined(tmp_path, V1, put("info > description", "Now with\n pigeons."))
    assert 'now "Now with pigeons."' in report.markdown(found, "today", with_text=True)
    assert "pigeons" not in report.markdown(found, "today")
    assert report.as_json(found)["changes"][0]["text"] == "Now with\n pigeons."


@pytest.mark.parametrize(
    ("api", "place", "expected"),
    [
        ("gateway-v1", Location("POST /messages", "request", "class"), "Modica.send(class_)"),
        (
            "gateway-v1", Location("POST /messages/broadcast", "request", "destination[]"),
            "Modica.broadcast(destinations)",
        ),
        (
            "gateway-v1", Location("POST /messages/broadcast", "response 201", "[].message"),
            "Modica.broadcast: BroadcastOutcome.reason",
        ),
        ("gateway-v1", Location("GET /messages/{number}", "path", "number"), "Modica.get(message_id)"),
        (
            "gateway-v1", Location("POST /messages", "response 201", "header location"),
            "Modica.send: SubmittedMessage.location",
        ),
        ("gateway-v1", Location("POST /messages", "response default", "code"), "Modica.send: GatewayError"),
        ("gateway-v1", Location("POST /messages", "request"), "Modica.send"),
        ("gateway-v1", Location(), "every call"),
        ("gateway-v1", Location("PUT /messages"), None),
        ("sms-v2", Location("GET /messages", "query", "id"), "ModicaV2.get(message_id)"),
        ("sms-v2", Location("POST /messages", "path", "x"), None),
        ("sms-v2", Location("POST /messages", "callback status response 200"), "parse_callback"),
        ("sms-v2", Location("POST /messages", "callback status", "id"), "parse_callback: DeliveryReceipt.message_id"),
        ("sms-v2", Location("POST /messages", "callback click"), None),
    ],
)  # fmt: skip
def test_a_place_in_a_document_leads_to_what_the_facade_makes_of_it(
    api: str, place: Location, expected: str | None
) -> None:
    assert surface(api, place) == expected
