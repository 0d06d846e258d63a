"""A certificate for one run of the simulator, and the authority that signed it (trustme, extra ``simulator``)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl


def throw_away_certificate(host: str) -> tuple[ssl.SSLContext, bytes]:
    """Make a certificate for every name this machine may be called by.

    Args:
        host: the address that is listened on.

    Returns:
        A context for the server, and the certificate of the authority (PEM), which clients have to trust.
    """
    try:
        import trustme  # the slowest import of the simulator, and few need it
    except ImportError as error:
        raise ImportError("https needs trustme: pip install '.[simulator]' in a checkout of modica-facade") from error
    name = socket.gethostname()
    addresses: list[str] = []
    with contextlib.suppress(OSError):
        addresses = [str(info[4][0]) for info in socket.getaddrinfo(name, None)]
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", name, host, *addresses])
    authority = trustme.CA()
    certificate = authority.issue_cert(*(each for each in names if _can_be_called(each)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - it takes pyOpenSSL's as well
    return context, authority.cert_pem.bytes()


def _can_be_called(name: str) -> bool:
    """Not 0.0.0.0, nor an address that is good on one link only."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "%" not in name
    return not (address.is_unspecified or address.is_link_local)
