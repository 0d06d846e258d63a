"""The clients, blocking and asynchronous, for REST v1 and v2."""

from ._async import AsyncModica, AsyncModicaV2
from ._sync import Modica, ModicaV2

__all__ = ["AsyncModica", "AsyncModicaV2", "Modica", "ModicaV2"]
