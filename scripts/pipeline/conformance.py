"""Hold generated code to the contract. Run with the path of a generated/, it prints as JSON what is missing there.

That is a process of its own, so that two versions of one package never meet.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import httpx
from attrs import evolve, frozen

from .apis import APIS, ROOT
from .contract import CALLBACKS, OPERATIONS, PACKAGES, Field, Operation, Shape
from .convert import to_openapi3
from .document import Document, SpecError, at, parse, raise_all, resolve
from .overlay import actions_on
from .schema_diff import Node, flat


@frozen
class Unmet:
    """A need that generated code does not meet. `schema` and `field` say where the document would have to say it."""

    api: str
    facade: str
    schema: str
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.facade} needs {self.what}"


def unmet(generated: Path) -> list[Unmet]:
    """Every need that the packages in the folder `generated` do not meet."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(generated), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.conformance", generated],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return [Unmet("", "the facade", "", "", f"generated code that can be used at all: {' '.join(last)}")]
    return [Unmet(**found) for found in json.loads(done.stdout)]


def hold(built: Path, root: Path) -> None:
    """Refuse what was built in `built` to take the place of what is in `root` when the facade could not use it."""
    needs = [explain(need, root / "openapi", built / "openapi") for need in unmet(built / "generated")]
    raise_all([SpecError("scripts/pipeline/contract.py", need) for need in needs])


def explain(need: Unmet, before: Path, after: Path) -> str:
    """An unmet need on one line: the method, the location in the document, and the overlay actions that shape it.

    Args:
        need: What is not met.
        before: The openapi/ it was met with.
        after: The openapi/ it is not met with any more.
    """
    if not need.api:
        return str(need)
    api = next(api for api in APIS if api.name == need.api)
    location = need.schema
    for folder in (before, after):
        location = _locate(parse((folder / api.product).read_bytes(), api.product), need) or location
    published = to_openapi3(parse((before / api.published).read_bytes(), api.published), "#")
    overlay = parse((before / api.overlay).read_bytes(), api.overlay)
    # An operation is shaped by most actions; the one that names it says enough.
    shaped = f"{location}/operationId" if location.startswith("#/paths/") else location
    actions = actions_on(published, overlay, api.overlay, shaped) or [f"no action of {api.overlay}"]
    return f"{need}; spec path {api.product}{location}, shaped by {', '.join(actions)}"


def _locate(document: Document, need: Unmet) -> str | None:
    """Where a document defines what is needed, allOf and references followed."""
    value = resolve(need.schema, document)
    if value is None or not need.field:
        return None
    found = flat(Node(document, need.schema, value)).properties.get(need.field)
    return found[-1].path if found else None


class _AnyValue:
    """Stands in for a value of a type the facade does not know, whatever a generated `to_dict` asks of it."""

    def __getattr__(self, name: str) -> Callable[..., _AnyValue]:
        return lambda: self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


# A value of each type as Python has it, and as it is on the wire.
_SAMPLES: dict[str, tuple[Any, Any]] = {
    "str": ("text", "text"),
    "list[str]": (["text"], ["text"]),
    "int": (7, 7),
    "datetime.datetime": (datetime(2026, 12, 1, 9, tzinfo=UTC), "2026-12-01T09:00:00+00:00"),
    "UUID": (UUID(int=7), str(UUID(int=7))),
    "uuid.UUID": (UUID(int=7), str(UUID(int=7))),
}


def _sample(field: Field) -> tuple[Any, Any]:
    return next(sample for kind, sample in _SAMPLES.items() if kind in field.type.split(" | "))


def _missing() -> Iterator[Unmet]:
    for operation in OPERATIONS:
        need = Unmet(operation.api, operation.facade, at("#/paths", operation.path, operation.method), "", "")
        models = importlib.import_module(f"{PACKAGES[operation.api]}.models")
        shapes = [
            *_of_shape(need, models, operation.sends, sends=True),
            *_of_shape(need, models, operation.reads, sends=False),
        ]
        yield from shapes
        if not shapes:
            yield from (evolve(need, what=what) for what in _of_endpoint(operation, models))
    for callback in CALLBACKS:
        models = importlib.import_module(f"{PACKAGES[callback.api]}.models")
        yield from _of_shape(Unmet(callback.api, callback.facade, "", "", ""), models, callback.reads, sends=False)


