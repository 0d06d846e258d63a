"""Take over a document the vendor has changed, or only say what that would mean.

`update_spec.py [SOURCE ...]` compares published with published, builds and checks everything elsewhere, and replaces
the tree's files all together or not at all. `--diff` stops before that; it exits 1 when something is breaking, 2 on an
error.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from . import conformance, download
from .apis import APIS, ROOT, Api
from .convert import to_openapi3
from .document import METHODS, Document, SpecError, dump, parse, validate, version_of, wire_path
from .document_diff import compare
from .prose import fingerprints, restate
from .regenerate import OUTPUTS, build, sha256, swap
from .report import Report, as_json, markdown
from .schema_diff import Change, Rating

FINGERPRINTS = "published/fingerprints.json"
SOURCES = "published/SOURCES.md"
CHANGES = "CHANGES.md"
_HEAD = """# What changed in the published documents

Newest first; written by `make update-spec`. Paths are those of the documents as OpenAPI 3.0, which overlays address.

"""


@dataclass(frozen=True)
class Candidate:
    """A new document beside the one it would replace: as published, and as OpenAPI 3.0."""

    api: Api
    theirs: Document
    new: Document
    ours: Document
    old: Document
    report: Report


class Stopped(Exception):  # noqa: N818 - not an error: the report says what stands in the way
    """A document that was read and understood, and cannot be taken over."""


def examine(where: str, inputs: Path) -> Candidate:
    """Read a document and compare it with what the folder `inputs` (an openapi/) has of the same service."""
    name = download.name_of(where)
    data = download.read(where)
    theirs = parse(data, name)
    try:
        validate(theirs, f"{name}#")
        new = to_openapi3(theirs, f"{name}#")
    except RecursionError as error:
        raise SpecError(name, "nested too deeply, or a $ref that leads back to itself") from error
    documents = {api: parse((inputs / api.published).read_bytes(), api.published) for api in APIS}
    converted = {api: to_openapi3(document, f"{api.published}#") for api, document in documents.items()}
    api = detect(new, converted, name)
    known = json.loads((inputs / FINGERPRINTS).read_bytes()).get(api.name, {})
    changes = compare(converted[api], new, known)
    formats = [_format(document, name) for document in (documents[api], theirs)]
    if formats[0] != formats[1]:
        changes.append(Change(Rating.TEXT, "#", "restated", f"published as {formats[1]}, before as {formats[0]}"))
    version = f"{formats[1]}, version {new['info']['version']}"
    return Candidate(
        api, theirs, new, documents[api], converted[api], Report(api.name, name, version, sha256(data), changes)
    )


def detect(new: Document, known: dict[Api, Document], name: str) -> Api:
    """Which service a document describes: by the path it is served under, else by the operations they share."""

    def paths(document: Document) -> set[str]:
        return {urlsplit(server["url"]).path.rstrip("/") for server in document["servers"]}

    def operations(document: Document) -> set[tuple[str, str]]:
        return {(wire_path(path), key) for path, item in document["paths"].items() for key in item if key in METHODS}

    for api, document in known.items():
        if paths(new) & paths(document):
            return api
    shared = {api: len(operations(new) & operations(document)) for api, document in known.items()}
    best = max(shared, key=lambda api: shared[api])
    if shared[best] < 2 or list(shared.values()).count(shared[best]) > 1:
        served = " nor ".join(path for document in known.values() for path in sorted(paths(document)))
        raise SpecError(
            name, f"neither of the gateway's documents: not served under {served}, nor with their operations"
        )
    return best


def _format(document: Document, where: str) -> str:
    version = version_of(document, where)
    return f"{'Swagger' if version == '2.0' else 'OpenAPI'} {version}"


# Taking it over ----------------------------------------------------------------------------------------------------


def stage(candidates: Sequence[Candidate], root: Path, built: Path, day: str) -> None:
    """Make in the empty folder `built` all that the tree would become; what is in the way goes into the reports."""
    inputs = built.with_name("inputs")
    for name in ("published", "overlays"):
        shutil.copytree(root / "openapi" / name, inputs / name)
    words = json.loads((inputs / FINGERPRINTS).read_bytes())
    for candidate in candidates:
        write_published(candidate, inputs)
        words[candidate.api.name] = dict(sorted(fingerprints(candidate.new).items()))
    (inputs / FINGERPRINTS).write_text(json.dumps(words, indent=2) + "\n", encoding="utf-8")
    if any((inputs / api.published).read_bytes() != (root / "openapi" / api.published).read_bytes() for api in APIS):
        make(candidates, root, inputs, built)
    (built / "openapi").mkdir(exist_ok=True)
    shutil.move(inputs / "published", built / "openapi" / "published")
    old = root / "openapi" / CHANGES
    before = old.read_text(encoding="utf-8").removeprefix(_HEAD) if old.exists() else ""
    news = "\n".join(markdown(candidate.report, day) for candidate in candidates)
    after = _HEAD + news + ("\n" + before if before else "")
    (built / "openapi" / CHANGES).write_text(after, encoding="utf-8")


def make(candidates: Sequence[Candidate], root: Path, inputs: Path, built: Path) -> None:
    """Build from the staged inputs, and hold what comes out to the contract."""
    redundant: list[str] = []
    try:
        build(inputs, built, redundant)
    except SpecError as error:
        _report_for(candidates, str(error)).obstacles.append(str(error))
        return
    finally:
        for line in redundant:
            _report_for(candidates, line).redundant.append(line)
    for need in conformance.unmet(built / "generated"):
        report = next((c.report for c in candidates if c.api.name == need.api), candidates[0].report)
        report.obstacles.append(conformance.explain(need, root / "openapi", built / "openapi"))


def _report_for(candidates: Sequence[Candidate], line: str) -> Report:
    """The report of the service that a line speaks of."""
    named = [c.report for c in candidates if line.startswith((c.api.published, c.api.overlay, c.api.product))]
    return (named or [candidates[0].report])[0]


def write_published(candidate: Candidate, inputs: Path) -> None:
    """State the new facts in our own words, in the file that has them, and its hash in SOURCES.md."""
    api, path = candidate.api, inputs / candidate.api.published
    same_format = _format(candidate.theirs, "#").split()[0] == _format(candidate.ours, "#").split()[0]
    stated = restate(candidate.theirs, candidate.ours if same_format else candidate.old)
    lost = compare(to_openapi3(stated, f"{api.published}#"), candidate.new, fingerprints(candidate.new))
    if lost:
        raise SpecError(lost[0].path, f"could not be stated in our own words: {lost[0].what}")
    head = re.match(r"(#.*\n)*", path.read_text(encoding="utf-8"))
    assert head is not None
    data = (head[0] + dump(stated)).encode()
    path.write_bytes(data)
    sources = inputs / SOURCES
    pattern = re.compile(rf"(sha256 of {re.escape(path.name)}\n    )[0-9a-f]{{64}}")
    text, count = pattern.subn(rf"\g<1>{sha256(data)}", sources.read_text(encoding="utf-8"))
    if count != 1:
        raise SpecError(SOURCES, f"has no sha256 of {path.name} to replace")
    sources.write_text(text, encoding="utf-8")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="*", help="files or https addresses (default: where the vendor publishes)")
    parser.add_argument("--diff", action="store_true", help="change nothing; exit 1 when something is breaking")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    try:
        return run(arguments.sources or [api.source for api in APIS], arguments.diff, arguments.json)
    except (SpecError, Stopped, OSError, RecursionError) as error:
        name = "diff-spec" if arguments.diff else "update-spec"
        print(f"{name}: {error}; nothing was changed", file=sys.stderr)
        return 2


def run(sources: Sequence[str], diff: bool, as_data: bool) -> int:
    """Compare, stage, report and, unless only the difference is asked for, replace."""
    candidates = [examine(where, ROOT / "openapi") for where in sources]
    if len({candidate.api for candidate in candidates}) < len(candidates):
        raise SpecError(", ".join(map(download.name_of, sources)), "two documents of one service: give one")
    changed = [candidate for candidate in candidates if candidate.report.changes]
    day = datetime.now(UTC).date().isoformat()
    # The swap is a rename, so what is built must be on the same file system.
    with tempfile.TemporaryDirectory(prefix=".regenerate-", dir=None if diff else ROOT) as scratch:
        built, backup = Path(scratch, "built"), Path(scratch, "backup")
        built.mkdir()
        backup.mkdir()
        if changed:
            stage(changed, ROOT, built, day)
        if as_data:
            print(json.dumps([as_json(candidate.report) for candidate in candidates], indent=2))
        else:
            for candidate in candidates:
                print(_said(candidate, day))
        obstacles = [line for candidate in candidates for line in candidate.report.obstacles]
        if diff and any(candidate.report.breaking for candidate in candidates):
            return 1
        if obstacles:
            more = f" (the first of {len(obstacles)} in the way)" if obstacles[1:] else ""
            raise Stopped(f"{obstacles[0]}{more}")
        if changed and not diff:
            names = (*OUTPUTS, f"openapi/{Path(SOURCES).parent}", f"openapi/{CHANGES}")
            swap(built, ROOT, backup, [name for name in names if (built / name).exists()])
            if not as_data:
                print("Taken over: `git diff` shows it. Do what is to be done above, then run `make check test`.")
    return 0


def _said(candidate: Candidate, day: str) -> str:
    if not candidate.report.changes:
        return f"{candidate.report.source}: no change to {candidate.api.name}"
    return markdown(candidate.report, day, words=True)


if __name__ == "__main__":
    sys.exit(main())
