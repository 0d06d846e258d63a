"""The page of the simulator, driven in a real Chromium: what a person sees and does, without a sleep."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from modica_facade import Modica, ModicaV2, ServerError
from modica_facade.simulator import Application, Simulator, serve

from ..support.callback_receiver import Receiver
from .support import NOON, NUMBER, OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# A sandbox needs a user of its own; the rest keeps the browser from calling home.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SCRIPT = "<img src=x onerror=document.title='broken'>&amp;"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "there is no Chromium here: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(now=NOON, control=True) as sim:
        yield sim


@pytest.fixture
def receiver(sim: Simulator) -> Iterator[Receiver]:
    receiver = Receiver()
    with serve(receiver) as url:
        sim.dlr_url = sim.mo_url = url
        yield receiver


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        yield context


@pytest.fixture
def open_page(context: BrowserContext, sim: Simulator) -> Iterator[Callable[..., Page]]:
    """Opens the page in a new tab; whatever the browser complains of fails the test."""
    complaints: list[str] = []

    def open_tab(fragment: str = "", url: str = "") -> Page:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url or sim.url}/{fragment}")
        # It is connected and has loaded everything once the clock shows the simulator's time.
        expect(page.get_by_role("complementary").locator("time")).to_have_attribute("datetime", re.compile("^20"))
        return page

    yield open_tab
    # The browser reports refused requests and lost connections itself; the page says in words what they mean.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def modica(sim: Simulator) -> Iterator[Modica]:
    with Modica("shop", "password", base_url=sim.base_url) as modica:
        yield modica


def phone(page: Page, number: str) -> Any:
    return page.get_by_role("navigation").get_by_role("button", name=number)


def bubbles(page: Page) -> Any:
    return page.get_by_role("log").get_by_role("listitem")


def drawn(page: Page) -> None:
    """Two pictures later: what an event or a message has asked for is done."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@contextlib.contextmanager
