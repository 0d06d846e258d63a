"""docs/pictures: each is what its script draws today, and the recording shows what the command prints today."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scripts.pictures import exceptions, house, ledger, parts, recording, send

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
REASON = "run `make pictures`, and look at the difference"


@pytest.mark.parametrize(
    "picture", [exceptions, house, ledger, parts, send], ids=lambda module: module.__name__.split(".")[-1]
)
def test_a_picture_shows_what_is_true_today(picture: object) -> None:
    name = picture.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    assert picture.draw() == (FOLDER / f"{name}.svg").read_text("utf-8"), REASON  # type: ignore[attr-defined]


def test_the_recording_shows_what_the_command_prints() -> None:
    root = ET.fromstring((FOLDER / "demo.svg").read_text("utf-8"))
    shown = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert shown == [f"$ {recording.COMMAND}", *recording.run().splitlines()], REASON


def test_every_arrow_of_the_map_is_an_import_and_goes_down() -> None:
    level = {name: number for number, row in enumerate(house.layers()) for name in row}
    arrows = [(name, other) for name, others in house.imports().items() for other in others]
    assert ("client", "_transport") in arrows
    assert ("client", "errors") not in arrows, "follows from the arrows over _transport"
    assert all(level[name] < level[other] for name, other in arrows)


def test_every_exception_of_the_tree_has_its_verdict() -> None:
    said = exceptions.verdicts()
    assert said["OutcomeUnknownError"] == "**yes**"
    silent = {kind.__name__ for _, kind in exceptions.tree()} - said.keys()
    assert silent == {"ModicaError", "InvalidCallbackError"}


def test_a_picture_has_a_title_a_description_and_nothing_from_elsewhere() -> None:
    pictures = sorted(FOLDER.glob("*.svg"))
    assert pictures
    for path in pictures:
        text = path.read_text("utf-8")
        assert re.search(r'<title id="title">[^<]{10,}</title>\n<desc id="description">[^<]{100,}</desc>', text), path
        assert not re.search(r"<script|<image|href=", text), path
