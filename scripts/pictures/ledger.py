"""Where a message of the ledger can stand, and what leads from one state to the next."""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

from modica_facade.ledger._decisions import State

from .svg import AMBER, BLUE, FAINT, GREEN, GREY, RED, Drawing

WIDTH, BOX, HEIGHT = 940, 150, 58


class Place(NamedTuple):
    """A state: its box, and what it means."""

    x: int
    y: int
    colours: tuple[str, str]
    meaning: str


PLACES: Final[dict[State, Place]] = {
    "queued": Place(40, 60, GREY, "it is due, or will be"),
    "cancelled": Place(40, 250, GREY, "it will not be sent"),
    "in_doubt": Place(395, 60, AMBER, "its request may have left"),
    "not_sent": Place(210, 250, GREEN, "the same call sends it"),
    "refused": Place(395, 250, RED, "it would be again"),
    "submitted": Place(750, 60, BLUE, "receipts move its status"),
}


class Step(NamedTuple):
    """What leads from one state to the next; where its arrow bends and its words stand."""

    before: State | None
    after: State
    words: str
    points: list[tuple[float, float]]
    at: tuple[float, float]
    anchor: str = "middle"


def _steps() -> list[Step]:
    steps = [
        Step(None, "queued", "enqueue, add", [(115, 14), (115, 59)], (125, 36), "start"),
        Step(None, "in_doubt", "send, broadcast", [(470, 14), (470, 59)], (480, 36), "start"),
        Step("queued", "in_doubt", "work claims it", [(190, 80), (394, 80)], (292, 72)),
        Step("in_doubt", "queued", "it was queued, and not sent", [(395, 104), (191, 104)], (292, 122)),
        Step("in_doubt", "submitted", "the answer, with its id", [(545, 80), (749, 80)], (647, 72)),
        Step("in_doubt", "submitted", "a receipt, reconcile, settle", [(545, 104), (749, 104)], (647, 122)),
        Step("queued", "cancelled", "cancel", [(80, 118), (80, 249)], (90, 188), "start"),
        Step("in_doubt", "refused", "the gateway refuses it", [(470, 118), (470, 249)], (480, 188), "start"),
        Step("in_doubt", "not_sent", "it was not sent", [(410, 118), (310, 249)], (346, 172), "end"),
        Step("not_sent", "in_doubt", "send again", [(345, 249), (440, 119)], (386, 212), "start"),
    ]
    assert {step.after for step in steps} == set(get_args(State)) == set(PLACES)
    return steps


def draw() -> str:
    """The picture."""
    steps = _steps()
    description = " ".join(
        [
            *(f"{state}: {place.meaning}." for state, place in PLACES.items()),
            *(f"From {step.before or 'nothing'} to {step.after}: {step.words}." for step in steps),
        ]
    )
    drawing = Drawing(WIDTH, 340, title="Where a message of the ledger can stand", description=description)
    for step in steps:
        drawing.line(step.points)
        drawing.text(*step.at, step.words, size=12, fill=FAINT, anchor=step.anchor)
    for state, place in PLACES.items():
        drawing.box(place.x, place.y, BOX, HEIGHT, place.colours)
        drawing.text(place.x + BOX / 2, place.y + 25, state, mono=True, bold=True, anchor="middle")
        drawing.text(place.x + BOX / 2, place.y + 44, place.meaning, size=11.5, fill=FAINT, anchor="middle")
    drawing.text(575, 282, "The database has it in doubt before the request leaves.", size=12, fill=FAINT)
    return drawing.svg()
