"""Changed documents beside the published ones, for the tests of the pipeline."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import (
    document_diff,
    report,
    update_spec,
)
from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.schema_diff import Change

from .mutations import (
    OPENAPI,
    V1,
    V2,
    Document,
    Mutation,
    published,
)

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "openapi"
VENDOR = ROOT.parent / "shared" / "specs"
NEEDS_VENDOR = pytest.mark.skipif(not VENDOR.is_dir(), reason="the vendor's own documents are not part of the project")
BOTH = pytest.mark.parametrize("name", [V1, V2])
KNOWN = {
    V1: json.loads((OPENAPI / update_spec.FINGERPRINTS).read_bytes())["gateway-v1"],
    V2: json.loads((OPENAPI / update_spec.FINGERPRINTS).read_bytes())["sms-v2"],
}


def compare(name: str, document: Document) -> list[Change]:
    """The changes from a published document to another."""
    return document_diff.compare(converted(name), to_openapi3(document, "#"), KNOWN[name])


@functools.cache
def converted(name: str) -> Document:
    return to_openapi3(published(name), "#")


def mutated(name: str, *edits: Callable[[Document], None]) -> Document:
    document = published(name)
    for edit in edits:
        edit(document)
    return document


def written(document: Document, folder: Path, name: str = "new.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def ids(mutation: Mutation) -> str:
    return mutation.name


COMMON = "definitions > MessageCommon > properties"
STORED = "components > schemas > MessageDetails > properties"
SINGLE = "components > schemas > SingleMessage"


def shuffled(node: Any, order: random.Random) -> Any:
    if isinstance(node, dict):
        items = [(key, shuffled(value, order)) for key, value in node.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(node, list):
        return order.sample([shuffled(value, order) for value in node], len(node))
    return node


def examined(tmp_path: Path, name: str, *edits: Callable[[Document], None]) -> report.Report:
    document = published(name)
    for edit in edits:
        edit(document)
    return update_spec.examine(written(document, tmp_path), OPENAPI).report
