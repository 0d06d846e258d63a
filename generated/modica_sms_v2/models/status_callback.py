# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StatusCallback")


@_attrs_define
class StatusCallback:
    """Where a message stands, posted by the gateway.

    Attributes:
        id (UUID | Unset): The id given when the message was submitted.
        status (str | Unset): Known values: accepted, queued, submitted, sent, received (delivered to the handset),
            blocked, deficient, frozen, rejected, failed, dead, expired.
        detail (str | Unset): More about the status.
        message_id (UUID | Unset): The same as id, in the other spelling.
        reference (str | Unset): The label given when the message was submitted, if there was one.
    """

    id: UUID | Unset = UNSET
    status: str | Unset = UNSET
    detail: str | Unset = UNSET
    message_id: UUID | Unset = UNSET
    reference: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: str | Unset = UNSET
        if not isinstance(self.id, Unset):
            id = str(self.id)

        status = self.status

        detail = self.detail

        message_id: str | Unset = UNSET
        if not isinstance(self.message_id, Unset):
            message_id = str(self.message_id)

        reference = self.reference

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if status is not UNSET:
            field_dict["status"] = status
        if detail is not UNSET:
            field_dict["detail"] = detail
        if message_id is not UNSET:
            field_dict["message_id"] = message_id
        if reference is not UNSET:
            field_dict["reference"] = reference

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

        status = d.pop("status", UNSET)

        detail = d.pop("detail", UNSET)

        _message_id = d.pop("message_id", UNSET)
        message_id: UUID | Unset
        if isinstance(_message_id, Unset):
            message_id = UNSET
        else:
            message_id = UUID(_message_id)

        reference = d.pop("reference", UNSET)

        status_callback = cls(
            id=id,
            status=status,
            detail=detail,
            message_id=message_id,
            reference=reference,
        )

        status_callback.additional_properties = d
        return status_callback

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
