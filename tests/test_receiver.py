"""receiver: credentials, body, handler, status code; by ASGI, WSGI and as a Django view, on real servers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import io
import json
import logging
import pickle
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import httpx
import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from modica_facade.callbacks import MAX_CALLBACK_BYTES, DeliveryTracker
from modica_facade.errors import ConfigurationError, InvalidCallbackError
from modica_facade.models import DeliveryReceipt, InboundMessage
from modica_facade.receiver import CallbackReceiver

RECEIPT = DeliveryReceipt("1234567890", "received", "order-7")
RECEIPT_BODY = b'{"message_id": "1234567890", "status": "received", "reference": "order-7"}'
MESSAGE = InboundMessage("7", "+64211234567", "2345", "Kia ora")
MESSAGE_BODY = b'{"id": 7, "source": "+64211234567", "destination": "2345", "content": "Kia ora"}'
UNREADABLE = b'{"message_id": "1234567890", "+64211234567": "Kia ora"}'

Post = Callable[..., httpx.Response]


def asgi(app: Any, *, url: str = "http://testserver/", method: str = "POST", **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.request(method, url, **request)

    return asyncio.run(send())


def wsgi(app: Any, *, url: str = "http://testserver/", method: str = "POST", **request: Any) -> httpx.Response:
    with httpx.Client(transport=httpx.WSGITransport(app)) as client:
        return client.request(method, url, **request)


@pytest.fixture(params=["asgi", "wsgi"])
def post(request: pytest.FixtureRequest) -> Post:
    """Call a receiver as an ASGI or as a WSGI application."""
    if request.param == "asgi":
        return lambda receiver, **kwargs: asgi(receiver.asgi, **kwargs)
    return lambda receiver, **kwargs: wsgi(receiver.wsgi, **kwargs)


class Inbox:
    """Handlers that keep what they get."""

    def __init__(self) -> None:
        self.receipts: list[DeliveryReceipt] = []
        self.messages: list[InboundMessage] = []

    async def on_inbound(self, message: InboundMessage) -> None:
        self.messages.append(message)

    def receiver(self, **options: Any) -> CallbackReceiver:
        return CallbackReceiver(on_receipt=self.receipts.append, on_inbound=self.on_inbound, **options)


# From request to handler


def test_each_kind_reaches_its_handler(post: Post) -> None:
    inbox = Inbox()
    receiver = inbox.receiver()
    assert post(receiver, content=RECEIPT_BODY).status_code == 200
    assert post(receiver, content=MESSAGE_BODY, url="http://testserver/any/path?any=query").status_code == 200
    assert (inbox.receipts, inbox.messages) == ([RECEIPT], [MESSAGE])


def test_a_kind_without_a_handler_is_acknowledged(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert post(CallbackReceiver(), content=RECEIPT_BODY).status_code == 200
    assert post(CallbackReceiver(), content=MESSAGE_BODY).status_code == 200
    assert "no on_receipt" in caplog.text
    assert "no on_inbound" in caplog.text


def test_the_answer_waits_until_the_handler_has_returned() -> None:
    async def main() -> None:
        called, may_return = asyncio.Event(), asyncio.Event()

        async def on_receipt(receipt: DeliveryReceipt) -> None:
            called.set()
            await may_return.wait()

        app = CallbackReceiver(on_receipt=on_receipt).asgi
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answer = asyncio.create_task(client.post("http://testserver/", content=RECEIPT_BODY))
            await called.wait()
            await asyncio.sleep(0)
            assert not answer.done()
            may_return.set()
            assert (await answer).status_code == 200

    asyncio.run(main())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_and_told_which_one_is_allowed(post: Post, method: str) -> None:
    inbox = Inbox()
    answer = post(inbox.receiver(), content=RECEIPT_BODY, method=method)
    assert (answer.status_code, answer.headers["allow"], inbox.receipts) == (405, "POST", [])


@pytest.mark.parametrize("body", [UNREADABLE, b"", b"[" * 100_000, b"\xff", RECEIPT_BODY[:-1]])
def test_an_unreadable_callback_is_answered_400(post: Post, body: bytes) -> None:
    inbox = Inbox()
    assert post(inbox.receiver(), content=body).status_code == 400
    assert (inbox.receipts, inbox.messages) == ([], [])


def test_a_body_above_the_limit_is_answered_413(post: Post) -> None:
    inbox = Inbox()
    receiver = inbox.receiver(max_body=len(RECEIPT_BODY))
    assert post(receiver, content=RECEIPT_BODY).status_code == 200
    assert post(receiver, content=RECEIPT_BODY + b" ").status_code == 413
    assert inbox.receipts == [RECEIPT]


def test_by_default_256_kib_are_read(post: Post) -> None:
    inbox = Inbox()
    longest = RECEIPT_BODY.ljust(262_144)
    assert post(inbox.receiver(), content=longest).status_code == 200
    assert post(inbox.receiver(), content=longest + b" ").status_code == 413
    assert post(inbox.receiver(max_body=MAX_CALLBACK_BYTES), content=longest + b" ").status_code == 200


@pytest.mark.parametrize("blocking", [True, False])
def test_on_unreadable_gets_the_body_and_the_reason_and_is_answered_200(post: Post, blocking: bool) -> None:
    kept: list[tuple[bytes, InvalidCallbackError]] = []

    def keep(body: bytes, error: InvalidCallbackError) -> None:
        kept.append((body, error))

    async def keep_async(body: bytes, error: InvalidCallbackError) -> None:
        keep(body, error)

    receiver = CallbackReceiver(on_unreadable=keep if blocking else keep_async)
    assert post(receiver, content=UNREADABLE).status_code == 200
    ((body, error),) = kept
    assert (body, error.key) == (UNREADABLE, "status")


@given(st.binary())
def test_no_body_brings_a_receiver_down(body: bytes) -> None:
    inbox = Inbox()
    receiver = inbox.receiver()
    assert {asgi(receiver.asgi, content=body).status_code, wsgi(receiver.wsgi, content=body).status_code} == {400}


# Credentials


def basic(credentials: str | bytes, *, scheme: str = "Basic") -> dict[str, str]:
    if isinstance(credentials, str):
        credentials = credentials.encode()
    return {"Authorization": f"{scheme} {base64.b64encode(credentials).decode()}"}


@pytest.mark.parametrize(
    ("username", "password"),
    [("gateway", "secret"), ("gateway", "se:cr:et"), ("Māori", "pāss wörd 🥝"), (" ", " "), ("gateway", ":")],
)
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic  "])
def test_the_right_credentials_are_let_in(post: Post, username: str, password: str, scheme: str) -> None:
    inbox = Inbox()
    receiver = inbox.receiver(username=username, password=password)
    headers = basic(f"{username}:{password}", scheme=scheme)
    assert post(receiver, content=RECEIPT_BODY, headers=headers).status_code == 200
    assert inbox.receipts == [RECEIPT]


def test_credentials_of_a_callback_url_are_let_in(post: Post) -> None:
    receiver = CallbackReceiver(username="gate way", password="p@ss/wörd")
    url = "http://gate%20way:p%40ss%2Fw%C3%B6rd@testserver/modica/"
    assert post(receiver, content=RECEIPT_BODY, url=url).status_code == 200


RIGHT = base64.b64encode(b"gateway:secret").decode()
WRONG = {
    "none": {},
    "empty": {"Authorization": ""},
    "no token": {"Authorization": "Basic"},
    "empty token": {"Authorization": "Basic "},
    "another scheme": {"Authorization": f"Bearer {RIGHT}"},
    "no scheme": {"Authorization": RIGHT},
    "a tab": {"Authorization": f"Basic\t{RIGHT}"},
    "token twice": {"Authorization": f"Basic {RIGHT} {RIGHT}"},
    "not encoded": {"Authorization": "Basic gateway:secret"},
    "padding missing": {"Authorization": f"Basic {RIGHT.rstrip('=')}"},
    "padding too much": {"Authorization": f"Basic {RIGHT}="},
    "newline inside": {"Authorization": f"Basic {RIGHT[:4]}%0a{RIGHT[4:]}"},
    "junk inside": {"Authorization": f"Basic {RIGHT[:4]}*{RIGHT[4:]}"},
    "a comma": {"Authorization": f"Basic {RIGHT},Basic {RIGHT}"},
    "wrong password": basic("gateway:Secret"),
    "wrong username": basic("gatewax:secret"),
    "password empty": basic("gateway:"),
    "username empty": basic(":secret"),
    "no colon": basic("gatewaysecret"),
    "nothing": basic(""),
    "a colon": basic(":"),
    "swapped": basic("secret:gateway"),
    "longer": basic("gateway:secret "),
    "shorter": basic("gateway:secre"),
    "nul": basic("gateway:secret\0"),
    "colon moved": basic("gate:waysecret"),
    "not utf-8": basic(b"\xff\xfe:\xfd"),
    "long": basic("gateway:" + "x" * 10_000),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_credentials_are_refused_with_a_challenge(post: Post, name: str) -> None:
    inbox = Inbox()
    receiver = inbox.receiver(username="gateway", password="secret")
    answer = post(receiver, content=RECEIPT_BODY, headers=WRONG[name])
    assert (answer.status_code, inbox.receipts) == (401, [])
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_two_authorization_headers_are_refused() -> None:
    receiver = CallbackReceiver(username="gateway", password="secret")
    headers = [("Authorization", f"Basic {RIGHT}")] * 2
    assert asgi(receiver.asgi, content=RECEIPT_BODY, headers=headers).status_code == 401
    # A WSGI server joins them with a comma, which is among the wrong ones above.


def test_credentials_are_checked_before_the_body_is_read() -> None:
    receiver = CallbackReceiver(username="gateway", password="secret")

    async def receive() -> NoReturn:
        raise AssertionError("the body was asked for")

    class Unread:
        def read(self, size: int) -> NoReturn:
            raise AssertionError("the body was asked for")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"10")]}
    asyncio.run(receiver.asgi(scope, receive, send))
    assert sent[0]["status"] == 401
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "wsgi.input": Unread()}
    receiver.wsgi(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["401 Unauthorized"]


def test_without_credentials_everybody_is_let_in(post: Post) -> None:
    for headers in WRONG.values():
        assert post(CallbackReceiver(), content=RECEIPT_BODY, headers=headers).status_code == 200


class _CalledAsGenerator:
    def __call__(self, _callback: object) -> Iterator[None]:
        yield


async def _async_generator(_callback: object) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("name", ["on_receipt", "on_inbound", "on_unreadable", "on_error"])
@pytest.mark.parametrize(
    ("handler", "complaint"),
    [
        ("store", "must be a function"),
        (lambda _: (yield), "has a yield"),
        (_async_generator, "has a yield"),
        (functools.partial(_async_generator), "has a yield"),
        (_CalledAsGenerator(), "has a yield"),
    ],
)
def test_a_handler_that_would_not_run_is_refused_and_acknowledges_nothing(
    name: str, handler: Any, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} {complaint}"):
        CallbackReceiver(**{name: handler})


@pytest.mark.parametrize(
    "options",
    [
        {"username": "gateway"},
        {"password": "secret"},
        {"username": "gateway", "password": ""},
        {"username": "", "password": "secret"},
        {"username": "", "password": ""},
        {"username": "gate:way", "password": "secret"},
        {"username": b"gateway", "password": b"secret"},
        {"max_body": 0},
        {"max_body": -1},
        {"max_body": MAX_CALLBACK_BYTES + 1},
        {"max_body": 1.5},
        {"max_body": None},
        {"max_body": True},
    ],
)
def test_options_that_cannot_work_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CallbackReceiver(**options)
    assert "secret" not in str(caught.value)


# What fails


CANARY = "-".join(("ca", "nary"))  # in one piece in messages only, not in the source that a traceback quotes


def failing(*arguments: object) -> NoReturn:
    error = ValueError(f"could not store {arguments}: {CANARY}")
    error.add_note(CANARY)
    raise error


async def failing_later(*arguments: object) -> NoReturn:
    await asyncio.sleep(0)
    failing(*arguments)


def chained(*arguments: object) -> NoReturn:
    try:
        failing(*arguments)
    except ValueError as error:
        raise RuntimeError(str(error)) from error


async def grouped(*arguments: object) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(failing_later(*arguments))


def exiting(*arguments: object) -> NoReturn:
    raise SystemExit(f"{arguments} {CANARY}")


async def exiting_later(*arguments: object) -> NoReturn:
    await asyncio.sleep(0)
    exiting(*arguments)


RAISING = {
    failing: ["ValueError"],
    failing_later: ["ValueError"],
    chained: ["RuntimeError", "ValueError"],
    grouped: ["ExceptionGroup", "ValueError"],
    exiting: ["SystemExit"],
    exiting_later: ["SystemExit"],
}


@pytest.mark.parametrize("handler", RAISING)
@pytest.mark.parametrize("body", [RECEIPT_BODY, MESSAGE_BODY, UNREADABLE], ids=["receipt", "inbound", "unreadable"])
def test_a_handler_that_raises_is_answered_500_and_logged_without_its_message(
    post: Post, handler: Any, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = CallbackReceiver(on_receipt=handler, on_inbound=handler, on_unreadable=handler)
    answer = post(receiver, content=body)
    assert (answer.status_code, answer.content) == (500, b"")
    (record,) = [record for record in caplog.records if record.name == "modica_facade.receiver"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    message = record.getMessage()
    assert re.match(rf"on_(receipt|inbound|unreadable) raised {RAISING[handler][0]}; answered 500", message)
    assert re.findall(r"^[\w.]*\.(\w+)$", message, re.MULTILINE) == RAISING[handler]
    assert re.search(rf'File "[^"]*test_receiver\.py", line \d+, in {handler.__name__}\n', message)
    assert personal(caplog) == []


def test_with_debug_the_exception_of_a_handler_is_logged_whole(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    assert post(CallbackReceiver(on_receipt=chained, debug=True), content=RECEIPT_BODY).status_code == 500
    (record,) = [record for record in caplog.records if record.name == "modica_facade.receiver"]
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError
    assert CANARY in caplog.text


@pytest.mark.parametrize("handler", RAISING)
@pytest.mark.parametrize("blocking", [True, False])
def test_on_error_gets_the_exception_itself(post: Post, handler: Any, blocking: bool) -> None:
    errors: list[BaseException] = []

    async def keep_async(error: BaseException) -> None:
        errors.append(error)

    receiver = CallbackReceiver(on_receipt=handler, on_error=errors.append if blocking else keep_async)
    assert post(receiver, content=RECEIPT_BODY).status_code == 500
    (error,) = errors
    assert type(error).__name__ == RAISING[handler][0]
    assert error.__traceback__ is not None


def test_an_on_error_that_raises_is_logged_as_well(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    assert post(CallbackReceiver(on_receipt=failing, on_error=exiting), content=RECEIPT_BODY).status_code == 500
    logged = [record.getMessage().partition(";")[0] for record in caplog.records if record.levelno == logging.ERROR]
    assert logged == ["on_receipt raised ValueError", "on_error raised SystemExit"]
    assert personal(caplog) == []


def interrupted_asgi(receiver: CallbackReceiver, answer: Callable[[object], None]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": RECEIPT_BODY}

    async def send(message: Any) -> None:
        answer(message)

    asyncio.run(receiver.asgi({"type": "http", "method": "POST", "headers": []}, receive, send))


def interrupted_wsgi(receiver: CallbackReceiver, answer: Callable[[object], None]) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(RECEIPT_BODY)),
        "wsgi.input": io.BytesIO(RECEIPT_BODY),
    }
    receiver.wsgi(environ, lambda *response: answer(response))


def interrupted_django(receiver: CallbackReceiver, answer: Callable[[object], None]) -> None:
    answer(receiver.django(RequestFactory().post("/", RECEIPT_BODY, "application/json")))


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("serve", [interrupted_asgi, interrupted_wsgi, interrupted_django])
def test_a_handler_that_is_interrupted_is_not_answered(error: type[BaseException], serve: Callable[..., None]) -> None:
    async def interrupted(receipt: DeliveryReceipt) -> None:
        raise error

    answers: list[object] = []
    receiver = CallbackReceiver(on_receipt=interrupted, on_error=answers.append)
    with pytest.raises(error):
        serve(receiver, answers.append)
    assert answers == []


def personal(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What must not be in a log, of what is in ours (asyncio, httpx and the like do not see bodies)."""
    logged = "\n".join(repr(vars(record)) for record in caplog.records)
    return [text for text in (CANARY, "64211234567", "Kia ora", "order-7", "1234567890", "sesame") if text in logged]


