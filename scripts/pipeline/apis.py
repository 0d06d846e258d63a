"""The vendor's services, and what belongs to each of them under openapi/ and generated/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

OWN_HOST = "api.modicagroup.com"
# The same service under another name: the vendor publishes its documents through this one.
WHITE_LABELS = frozenset({OWN_HOST, "api.sms.optus.com.au"})


@dataclass(frozen=True)
class Api:
    """One of the vendor's services: its names in openapi/ and generated/, and where the vendor publishes it."""

    name: str
    published: str
    package: str
    source: str

    @property
    def overlay(self) -> str:
        """The overlay's path under openapi/."""
        return f"overlays/{self.name}.overlay.yaml"

    @property
    def product(self) -> str:
        """The product's path under openapi/."""
        return f"{self.name}.openapi.yaml"


APIS = (
    Api(
        "gateway-v1",
        "published/gateway-v1.swagger.yaml",
        "modica_gateway_v1",
        "https://sms.optus.com.au/docs/api/mobile-gateway-rest-v1.yaml",
    ),
    Api(
        "sms-v2",
        "published/sms-v2.openapi.yaml",
        "modica_sms_v2",
        "https://sms.optus.com.au/docs/api/mobile-gateway-rest-v2.yaml",
    ),
)
