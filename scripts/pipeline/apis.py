"""The vendor's services: what belongs to each under openapi/ and generated/, and the hosts they are served from."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
OWN_HOST = "api.modicagroup.com"
# The same service under another name: the vendor publishes its documents through this one.
WHITE_LABELS = frozenset({OWN_HOST, "api.sms.optus.com.au"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen
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


def canonical_address(url: str) -> str:
    """A server address as all its spellings have it: case, default port, trailing slash, white label.

    Raises:
        ValueError: it is not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not a whole address")
    host = OWN_HOST if parts.hostname in WHITE_LABELS else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
