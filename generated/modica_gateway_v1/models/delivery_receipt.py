# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="DeliveryReceipt")


@_attrs_define
class DeliveryReceipt:
    """Where a message stands, posted by the gateway.

    Attributes:
        message_id (str): The id given when the message was submitted, as a string of digits.
        status (str): Known values: sent, received (delivered to the handset), rejected, expired. The platform also
            knows submitted, frozen, failed and dead.
        reference (str | Unset): The label given when the message was submitted, if there was one.
    """

    message_id: str
    status: str
    reference: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        message_id = self.message_id

        status = self.status

        reference = self.reference

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "message_id": message_id,
                "status": status,
            }
        )
        if reference is not UNSET:
            field_dict["reference"] = reference

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        message_id = d.pop("message_id")

        status = d.pop("status")

        reference = d.pop("reference", UNSET)

        delivery_receipt = cls(
            message_id=message_id,
            status=status,
            reference=reference,
        )

        delivery_receipt.additional_properties = d
        return delivery_receipt

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
