"""The exceptions as a tree, each in the colour of what it says of a message: not sent, may have been sent, ask it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from modica_facade import errors

from .svg import AMBER, FAINT, GREEN, GREY, RED, Drawing, mono_width

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
SIZE, ROW, INDENT = 13.5, 34, 34
COLOURS: Final = {"no": GREEN, "**yes**": RED, "see attribute": AMBER}
LEGEND: Final = (
    (GREEN, "not sent"),
    (RED, "may have been sent"),
    (AMBER, "see may_have_been_sent"),
    (GREY, "base class, or no send"),
)


def verdicts() -> dict[str, str]:
    """Exception -> what the table of the page on failures says about it; a test holds that table to the code."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", PAGE.read_text("utf-8"), re.MULTILINE))


def tree(
    kind: type[errors.ModicaError] = errors.ModicaError, depth: int = 0
) -> Iterator[tuple[int, type[errors.ModicaError]]]:
    """Every exception with its depth, in the order in which they are defined."""
    yield depth, kind
    for child in kind.__subclasses__():
        yield from tree(child, depth + 1)


def draw() -> str:
    """The picture."""
    rows, said = list(tree()), verdicts()
    description = "; ".join(
        f"{kind.__name__} below {kind.__mro__[1].__name__}: {said.get(kind.__name__, 'no send').strip('*')}"
        for _, kind in rows[1:]
    )
    height = 40 + ROW * len(rows) + 30
    drawing = Drawing(
        760, height, title="The exceptions, and whether the message may have been sent", description=description
    )
    spine: dict[int, float] = {}
    for number, (depth, kind) in enumerate(rows):
        x, y = 30 + depth * INDENT, 24 + number * ROW
        if depth:
            drawing.line(
                [(x - INDENT + 14, spine[depth - 1]), (x - INDENT + 14, y + 13)], stroke="#aab4be", arrow=False
            )
            drawing.line([(x - INDENT + 14, y + 13), (x, y + 13)], stroke="#aab4be", arrow=False)
            spine[depth - 1] = y + 13
        spine[depth] = y + 26
        width = mono_width([kind.__name__], SIZE) + 20
        drawing.box(x, y, width, 26, COLOURS.get(said.get(kind.__name__, ""), GREY))
        drawing.text(x + 10, y + 18, kind.__name__, size=SIZE, mono=True)
        drawing.text(x + width + 12, y + 18, _note(kind), size=12, fill=FAINT)
    left = 30.0
    for colours, words in LEGEND:
        drawing.box(left, height - 32, 14, 14, colours)
        drawing.text(left + 20, height - 20, words, size=12, fill=FAINT)
        left += 44 + 6.6 * len(words)
    return drawing.svg()


def _note(kind: type[errors.ModicaError]) -> str:
    """The words beside the exception in the tree of the module's docstring."""
    found = re.search(rf"\b{kind.__name__}\b(?: \(ValueError\))? +(\S.*)$", errors.__doc__ or "", re.MULTILINE)
    return found[1] if found else ""
