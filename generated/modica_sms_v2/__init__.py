# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
"""A client library for accessing Modica SMS REST v2"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
