# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
"""Contains all the data models used in inputs/outputs"""

from .broadcast_outcome import BroadcastOutcome
from .delivery_receipt import DeliveryReceipt
from .gateway_error import GatewayError
from .inbound_message import InboundMessage
from .message_common import MessageCommon
from .new_broadcast import NewBroadcast
from .new_message import NewMessage
from .stored_message import StoredMessage

__all__ = (
    "BroadcastOutcome",
    "DeliveryReceipt",
    "GatewayError",
    "InboundMessage",
    "MessageCommon",
    "NewBroadcast",
    "NewMessage",
    "StoredMessage",
)
