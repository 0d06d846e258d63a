"""migration: what it reports, where, and what it leaves alone; ``# <- rule`` says all that is expected of a line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modica_facade
from modica_facade import AsyncModica, Modica, ModicaV2, errors, migration, models
from modica_facade.migration import find, main

RULES = [
    "base-url",
    "broadcast",
    "error-code",
    "exception",
    "expires",
    "generated-v1",
    "int-id",
    "lazy-result",
    "lost-field",
    "v1-client",
]


def marks(source: str) -> list[tuple[int, str]]:
    """Line and rule of every mark."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(source.split("\n"), start=1):
        if mark := re.search("# <- (.*)$", line):
            found += [(number, rule) for rule in mark[1].split()]
    return found


def check(source: str) -> None:
    assert [(finding.line, finding.rule) for finding in find(source)] == marks(source)


EACH_WAY = {
    "import and with": """
from modica_facade import Modica  # <- v1-client

with Modica() as client:  # <- v1-client
    sent = client.send("+64211234567", "Kia ora", expires="2030-01-01T00:00:00Z")  # <- expires
    client.broadcast(["+64211234567"], "Kia ora")  # <- broadcast
    client.get(int(sent.id))  # <- int-id int-id
""",
    "aliases": """
import modica_facade as mf
from modica_facade import Modica as M, AsyncModica as Async  # <- v1-client v1-client
from modica_facade.client import Modica  # <- v1-client

client = M()  # <- v1-client
other = mf.client.Modica()  # <- v1-client
client.broadcast([], "")  # <- broadcast
other.broadcast([], "")  # <- broadcast
Client = mf.Modica  # <- v1-client
Client().broadcast_many([], "")  # <- v1-client broadcast
""",
    "a star": """
from modica_facade import *

client = Modica()  # <- v1-client
""",
    "submodule": """
import modica_facade.errors

try:
    pass
except (ValueError, modica_facade.errors.InvalidAttributeError):  # <- exception
    pass
except modica_facade.BroadcastLimitError:  # <- exception
    pass
""",
    "sync, async and siblings": """
from modica_facade import AsyncModica  # <- v1-client


async def main(numbers):
    async with AsyncModica() as client:  # <- v1-client
        await client.broadcast(numbers, "")  # <- broadcast
        patient = client.with_options(timeout=60)
        async for outcome in patient.broadcast_many(numbers, ""):  # <- broadcast
            int(outcome.id)  # <- int-id
        sent = await patient.send("", "", expires=None)  # <- expires
        await client.get(message_id=int(sent.id))  # <- int-id int-id
""",
    "attributes of self": """
from modica_facade import Modica  # <- v1-client


class Sender:
    def __init__(self, client=None):
        self.client = client or Modica()  # <- v1-client

    def go(self):
        self.client.broadcast([], "")  # <- broadcast
        first[0], *rest = self.client, 1


class Heir(Sender):
    def again(self):
        self.client.broadcast([], "")  # <- broadcast
        self.cache.broadcast([], "")


class Redis:
    def __init__(self):
        self.client = redis.Redis()

    def go(self):
        self.client.broadcast([], "")
        self.client.get(5)
""",
    "attributes of others": """
import modica_facade

app.state.sms = modica_facade.Modica()  # <- v1-client


def view(request):
    request.app.state.sms.broadcast([], "")  # <- broadcast
    request.app.state.cache.get(5)
""",
    "annotations": """
from __future__ import annotations
from typing import Annotated, Iterator, Optional
from modica_facade import AsyncModica, Modica, BroadcastOutcome, BroadcastResult  # <- v1-client v1-client


class Settings:
    sms: Modica  # <- v1-client
    quoted: "Modica | None" = None  # <- v1-client

    def go(self):
        self.sms.broadcast([], "")  # <- broadcast
        self.quoted.broadcast([], "")  # <- broadcast


def one(a: Modica | None, b: Optional[AsyncModica], *, c: Annotated[Modica, 1]):  # <- v1-client v1-client v1-client
    a.broadcast([], "")  # <- broadcast
    b.broadcast([], "")  # <- broadcast
    c.broadcast([], "")  # <- broadcast


def two(clients: list[Modica], result: BroadcastResult, rest: Iterator[BroadcastOutcome]):  # <- v1-client
    for client in clients:
        client.get(7)  # <- int-id
    clients[0].get(7)  # <- int-id
    [int(outcome.id) for outcome in result.submitted]  # <- int-id lazy-result
    int(result[0].id)  # <- int-id lazy-result
    return {int(outcome.id) for outcome in list(result)[1:]} | {int(o.id) for o in rest}  # <- int-id int-id
""",
    "quoted annotations": """
from typing import cast
import modica_facade
from modica_facade import AsyncModica, Modica  # <- v1-client v1-client


def one(
    a: "Modica",  # <- v1-client
    b: "list[Modica] | None" = None,  # <- v1-client
    *,
    c: "modica_facade.AsyncModica",  # <- v1-client
) -> "Modica":  # <- v1-client
    a.broadcast([], "")  # <- broadcast
    b[0].broadcast([], "")  # <- broadcast
    c.broadcast([], "")  # <- broadcast
    cast("Modica", x).broadcast([], "")  # <- broadcast


def two(a: "not an annotation", b: "ModicaV2", c: 'list["Modica"]'): ...


one(1).broadcast([], "")  # <- broadcast
""",
    "results": """
from modica_facade import AsyncModica, Modica, ModicaV2  # <- v1-client v1-client


def go(modica: Modica, other):  # <- v1-client
    result = modica.broadcast([], "")  # <- broadcast
    if not result.ok and len(result) > len(result.failed):  # <- lazy-result lazy-result lazy-result
        print(result[0], result[1:], result.submitted)  # <- lazy-result lazy-result lazy-result
    collected = list(result)
    print(collected[0], len(collected), [each.ok for each in collected])
    for outcome in result:
        print(outcome.ok, outcome.id)
    print(other.ok, other[0], len(other), other.failed)
    print(modica.broadcast([], "").ok)  # <- broadcast lazy-result


async def later(modica: "AsyncModica"):  # <- v1-client
    result = await modica.broadcast([], "")  # <- broadcast
    return result.submitted  # <- lazy-result


def on_v2(modica: ModicaV2):
    outcomes = list(modica.send_many([], ""))
    print(outcomes[0], len(outcomes))
""",
    "what functions give": """
import contextlib
import functools
from modica_facade import Modica  # <- v1-client


def declared() -> Modica: ...  # <- v1-client


def inferred():
    return Modica()  # <- v1-client


@contextlib.contextmanager
def yielded():
    with Modica() as client:  # <- v1-client
        yield client


class App:
    @functools.cached_property
    def sms(self) -> Modica:  # <- v1-client
        return make()

    @staticmethod
    def shop(name):
        return Modica()  # <- v1-client

    def go(self):
        self.sms.broadcast([], "")  # <- broadcast
        self.shop(5).broadcast([], "")  # <- broadcast


declared().broadcast([], "")  # <- broadcast
inferred().broadcast([], "")  # <- broadcast
with yielded() as client, contextlib.ExitStack() as stack:
    client.broadcast([], "")  # <- broadcast
    other = stack.enter_context(inferred())
    other.broadcast([], "")  # <- broadcast
    (again := inferred()).get(7)  # <- int-id
    (other if again else client).get(7)  # <- int-id
""",
    "globals": """
from modica_facade import Modica  # <- v1-client

_client = None


def start():
    global _client
    _client = Modica()  # <- v1-client

    def stop():
        nonlocal other
        other = _client

    other = None
    other.broadcast([], "")  # <- broadcast


def go():
    global _client, _not_bound_here
    _client.broadcast([], "")  # <- broadcast
""",
    "subclasses": """
from modica_facade import Modica  # <- v1-client


class Sender(Modica):  # <- v1-client
    def all(self, numbers):
        return self.broadcast(numbers, "")  # <- broadcast


Sender().broadcast([], "")  # <- broadcast


def go(sender: Sender):
    sender.broadcast([], "")  # <- broadcast
""",
    "handed on": """
from functools import partial
from modica_facade import Modica  # <- v1-client

client = Modica()  # <- v1-client
send = partial(client.send, expires=tomorrow)  # <- expires
executor.submit(client.broadcast, numbers, "")  # <- broadcast
executor.submit(store, expires=tomorrow)
""",
    "ints": """
from modica_facade import Modica, DeliveryReceipt, parse_delivery_receipt  # <- v1-client


def on_receipt(receipt: DeliveryReceipt):
    int(receipt.message_id)  # <- int-id
    int(receipt.status)
    int(user.id)


def look(client: Modica, number: int, text: str, row):  # <- v1-client
    client.get(number)  # <- int-id
    client.get(text)
    client.get(row.id)
    client.get(True)
    client.get()
    int(client.get(text).reply_to)  # <- int-id lost-field
    int(parse_delivery_receipt(b"").message_id)  # <- int-id
""",
    "fields": """
from modica_facade import InboundMessage, Message, SubmittedMessage, parse_inbound_message


def on_inbound(message: InboundMessage, stored: Message, sent: SubmittedMessage):
    print(message.reply_to, message.reference, message.operator)  # <- lost-field lost-field
    print(stored.reply_to, stored.reference, stored.operator)  # <- lost-field lost-field
    print(sent.location, sent.reference)  # <- lost-field
    message.reply_to = None
    parse_inbound_message(b"").reference  # <- lost-field
""",
    "error codes": """
from modica_facade import GatewayError

try:
    pass
except GatewayError as error:
    if error.code == "send_failed" or "422" == error.code:  # <- error-code error-code
        print(error.code in ("invalid_json", "x"))  # <- error-code
    match error.code:
        case "missing_attrib" | "invalid_attrib":  # <- error-code error-code
            pass
        case "401":
            pass
    print("send_failed", error.status == "400")
""",
    "base urls": """
import os
from modica_facade import Modica, ModicaV2  # <- v1-client

url = os.environ["MODICA_BASE_URL"]  # <- base-url
environment = dict(os.environ, MODICA_BASE_URL=url)  # <- base-url
Modica(base_url=url)  # <- v1-client base-url
Modica(base_url=None)  # <- v1-client
Modica(base_url="https://api.sms.optus.com.au/rest/gateway")  # <- v1-client base-url
ModicaV2(base_url=url)
connect(base_url=url)
print("see https://api.modicagroup.com/rest/gateway for more", "https://sms.example/rest/gateways")
""",
    "settings without an import": """
SMS_URL = "https://api.modicagroup.com/rest/gateway"  # <- base-url
""",
    "the generated package": """
import modica_gateway_v1.models as models  # <- generated-v1
from modica_gateway_v1.models import NewMessage, NewBroadcast  # <- generated-v1
from modica_sms_v2.models import NewMessage
""",
    "clients that only their name betrays": """
from .clients import modica, modica_v2, sms


def go(app, modica_client, publisher):
    modica.broadcast([], "")  # <- broadcast
    sent = modica.with_options(timeout=1).send("", "")
    int(sent.id)  # <- int-id
    app.modica.broadcast_many([], "")  # <- broadcast
    app.modica().send("", "", expires=None)  # <- expires
    modica_client.get(7)  # <- int-id
    modica_v2.get(7)
    sms.broadcast([], "")
    publisher.broadcast([], "")
""",
    "a name that the file explains otherwise": """
class Other:
    modica = ModicaService()

    def go(self, modica: ModicaService):
        modica.broadcast("x")
        self.modica.broadcast("x")
""",
    "nothing of ours": """
import numpy as np
from . import modica_facade
from .modica_facade import Modica
from flask_socketio import *


def broadcast(expires): ...


class InvalidAttributeError(Exception): ...


np.broadcast([1], [2])
server.broadcast("x", expires=5)
broadcast(expires=5)
handlers[0](5).broadcast("x")
Modica()
client, other = Modica(), 1
client.get(5)
cache.get(5)
try:
    int(row.id)
except InvalidAttributeError as error:
    if error.code == "send_failed":
        pass
response.set_cookie("MODICA", expires=5)
""",
    "v2 already": """
from modica_facade import ModicaV2, AsyncModicaV2, GatewayError, RejectedError, BroadcastInterruptedError

with ModicaV2(base_url="https://api.sms.optus.com.au/rest/sms/v2") as modica:
    sent = modica.send("+64211234567", "Kia ora")
    print(modica.get(sent.id).status)
    try:
        for outcome in modica.send_many(["+64211234567"], "Kia ora"):
            print(outcome.id, outcome.reason)
    except (RejectedError, BroadcastInterruptedError) as error:
        print(error)
""",
    "the nearest name counts": """
from modica_facade import Modica  # <- v1-client

client = Modica()  # <- v1-client


def one():
    client = redis.Redis()
    client.broadcast("x")


def two(client, *clients, **more):
    client.broadcast("x")


def three():
    with open("x") as client, suppress(E):
        client.broadcast("x")
    for (a, [client]) in x:
        client.broadcast("x")
    clients = {"nz": Modica()}  # <- v1-client


class Four:
    client = redis.Redis()

    def go(self):
        self.client.broadcast("x")
        client.broadcast("x")  # <- broadcast


def five(x: dict[str, Modica], y: "not an annotation"):  # <- v1-client
    x.get(5)
    y.get(5)


a = b
b = a
a.broadcast("x")
""",
}


