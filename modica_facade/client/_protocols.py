"""What the clients of both API versions have in common, for code that takes either."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from .._retry import RetryPolicy
from ..models import Message, SubmittedMessage


class MessageClient(Protocol):
    """A blocking client of either version: `Modica` and `ModicaV2`, and whatever you put in their place in a test.

    Options that only one version has (``expires``, ``integration_id``) are not part of it, nor are bulk sends.

    Example:
        >>> clients: dict[int, MessageClient] = {1: Modica(), 2: ModicaV2()}
    """

    def send(
        self,
        destination: str,
        content: str,
        *,
        scheduled: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
    ) -> SubmittedMessage:
        """Send one message to one destination; see `Modica.send`."""
        ...

    def get(self, message_id: str, /) -> Message:
        """Fetch a stored message by the id that `send` returned."""
        ...

    def with_options(self, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Self:
        """A sibling with other time-outs or retries; see `Modica.with_options`."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class AsyncMessageClient(Protocol):
    """An asynchronous client of either version: `AsyncModica` and `AsyncModicaV2`; see `MessageClient`."""

    async def send(
        self,
        destination: str,
        content: str,
        *,
        scheduled: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
    ) -> SubmittedMessage:
        """Send one message to one destination; see `AsyncModica.send`."""
        ...

    async def get(self, message_id: str, /) -> Message:
        """Fetch a stored message by the id that `send` returned."""
        ...

    def with_options(self, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Self:
        """A sibling with other time-outs or retries; see `AsyncModica.with_options`."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
