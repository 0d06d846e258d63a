"""Why a macron can double the price: one text in two spellings, and the SMS that each of them makes."""

from __future__ import annotations

from typing import Final

from modica_facade.text import count_parts

from .svg import BLUE, FAINT, GREEN, RED, Drawing

TEXTS: Final = (
    "Tena koe, your prescription is ready. Collect it today until five, or tomorrow from nine.",
    "Tēnā koe, your prescription is ready. Collect it today until five, or tomorrow from nine.",
    "Tena koe, your prescription is ready. Collect it today until five, or tomorrow from nine 😀",
)
LEFT, WIDTH = 30, 780
CAPACITY: Final = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


def draw() -> str:
    """The picture."""
    counted = [(text, count_parts(text)) for text in TEXTS]
    description = " ".join(
        f"“{text}” is {parts.encoding}: {parts.units} units, {parts.count} SMS"
        + (f", because of {' '.join(parts.non_gsm7)}." if parts.non_gsm7 else ".")
        for text, parts in counted
    )
    drawing = Drawing(
        LEFT * 2 + WIDTH, 40 + 108 * len(TEXTS), title="One text, and how many SMS it makes", description=description
    )
    for number, (text, parts) in enumerate(counted):
        top = 42 + 108 * number
        drawing.text(LEFT, top, text, size=13.5, mono=True)
        alone, chained = CAPACITY[parts.encoding]
        capacity = alone if parts.count == 1 else chained
        scale = WIDTH / 160
        used = parts.units
        for part in range(parts.count):
            x = LEFT + part * (capacity * scale + 8)
            drawing.box(x, top + 16, capacity * scale, 26, BLUE)
            drawing.box(x, top + 16, max(10, min(used, capacity) * scale), 26, GREEN if parts.count == 1 else RED)
            drawing.text(x + 10, top + 34, f"SMS {part + 1}", size=12.5)
            used -= capacity
        why = f", because of {' '.join(parts.non_gsm7)}" if parts.non_gsm7 else ""
        drawing.text(
            LEFT,
            top + 62,
            f"{parts.encoding}{why}: {parts.units} of {capacity if parts.count == 1 else f'{parts.count} × {capacity}'}"
            f" units, {parts.count} SMS",
            size=12.5,
            fill=FAINT,
        )
    return drawing.svg()