@pytest.mark.parametrize("name", EACH_WAY)
def test_it_reports_what_is_marked_and_nothing_else(name: str) -> None:
    check(EACH_WAY[name])


def test_the_examples_show_every_rule() -> None:
    assert sorted({rule for source in EACH_WAY.values() for _, rule in marks(source)}) == RULES
    documented = re.findall("``([a-z0-9-]+)``", str(migration.Finding.__doc__))
    assert sorted(documented) == RULES


class TestPlaces:
    """Lines and columns are the ones an editor shows."""

    @pytest.mark.parametrize(
        ("source", "line", "text"),
        [
            ("from modica_facade import RetryPolicy, Modica as M", 1, "Modica as M"),
            ("import modica_facade\n\nprint('tēnā koe', modica_facade.Modica)", 3, "Modica)"),
            ("\ufeffmodica.broadcast([])", 1, "broadcast([])"),
            ("x = 1; '🐦'; (modica\n  .with_options()\n\t.broadcast([]))", 3, "broadcast([]))"),
            ("modica.send('', '',\n   expires=None)", 2, "expires=None)"),
            ("modica.get(\n 5)", 2, "5)"),
            ("import modica_facade; import modica_gateway_v1", 1, "import modica_gateway_v1"),
        ],
    )
    def test_a_finding_points_at_the_word_that_changes(self, source: str, line: int, text: str) -> None:
        found = find(source.removeprefix("\ufeff"))[-1]
        assert found.line == line
        assert source.removeprefix("\ufeff").split("\n")[line - 1][found.column - 1 :] == text

    def test_findings_come_in_their_order_and_once(self) -> None:
        source = EACH_WAY["import and with"]
        found = find(source)
        assert found == sorted(set(found))
        assert len(found) == 6


