# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="GatewayError")


@_attrs_define
class GatewayError:
    """Why the gateway refused a request.

    Attributes:
        error (str): Known values: send_failed, invalid_json, missing_attrib, invalid_attrib, broadcast_limit, 400
            (scheduled is not RFC 3339), 422 (scheduled is in the past), 404.
        error_desc (list[str] | str | Unset): One explanation, or a list of them.
    """

    error: str
    error_desc: list[str] | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        error = self.error

        error_desc: list[str] | str | Unset
        if isinstance(self.error_desc, Unset):
            error_desc = UNSET
        elif isinstance(self.error_desc, list):
            error_desc = self.error_desc

        else:
            error_desc = self.error_desc

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "error": error,
            }
        )
        if error_desc is not UNSET:
            field_dict["error-desc"] = error_desc

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        error = d.pop("error")

        def _parse_error_desc(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                error_desc_type_1 = cast(list[str], data)

                return error_desc_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        error_desc = _parse_error_desc(d.pop("error-desc", UNSET))

        gateway_error = cls(
            error=error,
            error_desc=error_desc,
        )

        gateway_error.additional_properties = d
        return gateway_error

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
