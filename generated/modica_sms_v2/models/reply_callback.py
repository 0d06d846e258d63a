# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ReplyCallback")


@_attrs_define
class ReplyCallback:
    """A message from a handset, posted by the gateway.

    Attributes:
        id (UUID | Unset): The id of the inbound message.
        source (str | Unset): The mobile number the message came from.
        destination (str | Unset): The short code or number it was sent to.
        content (str | Unset): The text of the inbound message.
        operator (str | Unset): The name of the mobile operator.
    """

    id: UUID | Unset = UNSET
    source: str | Unset = UNSET
    destination: str | Unset = UNSET
    content: str | Unset = UNSET
    operator: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: str | Unset = UNSET
        if not isinstance(self.id, Unset):
            id = str(self.id)

        source = self.source

        destination = self.destination

        content = self.content

        operator = self.operator

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if source is not UNSET:
            field_dict["source"] = source
        if destination is not UNSET:
            field_dict["destination"] = destination
        if content is not UNSET:
            field_dict["content"] = content
        if operator is not UNSET:
            field_dict["operator"] = operator

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _id = d.pop("id", UNSET)
        id: UUID | Unset
        if isinstance(_id, Unset):
            id = UNSET
        else:
            id = UUID(_id)

        source = d.pop("source", UNSET)

        destination = d.pop("destination", UNSET)

        content = d.pop("content", UNSET)

        operator = d.pop("operator", UNSET)

        reply_callback = cls(
            id=id,
            source=source,
            destination=destination,
            content=content,
            operator=operator,
        )

        reply_callback.additional_properties = d
        return reply_callback

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
