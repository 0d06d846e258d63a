"""What a new document means for the facade, in sentences to act on and in JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import asdict, field, frozen

from .contract import surface
from .schema_diff import Change, Location, Rating

_MAX_TOUCHED = 12  # of a change that is felt in many places

# What to do about a kind of change: when it breaks something, and when it does not.
ADVICE: dict[str, tuple[str, str]] = {
    "server": (
        "find out whether the service moved; base URLs are in _v1.py and _v2.py, known hosts in apis.py",
        "nothing, unless users should know the new address: base_url is their option",
    ),
    "operation-gone": (
        "ask the vendor; if it is final, take it out of contract.py, overlay and facade: a major version",
        "",
    ),
    "callback-gone": (
        "ask the vendor; if it is final, say so in callbacks.py and the README, and take it out of contract.py",
        "",
    ),
    "field-gone": (
        "ask the vendor; if it was renamed, rename it in contract.py, overlay and facade, else deprecate it",
        "",
    ),
    "new": ("", "nothing breaks; to offer it, add it to contract.py and the facade"),
    "required": (
        "what we send or read may lack it: make it an argument or let it be absent, and change contract.py",
        "nothing",
    ),
    "type": (
        "change the type in contract.py, and how _v1.py or _v2.py writes or reads it",
        "nothing, unless the facade should promise more than before",
    ),
    "limit": (
        "make the facade refuse what is now too much (_arguments.py), and correct the limit where docstrings quote it",
        "correct the limit where the facade refuses (_arguments.py) or its docstrings quote it",
    ),
    "enum": (
        "look for the value in models.py (DeliveryStatus) and in what users may wait for; tell them",
        "add the value to models.py (DeliveryStatus) or to the text of the overlay, if users should know it",
    ),
    "default": (
        "messages without this field now mean something else: say so in the docstring and to users",
        "nothing is sent by default; correct docstrings that quote the default",
    ),
    "status": (
        "the facade takes one status for success: change it in contract.py, and in _v1.py or _v2.py",
        "nothing: errors are read whatever their number",
    ),
    "media-type": (
        "check the Accept and Content-Type that _v1.py or _v2.py send",
        "nothing: we send application/json and ask for what we read",
    ),
    "security": ("the facade shows HTTP Basic credentials: ask the vendor what it wants now", "nothing"),
    "callback-security": (
        "the receiver checks HTTP Basic credentials or none: ask the vendor what it shows now, and tell users",
        "nothing",
    ),
    "deprecated": ("", "find out what replaces it, and tell users in the docstring"),
    "name": ("", "nothing on the wire; overlay targets that use the old name must follow"),
    "idle": ("", "nothing: no operation uses it"),
    "restated": ("", "nothing on the wire"),
    "words": ("", "read it at its source: the vendor states facts in words too; what is new belongs into the overlay"),
}


@frozen
class Report:
    """Everything to be said about one new document.

    Attributes:
        api: "gateway-v1" or "sms-v2".
        source: Where it was read.
        version: Its format and version.
        digest: The SHA-256 of its bytes.
        changes: What separates it from the published document, the worst first.
        doubt: Why it may be a document of another service; "" without doubt.
        redundant: Overlay actions with nothing left to do.
        derived: Names that were given by rule.
        obstacles: What keeps it from being taken over.
    """

    api: str
    source: str
    version: str
    digest: str
    changes: list[Change]
    doubt: str = ""
    redundant: list[str] = field(factory=list)
    derived: list[str] = field(factory=list)
    obstacles: list[str] = field(factory=list)

    @property
    def breaking(self) -> bool:
        """Does any change break something?"""
        return any(change.rating is Rating.BREAKING for change in self.changes)

    @property
    def not_offered(self) -> list[str]:
        """New operations and fields that the facade does not offer."""
        return [
            f"{change.what} ({'; '.join(map(_spot, change.locations))})"
            for change in self.changes
            if change.kind == "new" and not _offered(self.api, change)
        ]


def _spot(location: Location) -> str:
    return ", ".join(filter(None, (location.operation, location.part, location.field)))


def _offered(api: str, change: Change) -> list[str]:
    return list(dict.fromkeys(filter(None, (surface(api, location) for location in change.locations))))


def touched(api: str, change: Change) -> list[str]:
    """What of the facade a change touches; if it touches nothing there, the locations on the wire."""
    found = _offered(api, change) or [f"{_spot(location)}, not in the facade" for location in change.locations]
    more = len(found) - _MAX_TOUCHED
    return [*found[:_MAX_TOUCHED], f"{more} more"] if more > 0 else found


def advice(api: str, change: Change) -> str:
    """What to do about a change."""
    breaking = change.rating is Rating.BREAKING
    offered = _offered(api, change)
    if change.kind == "field-gone" and not offered:
        return "nothing: the facade does not use it"
    if change.kind == "new" and offered:
        return "nothing: the facade has it already; the overlay action that added it is redundant now"
    return ADVICE[change.kind][0 if breaking else 1]


def markdown(report: Report, day: str, *, with_text: bool = False) -> str:
    """The report for people. `with_text`: quote the vendor's new texts, which are for reading and not for keeping."""
    return "\n".join(_lines(report, day, with_text=with_text)) + "\n"


def _lines(report: Report, day: str, *, with_text: bool) -> Iterator[str]:
    yield f"## {report.api}, {day}"
    yield ""
    by_rating = {
        rating: [change for change in report.changes if change.rating is rating]
        for rating in sorted(Rating, reverse=True)
    }
    counts = ", ".join(f"{len(changes)} {rating}" for rating, changes in by_rating.items())
    yield f"From {report.source}: {report.version}, sha256 `{report.digest[:16]}`. {counts}."
    if report.doubt:
        yield from ("", report.doubt)
    for rating, changes in by_rating.items():
        if changes:
            yield from ("", f"### {str(rating).capitalize()}", "")
        for change in changes:
            yield f"- **{change.what}**"
            yield f"  - at `{change.path}`"
            if change.text is not None and with_text:
                yield f'  - now "{" ".join(change.text.split())[:300]}"'
            if change.locations:
                yield f"  - touches {', '.join(f'`{name}`' for name in touched(report.api, change))}"
            yield f"  - to do: {advice(report.api, change)}"
    yield from _section("Not offered by the facade", report.not_offered)
    yield from _section("Named by rule: polish it in the overlay", report.derived)
    yield from _section("The vendor now says this itself: drop it", report.redundant)
    yield from _section("In the way", report.obstacles)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"### {title}", "", *(f"- {line}" for line in lines))


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "api": report.api,
        "source": report.source,
        "version": report.version,
        "sha256": report.digest,
        "doubt": report.doubt,
        "breaking": report.breaking,
        "changes": [
            {
                "rating": str(change.rating),
                "path": change.path,
                "kind": change.kind,
                "what": change.what,
                "locations": [
                    {**asdict(location), "facade": surface(report.api, location)} for location in change.locations
                ],
                "to_do": advice(report.api, change),
                "text": change.text,
            }
            for change in report.changes
        ],
        "not_offered": report.not_offered,
        "named_by_rule": report.derived,
        "redundant": report.redundant,
        "in_the_way": report.obstacles,
    }
