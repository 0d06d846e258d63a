"""Other SMS clients, unmodified, pointed at the benchmark's server. The dependency group `bench` has them.

Each function makes a client and gives the call that sends one message with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from bench_server import NUMBER, TEXT

PACKAGES = ("aiohttp", "infobip-api-python-client", "twilio")
_ACCOUNT = "AC" + "0" * 32
_TWILIO = "https://api.twilio.com"


def infobip(url: str) -> Callable[[], object]:
    """The blocking client of Infobip, on urllib3."""
    import infobip_api_client as infobip

    api = infobip.SmsApi(infobip.ApiClient(infobip.Configuration(host=url, api_key={"APIKeyHeader": "key"})))

    def send() -> object:
        content = infobip.SmsMessageContent(infobip.SmsTextContent(text=TEXT))
        message = infobip.SmsMessage(sender="2060", destinations=[infobip.SmsDestination(to=NUMBER)], content=content)
        return api.send_sms_messages(sms_request=infobip.SmsRequest(messages=[message])).messages[0].message_id

    return send


def twilio(url: str) -> Callable[[], object]:
    """The blocking client of Twilio, on requests."""
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Here(TwilioHttpClient):
        def request(self, method: str, uri: str, *arguments: Any, **options: Any) -> Any:
            return super().request(method, uri.replace(_TWILIO, url), *arguments, **options)

    client = Client(_ACCOUNT, "token", http_client=Here())
    return lambda: client.messages.create(to=NUMBER, from_="2060", body=TEXT).sid


@asynccontextmanager
async def twilio_async(url: str) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """The asynchronous client of Twilio, on aiohttp."""
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    class Here(AsyncTwilioHttpClient):
        async def request(self, method: str, uri: str, *arguments: Any, **options: Any) -> Any:
            return await super().request(method, uri.replace(_TWILIO, url), *arguments, **options)

    async with Here() as http_client:
        client = Client(_ACCOUNT, "token", http_client=http_client)
        yield lambda: client.messages.create_async(to=NUMBER, from_="2060", body=TEXT)


@asynccontextmanager
async def aiohttp(url: str) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """A bare session of aiohttp, whose parser is written in C."""
    import aiohttp as library

    body = {"destination": NUMBER, "content": TEXT}
    async with library.ClientSession(auth=library.BasicAuth("application", "password")) as session:

        async def send() -> object:
            async with session.post(f"{url}/rest/gateway/messages", json=body) as answer:
                return await answer.json()

        yield send
