"""The page of the simulator, photographed in a Chromium of this machine; no test compares it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

from playwright.sync_api import sync_playwright

from modica_facade import Modica
from modica_facade.simulator import Simulator

_NUMBER, _OTHER = "+64211234567", "+64211234568"
_NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def photograph() -> bytes | None:
    """A PNG; None where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return None
    with Simulator(now=_NOON, control=True) as sim, sync_playwright() as playwright:
        with Modica("clinic", "password", base_url=sim.base_url) as modica:
            modica.send(_OTHER, "Your prescription is ready.")
            modica.send(_NUMBER, "Your appointment is tomorrow at 9. Reply Yes to confirm.", reference="appointment-7")
            sim.advance(2)
            sim.reply(_NUMBER, "Yes")
            sim.plan_receipts("expired", destination=_NUMBER)
            modica.send(_NUMBER, "Tēnā koe, see you then.", reference="appointment-7")
            sim.advance(2)
            sim.fail(status=503, times=1)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 720})
        page.goto(f"{sim.url}/#{_NUMBER}")
        page.get_by_text("not delivered").wait_for()
        page.get_by_text("Armed").wait_for()
        return page.screenshot()
