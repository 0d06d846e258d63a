"""The vendor's facts in our own prose."""

from __future__ import annotations

import copy
import json
import random

import pytest

from scripts.pipeline import (
    prose,
)
from scripts.pipeline.document import dump, parse, validate

from .comparing import (
    BOTH,
    LIVE,
    NEEDS_VENDOR,
    VENDOR,
    shuffled,
)
from .mutations import (
    V1,
    V2,
    published,
    put,
)


@NEEDS_VENDOR
@pytest.mark.parametrize(("ours", "theirs"), [(V1, "gateway-v1.swagger.json"), (V2, "sms-v2.openapi.yaml")])
def test_the_vendors_document_restated_is_our_published_file(ours: str, theirs: str) -> None:
    document = parse((VENDOR / theirs).read_bytes(), theirs)
    live = parse((LIVE / ours).read_bytes(), ours)
    assert dump(prose.restate(document, live)) == dump(live)


@BOTH
def test_a_published_file_stands_as_the_pipeline_writes_it_so_that_a_change_shows_alone(name: str) -> None:
    text = (LIVE / name).read_text(encoding="utf-8")
    facts = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert facts == dump(parse(text.encode(), name))


def test_nothing_of_the_vendors_words_is_taken_over_and_every_fact_is() -> None:
    theirs = copy.deepcopy(published(V2))
    secret = "the vendor's very own words"
    new = {
        "type": "string",
        "description": secret,
        "example": secret,
        "maxLength": 3,
        "title": secret,
        "x-note": secret,
    }
    for edit in (
        put("components > schemas > SingleMessage > properties > description", new),
        put("paths > /balance", {"get": {"summary": secret, "responses": {"200": {"description": secret}}}}),
        put("info > contact", {"name": secret}),
        put("info > title", secret),
        put("components > schemas > Uuid > description", secret),
        put("servers", [{"url": "https://api.sms.optus.com.au/rest/sms/v2", "description": secret}]),
    ):
        edit(theirs)
    ours = published(V2)
    restated = prose.restate(shuffled(theirs, random.Random(1)), ours)
    validate(restated, "#")
    assert secret not in json.dumps(restated)
    assert restated["components"]["schemas"]["SingleMessage"]["properties"]["description"] == {
        "type": "string",
        "maxLength": 3,
    }
    assert restated["paths"]["/balance"]["get"]["responses"] == {"200": {"description": "Response 200."}}
    assert restated["components"]["schemas"]["Uuid"] == ours["components"]["schemas"]["Uuid"]
    assert restated["info"] == ours["info"]
    assert restated["servers"] == ours["servers"]
    del restated["paths"]["/balance"], restated["components"]["schemas"]["SingleMessage"]["properties"]["description"]
    assert dump(restated) == dump(ours), "all else stands where it stood"


def test_an_address_that_is_no_known_white_label_is_a_fact() -> None:
    theirs = {**published(V1), "host": "api.example.com"}
    assert prose.restate(theirs, published(V1))["host"] == "api.example.com"


def test_what_is_now_a_reference_keeps_no_prose_beside_it() -> None:
    theirs = published(V2)
    theirs["components"]["responses"]["Other"] = theirs["paths"]["/openapi.yaml"]["get"]["responses"]["200"]
    theirs["paths"]["/openapi.yaml"]["get"]["responses"]["200"] = {"$ref": "#/components/responses/Other"}
    restated = prose.restate(theirs, published(V2))
    assert restated["paths"]["/openapi.yaml"]["get"]["responses"]["200"] == {"$ref": "#/components/responses/Other"}
    validate(restated, "#")
