"""What a broadcast is about to do: how many numbers, how many SMS, what makes them costlier, where and when. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from ..text import Parts, count_parts
from ._output import plural

# Typed by word processors and web pages, read as well without.
_REPLACEMENTS = {
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\t", " "),
    **dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff", ""),
    **dict.fromkeys("•·‣", "*"),
    "…": "...",
}


def describe_character(character: str) -> str:
    """A character, its name, and what GSM-7 has in its place, if anything does as well."""
    text = f"{character} (U+{ord(character):04X} {unicodedata.name(character, 'without a name')})"
    replacement = _REPLACEMENTS.get(character)
    if replacement is None:
        return text
    return f"{text}: could be {_NAMES.get(replacement, replacement)}"


_NAMES = {" ": "a space", "": "left out"}


def suggest_gsm7(text: str) -> Parts | None:
    """What the text would take with everyday characters in place of typographic ones; None if it stays UCS-2.

    Only ever a suggestion: nobody's text is changed.
    """
    counted = count_parts(text)
    if not counted.non_gsm7 or not all(character in _REPLACEMENTS for character in counted.non_gsm7):
        return None
    return count_parts("".join(_REPLACEMENTS.get(c, c) if c in counted.non_gsm7 else c for c in text))


@frozen
class Plan:
    """A broadcast, before its first request.

    Attributes:
        destinations: those that it will be sent to.
        content: the text.
        gateway: the client, as its repr.
        options: of the message.
        earlier: how many destinations have an outcome from an earlier run.
    """

    destinations: Sequence[str]
    content: str
    gateway: str
    options: Mapping[str, Any]
    earlier: int

    @property
    def parts(self) -> Parts:
        """The SMS for one destination."""
        return count_parts(self.content)

    def lines(self) -> Iterator[str]:
        """For a reader."""
        count, parts = len(self.destinations), self.parts
        first = ", ".join(self.destinations[:3])
        yield f"to         {plural(count, 'destination')}: {first}{', ...' if count > 3 else ''}"
        if self.earlier:
            yield f"           {self.earlier:,} more have an outcome from an earlier run and are left alone"
        yield f"text       {len(self.content)} characters, {parts.encoding}, {_sms(parts, count)}"
        for character in parts.non_gsm7:
            yield f"           not in GSM-7: {describe_character(character)}"
        suggestion = suggest_gsm7(self.content)
        if suggestion is not None and suggestion.count < parts.count:
            yield f"           with those it would be GSM-7, {_sms(suggestion, count)}"
        yield f"gateway    {self.gateway}"
        yield f"when       {self.options.get('scheduled', 'now')}"
        for name, value in self.options.items():
            if name != "scheduled":
                yield f"{name.rstrip('_'):<10} {value}"

    def to_json_dict(self) -> dict[str, Any]:
        """For a program."""
        parts, suggestion = self.parts, suggest_gsm7(self.content)
        return {
            "destinations": len(self.destinations),
            "first": list(self.destinations[:3]),
            "earlier": self.earlier,
            "encoding": parts.encoding,
            "parts": parts.count,
            "parts_in_all": parts.count * len(self.destinations),
            "non_gsm7": list(parts.non_gsm7),
            "parts_if_gsm7": None if suggestion is None else suggestion.count,
            "gateway": self.gateway,
            "options": dict(self.options),
        }


def _sms(parts: Parts, destinations: int) -> str:
    return f"{parts.count} SMS each, {destinations * parts.count:,} in all"
