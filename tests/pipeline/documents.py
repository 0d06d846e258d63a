"""A small document with a bit of everything that can be carried over."""

from __future__ import annotations

from typing import Any

THING = {"$ref": "#/definitions/Thing"}


def swagger() -> dict[str, Any]:
    """A small document with a bit of everything that can be carried over."""
    return {
        "swagger": "2.0",
        "info": {"title": "Things", "version": "1", "x-kind": "test"},
        "host": "example.com",
        "basePath": "/rest",
        "schemes": ["https", "http"],
        "consumes": ["application/json"],
        "produces": ["application/json", "text/plain"],
        "x-origin": "here",
        "tags": [{"name": "things"}],
        "security": [{"Basic": []}],
        "securityDefinitions": {
            "Basic": {"type": "basic", "description": "the usual"},
            "Key": {"type": "apiKey", "name": "X-Key", "in": "header"},
        },
        "paths": {
            "/things/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "type": "string", "pattern": "^[a-z]+$"}],
                "post": {
                    "operationId": "make_thing",
                    "tags": ["things"],
                    "summary": "Make one",
                    "consumes": ["application/vnd.thing+json"],
                    "parameters": [
                        {"name": "thing", "in": "body", "description": "It", "required": True, "schema": dict(THING)},
                        {"name": "kinds", "in": "query", "type": "array", "items": {"type": "string"}, "maxItems": 3},
                        {
                            "name": "sizes",
                            "in": "query",
                            "type": "array",
                            "items": {"type": "integer", "enum": [1]},
                            "collectionFormat": "multi",
                        },
                        {"name": "X-Trace", "in": "header", "type": "integer", "format": "int64", "default": 1},
                    ],
                    "responses": {
                        "201": {
                            "description": "Made",
                            "schema": {"type": "array", "items": dict(THING)},
                            "headers": {"Location": {"type": "string", "description": "Where"}},
                            "examples": {"application/json": []},
                        },
                        "default": {"description": "Not made"},
                    },
                },
            }
        },
        "definitions": {
            "Base": {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}},
            "Thing": {
                "allOf": [{"$ref": "#/definitions/Base"}, {"properties": {"name": {"type": "string", "maxLength": 5}}}],
                "additionalProperties": {"type": "string"},
                "x-note": "kept",
            },
        },
    }  # fmt: skip
