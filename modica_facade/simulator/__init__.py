"""The documented gateway as a local server, for tests and demonstrations (extra ``simulator``).

::

    with Simulator() as sim:
        modica = Modica("application-name", "password", base_url=sim.base_url)
        modica.send("+64211234567", "Kia ora")
    sim.assert_sent(to="+64211234567", containing="Kia ora", times=1)

A real HTTP server on loopback. It answers as the published documentation says and as far as that goes; it was not
compared with the live service, and knows nothing of the client half of this package.

`_v1`, `_v2` and `_submission` follow the documents, `_answers` chooses between them, `_gateway` is the platform behind
them, `_callbacks` posts, `_faults` are rules that make requests fail, `_events` numbers what happens, `_wire` and
`_server` speak HTTP, `_simulator` is what Python sees of all this, `_control` what other languages and the page see.
"""

from ._payloads import inbound, receipt
from ._records import Delivery, Fault, ReceivedRequest, StoredMessage
from ._server import serve
from ._simulator import Application, AsyncSimulator, Simulator
from ._submission import ALWAYS_EXPIRED, ALWAYS_REFUSED, ALWAYS_REJECTED

__all__ = [
    "ALWAYS_EXPIRED",
    "ALWAYS_REFUSED",
    "ALWAYS_REJECTED",
    "Application",
    "AsyncSimulator",
    "Delivery",
    "Fault",
    "ReceivedRequest",
    "Simulator",
    "StoredMessage",
    "inbound",
    "receipt",
    "serve",
]
