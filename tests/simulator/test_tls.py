"""A certificate for one run: good for every name of this machine, and for nothing else."""

from __future__ import annotations

import contextlib
import socket
import ssl

import httpx
import pytest

from modica_facade.simulator import Simulator
from modica_facade.simulator._tls import throw_away_certificate

from .support import CREDENTIALS, FIRST, MESSAGE


def test_a_client_that_trusts_its_authority_can_use_it() -> None:
    context, authority = throw_away_certificate("0.0.0.0")
    trusting = ssl.create_default_context(cadata=authority.decode())
    with (
        Simulator(tls=context, host="0.0.0.0", control=True) as sim,
        httpx.Client(verify=trusting, trust_env=False, auth=CREDENTIALS) as client,
        httpx.Client(trust_env=False) as stranger,
    ):
        assert sim.base_url.startswith("https://127.0.0.1:")
        response = client.post(f"{sim.base_url}/messages", json=MESSAGE)
        assert client.get(f"{sim.url}/_modica/v1/health").json()["v1"] == sim.base_url
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get(f"{sim.url}/_modica/v1/health")
    assert response.json() == [FIRST]
    assert response.headers["location"].startswith(sim.base_url)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname(), "sms.example"])
def test_it_is_good_for_every_name_of_the_machine(name: str) -> None:
    context, authority = throw_away_certificate("sms.example")
    trusting = ssl.create_default_context(cadata=authority.decode())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    client = trusting.wrap_bio(outgoing, incoming, server_hostname=name)
    for _ in range(3):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert client.getpeercert()
