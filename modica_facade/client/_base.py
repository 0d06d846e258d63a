"""Configuration shared by all clients: credentials, base URL, time-outs, retries."""

from __future__ import annotations

import logging
import os
import random
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from .. import _v1, _v2
from .._arguments import check_seconds
from .._calls import Call, NoResponse, Response
from .._retry import RetryBudget, RetryPolicy, retry_delay
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .._transport._endpoint import Endpoint

_log = logging.getLogger("modica_facade")


class LazyModule:
    """A module that is imported when an attribute of it is first asked for.

    It stands for httpx in the globals that annotations are evaluated in, by dependency injection containers for
    instance. httpx is most of what importing the package would cost: the first client brings it, a process that only
    receives callbacks never pays.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


DEFAULT_RETRY = RetryPolicy()


class BaseClient:
    """Configuration shared by all clients: credentials, base URL, time-outs, retries. No I/O."""

    _accept: ClassVar[str]
    _base_url: ClassVar[str]
    _base_url_variable: ClassVar[str]
    _other_version_path: ClassVar[str]
    _version: ClassVar[str]
    # For the repr of a client that could not be made: the traceback that says so shows it.
    _username = _url = ""

    def _configure(
        self,
        username: str | None,
        password: str | None,
        base_url: str | None,
        keepalive: float,
        timeout: float,
        retry: RetryPolicy,
    ) -> Endpoint:
        from .._transport._endpoint import Endpoint

        self._username = _credential("username", username, "MODICA_USERNAME")
        if ":" in self._username:
            raise ConfigurationError("username must not hold a colon: HTTP Basic cannot carry it")
        url = base_url if base_url is not None else os.environ.get(self._base_url_variable, self._base_url)
        if not url:
            # Never taken for "not set": a deployment whose variable came out empty would send real messages.
            raise ConfigurationError(
                f"base_url is empty; give one, or unset {self._base_url_variable} for Modica's own gateway"
            )
        endpoint = Endpoint(
            url, self._username, _credential("password", password, "MODICA_PASSWORD"), self._accept, keepalive
        )
        self._url = endpoint.base_url
        if self._url.endswith(self._other_version_path):
            # There a message would go out, and its answer could not be read.
            raise ConfigurationError(
                f"base_url is that of the other REST version; {type(self).__name__} cannot speak it"
            )
        self._budget = RetryBudget()
        self._set_timeouts(timeout, retry)
        return endpoint

    def _set_timeouts(self, timeout: float, retry: RetryPolicy) -> None:
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError("retry must be a RetryPolicy")
        self._timeout = check_seconds("timeout", timeout)
        self._retry = retry

    def with_options(self, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Self:
        """A sibling with other time-outs or retries that shares the connections; closing either closes both.

        Args:
            timeout: seconds each read may take; None: as here.
            retry: limits for repeats and for the whole call; None: as here.

        Raises:
            ConfigurationError: a value cannot be used.
        """
        sibling = object.__new__(type(self))
        sibling.__dict__.update(self.__dict__)
        sibling._set_timeouts(self._timeout if timeout is None else timeout, self._retry if retry is None else retry)
        return sibling

    @property
    def _account(self) -> str:
        """Version, application name and base URL: what the ledger notes about who sent a message."""
        return f"{self._version} {self._username} {self._url}"

    def _retry_delay(
        self, call: Call[Any], outcome: Response | NoResponse, attempt: int, started: float
    ) -> float | None:
        """Seconds to wait before trying again; None: the outcome is final."""
        if isinstance(outcome, Response) and outcome.status == call.success and attempt == 1:
            self._budget.deposit()
        # Jitter spreads the repeats of many clients; it keeps no secret.
        jitter = random.random()  # noqa: S311
        wait = retry_delay(call, self._retry, outcome, attempt, time.monotonic() - started, jitter)
        if wait is None or not self._budget.withdraw():
            return None
        what = f"HTTP {outcome.status}" if isinstance(outcome, Response) else outcome.reason
        _log.info("%s failed (%s), attempt %d; trying again in %.2f s", call.name, what, attempt, wait)
        return wait

    def __repr__(self) -> str:
        return f"{type(self).__name__}(username={self._username!r}, base_url={self._url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a password and connections; make one where it is needed")


def _credential(name: str, value: str | None, variable: str) -> str:
    value = value if value is not None else os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            f"the {name} is missing: pass username and password, or set MODICA_USERNAME and MODICA_PASSWORD"
        )
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigurationError(f"{name} must be printable text")
    return value


class RestV1:
    _version = "v1"
    _accept = _v1.ACCEPT
    _base_url = _v1.BASE_URL
    _base_url_variable = _v1.BASE_URL_VARIABLE
    _other_version_path = "/rest/sms/v2"


class RestV2:
    _version = "v2"
    _accept = _v2.ACCEPT
    _base_url = _v2.BASE_URL
    _base_url_variable = _v2.BASE_URL_VARIABLE
    _other_version_path = "/rest/gateway"
