"""The answer to a request: that of its version, or an error in the envelope of it, in the media type it asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from . import _v1, _v2
from ._wire import accepts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._gateway import Gateway
    from ._records import Answer, ReceivedRequest


def true_answer(gateway: Gateway, request: ReceivedRequest, url: str, v2_errors: _v2.Shape) -> Answer:
    """Carry a request out and answer it; ``url`` is where the simulator is, as the client calls it."""
    return _as_asked_for(request, _of_its_version(gateway, request, url, v2_errors))


def error_answer(
    request: ReceivedRequest, code: str, status_code: int, headers: Mapping[str, str], v2_errors: _v2.Shape
) -> Answer:
    """Answer a request with a documented error code, whatever it asks for."""
    if request.path.startswith(_v2.PATH + "/"):
        answer = _v2.error(code, status_code, v2_errors)
    else:
        answer = _v1.error(code, status_code)
    return _as_asked_for(request, attrs.evolve(answer, headers={**answer.headers, **headers}))


def _of_its_version(gateway: Gateway, request: ReceivedRequest, url: str, v2_errors: _v2.Shape) -> Answer:
    if request.path.startswith(_v1.PATH + "/"):
        if not request.authenticated:
            return _v1.unauthorized()
        return _v1.answer(gateway, request, url + _v1.PATH)
    if request.path == _v2.PATH + "/openapi.yaml" and request.method == "GET":
        return _v2.document()
    if request.path.startswith(_v2.PATH + "/"):
        if not request.authenticated:
            return _v2.unauthorized(v2_errors)
        return _v2.answer(gateway, request, v2_errors)
    return _v1.not_found_page()


def _as_asked_for(request: ReceivedRequest, answer: Answer) -> Answer:
    if answer.headers.get("Content-Type") == "application/json" and accepts(request, _v1.MEDIA_TYPE):
        return attrs.evolve(answer, headers={**answer.headers, "Content-Type": _v1.MEDIA_TYPE})
    return answer
