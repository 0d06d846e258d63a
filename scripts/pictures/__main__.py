"""Write docs/pictures: `make pictures`."""

from __future__ import annotations

from pathlib import Path

from . import exceptions, house, ledger, parts, phones, recording, send

PICTURES = {
    "demo": recording.draw,
    "exceptions": exceptions.draw,
    "house": house.draw,
    "ledger": ledger.draw,
    "parts": parts.draw,
    "send": send.draw,
}
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        path = FOLDER / f"{name}.svg"
        path.write_text(draw(), "utf-8")
        print(path.relative_to(FOLDER.parents[1]))
    path = FOLDER / "phones.png"
    if (png := phones.photograph()) is None:
        print("phones.png stays as it is: there is no Chromium here (apt-get install chromium)")
    else:
        path.write_bytes(png)
        print(path.relative_to(FOLDER.parents[1]))