def hidden(page: Page) -> Iterator[None]:
    """As if another tab were in front of it."""
    for value in ("true", "false"):
        page.evaluate(
            f"Object.defineProperty(document, 'hidden', {{value: {value}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        if value == "true":
            yield


def test_a_message_is_a_bubble_whose_ticks_follow_its_receipts(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica
) -> None:
    page = open_page()
    sent = modica.send(NUMBER, "Tēnā koe", reference="order-42")
    phone(page, NUMBER).click()
    bubble = bubbles(page)
    expect(bubble).to_have_count(1)
    for text in ("Tēnā koe", "accepted", "order-42", "1 SMS, UCS-2", "shop", sent.id):
        expect(bubble).to_contain_text(text)
    sim.advance(1)
    expect(bubble).to_contain_text("✓ sent")
    sim.advance(1)
    expect(bubble).to_contain_text("✓✓ delivered")
    assert urlsplit(page.url).fragment == "%2B64211234567"


def test_the_phone_that_is_open_is_marked_in_the_list_also_when_it_comes_later(
    open_page: Callable[..., Page], modica: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    modica.broadcast([NUMBER, OTHER], "Kia ora")
    expect(phone(page, NUMBER)).to_have_attribute("aria-current", "true")
    expect(phone(page, OTHER)).to_have_attribute("aria-current", "false")


def test_a_failure_is_said_in_words(open_page: Callable[..., Page], sim: Simulator, modica: Modica) -> None:
    page = open_page(f"#{NUMBER}")
    sim.plan_receipts("rejected")
    modica.send(NUMBER, "Kia ora")
    sim.advance(1)
    expect(bubbles(page)).to_contain_text("not delivered: rejected")


def test_a_reply_reaches_the_application(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica, receiver: Receiver
) -> None:
    page = open_page(f"#{NUMBER}")
    sent = modica.send(NUMBER, "Coming?", reference="r-1")
    expect(bubbles(page)).to_have_count(1)
    page.get_by_label("Reply from this phone").fill("Yes, at 9")
    page.get_by_role("button", name="Send reply").click()
    expect(bubbles(page).last).to_contain_text(f"reply to {sent.id}")
    expect(page.get_by_label("Reply from this phone")).to_have_value("")
    page.get_by_role("button", name="STOP", exact=True).click()
    expect(bubbles(page)).to_have_count(3)
    page.get_by_label("base64").check()
    page.get_by_label("Reply from this phone").fill("AAEC")
    page.get_by_role("button", name="Send reply").click()
    expect(bubbles(page)).to_have_count(4)
    sim.deliver()
    payloads = [payload for payload in receiver.payloads if "content" in payload]
    assert [(each["content"], each.get("encoding"), each["reference"]) for each in payloads] == [
        ("Yes, at 9", None, "r-1"),
        ("STOP", None, "r-1"),
        ("AAEC", "base64", "r-1"),
    ]


def test_a_phone_that_no_message_has_reached_can_write_first(open_page: Callable[..., Page], sim: Simulator) -> None:
    page = open_page()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type(NUMBER)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_role("banner").get_by_role("status")).to_contain_text("no message has left for +64211234567")
    page.get_by_label("answers no message").check()
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(bubbles(page)).to_contain_text("answers no message")
    assert [message.content for message in sim.find_messages(direction="MO")] == ["Yes"]


def test_two_tabs_show_the_same(open_page: Callable[..., Page], sim: Simulator, modica: Modica) -> None:
    one, two = open_page(f"#{NUMBER}"), open_page(f"#{NUMBER}")
    modica.send(NUMBER, "Kia ora")
    for page in (one, two):
        expect(bubbles(page)).to_have_count(1)
    one.get_by_role("button", name="Clear everything").click()
    for page in (one, two):
        expect(bubbles(page)).to_have_count(0)
        expect(page.get_by_text("No messages yet")).to_be_visible()
    assert sim.messages == []


def test_a_restart_is_shown_calmly_and_survived(open_page: Callable[..., Page], sim: Simulator, modica: Modica) -> None:
    page = open_page(f"#{NUMBER}")
    modica.send(NUMBER, "Before")
    expect(bubbles(page)).to_contain_text("Before")
    port = urlsplit(sim.url).port
    assert port is not None
    sim.stop()
    sign = page.get_by_text("The simulator does not answer.")
    expect(sign).to_be_visible()
    with Simulator(now=NOON, control=True, port=port) as new, Modica("shop", "x", base_url=new.base_url) as other:
        other.send(NUMBER, "After")
        expect(sign).to_be_hidden(timeout=30_000)
        expect(bubbles(page)).to_have_count(1)
        expect(bubbles(page)).to_contain_text("After")


def test_a_thousand_phones(open_page: Callable[..., Page], modica: Modica) -> None:
    page = open_page()
    modica.broadcast([f"+642112345{n:03}" for n in range(1000)], "Kia ora koutou")
    shown = page.get_by_role("navigation").get_by_role("listitem")
    expect(shown).to_have_count(1000)
    page.get_by_label("Search").fill("5999")
    expect(shown.filter(visible=True)).to_have_count(1)


def test_thousands_of_messages_to_one_phone(open_page: Callable[..., Page], modica: Modica) -> None:
    """Each costs what the first did: three thousand took minutes when every one was scrolled to."""
    page = open_page(f"#{NUMBER}")
    for _ in range(3):
        modica.broadcast([NUMBER] * 1000, "Kia ora koutou")
    expect(bubbles(page)).to_have_count(3000, timeout=60_000)
    expect(bubbles(page).last).to_be_in_viewport()
    page.reload()
    expect(bubbles(page)).to_have_count(3000, timeout=60_000)


def test_who_has_scrolled_up_to_read_is_left_there(open_page: Callable[..., Page], modica: Modica) -> None:
    page = open_page(f"#{NUMBER}")
    modica.broadcast([NUMBER] * 50, "Kia ora koutou")
    expect(bubbles(page).last).to_be_in_viewport()
    bubbles(page).first.scroll_into_view_if_needed()
    expect(bubbles(page).first).to_be_in_viewport()
    drawn(page)
    modica.send(NUMBER, "One more")
    expect(bubbles(page)).to_have_count(51)
    drawn(page)
    expect(bubbles(page).first).to_be_in_viewport()


@pytest.mark.parametrize("fragment", ["%", "%E0%A4%A", "%zz+64"])
def test_an_address_with_a_broken_encoding_is_a_number_like_any_other(
    open_page: Callable[..., Page], modica: Modica, fragment: str
) -> None:
    page = open_page(f"#{fragment}")
    expect(page.get_by_role("main").get_by_role("heading")).to_have_text(fragment)
    modica.send(NUMBER, "Kia ora")
    phone(page, NUMBER).click()
    expect(bubbles(page)).to_have_count(1)


def test_the_focus_stays_where_it_is_while_messages_and_receipts_come(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    modica.send(NUMBER, "One")
    modica.send(OTHER, "Two")
    expect(phone(page, OTHER)).to_be_visible()
    phone(page, NUMBER).focus()
    modica.send(NUMBER, "Three")
    expect(bubbles(page)).to_have_count(2)
    expect(phone(page, NUMBER)).to_be_focused()
    bubbles(page).first.get_by_role("button", name="Copy as curl").focus()
    sim.advance(1)
    expect(bubbles(page).first).to_contain_text("✓ sent")
    expect(bubbles(page).first.get_by_role("button", name="Copy as curl")).to_be_focused()


def test_text_is_read_in_its_own_direction_and_turns_nothing_around_it(
    open_page: Callable[..., Page], modica: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    modica.send(NUMBER, "مرحبا بالعالم", reference="\u202eorder")
    expect(bubbles(page).locator("p")).to_have_css("direction", "rtl")
    expect(bubbles(page).locator("bdi").first).to_have_text("reference \u202eorder")


def test_nothing_long_is_wider_than_its_place(open_page: Callable[..., Page], sim: Simulator) -> None:
    page = open_page(f"#{NUMBER}")
    page.set_viewport_size({"width": 1100, "height": 700})
    sim.dlr_url = f"http://127.0.0.1:9/{'p' * 300}"
    for name in ("a" * 255, "b" * 255):
        with Modica(name, "password", base_url=sim.base_url) as modica:
            modica.send(NUMBER, "w" * 500, reference="r" * 255)
    sim.advance(2)
    expect(bubbles(page)).to_have_count(2)
    for place in ("nav", "#phones", "#thread", "aside"):
        too_wide = page.locator(place).evaluate("(each) => each.scrollWidth - each.clientWidth")
        assert (place, too_wide) == (place, 0)


def test_a_message_stays_text(open_page: Callable[..., Page], modica: Modica) -> None:
    page = open_page()
    modica.send(NUMBER, SCRIPT, reference=SCRIPT)
    phone(page, NUMBER).click()
    expect(bubbles(page).locator("p")).to_have_text(SCRIPT)
    expect(page.locator("img")).to_have_count(0)
    assert page.title() == "Modica simulator: phones"


def test_a_hidden_tab_gives_its_connection_back_and_catches_up(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    modica.send(NUMBER, "One")
    expect(bubbles(page)).to_have_count(1)
    with hidden(page):
        modica.send(NUMBER, "Two")
        sim.advance(2)
        assert page.evaluate("stream") is None
        expect(bubbles(page)).to_have_count(1)
    expect(bubbles(page)).to_have_count(2)
    expect(bubbles(page).last).to_contain_text("✓✓ delivered")


def test_the_clock_is_moved_and_a_scheduled_message_counts_down(
    open_page: Callable[..., Page], sim: Simulator, sim_client: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    sim_client.send(NUMBER, "Later", scheduled=NOON + timedelta(hours=3))
    expect(bubbles(page)).to_contain_text("leaves in 3 h")
    page.get_by_role("button", name="+1 h", exact=True).click()
    expect(bubbles(page)).to_contain_text("leaves in 2 h")
    page.get_by_role("button", name="To the next event").click()
    expect(bubbles(page)).to_contain_text("✓ sent")
    page.get_by_role("button", name="To the next event").click()
    expect(bubbles(page)).to_contain_text("✓✓ delivered")
    expect(page.get_by_role("button", name="To the next event")).to_be_disabled()
    assert sim.now == NOON + timedelta(hours=3, seconds=2)
    page.get_by_role("button", name="Stopped").click()
    expect(page.get_by_role("button", name="Running")).to_have_attribute("aria-pressed", "true")
    assert sim.running


def test_an_old_answer_does_not_turn_the_clock_back(open_page: Callable[..., Page], sim: Simulator) -> None:
    page = open_page()
    shown = page.get_by_role("complementary").locator("time")

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        sim.advance(3600)
        expect(shown).to_have_attribute("datetime", re.compile("T13:"))
        route.fulfill(response=answer)

    page.route("**/_modica/v1/clock", answer_late)
    page.evaluate("readClock()")
    expect(shown).to_have_attribute("datetime", re.compile("T13:"))


@pytest.fixture
def sim_client(modica: Modica, monkeypatch: pytest.MonkeyPatch) -> Modica:
    """A client that believes the simulator's clock."""
    monkeypatch.setattr("modica_facade._arguments.utc_now", lambda: NOON)
    return modica


def test_a_fault_is_armed_shown_and_taken_back(open_page: Callable[..., Page], sim: Simulator, modica: Modica) -> None:
    page = open_page()
    page.get_by_role("button", name="503, but sent").click()
    armed = page.get_by_role("list", name="Armed faults").get_by_role("listitem")
    expect(armed).to_have_text(re.compile("Armed: 503, sent all the same, 1 ×"))
    with pytest.raises(ServerError):
        modica.send(NUMBER, "Kia ora")
    expect(armed).to_have_count(0)
    page.get_by_role("button", name="Hang up before it is read").click()
    armed.get_by_role("button", name="Remove").click()
    expect(armed).to_have_count(0)
    modica.send(NUMBER, "Kia ora")
    page.get_by_role("button", name="Never").click()
    expect(page.get_by_role("button", name="Never")).to_have_attribute("aria-pressed", "true")
    assert sim.callback_faults == {"duplicate": 0, "drop": 1, "reorder": 0, "overtake": 0}


def test_every_callback_is_listed_with_its_result_and_can_be_posted_again(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica, receiver: Receiver
) -> None:
    page = open_page()
    sent = modica.send(NUMBER, "Kia ora")
    receiver.statuses = [400]
    sim.advance(1)
    log = page.get_by_role("list", name="Callback log").get_by_role("listitem")
    expect(log.last).to_contain_text(f"receipt sent {sent.id}")
    expect(log.last).to_contain_text("HTTP 400")
    shown = log.count()
    log.last.get_by_role("button", name="Resend").click()
    expect(log).to_have_count(shown + 1)
    expect(log.first).to_contain_text("HTTP 200")


def test_a_message_can_be_sent_again_by_the_command_that_is_copied(
    open_page: Callable[..., Page], sim: Simulator, modica: Modica
) -> None:
    page = open_page(f"#{NUMBER}")
    modica.send(NUMBER, "It's $HOME `now`", reference="r-1")
    with ModicaV2("shop", "password", base_url=sim.v2_base_url) as v2:
        v2.send(NUMBER, "Second")
    expect(bubbles(page)).to_have_count(2)
    for bubble in (bubbles(page).nth(0), bubbles(page).nth(1)):
        page.evaluate("say('')")
        bubble.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("banner").get_by_role("status")).to_have_text("Copied.")
        curl, _, credentials, _, header, _, body, url = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        name, _, value = header.partition(": ")
        auth = httpx.BasicAuth(*credentials.split(":"))
        answer = httpx.post(url, content=body, headers={name: value}, auth=auth, trust_env=False)
        assert (curl, answer.is_success) == ("curl", True)
    assert [(each.content, each.reference) for each in sim.messages] == [
        ("It's $HOME `now`", "r-1"),
        ("Second", None),
    ] * 2


def test_applications_are_filtered(context: BrowserContext, open_page: Callable[..., Page]) -> None:
    applications = {"shop": Application("one"), "clinic": Application("two")}
    with Simulator(control=True, applications=applications) as sim:
        page = open_page(url=sim.url)
        for name, password, number in (("shop", "one", NUMBER), ("clinic", "two", OTHER)):
            with Modica(name, password, base_url=sim.base_url) as modica:
                modica.send(number, "Kia ora")
        expect(phone(page, NUMBER)).to_be_visible()
        page.get_by_label("Application").select_option("clinic")
        expect(phone(page, NUMBER)).to_be_hidden()
        expect(phone(page, OTHER)).to_be_visible()


def test_the_list_is_walked_by_keyboard_and_dark_mode_is_followed(
    open_page: Callable[..., Page], modica: Modica
) -> None:
    page = open_page()
    modica.send(NUMBER, "One")
    modica.send(OTHER, "Two")
    expect(phone(page, OTHER)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    expect(phone(page, OTHER)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(phone(page, NUMBER)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("heading")).to_have_text(NUMBER)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
