"""The site that `make docs` builds: no warning, no dead link, nothing from the network, every public name, a search."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import modica_facade
from modica_facade import ledger, simulator, text

from .conftest import ROOT

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a page links, what it can be linked at, and what a browser fetches to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.resources: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and (href := given.get("href")):
            self.links.add(href)
        elif tag in {"script", "img", "iframe", "source"} and (src := given.get("src")):
            self.resources.add(src)
        elif tag == "link" and (href := given.get("href")):
            self.resources.add(href)
        if tag == "img":
            self.images.append(given)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else site / name
            anchors = pages[target.relative_to(site).as_posix()].anchors if target.suffix == ".html" else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors | {""}):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_nothing_is_fetched_from_the_network(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert [resource for resource in page.resources if re.match("(?:https?:)?//", resource)] == [], name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text("utf-8")), style


def test_every_picture_has_a_text_alternative(pages: dict[str, Page]) -> None:
    images = [image for page in pages.values() for image in page.images if "_images/" in (image.get("src") or "")]
    assert images
    for image in images:
        assert len(image.get("alt") or "") > 20, image.get("src")


def test_every_public_name_is_documented(pages: dict[str, Page]) -> None:
    anchors = set().union(*(page.anchors for page in pages.values()))
    documented = {anchor.rpartition(".")[2] for anchor in anchors if anchor.startswith("modica_facade.")}
    public = {name for module in (modica_facade, ledger, simulator, text) for name in module.__all__}
    assert public - {"__version__"} - documented == set()


def search_index(site: Path) -> dict[str, list[str]]:
    """Stemmed word -> the pages that have it, out of the file which the search page loads by a script tag."""
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found: dict[str, list[str]] = {}
    for terms in (index["terms"], index["titleterms"]):
        for word, where in terms.items():
            numbers = where if isinstance(where, list) else [where]
            found.setdefault(word, []).extend(index["docnames"][number] for number in numbers)
    return found


def test_the_search_page_loads_its_index_from_beside_it(site: Path) -> None:
    assert "searchindex.js" in (site / "search.html").read_text("utf-8")
    words = search_index(site)
    for word in ("receipt", "broadcast", "timeout", "fastapi", "keepal"):
        assert words[word], word


OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("mask", "Options of a send"),
        ("macron", "Why local text costs twice"),
        ("401", "Troubleshooting"),
        ("503", "Exceptions"),
    ],
)
def test_the_search_works_in_a_browser_from_a_folder(site: Path, tmp_path: Path, word: str, title: str) -> None:
    shown = subprocess.run(
        [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path}", f"{(site / 'search.html').as_uri()}?q={word}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    results = shown.partition('id="search-results"')[2]
    assert title in re.sub("<[^>]+>", "", results)


def test_the_page_on_the_control_api_has_every_request() -> None:
    document = yaml.safe_load((ROOT / "openapi" / "simulator-control.openapi.yaml").read_text("utf-8"))
    described = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    page = (ROOT / "docs" / "control-api.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", page, re.MULTILINE)) == described
