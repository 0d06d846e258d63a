"""`modica demo` as a recording of a terminal: what it prints, with what differs from run to run made equal."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final
from xml.sax.saxutils import escape

from .svg import MONO

COMMAND: Final = "modica demo"
SIZE, LINE, LEFT, TOP = 14, 21, 20, 56
SECONDS_PER_STEP: Final = 1.1


def run() -> str:
    """The output of the command, normalised: a fixed port for each server and a fixed reference."""
    printed = subprocess.run(
        [sys.executable, "-m", "modica_facade", "demo"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    ports: dict[str, str] = {}
    text = re.sub(
        r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports.setdefault(found[1], f'804{len(ports)}')}", printed
    )
    return re.sub(r"demo-[0-9a-f]{8}", "demo-5eed5eed", text)


def draw() -> str:
    """The picture; still for those who asked their system for less motion."""
    lines = run().splitlines()
    width = round(max(len(line) for line in lines) * SIZE * 0.602 + LEFT * 2)
    height = TOP + LINE * (len(lines) + 1) + 8
    step, body = 0, []
    for number, line in enumerate([f"$ {COMMAND}", *lines]):
        step += bool(re.match(r"\d\. ", line)) or number == 1
        colour = "#8fd19e" if number == 0 else "#e6edf3" if re.match(r"\S", line) else "#a9b7c4"
        body.append(
            f'<text class="step" style="animation-delay:{step * SECONDS_PER_STEP:.1f}s" x="{LEFT}" '
            f'y="{TOP + LINE * number}" fill="{colour}" xml:space="preserve">{escape(line)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description" font-family="{MONO}" font-size="{SIZE}">\n'
        f'<title id="title">A terminal runs {COMMAND}</title>\n'
        f'<desc id="description">{escape(" ".join(" ".join(lines).split()))}</desc>\n'
        "<style>@keyframes appear{from{opacity:0}}.step{animation:appear .25s backwards}"
        "@media (prefers-reduced-motion:reduce){.step{animation:none}}</style>\n"
        f'<rect width="{width}" height="{height}" rx="10" fill="#1b2430"/>\n'
        + "".join(
            f'<circle cx="{22 + 20 * n}" cy="20" r="6" fill="{c}"/>'
            for n, c in enumerate(("#f2695c", "#f5bd4f", "#61c554"))
        )
        + "\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )
