"""Python client for Modica's Mobile Gateway: send, broadcast and fetch SMS, receive delivery receipts and replies.

>>> from modica_facade import Modica
>>> with Modica("application-name", "password") as modica:
...     sent = modica.send("+64211234567", "Kia ora", reference="order-42")
"""

from ._arguments import SendOptions, SendOptionsV1, SendOptionsV2
from ._retry import RetryPolicy
from ._version import __version__
from .callbacks import DeliveryTracker, parse_callback, parse_delivery_receipt, parse_inbound_message
from .client import AsyncMessageClient, AsyncModica, AsyncModicaV2, MessageClient, Modica, ModicaV2
from .errors import (
    AuthenticationError,
    BroadcastInterruptedError,
    BroadcastLimitError,
    ConfigurationError,
    GatewayError,
    InvalidAttributeError,
    InvalidCallbackError,
    InvalidJSONError,
    InvalidRequestError,
    InvalidScheduleError,
    MissingAttributeError,
    ModicaError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RejectedError,
    SendFailedError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
)
from .models import (
    BroadcastOutcome,
    BroadcastResult,
    DeliveryReceipt,
    DeliveryStatus,
    InboundMessage,
    Message,
    SubmittedMessage,
)
from .receiver import CallbackReceiver

__all__ = [
    "AsyncMessageClient",
    "AsyncModica",
    "AsyncModicaV2",
    "AuthenticationError",
    "BroadcastInterruptedError",
    "BroadcastLimitError",
    "BroadcastOutcome",
    "BroadcastResult",
    "CallbackReceiver",
    "ConfigurationError",
    "DeliveryReceipt",
    "DeliveryStatus",
    "DeliveryTracker",
    "GatewayError",
    "InboundMessage",
    "InvalidAttributeError",
    "InvalidCallbackError",
    "InvalidJSONError",
    "InvalidRequestError",
    "InvalidScheduleError",
    "Message",
    "MessageClient",
    "MissingAttributeError",
    "Modica",
    "ModicaError",
    "ModicaV2",
    "NotFoundError",
    "NotSentError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "RejectedError",
    "RetryPolicy",
    "SendFailedError",
    "SendOptions",
    "SendOptionsV1",
    "SendOptionsV2",
    "ServerError",
    "SubmittedMessage",
    "TransportError",
    "UnexpectedResponseError",
    "__version__",
    "parse_callback",
    "parse_delivery_receipt",
    "parse_inbound_message",
]
