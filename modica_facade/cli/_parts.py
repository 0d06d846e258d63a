"""``modica parts``: how many SMS a text makes."""

from __future__ import annotations

import click

from ..text import count_parts
from ._destinations import read_standard_input
from ._options import json_option
from ._output import echo, print_json, to_json_dict
from ._plan import describe_character


@click.command()
@click.argument("text")
@json_option
def parts(*, text: str, as_json: bool) -> None:
    """How many SMS a TEXT makes, and which characters force the costlier encoding.

    GSM-7 has room for 160 characters (153 in each of several SMS), UCS-2 for 70 (67). One character that GSM-7 does
    not have, a macron for instance, makes the whole text UCS-2. This is arithmetic, the gateway is not asked.
    TEXT - is read from standard input.
    """
    counted = count_parts(read_standard_input().rstrip("\r\n") if text == "-" else text)
    if as_json:
        print_json(to_json_dict(counted))
        return
    unit = "septets" if counted.encoding == "GSM-7" else "UTF-16 units"
    echo(f"{counted.encoding}, {counted.count} SMS, {counted.units} {unit}, {counted.free} free in the last SMS")
    for character in counted.non_gsm7:
        echo(f"not in GSM-7: {describe_character(character)}")
