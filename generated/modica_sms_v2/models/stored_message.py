# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StoredMessage")


@_attrs_define
class StoredMessage:
    """A message as the gateway stored it.

    Attributes:
        id (UUID | Unset): The id given when the message was submitted.
        source (str | Unset): Where the message came from.
        destination (str | Unset): Where the message goes to.
        direction (str | Unset): Known values: MT (sent to a handset), MO (came from a handset).
        reference (str | Unset): The label given when the message was submitted.
        content (str | Unset): The text of the message.
        status (str | Unset): Known values: accepted, queued, submitted, sent, received (delivered to the handset),
            blocked, deficient, frozen, rejected, failed, dead, expired.
    """

    id: UUID | Unset = UNSET
    source: str | Unset = UNSET
    destination: str | Unset = UNSET
    direction: str | Unset = UNSET
    reference: str | Unset = UNSET
    content: str | Unset = UNSET
    status: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: str | Unset = UNSET
        if not isinstance(self.id, Unset):
            id = str(self.id)

        source = self.source

        destination = self.destination

        direction = self.direction

        reference = self.reference

        content = self.content

        status = self.status

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if source is not UNSET:
            field_dict["source"] = source
        if destination is not UNSET:
            field_dict["destination"] = destination
        if direction is not UNSET:
            field_dict["direction"] = direction
        if reference is not UNSET:
            field_dict["reference"] = reference
        if content is not UNSET:
            field_dict["content"] = content
        if status is not UNSET:
            field_dict["status"] = status

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

        direction = d.pop("direction", UNSET)

        reference = d.pop("reference", UNSET)

        content = d.pop("content", UNSET)

        status = d.pop("status", UNSET)

        stored_message = cls(
            id=id,
            source=source,
            destination=destination,
            direction=direction,
            reference=reference,
            content=content,
            status=status,
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
