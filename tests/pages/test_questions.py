"""Twenty questions of people who know nothing yet: each is answered within two clicks, or by one search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.search.en import SearchEnglish

from .test_site import search_index

pytestmark = pytest.mark.slow


class Question(NamedTuple):
    asked: str
    answered: str  # page and anchor
    by: str  # words of the answer, in the section at the anchor
    search: str  # what somebody types into the search box


QUESTIONS = [
    Question("How do I try it without an account?", "first-message", "Simulator()", "first message"),
    Question("What is a mask?", "options#mask", "shown as the sender", "mask"),
    Question("What does sms_class=0 do?", "options#sms-class", "flash message", "flash message"),
    Question("How do I send tomorrow at nine, and give up at eleven?", "send-later", "expires=", "expires"),
    Question(
        "Can I cancel a scheduled message?", "troubleshooting#cancel-a-scheduled-message", "Not possible", "cancel"
    ),
    Question("How do I send to 100,000 numbers?", "send-to-many", "broadcast_many", "thousands"),
    Question("Why does my text cost two SMS?", "text", "macron", "cost twice"),
    Question("A send timed out. Did the message go out?", "one-send-one-sms", "prove", "timed out"),
    Question("Which exception do I catch, and may I send again?", "failures", "what to do", "exception"),
    Question("My queue retries. How is nobody texted twice?", "ledger", "reference", "ledger"),
    Question("Where do receipts arrive in FastAPI, Flask or Django?", "receiving", "FastAPI", "fastapi"),
    Question("Receipts do not come. Why?", "troubleshooting#receipts-do-not-come", "callback URL", "receipts come"),
    Question(
        "What does the status received mean, and which one is last?", "statuses", "delivered to the handset", "status"
    ),
    Question("The password is right, and the answer is 401.", "troubleshooting", "allow-list", "401"),
    Question("How do I test my application without sending?", "testing", "modica_simulator", "test application"),
    Question("How do I set a proxy?", "production#proxies", "HTTPS_PROXY", "proxy"),
    Question("What is logged? Any personal data?", "configuration#logging", "No phone number", "logging"),
    Question("We use Optus SMS Suite. What is the base URL?", "white-labels", "api.sms.optus.com.au", "optus"),
    Question("What changes when we move from v1 to v2?", "migrating-v1-to-v2", "send_many", "v2"),
    Question("Somebody answered STOP. What now?", "troubleshooting#somebody-answered-stop", "opted_out", "stop"),
]


class Text(HTMLParser):
    """The words of the article on a page, with a mark where each anchor is; and its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if anchor := given.get("id"):
            self.words.append(f"\0{anchor}\0")
        if tag == "a" and (href := given.get("href")):
            self.links.append(href)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def section(self, anchor: str) -> str:
        """What stands behind an anchor, as far as a reader sees at a glance."""
        text = "".join(self.words)
        start = text.index(f"\0{anchor}\0") if anchor else text.index("\0furo-main-content\0")
        return re.sub(r"\0[^\0]*\0", "", text[start:])[: 2500 if anchor else None]


def linked(site: Path, page: str) -> Iterator[str]:
    """The pages that a page links, the navigation included."""
    for link in Text(site / f"{page}.html").links:
        path = urlsplit(link).path
        if path.endswith(".html") and not urlsplit(link).netloc:
            yield unquote(path).removesuffix(".html")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.asked)
def test_a_question_is_answered_within_two_clicks_or_by_one_search(site: Path, question: Question) -> None:
    page, _, anchor = question.answered.partition("#")
    assert question.by.lower() in Text(site / f"{page}.html").section(anchor).lower()
    near = set(linked(site, "index"))
    assert page in near or any(page in linked(site, other) for other in near)
    stem = SearchEnglish({}).stem
    index = search_index(site)
    words = set(question.search.lower().split()) - SearchEnglish.stopwords
    found = [set(index.get(stem(word), ())) for word in words]
    assert page in set.intersection(*found)


def test_there_are_twenty() -> None:
    assert len({question.asked for question in QUESTIONS}) == 20
