"""``python -m modica_facade.simulator``: the simulator until Ctrl-C, on a clock that runs with real time."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from modica_facade.simulator import Simulator
from modica_facade.simulator._callbacks import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BANNER = """\
A simulator of Modica's Mobile Gateway that follows the published documentation. It is not the real gateway, and no
SMS leaves this machine.

  REST v1   {v1}
  REST v2   {v2}

{credentials} Point a client at it:

  Modica("application-name", "password", base_url="{v1}")
  export MODICA_BASE_URL={v1} MODICA_V2_BASE_URL={v2}
"""
_ANY = "Any application name and password that are not empty are accepted."
_REPLIES = "Type a number and a text, such as '+64211234567 Yes please', to let that handset reply. Ctrl-C ends.\n"


def main(arguments: Sequence[str] | None = None, lines: Iterable[str] | None = None) -> None:
    """Run the simulator; each of ``lines`` (standard input) is a reply to make, and it goes on after the last one."""
    options = _options().parse_args(arguments)
    simulator = Simulator(
        username=options.username,
        password=options.password,
        port=options.port,
        dlr_url=options.dlr_url,
        mo_url=options.mo_url,
        keep=1000,
        real_time=True,
    )
    with contextlib.suppress(KeyboardInterrupt), simulator:
        any_will_do = options.username is None and options.password is None
        credentials = _ANY if any_will_do else "Only the credentials given are accepted."
        print(_BANNER.format(v1=simulator.base_url, v2=simulator.v2_base_url, credentials=credentials), flush=True)
        if options.mo_url is not None:
            print(_REPLIES, flush=True)
        for line in sys.stdin if lines is None else lines:
            number, _, text = line.strip().partition(" ")
            if number:
                print(_reply(simulator, number, text), flush=True)
        threading.Event().wait()


def _reply(simulator: Simulator, number: str, text: str) -> str:
    try:
        message = simulator.reply(number, text)
    except LookupError:
        message = simulator.receive(number, text)
        return f"inbound message {message.id} from {number}, which was sent nothing yet"
    return f"inbound message {message.id} from {number}, in reply to {message.reply_to}"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m modica_facade.simulator",
        description="Modica's Mobile Gateway as its published documentation describes it, on 127.0.0.1.",
    )
    parser.add_argument("--port", type=int, default=8025, help="0 for a free one (default: %(default)s)")
    parser.add_argument("--username", help="accept only this application name")
    parser.add_argument("--password", help="accept only this password")
    parser.add_argument("--dlr-url", type=_url, help="post delivery receipts here")
    parser.add_argument("--mo-url", type=_url, help="post inbound messages here")
    return parser


def _url(text: str) -> str:
    try:
        Target.of(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return text


if __name__ == "__main__":
    main()
