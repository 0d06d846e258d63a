# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewMessage")


@_attrs_define
class NewMessage:
    """A message for one destination.

    Attributes:
        destination (str): The number to send to, in international format.
        content (str): The text of the message.
        source (str | Unset): The short code to send from; not together with class.
        reference (str | Unset): A label of your own; it comes back with receipts and replies.
        class_ (str | Unset): The application class of the message; not together with source.
        mask (str | Unset): The name shown as sender, at most 20 characters.
        sms_class (int | Unset): How the handset treats the message, 0 to 3.
        scheduled (datetime.datetime | Unset): When to send the message, no more than 60 days ahead.
        integration_id (UUID | Unset): The id of an integration, from the vendor.
    """

    destination: str
    content: str
    source: str | Unset = UNSET
    reference: str | Unset = UNSET
    class_: str | Unset = UNSET
    mask: str | Unset = UNSET
    sms_class: int | Unset = UNSET
    scheduled: datetime.datetime | Unset = UNSET
    integration_id: UUID | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        destination = self.destination

        content = self.content

        source = self.source

        reference = self.reference

        class_ = self.class_

        mask = self.mask

        sms_class = self.sms_class

        scheduled: str | Unset = UNSET
        if not isinstance(self.scheduled, Unset):
            scheduled = self.scheduled.isoformat()

        integration_id: str | Unset = UNSET
        if not isinstance(self.integration_id, Unset):
            integration_id = str(self.integration_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "destination": destination,
                "content": content,
            }
        )
        if source is not UNSET:
            field_dict["source"] = source
        if reference is not UNSET:
            field_dict["reference"] = reference
        if class_ is not UNSET:
            field_dict["class"] = class_
        if mask is not UNSET:
            field_dict["mask"] = mask
        if sms_class is not UNSET:
            field_dict["sms_class"] = sms_class
        if scheduled is not UNSET:
            field_dict["scheduled"] = scheduled
        if integration_id is not UNSET:
            field_dict["integration_id"] = integration_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        destination = d.pop("destination")

        content = d.pop("content")

        source = d.pop("source", UNSET)

        reference = d.pop("reference", UNSET)

        class_ = d.pop("class", UNSET)

        mask = d.pop("mask", UNSET)

        sms_class = d.pop("sms_class", UNSET)

        _scheduled = d.pop("scheduled", UNSET)
        scheduled: datetime.datetime | Unset
        if isinstance(_scheduled, Unset):
            scheduled = UNSET
        else:
            scheduled = datetime.datetime.fromisoformat(_scheduled)

        _integration_id = d.pop("integration_id", UNSET)
        integration_id: UUID | Unset
        if isinstance(_integration_id, Unset):
            integration_id = UNSET
        else:
            integration_id = UUID(_integration_id)

        new_message = cls(
            destination=destination,
            content=content,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            scheduled=scheduled,
            integration_id=integration_id,
        )

        new_message.additional_properties = d
        return new_message

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
