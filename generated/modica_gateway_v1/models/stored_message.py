# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StoredMessage")


@_attrs_define
class StoredMessage:
    """A message as the gateway stored it.

    Attributes:
        id (int | str): A 64-bit integer, as a number or as a string of digits.
        source (str): A number in international format, or a short code.
        destination (str): A number in international format, or a short code.
        content (str): The text of the message.
        reference (str | Unset): The label given when the message was submitted.
        reply_to (int | str | Unset): The id of the message this one replies to.
        operator (str | Unset): The name of the mobile operator.
    """

    id: int | str
    source: str
    destination: str
    content: str
    reference: str | Unset = UNSET
    reply_to: int | str | Unset = UNSET
    operator: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: int | str
        id = self.id

        source = self.source

        destination = self.destination

        content = self.content

        reference = self.reference

        reply_to: int | str | Unset
        if isinstance(self.reply_to, Unset):
            reply_to = UNSET
        else:
            reply_to = self.reply_to

        operator = self.operator

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "source": source,
                "destination": destination,
                "content": content,
            }
        )
        if reference is not UNSET:
            field_dict["reference"] = reference
        if reply_to is not UNSET:
            field_dict["reply_to"] = reply_to
        if operator is not UNSET:
            field_dict["operator"] = operator

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_id(data: object) -> int | str:
            return cast(int | str, data)

        id = _parse_id(d.pop("id"))

        source = d.pop("source")

        destination = d.pop("destination")

        content = d.pop("content")

        reference = d.pop("reference", UNSET)

        def _parse_reply_to(data: object) -> int | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(int | str | Unset, data)

        reply_to = _parse_reply_to(d.pop("reply_to", UNSET))

        operator = d.pop("operator", UNSET)

        stored_message = cls(
            id=id,
            source=source,
            destination=destination,
            content=content,
            reference=reference,
            reply_to=reply_to,
            operator=operator,
        )

        stored_message.additional_properties = d
        return stored_message

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
