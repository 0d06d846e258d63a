"""Texts and numbers before they are sent: how many SMS a text makes, and local numbers in international form. Pure.

Counting is the arithmetic of 3GPP TS 23.038 and 23.040; how the gateway splits a text is not documented.
"""

from __future__ import annotations

import contextlib
import re
import reprlib
import unicodedata

from attrs import frozen

from .errors import InvalidRequestError

__all__ = ["Parts", "count_parts", "normalise"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Two septets each, an escape and a code; no part ends between the two."""


@frozen
class Parts:
    """The SMS that a text makes.

    Attributes:
        encoding: ``"GSM-7"`` or ``"UCS-2"``.
        count: how many SMS; 0 for an empty text.
        units: septets or UTF-16 code units in all.
        free: units still free in the last SMS.
        non_gsm7: the characters that GSM-7 does not have, each once, in order of appearance; one of them is enough to
            make the whole text UCS-2.
    """

    encoding: str
    count: int
    units: int
    free: int
    non_gsm7: tuple[str, ...]


def count_parts(text: str) -> Parts:
    """Count the SMS parts (segments) of a text.

    Example:
        >>> count_parts("Tēnā koe")
        Parts(encoding='UCS-2', count=1, units=8, free=62, non_gsm7=('ē', 'ā'))

    A single SMS carries 160 septets or 70 UTF-16 code units; each part of a longer text 153 or 67.
    """
    non_gsm7 = tuple(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENSION))
    if non_gsm7:
        encoding, alone, chained = "UCS-2", 70, 67
        widths = [2 if c > "\uffff" else 1 for c in text]  # a surrogate pair is not split either
    else:
        encoding, alone, chained = "GSM-7", 160, 153
        widths = [2 if c in _EXTENSION else 1 for c in text]
    units = sum(widths)
    if units <= alone:
        return Parts(encoding, 1 if text else 0, units, alone - units, non_gsm7)
    count, used = 1, 0
    for width in widths:
        if used + width > chained:
            count, used = count + 1, 0
        used += width
    return Parts(encoding, count, units, chained - used, non_gsm7)


_NUMBER = re.compile(r"\+?[\d\s().\-/]+")


def normalise(number: str, country: str) -> str:
    """A phone number in the form that the gateway asks for, such as ``"+64211234567"``.

    Example:
        >>> normalise("021 123 4567", "NZ")
        '+64211234567'

    Args:
        number: as people write it: ``"021 123 4567"``, ``"64211234567"``, ``"0064211234567"``, ``"+64 21 123 4567"``.
        country: the country of numbers without a country code, two letters (ISO 3166-1), such as ``"NZ"``.

    Raises:
        InvalidRequestError: that is not a number of this country, nor an international one; ``field`` is
            ``"destination"``, or ``"country"`` if there is no such country.
        ImportError: the extra ``phonenumbers`` is not installed.
    """
    # Imported late: its metadata takes longer to import than this whole package.
    try:
        import phonenumbers
    except ImportError:
        raise ImportError(
            "numbers in local form need an extra: pip install '.[phonenumbers]' in a checkout of modica-facade"
        ) from None

    given: object = number  # an empty cell of a table is None or NaN
    if not isinstance(given, str):
        raise InvalidRequestError(f"a number must be a str, not {type(given).__name__}", field="destination")
    region = country.upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidRequestError(f"there is no country {country!r}; give two letters, such as NZ", field="country")
    # Numbers that were copied bring invisible marks of text direction and the like.
    text = "".join(c for c in number if unicodedata.category(c) != "Cf").strip().replace("\uff0b", "+")
    parsed = None
    if _NUMBER.fullmatch(text):  # phonenumbers itself would find a number in "call 021 123 4567" and in "0800 FLOWERS"
        with contextlib.suppress(phonenumbers.NumberParseException):
            parsed = phonenumbers.parse(text, region)
    # Lengths are certain. Which numbers a country has given out changes, so that is asked of local forms only: an
    # Australian 0412 345 678 must not be taken for one of New Zealand.
    known = parsed is not None and (
        phonenumbers.is_possible_number(parsed) if text.startswith("+") else phonenumbers.is_valid_number(parsed)
    )
    if parsed is None or not known:
        raise InvalidRequestError(
            f"{reprlib.repr(number)} is not a number of {region}; write it in international form, such as +64211234567",
            field="destination",
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