class TestItsTables:
    """What it knows of the package by heart is what the package is."""

    def test_every_name_it_knows_is_exported(self) -> None:
        modules = set(migration._MODULES)
        assert set(migration._EXPORTS) - modules <= set(modica_facade.__all__)
        assert modules <= set(dir(modica_facade))

    def test_methods_give_what_it_thinks_they_give(self) -> None:
        methods: dict[str, Callable[..., Any]] = vars(Modica) | vars(ModicaV2)
        for name, kind in migration._METHODS.items():
            gives = get_type_hints(methods[name])["return"]
            wanted = "BroadcastOutcome" if name.endswith("_many") else kind.removeprefix("-> ")
            assert wanted in str(gives), name

    def test_what_it_calls_gone_is_gone(self) -> None:
        for v1, v2 in migration._V1.items():
            assert hasattr(modica_facade, v1)
            assert not hasattr(getattr(modica_facade, v2), "broadcast")
        for kind, field in migration._ALWAYS_NONE:
            assert field in attrs.fields_dict(getattr(models, kind))
        for name in migration._CLASSES_OF_CODES:
            assert issubclass(getattr(errors, name), errors.GatewayError)


class TestTheCommand:
    def test_lines_read_like_those_of_grep(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.py").write_text("modica.broadcast(numbers, text)\nmodica.get(5)\n")
        (tmp_path / "b.py").write_text("print()\n")
        assert main([str(tmp_path)]) == 1
        out, err = capsys.readouterr()
        assert out == (
            f"{tmp_path / 'a.py'}:1:8: v2 has no broadcast; use send_many: one request each, the same outcomes; "
            "it sends only while you iterate over them\n"
            f"{tmp_path / 'a.py'}:2:12: v2 ids are UUIDs, not int; keep and pass ids as str\n"
        )
        assert err == "2 findings in 2 files; not followed: 0; not read: 0\n"

    def test_nothing_to_change_is_exit_code_0(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.py").write_text("print()\n")
        assert main([str(tmp_path)]) == 0
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"def (:", "SyntaxError"),
            (b"# \xe9", "UnicodeDecodeError|SyntaxError"),
            (b"# -*- coding: klingon -*-", "unknown encoding"),
            (b"x = '\0'", "null byte"),
            (b"x = " + b"(" * 100_000, "Error"),
            (b"x = " + b"-" * 100_000 + b"1", "Error"),
        ],
    )
    def test_what_cannot_be_read_is_said_and_the_rest_is_read(
        self, content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bad, good = tmp_path / "a.py", tmp_path / "b.py"
        bad.write_bytes(content)
        good.write_text("modica.get(5)")
        assert main([str(tmp_path)]) == 3
        out, err = capsys.readouterr()
        assert out.startswith(f"{good}:1:12: ")
        assert re.match(f"{re.escape(str(bad))}: not read: .*({reason})", err)
        assert err.endswith("1 findings in 2 files; not followed: 0; not read: 1\n")
        good.unlink()
        assert main([str(tmp_path)]) == 2

    def test_notebooks_are_named_and_not_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        notebook = tmp_path / "a.ipynb"
        notebook.write_text('{"cells": [{"source": "modica.broadcast(numbers, text)"}]}')
        assert main([str(tmp_path)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.splitlines()[0]) == (
            "",
            f"{notebook}: not followed: notebooks are not read: search this one by hand",
        )
        (tmp_path / "b.py").write_text("modica.get(5)")
        assert main([str(tmp_path)]) == 3

    @pytest.mark.parametrize(
        "line",
        [
            "x = {'nz': @modica}",
            "x = [1, @modica]",
            "x = (@modica, 1)",
            "x = {@modica}",
            "x = [@modica.with_options(timeout=n) for n in range(3)]",
            "x = {n: @modica for n in names}",
            "x['nz'] = @modica",
            "x.append(@modica)",
            "x.setdefault('nz', @modica)",
        ],
    )
    def test_a_client_among_others_is_listed_where_it_goes_out_of_sight(
        self, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "a.py"
        file.write_text(line.replace("@", ""))
        assert main([str(file)]) == 2
        first, _ = capsys.readouterr().err.splitlines()
        assert first.startswith(f"{file}:1:{line.index('@') + 1}: not followed: a client is put among others here")

    @pytest.mark.parametrize(
        "line",
        [
            "x, modica = y, z",
            "(modica, x) = y",
            "x = [modica.id]",
            "x.append(modica_v2)",
            "del (modica, x)",
            "x = modica",
        ],
    )
    def test_what_is_no_client_or_goes_nowhere_is_not_listed(self, line: str, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text(line)
        assert main([str(tmp_path)]) == 0

    @pytest.mark.skipif(os.name != "posix", reason="has pipes in directories")
    def test_only_files_are_opened(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.py").mkdir()
        (tmp_path / "b.py").symlink_to(tmp_path / "nowhere")
        os.mkfifo(tmp_path / "c.py")
        assert main([str(tmp_path)]) == 0
        assert capsys.readouterr().err == "0 findings in 0 files; not followed: 0; not read: 0\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
    def test_files_are_read_as_python_reads_them(
        self, encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declared = f"# coding: {encoding}\r\n" if encoding == "latin-1" else "\r\n"
        (tmp_path / "a.py").write_bytes(f"{declared}'é'; modica.get(5)\r\n".encode(encoding))
        code = main([str(tmp_path)])
        assert code == (2 if encoding == "utf-16" else 1)
        assert (":2:17: " in capsys.readouterr().out) is (code == 1)

    def test_it_prints_to_whatever_stands_for_a_terminal(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text("modica.get(5)")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            main([str(tmp_path)])
        assert out.getvalue().startswith(f"{tmp_path / 'a.py'}:1:12: ")

    def test_json_says_the_same(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.py").write_text("modica.get(5)")
        (tmp_path / "b.py").write_text("(")
        (tmp_path / "c.py").write_text("clients = [modica]")
        (tmp_path / "d.ipynb").write_text("{}")
        assert main([str(tmp_path), "--json"]) == 3
        said = json.loads(capsys.readouterr().out)
        assert said["files"] == 4
        assert said["findings"] == [
            {
                "path": str(tmp_path / "a.py"),
                "line": 1,
                "column": 12,
                "rule": "int-id",
                "what": "v2 ids are UUIDs, not int",
                "action": "keep and pass ids as str",
            }
        ]
        assert [entry["path"] for entry in said["unreadable"]] == [str(tmp_path / "b.py")]
        assert [(entry["path"], entry["line"], entry["column"]) for entry in said["not_followed"]] == [
            (str(tmp_path / "c.py"), 1, 12),
            (str(tmp_path / "d.ipynb"), 0, 0),
        ]

    def test_hidden_directories_and_other_peoples_packages_are_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "env").mkdir()
        (tmp_path / "env" / "pyvenv.cfg").touch()
        for name in ("src/app", ".git", "env/lib", "node_modules", "src/__pycache__", "x/site-packages"):
            folder = tmp_path / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "a.py").write_text("modica.get(5)")
            (folder / "a.txt").write_text("modica.get(5)")
        assert main([str(tmp_path)]) == 1
        assert capsys.readouterr().out.startswith(f"{tmp_path / 'src' / 'app' / 'a.py'}:1:12: ")
        assert main([str(tmp_path / ".git" / "a.py"), str(tmp_path / "src")]) == 1
        assert len(capsys.readouterr().out.splitlines()) == 2

    @pytest.mark.skipif(sys.platform != "linux", reason="where file names are bytes")
    def test_a_file_name_need_not_be_text(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"\xe9.py")).write_text("modica.get(5)")
        done = subprocess.run(
            [sys.executable, "-m", "modica_facade.migration", str(tmp_path)], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (1, b"1 findings in 1 files; not followed: 0; not read: 0\n")
        assert rb"\udce9.py:1:12: " in done.stdout

    @pytest.mark.parametrize("arguments", [[], ["nowhere"], ["--yaml", "."]])
    def test_wrong_usage_is_exit_code_2(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert "usage: python -m modica_facade.migration" in capsys.readouterr().err


PIECES = st.sampled_from(
    [
        *("from modica_facade import *", "import modica_facade as a", "a = Modica()", "a = b", "b = a.with_options()"),
        *("b.broadcast(a)", "a.x = b.x", "def a(b: a) -> b: return a()", "class b(a): x = b", "a: 'b | a[b]' = a"),
        *("for a in b.submitted: int(a.id)", "with a() as b, b as a: pass", "global a", "a, (b, *c) = a[b]"),
        *("try: pass\nexcept a.errors.b as a: pass", "(lambda a: a.get(1))(b)", "b = [a async for a in b.broadcast()]"),
        *(
            "from .modica_facade import (Modica)",
            "a.b.c.d = a if b else a or b",
            "del a",
            "match a.code:\n case '400': pass",
        ),
    ]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=12).map("\n".join))
def test_no_source_brings_it_down(source: str) -> None:
    try:
        found = find(source)
    except (SyntaxError, ValueError):
        return
    lines = source.split("\n")
    for finding in found:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1])
        assert f"{finding.what}{finding.action}".isprintable()


def test_it_does_not_look_at_the_sync_and_async_code_differently() -> None:
    source = EACH_WAY["import and with"]
    blocking, asynchronous = find(source), find(source.replace("Modica", AsyncModica.__name__))
    assert [finding.rule for finding in blocking] == [finding.rule for finding in asynchronous]


def test_warnings_of_the_code_it_reads_are_not_its_own() -> None:
    assert find("'\\d' is 1") == []