def _of_shape(need: Unmet, models: Any, shape: Shape | None, *, sends: bool) -> Iterator[Unmet]:
    if shape is None:
        return
    need = evolve(need, schema=shape.schema)
    model = getattr(models, shape.model, None)
    if model is None:
        yield evolve(need, what=f"a class {models.__name__}.{shape.model}")
        return
    has = attrs.fields_dict(model)
    wanted = {field.attribute: field for field in shape.fields}
    # A response may have more fields than the facade reads; those that must be given can be anything.
    usable = {
        name for name, field in wanted.items() if name in has and _fits(field.type, str(has[name].type), sends=sends)
    }
    given = [name for name in has if has[name].init and (name in usable or has[name].default is attrs.NOTHING)]
    values = {name: _sample(wanted[name])[0] if name in usable else _AnyValue() for name in given}
    written = model(**values).to_dict()
    for name, field in wanted.items():
        here = evolve(
            need,
            facade=f"{need.facade}({field.facade})" if sends else f"{need.facade}: {field.facade}",
            field=field.wire,
            what=f"{shape.model}.{name}: {field.type}",
        )
        if name not in has:
            yield evolve(here, what=f"{here.what}, and there is none")
        elif name not in usable:
            yield evolve(here, what=f"{here.what}, and it is {has[name].type}")
        elif written.get(field.wire) != _sample(field)[1]:
            yield evolve(here, what=f"{here.what}, called {field.wire!r} on the wire")
    for name, attribute in has.items():
        if sends and name not in wanted and attribute.init and attribute.default is attrs.NOTHING:
            what = f"to fill {shape.model}.{name}: {attribute.type}, which is required and the facade does not know"
            yield evolve(need, field=name, what=what)


def _filled(shape: Shape) -> dict[str, Any]:
    return {field.wire: _sample(field)[1] for field in shape.fields}


def _fits(wanted: str, found: str, *, sends: bool) -> bool:
    """What is sent must be taken, what is read must be known; that it may be absent is always reckoned with."""
    ours, theirs = set(wanted.split(" | ")), set(found.split(" | "))
    return ours <= theirs if sends else theirs - {"Unset"} <= ours


def _of_endpoint(operation: Operation, models: Any) -> Iterator[str]:
    """Drive the generated sender against a transport that responds as the gateway would."""
    package = PACKAGES[operation.api]
    name = f"{package}.api.messages.{operation.generated}"
    try:
        send = importlib.import_module(name).sync_detailed
    except (ImportError, AttributeError):
        yield f"a module {name} with sync_detailed"
        return
    arguments: dict[str, Any] = {field.attribute: _sample(field)[0] for field in operation.parameters}
    takes = {
        key: inspect.formatannotation(value.annotation) for key, value in inspect.signature(send).parameters.items()
    }
    for field in operation.parameters:
        if takes.get(field.attribute) != field.type:
            yield f"{name}.sync_detailed({field.attribute}: {field.type}), and it takes {takes.get(field.attribute)}"
            return
    if operation.sends:
        model = getattr(models, operation.sends.model)
        arguments["body"] = model(**{field.attribute: _sample(field)[0] for field in operation.sends.fields})
    item: Any = _filled(operation.reads) if operation.reads else 7
    response = [item] if operation.listed else item
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(operation.success, json=response)

    base = "https://gateway.invalid/base"
    client = importlib.import_module(package).Client(base_url=base)
    client.set_httpx_client(httpx.Client(base_url=base, transport=httpx.MockTransport(handle)))
    parsed: Any = response
    try:
        parsed = send(client=client, **arguments).parsed
    except Exception as error:  # noqa: BLE001 - whatever it raises
        if not seen:
            yield f"{name}.sync_detailed to send, and it raises {type(error).__name__}: {error}"
            return
        # It knows the status and looks for more than the sample has; what the facade reads was checked before.
    yield from _of_request(operation, seen[0])
    if parsed is None:
        yield f"a response {operation.success}, and there is none"
    elif isinstance(parsed, list) != operation.listed:
        yield f"a response that is {'' if operation.listed else 'not '}a list"


def _of_request(operation: Operation, request: httpx.Request) -> Iterator[str]:
    """What the generated sender made of a call, against what the facade sends for the same."""
    values = {field.wire: _sample(field)[1] for field in operation.parameters}
    inside = {wire for wire in values if f"{{{wire}}}" in operation.path}
    url = "/base" + operation.path.format(**{wire: values[wire] for wire in inside})
    if (request.method, request.url.path) != (operation.method.upper(), url):
        yield f"{operation.method.upper()} {url}, and it is {request.method} {request.url.path}"
    query = {wire: str(value) for wire, value in values.items() if wire not in inside}
    if dict(request.url.params) != query:
        yield f"the query {query}, and it is {dict(request.url.params)}"
    if operation.sends:
        if json.loads(request.content) != _filled(operation.sends):
            yield f"the body {_filled(operation.sends)}, and it is {request.content.decode()}"
        if request.headers.get("content-type") != "application/json":
            yield f"Content-Type application/json, and it is {request.headers.get('content-type')}"


if __name__ == "__main__":
    print(json.dumps([attrs.asdict(found) for found in _missing()]))
