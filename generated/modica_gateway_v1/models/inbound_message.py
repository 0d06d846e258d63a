# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="InboundMessage")


@_attrs_define
class InboundMessage:
    """A message from a handset, posted by the gateway.

    Attributes:
        id (int): The id of the inbound message.
        source (str): The number of the handset.
        destination (str): The short code it was sent to.
        content (str): The text of the inbound message; base64 when encoding says so.
        operator (str): The name of the mobile operator.
        reply_to (str | Unset): The id of the message this one replies to, as a string of digits.
        reference (str | Unset): The label of the message this one replies to; only beside reply_to.
        encoding (str | Unset): base64 when content is binary, absent otherwise.
    """

    id: int
    source: str
    destination: str
    content: str
    operator: str
    reply_to: str | Unset = UNSET
    reference: str | Unset = UNSET
    encoding: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        source = self.source

        destination = self.destination

        content = self.content

        operator = self.operator

        reply_to = self.reply_to

        reference = self.reference

        encoding = self.encoding

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "source": source,
                "destination": destination,
                "content": content,
                "operator": operator,
            }
        )
        if reply_to is not UNSET:
            field_dict["reply_to"] = reply_to
        if reference is not UNSET:
            field_dict["reference"] = reference
        if encoding is not UNSET:
            field_dict["encoding"] = encoding

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        source = d.pop("source")

        destination = d.pop("destination")

        content = d.pop("content")

        operator = d.pop("operator")

        reply_to = d.pop("reply_to", UNSET)

        reference = d.pop("reference", UNSET)

        encoding = d.pop("encoding", UNSET)

        inbound_message = cls(
            id=id,
            source=source,
            destination=destination,
            content=content,
            operator=operator,
            reply_to=reply_to,
            reference=reference,
            encoding=encoding,
        )

        inbound_message.additional_properties = d
        return inbound_message

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
