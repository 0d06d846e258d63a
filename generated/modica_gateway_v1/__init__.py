# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
"""A client library for accessing Modica Mobile Gateway REST v1"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
