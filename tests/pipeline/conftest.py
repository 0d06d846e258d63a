"""What the tests of the pipeline work on: a workspace of their own, and a web site on this machine."""

from __future__ import annotations

import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import (
    regenerate,
    update_spec,
)
from scripts.pipeline.apis import APIS, Api
from scripts.pipeline.document import parse

from .comparing import (
    LIVE,
    ROOT,
)
from .mutations import (
    OPENAPI,
    Document,
)


class Pages(http.server.BaseHTTPRequestHandler):
    pages: dict[str, tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        status, headers, body = self.pages.get(self.path, (404, {}, b"no"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class has this signature
        """Say nothing."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]]:
    """A web site on this machine: its address, and its pages to fill in."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Handler", (Pages,), {"pages": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


GENERATED: dict[str, dict[str, bytes]] = {
    json.dumps(parse((LIVE / api.product).read_bytes(), api.product)): regenerate.read_tree(
        ROOT / "generated" / api.package
    )
    for api in APIS
}
generate = regenerate.generate


def generate_once(product: Document, api: Api, package: Path) -> None:
    """The generator, run once for each document: test_regenerate.py shows that it always makes the same of it."""
    key = json.dumps(product)
    if key not in GENERATED:
        generate(product, api, package)
        GENERATED[key] = regenerate.read_tree(package)
    for name, data in GENERATED[key].items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(data)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything the pipeline reads and writes, as the documents of the table make it."""
    monkeypatch.setattr(regenerate, "generate", generate_once)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    regenerate.build(OPENAPI, workspace)
    shutil.copytree(OPENAPI, workspace / "openapi", dirs_exist_ok=True)
    shutil.copytree(ROOT / "scripts", workspace / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return workspace


@pytest.fixture
def update(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs update_spec.py on the workspace: exit status, what it printed, what it complained of."""
    monkeypatch.setattr(update_spec, "ROOT", workspace)

    def update(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["update_spec.py", *arguments])
        code = update_spec.main()
        return (code, *capsys.readouterr())

    return update
