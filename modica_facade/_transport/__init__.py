"""Connections we account for: an attempt of a call ends as a `Response`, or as a `NoResponse` that says what was sent.

`Endpoint` is where to and as whom; `Transport` and `AsyncTransport` try a call once. Requests and responses pass
through connections of our own (`_sync` and `_async` over the same `_exchange`), so that after a failure it is known
how much of a request has left. `_httpx` serves an ``http_client``, proxies, and test libraries that patch httpx.

Import from the modules: the asynchronous half brings asyncio, which a blocking client does without.
"""
