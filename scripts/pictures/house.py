"""The map of the package: its modules in the layers of pyproject.toml, and which imports which.

An arrow that follows from two others is left out: if a imports b and b imports c, then that a imports c is not drawn.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import grimp

from .svg import BLUE, FAINT, GREEN, GREY, Drawing, mono_width

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "modica_facade"
GENERATED: Final = ("modica_gateway_v1", "modica_sms_v2")
SIZE, ROW, GAP, HEIGHT = 13, 84, 16, 34


def layers() -> list[list[str]]:
    """The modules of the package, upper layers first, and below them all the generated packages."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in settings if each["type"] == "layers" and each["containers"] == [PACKAGE])
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]] + [list(GENERATED)]


def imports() -> dict[str, set[str]]:
    """Module -> the modules it imports, packages taken as one; without what follows from other imports."""
    graph = grimp.build_graph(PACKAGE, *GENERATED, cache_dir=None)
    for package in GENERATED:
        graph.squash_module(package)
    modules = {child.removeprefix(f"{PACKAGE}."): child for child in graph.find_children(PACKAGE)}
    for module in modules.values():
        if graph.find_children(module):
            graph.squash_module(module)
    names = {full: name for name, full in modules.items()} | {package: package for package in GENERATED}
    direct = {
        name: {
            names[other] for other in graph.find_modules_directly_imported_by(full) if other in names.keys() - {full}
        }
        for name, full in modules.items()
    }
    return {name: {other for other in others if not _follows(direct, name, other)} for name, others in direct.items()}


def _follows(direct: Mapping[str, set[str]], name: str, other: str) -> bool:
    return any(_reaches(direct, between, other) for between in direct[name] - {other})


def _reaches(direct: Mapping[str, set[str]], start: str, end: str) -> bool:
    return start == end or any(_reaches(direct, step, end) for step in direct.get(start, ()))


def draw() -> str:
    """The picture."""
    rows, arrows = layers(), imports()
    level = {name: number for number, row in enumerate(rows) for name in row}
    # An arrow that passes a layer gets a point of its own there, so that it goes between the boxes and not over them.
    paths = [_path(name, other, level) for name in sorted(arrows) for other in sorted(arrows[name])]
    points: list[list[str]] = [sorted(row) for row in rows]
    for path in paths:
        for step in path[1:-1]:
            points[level[path[0]] + path.index(step)].append(step)
    _untangle(points, paths)
    width = max(sum(map(_width, row)) + GAP * (len(row) - 1) for row in points) + 60
    centre = dict(_positions(points, width))

    described = "; ".join(
        f"{name} imports {', '.join(sorted(arrows[name]))}" for name in sorted(arrows) if arrows[name]
    )
    drawing = Drawing(
        round(width),
        ROW * len(rows) + 36,
        title="The modules of modica_facade and what they import",
        description=described,
    )
    for path in paths:
        line = []
        for number, step in enumerate(path):
            top = 30 + ROW * (level[path[0]] + number)
            first, last = number == 0, number == len(path) - 1
            line += [] if first else [(centre[step], top - 1 if last else top)]
            line += [] if last else [(centre[step], top + HEIGHT)]
        drawing.line(line, stroke=FAINT)
    for number, row in enumerate(rows):
        for name in row:
            colours = GREEN if name in GENERATED else GREY if name.startswith("_") else BLUE
            left, top = centre[name] - _width(name) / 2, 30 + ROW * number
            drawing.box(left, top, _width(name), HEIGHT, colours, tooltip=_job(name))
            drawing.text(centre[name], top + 22, name, size=SIZE, anchor="middle", mono=True)
    for x, colours, words in ((30, BLUE, "public"), (110, GREY, "private"), (196, GREEN, "generated")):
        drawing.box(x, ROW * len(rows) + 8, 14, 14, colours)
        drawing.text(x + 20, ROW * len(rows) + 20, words, size=12, fill=FAINT)
    return drawing.svg()


def _path(name: str, other: str, level: Mapping[str, int]) -> list[str]:
    between = [f"{name}>{other}@{number}" for number in range(level[name] + 1, level[other])]
    return [name, *between, other]


def _width(name: str) -> float:
    return 6 if "@" in name else mono_width([name], SIZE) + 24


def _untangle(points: list[list[str]], paths: list[list[str]]) -> None:
    """Order each row by where its neighbours stand, down and up again a few times: most crossings go."""
    neighbours: dict[str, list[str]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            neighbours.setdefault(upper, []).append(lower)
            neighbours.setdefault(lower, []).append(upper)
    for _ in range(12):
        for rows in (points, points[::-1]):
            place: dict[str, float] = {}
            for row in rows:
                for number, name in enumerate(row):
                    place.setdefault(name, (number + 0.5) / len(row))
                near = {
                    name: [place[other] for other in neighbours.get(name, ()) if other in place] or [place[name]]
                    for name in row
                }
                row.sort(key=lambda name: (sum(near[name]) / len(near[name]), name))
                for number, name in enumerate(row):
                    place[name] = (number + 0.5) / len(row)


def _positions(points: list[list[str]], width: float) -> Iterator[tuple[str, float]]:
    for row in points:
        free = (width - 60 - sum(map(_width, row))) / max(1, len(row))
        left = 30 + free / 2
        for name in row:
            yield name, left + _width(name) / 2
            left += _width(name) + free


def _job(name: str) -> str:
    """The first line of a module: its one job."""
    module = importlib.import_module(name if name in GENERATED else f"{PACKAGE}.{name}")
    return (module.__doc__ or "").partition("\n")[0]
