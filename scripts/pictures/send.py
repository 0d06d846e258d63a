"""What becomes of one send: how far the request got, how it can end there, and what that end proves."""

from __future__ import annotations

from typing import Final

from .svg import BLUE, FAINT, GREEN, GREY, RED, Drawing

NOT_SENT: Final = "not sent"
IN_DOUBT: Final = "may have been sent"
ACCEPTED: Final = "accepted"
COLOURS: Final = {NOT_SENT: GREEN, IN_DOUBT: RED, ACCEPTED: BLUE}

STAGES: Final = [
    (
        "The arguments are checked",
        "nothing has left this machine",
        [(NOT_SENT, "a value is certainly wrong", "InvalidRequestError", "correct the call")],
    ),
    (
        "A connection is opened",
        "name, TCP, proxy, TLS",
        [(NOT_SENT, "no connection, no certificate", "NotSentError", "repeated, then call again")],
    ),
    (
        "The request is being written",
        "part of it cannot be read as a request",
        [(NOT_SENT, "cut off before the last byte", "NotSentError", "repeated, then call again")],
    ),
    (
        "The whole request was written",
        "from here on only an answer can tell",
        [
            (IN_DOUBT, "silence, a time-out, a cut", "OutcomeUnknownError", "wait for its receipt"),
            (IN_DOUBT, "your process is killed", "no exception", "wait for its receipt"),
        ],
    ),
    (
        "An answer arrives",
        "its status decides",
        [
            (NOT_SENT, "429", "RateLimitError", "repeated, then wait retry_after"),
            (NOT_SENT, "400, 401, 403, 404, 422 …", "RejectedError and others", "correct the request"),
            (IN_DOUBT, "5xx, 408, 409, 423, 499", "ServerError, GatewayError", "wait for its receipt"),
            (IN_DOUBT, "2xx that cannot be read", "UnexpectedResponseError", "wait for its receipt"),
            (ACCEPTED, "201 (v1) or 202 (v2), with an id", "SubmittedMessage", "receipts tell the rest"),
        ],
    ),
    (
        "A delivery receipt arrives",
        "with your reference and the id",
        [(ACCEPTED, "settles every doubt above", "DeliveryReceipt", "record it")],
    ),
]
LEFT, STAGE_WIDTH, END_LEFT, END_WIDTH, ROW, GAP = 30, 270, 360, 570, 44, 22


def draw() -> str:
    """The picture."""
    height = 40 + sum(max(2, len(ends)) * ROW + GAP for *_, ends in STAGES) + 24
    description = " ".join(
        f"{title} ({note}): "
        + "; ".join(f"{seen} means {proof}, {result}, {action}" for proof, seen, result, action in ends)
        + "."
        for title, note, ends in STAGES
    )
    drawing = Drawing(END_LEFT + END_WIDTH + 30, height, title="What becomes of one send", description=description)
    top, bottom = 30, 0
    for number, (title, note, ends) in enumerate(STAGES):
        middle = top + 30
        if number:
            drawing.line([(LEFT + STAGE_WIDTH / 2, bottom), (LEFT + STAGE_WIDTH / 2, top - 1)])
        drawing.box(LEFT, top, STAGE_WIDTH, 60, GREY)
        drawing.text(LEFT + 14, top + 26, title, bold=True)
        drawing.text(LEFT + 14, top + 46, note, size=12, fill=FAINT)
        for row, (proof, seen, result, action) in enumerate(ends):
            y = top + row * ROW
            colours = COLOURS[proof]
            centre = y + 18 if len(ends) > 1 else middle
            drawing.line([(LEFT + STAGE_WIDTH, centre), (END_LEFT - 1, centre)], stroke=colours[1])
            drawing.box(END_LEFT, centre - 18, END_WIDTH, 36, colours)
            drawing.text(END_LEFT + 12, centre + 5, seen, size=13)
            drawing.text(END_LEFT + 222, centre + 5, result, size=12.5, mono=True)
            drawing.text(END_LEFT + END_WIDTH - 12, centre + 5, action, size=12, fill=FAINT, anchor="end")
        bottom = top + 60
        if len(ends) > 1:
            # The rail from which the ends branch off.
            foot = top + (len(ends) - 1) * ROW + 18
            drawing.line([(LEFT + STAGE_WIDTH, bottom), (LEFT + STAGE_WIDTH, foot)], stroke="#c6ced6", arrow=False)
        top += max(2, len(ends)) * ROW + GAP
    for x, proof in zip((LEFT, LEFT + 110, LEFT + 290), COLOURS, strict=True):
        drawing.box(x, height - 30, 14, 14, COLOURS[proof])
        drawing.text(x + 20, height - 18, proof, size=12, fill=FAINT)
    return drawing.svg()
