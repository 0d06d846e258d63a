"""Every example in a docstring of the package runs, and gives what it says."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modica_facade
from modica_facade import AsyncModica, AsyncModicaV2, Modica, ModicaV2, ledger, text
from modica_facade.simulator import Simulator

PARSER = doctest.DocTestParser()


def examples() -> Iterator[Any]:
    for info in pkgutil.walk_packages(modica_facade.__path__, "modica_facade."):
        if info.name.endswith("__main__") or "simulator" in info.name:
            continue
        module = importlib.import_module(info.name)
        for kind in [module, *vars(module).values()]:
            if kind is not module and not (
                (inspect.isclass(kind) or inspect.isfunction(kind)) and kind.__module__ == info.name
            ):
                continue
            for thing in [kind, *(vars(kind).values() if inspect.isclass(kind) else ())]:
                if found := PARSER.get_examples(getattr(thing, "__doc__", None) or ""):
                    yield pytest.param(found, id=f"{info.name}.{getattr(thing, '__qualname__', '')}")


@pytest.mark.parametrize("found", list(examples()))
def test_an_example_gives_what_it_says(
    found: list[doctest.Example],
    request: pytest.FixtureRequest,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in {
        "MODICA_USERNAME": "application-name",
        "MODICA_PASSWORD": "password",
        "MODICA_BASE_URL": simulator.base_url,
        "MODICA_V2_BASE_URL": simulator.v2_base_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    is_v2, is_async = "V2" in request.node.name, "_async" in request.node.name
    with asyncio.Runner() as runner:
        kind: Any = {(0, 0): Modica, (0, 1): AsyncModica, (1, 0): ModicaV2, (1, 1): AsyncModicaV2}[is_v2, is_async]
        modica = kind()
        names = {**vars(modica_facade), **vars(ledger), **vars(text), "modica": modica}
        try:
            for example in found:
                assert printed(example.source, names, runner) == (example.want or ANY), example.source
        finally:
            runner.run(modica.aclose()) if is_async else modica.close()
            for value in names.values():
                if isinstance(value, ledger.Ledger):
                    value.close()


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY = _Any()


def printed(source: str, names: dict[str, Any], runner: asyncio.Runner) -> str:
    """What an interpreter that knows ``await`` prints for a statement."""
    code = compile(source, "docstring", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        result = eval(code, names)
        if inspect.iscoroutine(result):
            runner.run(result)
    return shown.getvalue()


def test_the_main_names_have_examples() -> None:
    for name in ("Modica", "AsyncModica", "ModicaV2", "AsyncModicaV2", "RetryPolicy", "CallbackReceiver"):
        assert ">>>" in (getattr(modica_facade, name).__doc__ or ""), name
