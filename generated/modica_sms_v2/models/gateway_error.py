# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="GatewayError")


@_attrs_define
class GatewayError:
    """Why the gateway refused a request.

    Attributes:
        message (str): What went wrong.
        status_code (int): The HTTP status of the response.
        error (str): The kind of error.
    """

    message: str
    status_code: int
    error: str

    def to_dict(self) -> dict[str, Any]:
        message = self.message

        status_code = self.status_code

        error = self.error

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "message": message,
                "statusCode": status_code,
                "error": error,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        message = d.pop("message")

        status_code = d.pop("statusCode")

        error = d.pop("error")

        gateway_error = cls(
            message=message,
            status_code=status_code,
            error=error,
        )

        return gateway_error
