"""How many SMS a text makes: GSM-7 or UCS-2, and what forces the dearer one. Pure.

The arithmetic of 3GPP TS 23.038 and 23.040. What the gateway makes of a text is its own to say, and not documented.
"""

from __future__ import annotations

from attrs import frozen

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Behind an escape, so two septets each; no part ends between the two."""


@frozen
class Parts:
    """What a text costs.

    Attributes:
        encoding: ``"GSM-7"`` or ``"UCS-2"``.
        count: how many SMS; 0 for an empty text.
        units: septets or UTF-16 code units in all.
        free: units still free in the last SMS.
        forcing: the characters that GSM-7 does not have, each once, as they come.
    """

    encoding: str
    count: int
    units: int
    free: int
    forcing: tuple[str, ...]


def count_parts(text: str) -> Parts:
    """Count the SMS of a text: alone 160 septets or 70 UTF-16 units, in a chain 153 or 67 each."""
    forcing = tuple(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENSION))
    if forcing:
        encoding, alone, chained = "UCS-2", 70, 67
        widths = [2 if c > "\uffff" else 1 for c in text]  # a surrogate pair is not split either
    else:
        encoding, alone, chained = "GSM-7", 160, 153
        widths = [2 if c in _EXTENSION else 1 for c in text]
    units = sum(widths)
    if units <= alone:
        return Parts(encoding, 1 if text else 0, units, alone - units, forcing)
    count, used = 1, 0
    for width in widths:
        if used + width > chained:
            count, used = count + 1, 0
        used += width
    return Parts(encoding, count, units, chained - used, forcing)