def test_a_handler_that_recurses_endlessly_is_logged_in_few_lines(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    def recurse(receipt: DeliveryReceipt) -> None:
        recurse(receipt)

    assert post(CallbackReceiver(on_receipt=recurse), content=RECEIPT_BODY).status_code == 500
    assert "RecursionError" in caplog.text
    assert len(caplog.text.splitlines()) < 60


def test_a_long_chain_of_exceptions_is_logged_in_few_lines(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    def chain(receipt: DeliveryReceipt) -> None:
        error = ValueError()
        for _ in range(1_000):
            error, error.__cause__ = ValueError(), error
        error.__cause__.__cause__.__cause__ = error  # type: ignore[union-attr]  # a cycle as well
        raise error

    assert post(CallbackReceiver(on_receipt=chain), content=RECEIPT_BODY).status_code == 500
    assert len(caplog.text.splitlines()) < 60


def test_nothing_of_a_callback_or_its_credentials_is_logged(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receivers = [Inbox().receiver(username="gateway", password="sesame"), CallbackReceiver()]
    for receiver in receivers:
        for headers in (basic("gateway:sesame"), basic("gateway:sesame2"), {}):
            for body in (RECEIPT_BODY, MESSAGE_BODY, UNREADABLE, b"", UNREADABLE * 10_000):
                post(receiver, content=body, headers=headers)
    assert {record.name for record in caplog.records} >= {"modica_facade.receiver"}
    assert personal(caplog) == []


def test_the_password_does_not_show(post: Post) -> None:
    receiver = CallbackReceiver(username="gateway", password="sesame")
    post(receiver, content=RECEIPT_BODY, headers=basic("gateway:sesame"))
    encoded = base64.b64encode(b"gateway:sesame")
    shown = [repr(receiver), repr(vars(receiver)), repr(receiver.asgi), repr(vars(receiver.wsgi))]
    for text in [*shown, pickle.dumps(receiver).decode("latin-1")]:
        assert "sesame" not in text
        assert encoded.decode() not in text
    assert repr(receiver) == "CallbackReceiver(username='gateway', max_body=262144)"


def test_a_pickled_receiver_still_knows_its_credentials(post: Post) -> None:
    receiver = pickle.loads(pickle.dumps(CallbackReceiver(username="gateway", password="secret")))
    assert post(receiver, content=RECEIPT_BODY, headers=basic("gateway:secret")).status_code == 200
    assert post(receiver, content=RECEIPT_BODY, headers=basic("gateway:wrong")).status_code == 401


# Mounted in frameworks


def home(request: object) -> HttpResponse:
    return HttpResponse("home")


urlpatterns = [path("", home)]


def reads_the_body(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A middleware that logs requests."""

    def middleware(request: Any) -> Any:
        len(request.body)
        return get_response(request)

    return middleware


@pytest.fixture(scope="session")
def django_is_set_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    database = str(tmp_path_factory.mktemp("django") / "db.sqlite3")
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["testserver", "127.0.0.1"],
        SECRET_KEY="not a secret",
        USE_TZ=True,
        # What could stand between the gateway and a view: no token, no session, and the body read before.
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database, "ATOMIC_REQUESTS": True}},
    )
    django.setup()
    home.login_required = False  # type: ignore[attr-defined]


def in_fastapi(receiver: CallbackReceiver) -> Post:
    app = FastAPI()
    app.mount("/modica", receiver.asgi)

    @app.get("/")
    async def index() -> str:
        return "home"

    return lambda **kwargs: asgi(app, **kwargs)


def in_fastapi_in_fastapi(receiver: CallbackReceiver) -> Post:
    inner, outer = FastAPI(), FastAPI()
    inner.mount("/callbacks", receiver.asgi)
    outer.mount("/modica", inner)
    return lambda url, **kwargs: asgi(outer, url=url.replace("/modica/", "/modica/callbacks/"), **kwargs)


def in_starlette(receiver: CallbackReceiver) -> Post:
    app = Starlette(routes=[Mount("/modica", receiver.asgi)])
    return lambda **kwargs: asgi(app, **kwargs)


def as_a_starlette_route(receiver: CallbackReceiver) -> Post:
    app = Starlette(routes=[Route("/modica", receiver.asgi)])
    return lambda url, **kwargs: asgi(app, url=url.replace("/modica/", "/modica"), **kwargs)


def in_flask(receiver: CallbackReceiver) -> Post:
    app = Flask(__name__)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/modica": receiver.wsgi})  # type: ignore[method-assign]
    app.add_url_rule("/", view_func=lambda: "home", endpoint="home")
    return lambda **kwargs: wsgi(app, **kwargs)


def in_django_wsgi(receiver: CallbackReceiver) -> Post:
    return lambda **kwargs: under_django(receiver, wsgi, get_wsgi_application(), **kwargs)


def in_django_asgi(receiver: CallbackReceiver) -> Post:
    return lambda **kwargs: under_django(receiver, asgi, get_asgi_application(), **kwargs)


def under_django(receiver: CallbackReceiver, call: Post, app: Any, **kwargs: Any) -> httpx.Response:
    with override_settings(ROOT_URLCONF=(path("modica/", receiver.django), *urlpatterns)):
        return call(app, **kwargs)


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize(
    "mounted",
    [
        in_fastapi,
        in_fastapi_in_fastapi,
        in_starlette,
        as_a_starlette_route,
        in_flask,
        in_django_asgi,
        in_django_wsgi,
    ],
)
def test_a_receiver_works_under_a_sub_path_of(mounted: Callable[[CallbackReceiver], Post]) -> None:
    inbox = Inbox()
    post = mounted(inbox.receiver(username="gateway", password="secret", max_body=1_000))
    url, right = "http://testserver/modica/", basic("gateway:secret")
    assert post(url=url, content=RECEIPT_BODY, headers=right).status_code == 200
    assert post(url=url, content=MESSAGE_BODY, headers=right).status_code == 200
    assert post(url=url, content=UNREADABLE, headers=right).status_code == 400
    assert post(url=url, content=b"x" * 1_001, headers=right).status_code == 413
    assert post(url=url, content=RECEIPT_BODY).status_code == 401
    assert post(url=url, headers=right, method="GET").status_code == 405
    assert (inbox.receipts, inbox.messages) == ([RECEIPT], [MESSAGE])


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize("mounted", [in_fastapi, in_flask, in_django_asgi, in_django_wsgi])
def test_the_rest_of_the_application_is_untouched(mounted: Callable[[CallbackReceiver], Post]) -> None:
    answer = mounted(CallbackReceiver())(url="http://testserver/", method="GET")
    assert (answer.status_code, answer.text.strip('"')) == (200, "home")


@pytest.mark.usefixtures("django_is_set_up")
def test_the_test_client_of_django_reaches_a_view() -> None:
    inbox = Inbox()
    with override_settings(
        ROOT_URLCONF=(path("<slug:tenant>/modica/", inbox.receiver(username="gateway", password="secret").django),)
    ):
        for body in (RECEIPT_BODY, MESSAGE_BODY):
            request: dict[str, Any] = {"data": body, "content_type": "application/json"}
            assert Client(enforce_csrf_checks=True).post("/acme/modica/", **request).status_code == 401
            right = {"headers": basic("gateway:secret"), **request}
            assert Client(enforce_csrf_checks=True).post("/acme/modica/", **right).status_code == 200
            answer = asyncio.run(AsyncClient(enforce_csrf_checks=True).post("/acme/modica/", **right))
            assert (answer.status_code, answer.content) == (200, b"")
    assert (inbox.receipts, inbox.messages) == ([RECEIPT] * 2, [MESSAGE] * 2)


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize("mounted", [in_django_asgi, in_django_wsgi])
def test_a_view_gets_the_body_that_a_middleware_of_django_has_read(mounted: Callable[..., Post]) -> None:
    inbox = Inbox()
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, f"{__name__}.reads_the_body"]):
        assert mounted(inbox.receiver())(url="http://testserver/modica/", content=RECEIPT_BODY).status_code == 200
    assert inbox.receipts == [RECEIPT]


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize("mounted", [in_django_asgi, in_django_wsgi])
def test_what_a_handler_of_a_view_wrote_before_it_raised_is_rolled_back(mounted: Callable[..., Post]) -> None:
    def on_receipt(receipt: DeliveryReceipt) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO receipt VALUES (%s)", [receipt.status])
        if receipt.status != "received":
            failing()

    database = settings.DATABASES["default"]["NAME"]
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as outside:
        outside.execute("CREATE TABLE receipt (status)")
        try:
            post, url = mounted(CallbackReceiver(on_receipt=on_receipt)), "http://testserver/modica/"
            assert post(url=url, content=RECEIPT_BODY.replace(b"received", b"rejected")).status_code == 500
            assert post(url=url, content=RECEIPT_BODY).status_code == 200
            assert outside.execute("SELECT status FROM receipt").fetchall() == [("received",)]
        finally:
            outside.execute("DROP TABLE receipt")


@pytest.mark.usefixtures("django_is_set_up")
@pytest.mark.parametrize("mounted", [in_django_asgi, in_django_wsgi])
def test_what_an_async_handler_of_a_view_does_by_the_orm_is_done_in_the_thread_of_the_request(
    mounted: Callable[..., Post],
) -> None:
    """The asynchronous methods of the ORM are made of sync_to_async; the transaction belongs to a thread."""
    atomic: list[bool] = []

    async def on_receipt(receipt: DeliveryReceipt) -> None:
        await sync_to_async(lambda: atomic.append(connection.in_atomic_block))()

    answer = mounted(CallbackReceiver(on_receipt=on_receipt))(url="http://testserver/modica/", content=RECEIPT_BODY)
    assert (answer.status_code, atomic) == (200, [True])


SETTINGS = """
import sys
from django.urls import path
from modica_facade import CallbackReceiver

DEBUG, SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS, USE_TZ = True, "not a secret", __name__, ["*"], True
receiver = CallbackReceiver(on_receipt=lambda receipt: print("got", receipt.reference, file=sys.stderr, flush=True))
urlpatterns = [path("modica/", receiver.django)]
"""


def test_a_view_works_under_runserver(tmp_path: Path) -> None:
    (tmp_path / "runserver_settings.py").write_text(SETTINGS)
    command = [sys.executable, "-u", "-m", "django", "runserver", "--noreload", "--skip-checks", "127.0.0.1:0"]
    options = ["--settings", "runserver_settings", "--pythonpath", str(tmp_path)]
    with subprocess.Popen(
        [*command, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
            with httpx.Client(base_url=url, trust_env=False) as client:
                assert client.post("/modica/", content=RECEIPT_BODY).status_code == 200
                assert client.post("/modica/", content=iter([RECEIPT_BODY])).status_code == 411
                assert client.post("/modica/", content=b"").status_code == 400
                assert client.get("/modica/").status_code == 405
        finally:
            server.terminate()
            errors = server.communicate(timeout=30)[1]
    assert errors.count("got order-7") == 1
    assert "Transfer-Encoding" in errors


# On real servers


@contextlib.contextmanager
def uvicorn_running(app: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def wsgiref_running(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_receiver_alone_is_an_application_for_a_real_server(interface: str) -> None:
    inbox = Inbox()
    receiver = inbox.receiver(username="gateway", password="p@ss wörd", max_body=1_000)
    running, app = (uvicorn_running, receiver.asgi) if interface == "asgi" else (wsgiref_running, receiver.wsgi)
    with running(app) as port, httpx.Client(trust_env=False) as client:
        url = f"http://gateway:p%40ss%20w%C3%B6rd@127.0.0.1:{port}/modica/"
        assert client.post(url, content=RECEIPT_BODY).status_code == 200
        assert client.post(url, content=MESSAGE_BODY).status_code == 200
        assert client.post(url, content=b"").status_code == 400
        assert client.post(url, content=b"x" * 1_001).status_code == 413
        assert client.get(url).status_code == 405
        assert client.post(f"http://127.0.0.1:{port}/", content=RECEIPT_BODY).status_code == 401
    assert (inbox.receipts, inbox.messages) == ([RECEIPT], [MESSAGE])


def test_a_chunked_body_that_a_wsgi_server_does_not_hand_over_is_no_empty_body(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept: list[bytes] = []
    receiver = CallbackReceiver(on_unreadable=lambda body, error: kept.append(body))
    with wsgiref_running(receiver.wsgi) as port, httpx.Client(trust_env=False) as client:
        answer = client.post(f"http://127.0.0.1:{port}/", content=iter([RECEIPT_BODY]))
    assert (answer.status_code, kept) == (411, [])
    assert "Transfer-Encoding" in caplog.text


def test_many_callbacks_at_once_all_arrive() -> None:
    inbox = Inbox()
    bodies = [json.dumps({"message_id": number, "status": "sent"}).encode() for number in range(1, 51)]

    async def main(port: int) -> set[int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{port}/"
            answers = await asyncio.gather(*(client.post(url, content=body) for body in bodies))
            return {answer.status_code for answer in answers}

    with uvicorn_running(inbox.receiver().asgi) as port:
        assert asyncio.run(main(port)) == {200}
    assert sorted(int(receipt.message_id) for receipt in inbox.receipts) == list(range(1, 51))


# The documentation

CHAPTER = Path(__file__).parent.parent / "docs" / "receiving.md"
SAMPLES = re.findall(r"^## (.+?)$|^```python\n(.*?)^```$", CHAPTER.read_text(), re.MULTILINE | re.DOTALL)


def samples(section: str) -> list[str]:
    """The Python samples under one heading of the chapter."""
    current, found = "", []
    for heading, code in SAMPLES:
        current = heading or current
        if code and current == section:
            found.append(code)
    return found


def run(code: str, **names: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "sample", **names}
    exec(compile(code, str(CHAPTER), "exec"), namespace)
    return namespace


@pytest.fixture
def callback_credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("CALLBACK_USERNAME", "gateway")
    monkeypatch.setenv("CALLBACK_PASSWORD", "secret")
    return basic("gateway:secret")


def assert_sample_works(post: Post, headers: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://testserver/modica/"
    reply = MESSAGE_BODY[:-1] + b', "reply_to": "1234567890", "reference": "order-7"}'
    assert post(url=url, content=RECEIPT_BODY, headers=headers).status_code == 200
    assert post(url=url, content=reply, headers=headers).status_code == 200
    assert post(url=url, content=RECEIPT_BODY).status_code == 401
    assert capsys.readouterr().out == "order-7: received\n+64211234567 answered order-7: Kia ora\n"


def test_every_sample_of_the_chapter_is_run_by_a_test() -> None:
    tested = ["FastAPI and Starlette", "Flask", "Django", "Anything else", "The state of a message"]
    assert [len(samples(section)) for section in tested] == [1, 1, 1, 1, 2]
    assert len([code for _, code in SAMPLES if code]) == 6


def test_the_fastapi_sample_works(callback_credentials: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    app = run(samples("FastAPI and Starlette")[0])["app"]
    assert_sample_works(lambda **kwargs: asgi(app, **kwargs), callback_credentials, capsys)
    assert asgi(app, url="http://testserver/modica", headers=callback_credentials).status_code == 307  # as it warns


def test_the_flask_sample_works(callback_credentials: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    app = run(samples("Flask")[0])["app"]
    assert_sample_works(lambda **kwargs: wsgi(app, **kwargs), callback_credentials, capsys)


@pytest.mark.usefixtures("django_is_set_up")
def test_the_django_sample_works(callback_credentials: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = samples("Django")
    with override_settings(ROOT_URLCONF=tuple(run(code)["urlpatterns"])):
        app = get_wsgi_application()
        assert_sample_works(lambda **kwargs: wsgi(app, **kwargs), callback_credentials, capsys)
        assert wsgi(app, url="http://testserver/modica", method="POST").status_code == 404


def test_the_parser_sample_works(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = samples("Anything else")
    run(code)
    run(code.replace("message_id", "id").replace('"status"', '"state"'))
    body = MESSAGE_BODY.decode().replace("7", "8")
    run(re.sub("^body = .*$", f"body = {body!r}", code, flags=re.MULTILINE))
    out = capsys.readouterr().out
    assert out.startswith("order-7: received\nunreadable: the callback is neither")
    assert out.endswith("\n+64211234568: Kia ora\n")


def test_the_tracker_sample_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    run(samples("The state of a message")[0])
    assert capsys.readouterr().out == "now submitted\nnow received\nreceived\n"


def test_the_database_of_the_sample_says_what_the_tracker_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(samples("The state of a message")[1])
    tracker = DeliveryTracker()
    with contextlib.closing(names["database"]) as database:
        for status in ("parked", "submitted", "received", "sent", "received", "expired"):
            receipt = DeliveryReceipt("1234567890", status)
            names["on_receipt"](receipt)
            printed = capsys.readouterr().out
            assert printed == (f"1234567890 is {status}\n" if tracker.record(receipt) else "")
        assert database.execute("SELECT * FROM message").fetchall() == [("1234567890", "received", 120)]
