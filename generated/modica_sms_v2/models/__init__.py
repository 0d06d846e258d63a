# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
"""Contains all the data models used in inputs/outputs"""

from .accepted_message import AcceptedMessage
from .gateway_error import GatewayError
from .new_message import NewMessage
from .reply_callback import ReplyCallback
from .status_callback import StatusCallback
from .stored_message import StoredMessage

__all__ = (
    "AcceptedMessage",
    "GatewayError",
    "NewMessage",
    "ReplyCallback",
    "StatusCallback",
    "StoredMessage",
)
