"""A drawing as SVG text: boxes, lines, arrows and words, with a text alternative. The same input, the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

MONO_WIDTH: Final = 0.6
"""Width of a monospaced character, in sizes of the font."""
SANS: Final = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace"

INK: Final = "#1b2733"
FAINT: Final = "#5f6f7e"
PAPER: Final = "#fbfcfd"
GREEN: Final = ("#e3f4e8", "#2c7a4b")  # fill and edge
RED: Final = ("#fde7e5", "#b3372b")
AMBER: Final = ("#fdf1d8", "#9a6a08")
BLUE: Final = ("#e4eefb", "#2f63a8")
GREY: Final = ("#eef1f4", "#7b8a98")


class Drawing:
    """Elements in the order in which they are drawn, on a light card that reads on light and dark pages alike."""

    def __init__(self, width: int, height: int, *, title: str, description: str) -> None:
        self._size = (width, height)
        self._head = (title, description)
        self._elements: list[str] = []

    def add(self, element: str) -> None:
        """Add an element that is SVG already."""
        self._elements.append(element)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 14,
        fill: str = INK,
        anchor: str = "start",
        mono: bool = False,
        bold: bool = False,
    ) -> None:
        """One line of text; ``y`` is its baseline."""
        style = f' font-family="{MONO}"' if mono else ""
        style += ' font-weight="600"' if bold else ""
        self.add(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"{style} '
            f'xml:space="preserve">{escape(words)}</text>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colours: tuple[str, str],
        *,
        tooltip: str = "",
    ) -> None:
        """A box with round corners."""
        inside = f"<title>{escape(tooltip)}</title>" if tooltip else ""
        self.add(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{colours[0]}" '
            f'stroke="{colours[1]}" stroke-width="1.3">{inside}</rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], *, stroke: str = FAINT, arrow: bool = True) -> None:
        """A line that leaves and enters each point vertically if it goes down, or else runs straight."""
        (x, y), *rest = points
        path = f"M{x:g} {y:g}"
        for to_x, to_y in rest:
            if to_y == y:
                path += f"L{to_x:g} {to_y:g}"
            else:
                middle = (y + to_y) / 2
                path += f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}"
            x, y = to_x, to_y
        end = f' marker-end="url(#arrow-{stroke[1:]})"' if arrow else ""
        self.add(f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="1.4"{end}/>')

    def svg(self) -> str:
        """The whole document."""
        width, height = self._size
        title, description = (escape(words) for words in self._head)
        body = "\n".join(self._elements)
        markers = "".join(
            f'<marker id="arrow-{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
            for colour in (FAINT, *(edge for _, edge in (GREEN, RED, AMBER, BLUE, GREY)))
            if f"#arrow-{colour[1:]}" in body
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-labelledby="title description" font-family="{SANS}">\n'
            f'<title id="title">{title}</title>\n<desc id="description">{description}</desc>\n'
            f"<defs>{markers}</defs>\n"
            f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}" stroke="#d5dce3"/>\n'
            f"{body}\n</svg>\n"
        )


def mono_width(lines: Iterable[str], size: float) -> float:
    """How wide the longest of some monospaced lines is."""
    return max(map(len, lines)) * MONO_WIDTH * size
