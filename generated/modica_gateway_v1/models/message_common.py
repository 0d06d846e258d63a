# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="MessageCommon")


@_attrs_define
class MessageCommon:
    """What a single message and a broadcast have in common.

    Attributes:
        content (str): The text of the message.
        source (str | Unset): The short code to send from; not together with class.
        reference (str | Unset): A label of your own; it comes back with receipts and replies.
        class_ (str | Unset): The application class of the message; not together with source.
        mask (str | Unset): The name shown as sender, at most 20 characters.
        sms_class (int | Unset): How the handset treats the message, 0 to 3.
        scheduled (datetime.datetime | Unset): When to send the message, no more than 60 days ahead.
        expires (datetime.datetime | Unset): When to give up delivering the message.
    """

    content: str
    source: str | Unset = UNSET
    reference: str | Unset = UNSET
    class_: str | Unset = UNSET
    mask: str | Unset = UNSET
    sms_class: int | Unset = UNSET
    scheduled: datetime.datetime | Unset = UNSET
    expires: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        content = self.content

        source = self.source

        reference = self.reference

        class_ = self.class_

        mask = self.mask

        sms_class = self.sms_class

        scheduled: str | Unset = UNSET
        if not isinstance(self.scheduled, Unset):
            scheduled = self.scheduled.isoformat()

        expires: str | Unset = UNSET
        if not isinstance(self.expires, Unset):
            expires = self.expires.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
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
        if expires is not UNSET:
            field_dict["expires"] = expires

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
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

        _expires = d.pop("expires", UNSET)
        expires: datetime.datetime | Unset
        if isinstance(_expires, Unset):
            expires = UNSET
        else:
            expires = datetime.datetime.fromisoformat(_expires)

        message_common = cls(
            content=content,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            scheduled=scheduled,
            expires=expires,
        )

        message_common.additional_properties = d
        return message_common

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
