"""What a new document means for the facade, in words a person acts on and in JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .contract import surface
from .schema_diff import Change, Location, Rating

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
        "make the facade refuse what is now too much (_calls.py), and correct the limit where docstrings quote it",
        "correct the limit where the facade refuses (_calls.py) or its docstrings quote it",
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
    "deprecated": ("", "find out what replaces it, and tell users in the docstring"),
    "name": ("", "nothing on the wire; overlay targets that use the old name must follow"),
    "idle": ("", "nothing: no operation uses it"),
    "restated": ("", "nothing on the wire"),
    "words": ("", "read it at its source: the vendor states facts in words too; what is new belongs into the overlay"),
}


@dataclass(frozen=True)
class Report:
    """Everything to be said about one new document.

    Attributes:
        api: "gateway-v1" or "sms-v2".
        source: Where it was read.
        version: Its format and version.
        digest: sha256 of its bytes.
        changes: What changed, published against published.
        redundant: Overlay actions for which it leaves nothing to do.
        obstacles: Why it cannot be taken over, one line each.
    """

    api: str
    source: str
    version: str
    digest: str
    changes: list[Change]
    redundant: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    @property
    def breaking(self) -> bool:
        """Is there a change that breaks something?"""
        return any(change.rating is Rating.BREAKING for change in self.changes)

    @property
    def unsurfaced(self) -> list[str]:
        """New operations and fields that the facade does not offer."""
        return [
            f"{change.what} ({'; '.join(_spot(place) for place in change.places)})"
            for change in self.changes
            if change.kind == "new" and not any(surface(self.api, place) for place in change.places)
        ]


def _spot(place: Location) -> str:
    return ", ".join(filter(None, (place.operation, place.part, place.field)))


def touched(api: str, change: Change) -> list[str]:
    """What of the facade a change touches; if it touches nothing there, the places on the wire."""
    offered = list(dict.fromkeys(filter(None, (surface(api, place) for place in change.places))))
    return offered or [f"{_spot(place)}, not in the facade" for place in change.places]


def advice(api: str, change: Change) -> str:
    """What to do about a change."""
    breaking = change.rating is Rating.BREAKING
    if change.kind == "field-gone" and not any(surface(api, place) for place in change.places):
        return "nothing: the facade does not use it"
    if change.kind == "new" and any(surface(api, place) for place in change.places):
        return "nothing: the facade has it already; the overlay action that added it is redundant now"
    return ADVICE[change.kind][0 if breaking else 1]


def markdown(report: Report, day: str, words: bool = False) -> str:
    """The report for people. `words`: quote the vendor's new words, which are for reading and not for keeping."""
    return "\n".join(_lines(report, day, words)) + "\n"


def _lines(report: Report, day: str, words: bool) -> Iterator[str]:
    yield f"## {report.api}, {day}"
    yield ""
    counts = [
        f"{len([change for change in report.changes if change.rating is rating])} {rating}" for rating in _BY_WEIGHT
    ]
    yield f"From {report.source}: {report.version}, sha256 `{report.digest[:16]}`. {', '.join(counts)}."
    for rating in _BY_WEIGHT:
        changes = [change for change in report.changes if change.rating is rating]
        if changes:
            yield from ("", f"### {str(rating).capitalize()}", "")
        for change in changes:
            yield f"- **{change.what}**"
            yield f"  - at `{change.path}`"
            if change.words is not None and words:
                yield f'  - now "{" ".join(change.words.split())[:300]}"'
            if change.places:
                yield f"  - touches {', '.join(f'`{name}`' for name in touched(report.api, change))}"
            yield f"  - to do: {advice(report.api, change)}"
    yield from _section("Not offered by the facade", report.unsurfaced)
    yield from _section("The vendor now says this itself: drop it", report.redundant)
    yield from _section("In the way", report.obstacles)


_BY_WEIGHT = tuple(sorted(Rating, reverse=True))


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
        "breaking": report.breaking,
        "changes": [
            {
                "rating": str(change.rating),
                "path": change.path,
                "kind": change.kind,
                "what": change.what,
                "places": [
                    {
                        "operation": place.operation,
                        "part": place.part,
                        "field": place.field,
                        "facade": surface(report.api, place),
                    }
                    for place in change.places
                ],
                "to_do": advice(report.api, change),
                "words": change.words,
            }
            for change in report.changes
        ],
        "not_offered": report.unsurfaced,
        "redundant": report.redundant,
        "in_the_way": report.obstacles,
    }
