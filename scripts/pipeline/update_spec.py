"""Take over a document the vendor has changed, or only say what that would mean.

`make update-spec` compares published with published, builds and checks everything elsewhere, and replaces the tree's
files all together or not at all. `make diff-spec` stops before that; this module then exits with 1 when something is
breaking, 2 on an error or an obstacle.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from . import conformance, download
from .apis import APIS, ROOT, Api, canonical_address
from .convert import to_openapi3
from .document import METHODS, Document, SpecError, dump, parse, validate, version_of, wire_path
from .document_diff import compare
from .prose import fingerprint, fingerprints, restate
from .regenerate import OUTPUTS, Notes, ObstacleError, build, command, printable, sha256
from .report import Report, as_json, markdown
from .schema_diff import Change, Rating
from .swap import exclusive, settle, swap

FINGERPRINTS = "published/fingerprints.json"
SOURCES = "published/SOURCES.md"
CHANGES = "CHANGES.md"
_TITLE = "#/info/title"
_HEAD = """# What changed in the published documents

Newest first; written by `make update-spec`. Paths are those of the documents as OpenAPI 3.0, which overlays address.

"""


@frozen
class Candidate:
    """A new document beside the one it would replace: as published, and as OpenAPI 3.0."""

    api: Api
    theirs: Document
    new: Document
    ours: Document
    old: Document
    report: Report


def examine(where: str, inputs: Path, name: str = "") -> Candidate:
    """Read a document and compare it with what the folder `inputs` (an openapi/) has of the same service.

    Args:
        where: A path or an address.
        inputs: The openapi/ to compare with.
        name: The service, "gateway-v1" or "sms-v2"; "" finds out.
    """
    source = download.name_of(where)
    data = download.read(where)
    try:
        return _examined(data, source, inputs, name)
    except RecursionError as error:
        raise SpecError(source, "nested too deeply, or a $ref that leads back to itself") from error


def _examined(data: bytes, source: str, inputs: Path, name: str) -> Candidate:
    theirs = parse(data, source)
    validate(theirs, f"{source}#")
    new = to_openapi3(theirs, f"{source}#")
    documents = {api: parse((inputs / api.published).read_bytes(), api.published) for api in APIS}
    converted = {api: to_openapi3(document, f"{api.published}#") for api, document in documents.items()}
    known = json.loads((inputs / FINGERPRINTS).read_bytes())
    titles = {api: known.get(api.name, {}).get(_TITLE) for api in APIS}
    api, doubt = detect(new, converted, titles, source, name)
    changes = compare(converted[api], new, known.get(api.name, {}))
    formats = [_format(document, source) for document in (documents[api], theirs)]
    if formats[0] != formats[1]:
        changes.append(Change(Rating.TEXT, "#", "restated", f"published as {formats[1]}, before as {formats[0]}"))
    version = f"{formats[1]}, version {new['info']['version']}"
    report = Report(api.name, source, version, sha256(data), changes, doubt)
    return Candidate(api, theirs, new, documents[api], converted[api], report)


def detect(
    new: Document, known: Mapping[Api, Document], titles: Mapping[Api, str | None], source: str, name: str = ""
) -> tuple[Api, str]:
    """Which service a document describes, and why it may be another.

    What it says of itself decides: its operations, its title, the version it was published in. Where it is served
    counts as one sign among these, since an address can be shared or moved.

    Args:
        new: The document as OpenAPI 3.0.
        known: The published document of each service as OpenAPI 3.0.
        titles: The fingerprint of each vendor's title.
        source: What errors call the document.
        name: The service, when the caller knows it.
    """

    def operations(document: Document) -> set[tuple[str, str]]:
        return {(wire_path(path), key) for path, item in document["paths"].items() for key in item if key in METHODS}

    def servers(document: Document) -> set[str]:
        return {
            canonical_address(server["url"]).partition("://")[2].partition("/")[2] for server in document["servers"]
        }

    signs: dict[Api, dict[str, float]] = {}
    for api, document in known.items():
        shared, total = operations(new) & operations(document), operations(new) | operations(document)
        title = {fingerprint(new["info"]["title"])} & {titles[api], fingerprint(document["info"]["title"])}
        signs[api] = {
            "operations": 3 * len(shared) / len(total) if len(shared) > 1 else 0,
            "title": len(title),
            "server address": float(bool(servers(new) & servers(document))),
        }
    best, *others = sorted(signs, key=lambda api: -sum(signs[api].values()))
    if name:
        given = next(api for api in known if api.name == name)
        for_best = [sign for sign in signs[best] if signs[best][sign] > signs[given][sign]]
        doubt = f"Taken for {name} as API= says, although its {' and '.join(for_best)} is that of {best.name}."
        return given, doubt if for_best and sum(signs[best].values()) > sum(signs[given].values()) else ""
    # Any document may bear a title.
    unknown = signs[best]["operations"] == signs[best]["server address"] == 0
    if unknown or sum(signs[best].values()) == sum(signs[others[0]].values()):
        names = " or ".join(f"API={api.name}" for api in known)
        raise SpecError(
            source, f"neither of the gateway's documents, by operations, title and address: say {names} if it is"
        )
    against = [sign for sign in signs[best] if any(signs[other][sign] > signs[best][sign] for other in others)]
    doubt = f"Taken for {best.name}, although its {' and '.join(against)} is that of another: API=... overrules it."
    return best, doubt if against else ""


def _format(document: Document, where: str) -> str:
    version = version_of(document, where)
    return f"{'Swagger' if version == '2.0' else 'OpenAPI'} {version}"


# Taking it over ----------------------------------------------------------------------------------------------------


def stage(candidates: Sequence[Candidate], root: Path, scratch: Path, day: str) -> None:
    """Make in `scratch`/built all that the tree would become; what is in the way goes into the reports."""
    inputs, built = scratch / "inputs", scratch / "built"
    built.mkdir()
    for name in ("published", "overlays"):
        shutil.copytree(root / "openapi" / name, inputs / name)
    known = json.loads((inputs / FINGERPRINTS).read_bytes())
    for candidate in candidates:
        write_published(candidate, inputs, day)
        known[candidate.api.name] = dict(sorted(fingerprints(candidate.new).items()))
    (inputs / FINGERPRINTS).write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    if any((inputs / api.published).read_bytes() != (root / "openapi" / api.published).read_bytes() for api in APIS):
        make(candidates, root, inputs, built)
    (built / "openapi").mkdir(exist_ok=True)
    shutil.move(inputs / "published", built / "openapi" / "published")
    old = root / "openapi" / CHANGES
    before = old.read_text(encoding="utf-8").removeprefix(_HEAD) if old.exists() else ""
    news = "\n".join(_printable(markdown(candidate.report, day)) for candidate in candidates)
    after = _HEAD + news + ("\n" + before if before else "")
    (built / "openapi" / CHANGES).write_text(after, encoding="utf-8")


def make(candidates: Sequence[Candidate], root: Path, inputs: Path, built: Path) -> None:
    """Build from the staged inputs, and hold what comes out to the contract."""
    notes = Notes()
    try:
        build(inputs, built, notes)
    except SpecError as error:
        for line in error.problems:
            _report_for(candidates, line).obstacles.append(line)
        return
    finally:
        for line in notes.redundant:
            _report_for(candidates, line).redundant.append(line)
        for line in notes.derived:
            _report_for(candidates, line).derived.append(line)
    for need in conformance.unmet(built / "generated"):
        report = next((c.report for c in candidates if c.api.name == need.api), candidates[0].report)
        report.obstacles.append(conformance.explain(need, root / "openapi", built / "openapi"))


def _report_for(candidates: Sequence[Candidate], line: str) -> Report:
    """The report of the service that a line speaks of."""
    named = [c.report for c in candidates if line.startswith((c.api.published, c.api.overlay, c.api.product))]
    return (named or [candidates[0].report])[0]


def write_published(candidate: Candidate, inputs: Path, day: str) -> None:
    """State the new facts in our own prose, in the file that has them, and where they come from in SOURCES.md."""
    api, path = candidate.api, inputs / candidate.api.published
    same_format = _format(candidate.theirs, "#").split()[0] == _format(candidate.ours, "#").split()[0]
    stated = restate(candidate.theirs, candidate.ours if same_format else candidate.old)
    lost = compare(to_openapi3(stated, f"{api.published}#"), candidate.new, fingerprints(candidate.new))
    if lost:
        raise SpecError(lost[0].path, f"could not be stated in our own prose: {lost[0].what}")
    head = re.match(r"(#.*\n)*", path.read_text(encoding="utf-8"))
    assert head is not None
    data = (head[0] + dump(stated)).encode()
    path.write_bytes(data)
    sources = inputs / SOURCES
    text = sources.read_text(encoding="utf-8")
    entry = re.compile(rf"^## {re.escape(path.name)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if len(entry.findall(text)) != 1:
        raise SpecError(SOURCES, f"has no section {path.name} to replace")
    report = candidate.report
    section = source_section(path.name, report.version, f"taken over from {report.source} on {day}", data)
    sources.write_text(entry.sub(lambda _: section, text), encoding="utf-8")


def source_section(name: str, version: str, origin: str, data: bytes) -> str:
    """What SOURCES.md says of one published file."""
    return f"## {name}\n\n- {version}\n- {origin}\n- sha256 `{sha256(data)}`\n\n"


# Running it --------------------------------------------------------------------------------------------------------


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="*", help="files or https addresses (default: where the vendor publishes)")
    parser.add_argument(
        "--api", choices=[api.name for api in APIS], help="the service (default: see from the document)"
    )
    parser.add_argument("--diff", action="store_true", help="change nothing; exit 1 when something is breaking")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    sources = arguments.sources or [api.source for api in APIS if arguments.api in (None, api.name)]
    if arguments.api and len(sources) > 1:
        parser.error("--api is for one document")
    name = "diff-spec" if arguments.diff else "update-spec"
    return command(name, lambda: run(sources, diff=arguments.diff, as_data=arguments.json, name=arguments.api or ""))


def run(sources: Sequence[str], *, diff: bool, as_data: bool, name: str = "") -> int:
    """Compare, stage, report and, unless only the difference is asked for, replace."""
    day = datetime.now(UTC).date().isoformat()
    if not diff:
        # The swap is a rename, so what is built must be on the same file system.
        with exclusive(ROOT) as scratch:
            candidates = _examine_all(sources, name)
            _report(candidates, scratch, day, as_data=as_data)
            _raise_obstacles(candidates)
            if any(candidate.report.changes for candidate in candidates):
                names = (*OUTPUTS, f"openapi/{Path(SOURCES).parent}", f"openapi/{CHANGES}")
                swap(scratch, ROOT, [path for path in names if (scratch / "built" / path).exists()])
                if not as_data:
                    print("Taken over: `git diff` shows it. Do what is to be done above, then run `make check test`.")
        return 0
    settle(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        candidates = _examine_all(sources, name)
        _report(candidates, Path(folder), day, as_data=as_data)
    if any(candidate.report.breaking for candidate in candidates):
        return 1
    _raise_obstacles(candidates)
    return 0


def _examine_all(sources: Sequence[str], name: str) -> list[Candidate]:
    candidates = [examine(where, ROOT / "openapi", name) for where in sources]
    if len({candidate.api for candidate in candidates}) < len(candidates):
        raise SpecError(", ".join(map(download.name_of, sources)), "two documents of one service: give one")
    return candidates


def _report(candidates: Sequence[Candidate], scratch: Path, day: str, *, as_data: bool) -> None:
    """Find out what taking the documents over would make, and print the reports."""
    changed = [candidate for candidate in candidates if candidate.report.changes]
    if changed:
        stage(changed, ROOT, scratch, day)
    if as_data:
        print(json.dumps([as_json(candidate.report) for candidate in candidates], indent=2))
        return
    for candidate in candidates:
        report = candidate.report
        unchanged = f"{report.source}: no change to {report.api}"
        print(_printable(markdown(report, day, with_text=True) if report.changes else unchanged))


def _printable(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _raise_obstacles(candidates: Sequence[Candidate]) -> None:
    obstacles = [line for candidate in candidates for line in candidate.report.obstacles]
    if obstacles:
        more = f" (the first of {len(obstacles)} in the way)" if obstacles[1:] else ""
        raise ObstacleError(f"{obstacles[0]}{more}")


if __name__ == "__main__":
    sys.exit(main())
