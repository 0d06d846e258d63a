"""The day the vendor changes a document: it is taken over whole or not at all."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import (
    document_diff,
    download,
    regenerate,
    report,
    update_spec,
)
from scripts.pipeline.apis import APIS, Api
from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import SpecError, dump, parse
from scripts.pipeline.overlay import apply_overlay
from scripts.pipeline.schema_diff import SchemaComparison
from scripts.pipeline.swap import exclusive

from .comparing import (
    COMMON,
    ROOT,
    SINGLE,
    STORED,
    mutated,
    shuffled,
    written,
)
from .mutations import (
    OPENAPI,
    V1,
    V2,
    add,
    as_openapi,
    drop,
    published,
    put,
    rename,
    replace_text,
)


def check(workspace: Path) -> tuple[int, str]:
    """Run `make check-generated` on the workspace."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.pipeline.regenerate", "--check"],
        cwd=workspace,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lines_changed(before: str, after: str) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    return [f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old]


@pytest.mark.slow
def test_a_changed_document_is_taken_over_whole_and_only_what_changed_changes(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    vendors = shuffled(
        mutated(
            V1,
            put("info > version", "1.1.0"),
            put("info > description", "The vendor's own words."),
            put("host", "api.sms.optus.com.au"),
            put(f"{COMMON} > mask > maxLength", 11),
            put(f"{COMMON} > priority", {"type": "integer", "description": "The vendor's own words."}),
        ),
        random.Random(7),
    )
    before = regenerate.read_tree(workspace)
    code, out, err = update(written(vendors, tmp_path))
    assert (code, err) == (0, "")
    after = regenerate.read_tree(workspace)
    assert sorted(name for name in {*before, *after} if before.get(name) != after.get(name)) == [
        "generated/modica_gateway_v1/models/message_common.py",
        "generated/modica_gateway_v1/models/new_broadcast.py",
        "generated/modica_gateway_v1/models/new_message.py",
        "openapi/CHANGES.md",
        "openapi/gateway-v1.openapi.yaml",
        "openapi/lock.json",
        "openapi/published/SOURCES.md",
        "openapi/published/fingerprints.json",
        "openapi/published/gateway-v1.swagger.yaml",
    ]
    old, new = (tree["openapi/published/gateway-v1.swagger.yaml"].decode() for tree in (before, after))
    assert lines_changed(old, new) == [
        "-  version: 1.0.0",
        "-        maxLength: 20",
        "+  version: 1.1.0",
        "+        maxLength: 11",
        "+      priority:",
    ]
    assert b"vendor's own words" not in b"".join(after.values())
    assert 'now "The vendor\'s own words."' in out
    assert "1 breaking, 1 compatible, 2 text." in out
    assert "touches `Modica.send(mask)`, `Modica.broadcast(mask)`" in out
    assert out.splitlines()[-1].startswith("Taken over: ")
    changes = after["openapi/CHANGES.md"].decode()
    assert changes.startswith("# What changed in the published documents\n")
    assert "- **maxLength tightened, 20 is now 11**" in changes
    assert check(workspace) == (0, "openapi/ and generated/ are what the pipeline makes\n")
    assert update(written(vendors, tmp_path)) == (0, "new.json: no change to gateway-v1\n", "")
    assert regenerate.read_tree(workspace) == after


@pytest.mark.slow
def test_reports_pile_up_newest_first(workspace: Path, tmp_path: Path, update: Any) -> None:
    assert update(written(mutated(V1, put("info > version", "1.1.0")), tmp_path))[0] == 0
    assert update(written(mutated(V2, put("info > version", "1.2.0")), tmp_path))[0] == 0
    changes = (workspace / "openapi" / "CHANGES.md").read_text(encoding="utf-8")
    assert changes.count("# What changed in the published documents") == 1
    assert 0 < changes.index("version 1.0.0 is now 1.2.0") < changes.index("version 1.0.0 is now 1.1.0")


@pytest.mark.slow
def test_both_documents_can_be_taken_over_at_once_but_not_one_twice(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    first = written(mutated(V1, put("info > version", "1.1.0")), tmp_path, "v1")
    second = written(mutated(V2, put("info > version", "1.2.0")), tmp_path, "v2")
    before = regenerate.read_tree(workspace)
    assert update(first, first) == (
        2,
        "",
        "update-spec: v1, v1: two documents of one service: give one; nothing was changed\n",
    )
    assert regenerate.read_tree(workspace) == before
    assert update(first, second)[0] == 0
    after = regenerate.read_tree(workspace)
    assert b"version: 1.1.0" in after["openapi/gateway-v1.openapi.yaml"]
    assert b"version: 1.2.0" in after["openapi/sms-v2.openapi.yaml"]


@pytest.mark.slow
def test_v1_as_openapi_3_1_gives_the_same_client(workspace: Path, tmp_path: Path, update: Any) -> None:
    document = {**to_openapi3(published(V1), "#"), "openapi": "3.1.0"}
    document["components"]["schemas"]["MessageCommon"]["properties"]["reference"] = {"type": ["string", "null"]}
    before = regenerate.read_tree(workspace / "generated")
    code, out, err = update(written(document, tmp_path))
    assert (code, err) == (0, "")
    assert "published as OpenAPI 3.1, before as Swagger 2.0" in out
    after = regenerate.read_tree(workspace / "generated")
    assert sorted(name for name in before if before[name] != after[name]) == [
        "modica_gateway_v1/models/message_common.py",
        "modica_gateway_v1/models/new_broadcast.py",
        "modica_gateway_v1/models/new_message.py",
    ]
    assert b"reference: None | str | Unset = UNSET" in after["modica_gateway_v1/models/new_message.py"]
    assert check(workspace)[0] == 0
    stated = (workspace / "openapi" / V1).read_text(encoding="utf-8")
    assert "openapi: 3.1.0" in stated
    assert "description: Submit one message for one destination." in stated, "our words moved along"


@pytest.mark.slow
def test_other_words_alone_change_no_fact_and_are_reported_once(workspace: Path, tmp_path: Path, update: Any) -> None:
    document = mutated(V2, put("components > schemas > Uuid > description", "Any UUID."))
    before = regenerate.read_tree(workspace)
    code, out, _ = update(written(document, tmp_path))
    assert (code, out.count("reworded")) == (0, 1)
    after = regenerate.read_tree(workspace)
    assert sorted(name for name in after if before.get(name) != after[name]) == [
        "openapi/CHANGES.md",
        "openapi/published/SOURCES.md",
        "openapi/published/fingerprints.json",
    ]
    assert update(written(document, tmp_path))[1] == "new.json: no change to sms-v2\n"


REFERENCE = f"{COMMON} > reference"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "edits", "cause"),
    [
        pytest.param(
            V1,
            [drop(REFERENCE)],
            "update-spec: Modica.send(reference) needs NewMessage.reference: str | Unset, and there is none; spec path "
            "gateway-v1.openapi.yaml#/components/schemas/MessageCommon/properties/reference, shaped by no action of "
            "overlays/gateway-v1.overlay.yaml (the first of 2 in the way); nothing was changed",
            id="the facade needs a field that is gone",
        ),
        pytest.param(
            V2,
            [drop(f"{STORED} > direction")],
            "update-spec: overlays/sms-v2.overlay.yaml action 16 ($.components.schemas.MessageDetails.properties."
            "direction.enum): matches nothing: the document changed, or the target is misspelt (the first of 2 in the "
            "way); nothing was changed",
            id="an overlay action matches nothing",
        ),
        pytest.param(
            V1,
            [rename("paths > /messages > post > responses > 201", "202")],
            "update-spec: overlays/gateway-v1.overlay.yaml action ",
            id="success has another number",
        ),
        pytest.param(
            V2,
            [
                put("paths > /messages > put", {
                    "operationId": "put", "tags": ["messages"],
                    "requestBody": {"content": {"application/pdf": {"schema": {"type": "string"}}}},
                    "responses": {"200": {"description": "Done"}},
                }),
            ],
            "update-spec: sms-v2.openapi.yaml: openapi_python_client failed: ",
            id="an endpoint the generator would drop",
        ),
        pytest.param(
            V1,
            [put("paths > /messages > post > parameters > 0 > in", "formData")],
            "update-spec: new.json#/paths/~1messages/post/parameters/0: not a valid document: ",
            id="an invalid document",
        ),
        pytest.param(
            V1,
            [put("swagger", "3.0")],
            "update-spec: new.json#: version '3.0' cannot be read: Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1 can; "
            "nothing was changed",
            id="an unsupported version",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_leaves_every_byte_and_says_why_on_one_line(
    name: str, edits: list[Any], cause: str, workspace: Path, tmp_path: Path, update: Any
) -> None:
    before = regenerate.read_tree(workspace)
    code, out, err = update(written(mutated(name, *edits), tmp_path))
    assert code == 2
    assert err.startswith(cause), err
    assert err.endswith("; nothing was changed\n")
    assert err.count("\n") == 1
    if out:
        assert "### In the way\n\n- " in out, "the report is given all the same"
    assert regenerate.read_tree(workspace) == before
    assert sorted(path.name for path in workspace.iterdir()) == ["generated", "openapi", "scripts"]


@pytest.mark.parametrize(
    "data",
    [b"", b"<html><body>Sign in</body></html>", b"\xff\xfe", b'{"swagger": "2.0"', b"[" * 5000, b'{"swagger": "2.0"}',
     b'{"a":' * 900 + b"1" + b"}" * 900],
    ids=["empty", "HTML", "not text", "cut", "deep", "bare", "deep and whole"],
)  # fmt: skip
def test_what_is_no_document_changes_nothing(data: bytes, workspace: Path, tmp_path: Path, update: Any) -> None:
    (tmp_path / "new.yaml").write_bytes(data)
    before = regenerate.read_tree(workspace)
    code, out, err = update(str(tmp_path / "new.yaml"))
    assert (code, out) == (2, "")
    assert all(line.startswith("update-spec: new.yaml") for line in err.splitlines())
    assert err.endswith("; nothing was changed\n")
    assert regenerate.read_tree(workspace) == before


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_a_document_cut_at_any_line_is_refused(api: Api, tmp_path: Path) -> None:
    lines = (OPENAPI / api.published).read_bytes().splitlines(keepends=True)
    overlay = parse((OPENAPI / api.overlay).read_bytes(), api.overlay)
    for count in range(len(lines)):
        (tmp_path / "cut.yaml").write_bytes(b"".join(lines[:count]))
        with pytest.raises(SpecError):  # noqa: PT012 - which of the two notices is no matter
            candidate = update_spec.examine(str(tmp_path / "cut.yaml"), OPENAPI)
            apply_overlay(candidate.new, overlay, api.overlay, redundant=[])


@pytest.mark.slow
def test_an_action_the_vendor_made_redundant_is_reported_until_it_is_dropped(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    document = mutated(
        V2,
        drop(f"{SINGLE} > properties > class > default"),
        put(f"{SINGLE} > properties > sms_class > minimum", 0),
        put(f"{SINGLE} > properties > sms_class > maximum", 3),
        put("components > schemas > StatusCallback > properties > reference", {"type": "string"}),
        put("paths > /messages > get > operationId", "get_message"),
    )
    code, out, err = update(written(document, tmp_path))
    assert (code, err) == (0, "")
    _, _, redundant = out.partition("### The vendor now says this itself: drop it\n\n")
    redundant = redundant.partition("\n\n")[0]
    assert [line.partition(" (")[2].rpartition("): ")[0] for line in redundant.strip().splitlines()] == [
        "$.paths['/messages'].get",
        "$.components.schemas.SingleMessage.properties.class.default",
        "$.components.schemas.SingleMessage.properties.sms_class",
        "$.components.schemas.StatusCallback.properties",
    ]
    code, said = check(workspace)
    assert code == 2
    assert "changes nothing: the document says this itself, drop the action" in said
    overlay = workspace / "openapi" / "overlays" / "sms-v2.overlay.yaml"
    kept = parse(overlay.read_bytes(), "overlay")
    for line in reversed(redundant.strip().splitlines()):
        del kept["actions"][int(line.split(" action ")[1].split()[0]) - 1]
    overlay.write_text(dump(kept), encoding="utf-8")
    assert (
        subprocess.run([sys.executable, "-m", "scripts.pipeline.regenerate"], cwd=workspace, check=False).returncode
        == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "edits", "code"),
    [
        (V1, [], 0),
        (V1, [put("info > version", "1.1.0")], 0),
        (V1, [put(f"{COMMON} > priority", {"type": "integer"})], 0),
        (V1, [put(f"{COMMON} > mask > maxLength", 11)], 1),
        (V1, [put("paths > /status", {"get": {"responses": {"200": {"description": "Well"}}}})], 0),
        (
            V1,
            [
                rename("definitions > Message", "Outbound"),
                replace_text('definitions/Message"', 'definitions/Outbound"'),
            ],
            2,
        ),
        (V1, [put("swagger", "1.2")], 2),
    ],
    ids=["same", "text", "compatible", "breaking", "new operation", "in the way", "unreadable"],
)
def test_diff_spec_touches_nothing_and_tells_by_its_exit_status(
    name: str, edits: list[Any], code: int, workspace: Path, tmp_path: Path, update: Any
) -> None:
    before = regenerate.read_tree(workspace)
    found, out, err = update("--diff", written(mutated(name, *edits), tmp_path))
    assert found == code, out + err
    assert bool(err) == (code == 2)
    assert regenerate.read_tree(workspace) == before
    assert sorted(path.name for path in workspace.iterdir()) == ["generated", "openapi", "scripts"]


@pytest.mark.slow
def test_the_transcript_in_the_documentation_is_what_the_command_prints(update: Any) -> None:
    page = (ROOT / "docs" / "spec-changes.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- transcript -->\n```console\n")[2].partition("\n```\n")[0]
    command, _, expected = shown.partition("\n")
    code, out, err = update("--diff", str(ROOT / command.partition("SPEC=")[2]))
    assert (code, err) == (1, "")
    day = re.compile(r"\d{4}-\d\d-\d\d")
    assert day.sub("today", out).strip() == day.sub("today", expected).strip()


@pytest.mark.slow
def test_the_report_can_be_read_by_a_program(workspace: Path, tmp_path: Path, update: Any) -> None:
    code, out, err = update("--diff", "--json", written(mutated(V1, drop(REFERENCE)), tmp_path))
    assert (code, err) == (1, "")
    [found] = json.loads(out)
    assert (found["api"], found["source"], found["breaking"]) == ("gateway-v1", "new.json", True)
    assert found["changes"] == [
        {
            "rating": "breaking",
            "path": "#/components/schemas/MessageCommon/properties/reference",
            "kind": "field-gone",
            "what": "'reference' is gone",
            "locations": [
                {"operation": "GET /messages/{messageid}", "part": "response 200", "field": "reference",
                 "facade": "Modica.get: Message.reference"},
                {"operation": "POST /messages", "part": "request", "field": "reference",
                 "facade": "Modica.send(reference)"},
                {"operation": "POST /messages/broadcast", "part": "request", "field": "reference",
                 "facade": "Modica.broadcast(reference)"},
            ],
            "to_do": report.ADVICE["field-gone"][0],
            "text": None,
        }
    ]  # fmt: skip
    assert [line.partition(" needs ")[0] for line in found["in_the_way"]] == [
        "Modica.send(reference)",
        "Modica.broadcast(reference)",
    ]


@pytest.mark.slow
def test_a_document_is_taken_over_from_the_web_and_named_by_its_address(
    workspace: Path, site: Any, update: Any
) -> None:
    address, pages = site
    text = dump(mutated(V1, put("info > version", "1.1.0")))
    pages["/v1.yaml"] = (200, {}, text.encode())
    assert update(f"{address}/v1.yaml")[0] == 0
    assert f"From {address}/v1.yaml: " in (workspace / "openapi" / "CHANGES.md").read_text(encoding="utf-8")
    pages["/v1.yaml"] = (200, {"Content-Length": str(len(text))}, text[:-200].encode())
    code, _, err = update(f"{address}/v1.yaml")
    assert (code, "cut short" in err) == (2, True)


def test_without_a_document_both_of_the_vendors_addresses_are_asked(
    monkeypatch: pytest.MonkeyPatch, update: Any
) -> None:
    asked: list[str] = []

    def read(where: str) -> bytes:
        asked.append(where)
        return (OPENAPI / (V1 if "v1" in where else V2)).read_bytes()

    monkeypatch.setattr(download, "read", read)
    code, out, _ = update()
    assert (code, asked) == (0, [api.source for api in APIS])
    assert out.splitlines() == [f"{api.source}: no change to {api.name}" for api in APIS]


def test_a_swap_that_fails_leaves_every_byte(
    workspace: Path, tmp_path: Path, update: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = regenerate.read_tree(workspace)
    rename = Path.rename

    def stumble(path: Path, target: Path) -> Path:
        if path.name == "CHANGES.md":
            raise OSError("the disk is full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    code, _, err = update(written(mutated(V1, put("info > version", "1.1.0")), tmp_path))
    assert (code, err) == (2, "update-spec: the disk is full; nothing was changed\n")
    assert regenerate.read_tree(workspace) == before


# Whatever comes, on whatever terminal -----------------------------------------------------------------------------


def command(arguments: list[str], workspace: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.pipeline.update_spec", *arguments],
        cwd=workspace,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edits", "code", "says"),
    [
        ([put("info > description", "broken \ud83d")], 0, 'now "broken \\ud83d"'),
        ([put("info > description", "\x1b[31mred\x07")], 0, 'now "\\x1b[31mred\\x07"'),
        ([put("info > description", "t\u0113n\u0101 koe")], 0, 'now "t'),
        ([put(f"{COMMON} > mask\x1b[2J", {"type": "string"})], 0, "mask\\x1b[2J"),
        ([put(f"{COMMON} > \ud83d", {"type": "string"})], 2, "half a surrogate pair"),
    ],
)
def test_nothing_a_vendor_writes_gets_to_the_terminal_or_breaks_it(
    edits: list[Any], code: int, says: str, workspace: Path, tmp_path: Path
) -> None:
    source = written(mutated(V1, *edits), tmp_path, "t\u0113n\u0101 'koe'.json")
    done = command(["--diff", source], workspace, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    printed = (done.stdout + done.stderr).decode("ascii")
    assert (done.returncode, "Traceback" in printed) == (code, False), printed
    assert says in printed
    assert "\x1b" not in printed


def test_everything_that_must_be_corrected_is_said_at_once_with_its_pointer_and_value(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    parameter = {"name": "id", "in": "path", "type": "string", "required": True}
    document = mutated(
        V1,
        put(f"{COMMON} > sms_class > default", "zero"),
        put(f"{COMMON} > mask > default", 7),
        put("paths > /messages > get", {"parameters": [parameter], "responses": {"200": {"description": "Well"}}}),
    )
    code, _, err = update("--diff", written(document, tmp_path))
    assert code == 2
    properties = "diff-spec: new.json#/definitions/MessageCommon/properties"
    assert [line.split(": not a valid document: ") for line in err.splitlines()] == [
        [f"{properties}/mask/default", "7 is not of type 'string'"],
        [f"{properties}/sms_class/default", "'zero' is not of type 'integer'"],
        [
            "diff-spec: new.json#/paths/~1messages/get",
            "path parameter 'id' is not in the path; nothing was changed",
        ],
    ]
    document = mutated(V1, put(f"{COMMON} > mask > discriminator", "x"), put("definitions > Message > xml", {}))
    code, _, err = update("--diff", written(document, tmp_path))
    assert (code, len(err.splitlines())) == (2, 2), err


def test_a_fault_of_the_pipeline_is_one_line_and_never_says_breaking(
    update: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*arguments: Any) -> Any:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(update_spec, "compare", stumble)
    assert update("--diff", written(mutated(V1), tmp_path)) == (
        2, "", "diff-spec: a fault of scripts/pipeline, ZeroDivisionError: division\\nby zero; nothing was changed\n",
    )  # fmt: skip


@pytest.mark.slow
def test_an_update_beside_another_is_refused(workspace: Path, tmp_path: Path, update: Any) -> None:
    before = regenerate.read_tree(workspace)
    source = written(mutated(V1, put("info > version", "1.1.0")), tmp_path)
    with exclusive(workspace):
        code, out, err = update(source)
    assert (code, out) == (2, "")
    assert err.startswith("update-spec: another run is at work in this tree")
    assert regenerate.read_tree(workspace) == before
    assert update(source)[0] == 0


@pytest.mark.parametrize(
    ("name", "edits", "api", "doubt"),
    [
        (V2, [], "sms-v2", False),
        (V2, [add("servers", {"url": "https://api.modicagroup.com/rest/gateway"})], "sms-v2", False),
        (V2, [put("servers > 0 > url", "https://api.modicagroup.com/rest/gateway")], "sms-v2", True),
        (V1, [put("basePath", "/rest/sms/v2")], "gateway-v1", True),
        (V1, [drop("paths > /messages/broadcast")], "gateway-v1", False),
        (V1, [as_openapi("3.1.0"), put("info > title", "Messages")], "gateway-v1", False),
    ],
)
def test_a_document_is_known_by_what_it_says_of_itself(
    name: str, edits: list[Any], api: str, doubt: bool, tmp_path: Path
) -> None:
    found = update_spec.examine(written(mutated(name, *edits), tmp_path), OPENAPI).report
    assert (found.api, bool(found.doubt)) == (api, doubt)
    assert "API=..." in found.doubt or not doubt


@pytest.mark.parametrize(("document", "api"), [(V2, "gateway-v1"), (V1, "sms-v2")])
def test_the_caller_overrules_which_service_it_is(
    workspace: Path, tmp_path: Path, update: Any, document: str, api: str
) -> None:
    code, out, _ = update("--diff", "--api", api, written(published(document), tmp_path))
    assert code == 1
    assert out.startswith(f"## {api}, ")
    other = {"gateway-v1": "sms-v2", "sms-v2": "gateway-v1"}[api]
    assert f"Taken for {api} as API= says, although its operations" in out
    assert f"is that of {other}." in out
    assert "unknown here" not in out


def test_the_caller_need_not_overrule_what_is_plain(tmp_path: Path) -> None:
    assert update_spec.examine(written(published(V1), tmp_path), OPENAPI, "gateway-v1").report.doubt == ""


@pytest.mark.slow
def test_three_thousand_schemas_and_forty_levels_of_branches_are_no_trouble(tmp_path: Path) -> None:
    document = published(V2)
    schemas = document["components"]["schemas"]
    for number in range(3000):
        link = {"$ref": f"#/components/schemas/S{number + 1}"} if number < 2999 else {"type": "string"}
        schemas[f"S{number}"] = {"type": "object", "properties": {"next": link, "text": {"type": "string"}}}
    for number in range(40):
        link = {"$ref": f"#/components/schemas/B{number + 1}"} if number < 39 else {"type": "string"}
        schemas[f"B{number}"] = {"type": "object", "properties": {"left": link, "right": link}}
    stored = schemas["MessageDetails"]["properties"]
    stored |= {"chain": {"$ref": "#/components/schemas/S0"}, "tree": {"$ref": "#/components/schemas/B0"}}
    other = copy.deepcopy(document)
    other["components"]["schemas"]["S2999"]["properties"]["text"]["nullable"] = True
    other["components"]["schemas"]["B39"]["properties"]["right"] = {"type": "integer"}
    changes = document_diff.compare(to_openapi3(document, "#"), to_openapi3(other, "#"), {})
    assert [(str(change.rating), change.what) for change in changes] == [
        ("breaking", "type string is now integer"),
        ("breaking", "null is now possible"),
    ]
    assert [location.field.count(".") for change in changes for location in change.locations] == [40, 3000]


def test_a_ring_of_schemas_that_no_operation_uses_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    document = published(V2)
    for number in range(300):
        link = {"$ref": f"#/components/schemas/R{(number + 1) % 300}"}
        properties = {"next": link, "text": {"type": "string", "description": "words", "maxLength": 9}}
        document["components"]["schemas"][f"R{number}"] = {"type": "object", "properties": properties}
    other = copy.deepcopy(document)
    for number in (7, 8, 9):
        other["components"]["schemas"][f"R{number}"]["properties"]["text"]["maxLength"] = 8
    other["components"]["schemas"]["R10"]["properties"]["text"]["description"] = "other words"
    compared: list[object] = []
    pair = SchemaComparison._pair
    monkeypatch.setattr(SchemaComparison, "_pair", lambda self, key: compared.append(key) or pair(self, key))
    changes = document_diff.compare(to_openapi3(document, "#"), to_openapi3(other, "#"), {})
    assert [(change.kind, change.path[-2:]) for change in changes if change.kind == "idle"] == [
        ("idle", "R7"), ("idle", "R8"), ("idle", "R9"),
    ]  # fmt: skip
    assert len([key for key in compared if "/R" in str(key)]) < 30
