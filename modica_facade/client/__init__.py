"""The clients, blocking and asynchronous, for REST v1 and v2."""

from ._async import AsyncModica, AsyncModicaV2
from ._protocols import AsyncMessageClient, MessageClient
from ._sync import Modica, ModicaV2

__all__ = ["AsyncMessageClient", "AsyncModica", "AsyncModicaV2", "MessageClient", "Modica", "ModicaV2"]
