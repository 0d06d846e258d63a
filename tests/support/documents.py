"""OpenAPI documents of this repository, to hold answers against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

if TYPE_CHECKING:
    import httpx

DOCUMENTS = Path(__file__).parent.parent.parent / "openapi"


class Document:
    """One of them, by its file name."""

    def __init__(self, name: str) -> None:
        self.content: dict[str, Any] = yaml.safe_load((DOCUMENTS / name).read_text(encoding="utf-8"))

    @property
    def operations(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """Method, path and description of each operation, by its id."""
        return {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in self.content["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict) and "operationId" in operation
        }

    def body_properties(self, operation_id: str) -> dict[str, Any]:
        """What the body of an operation may have, by name."""
        request_body = self.operations[operation_id][2].get("requestBody")
        if request_body is None:
            return {}
        schema = request_body["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = self.content["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        properties: dict[str, Any] = schema["properties"]
        return properties

    def check(self, operation_id: str, response: httpx.Response, media_type: str = "application/json") -> None:
        """The answer is one that this operation describes."""
        responses = self.operations[operation_id][2]["responses"]
        described = responses.get(str(response.status_code)) or responses["default"]
        if response.content:
            assert response.headers["content-type"] == media_type
            self.check_payload(described, response.json())
        else:
            assert "content" not in self._resolved(described)

    def check_payload(self, holder: dict[str, Any], payload: Any) -> None:
        """What a response or a request body describes."""
        schema = self._resolved(holder)["content"]["application/json"]["schema"]
        self.check_schema(schema, payload)

    def check_schema(self, schema: dict[str, Any], payload: Any) -> None:
        schema = {**schema, "components": self.content["components"]}
        OAS30Validator(schema, format_checker=oas30_format_checker).validate(payload)

    def check_callback(self, name: str, payload: Any) -> None:
        callback = self.content["paths"]["/messages"]["post"]["callbacks"][name]["{$url}"]["post"]
        self.check_payload(callback["requestBody"], payload)

    def _resolved(self, holder: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in holder:
            return holder
        resolved: dict[str, Any] = self.content["components"]["responses"][holder["$ref"].rpartition("/")[2]]
        return resolved
