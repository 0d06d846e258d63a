"""What ``import modica_facade`` gives, what it does not, and what a wheel of it holds."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import httpx
import pytest

import modica_facade
import modica_facade.ledger
import modica_facade.simulator
import modica_facade.text
from modica_facade import errors

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED = {
    *("Modica", "AsyncModica", "ModicaV2", "AsyncModicaV2", "RetryPolicy"),
    *("SubmittedMessage", "Message", "BroadcastResult", "BroadcastOutcome"),
    *("DeliveryReceipt", "InboundMessage", "DeliveryStatus"),
    *("parse_callback", "parse_delivery_receipt", "parse_inbound_message", "CallbackReceiver", "DeliveryTracker"),
    *("SendOptions", "SendOptionsV1", "SendOptionsV2", "MessageClient", "AsyncMessageClient"),
    *errors.__all__,
    "__version__",
}


def python(code: str, *options: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_is_sorted_and_is_the_documented_interface() -> None:
    assert sorted(modica_facade.__all__) == modica_facade.__all__
    assert set(modica_facade.__all__) == DOCUMENTED
    for name in modica_facade.__all__:
        assert hasattr(modica_facade, name)


def test_everything_public_says_what_it_is() -> None:
    for name in DOCUMENTED - {"__version__"}:
        thing = getattr(modica_facade, name)
        assert inspect.getdoc(thing), name
        for method, value in inspect.getmembers(thing, inspect.isfunction):
            if not method.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{method}"


def functions_of(public: Any) -> dict[str, Any]:
    """Whatever of it has annotations: itself, and of a class its methods and properties."""
    if not inspect.isclass(public):
        return {"": public} if inspect.isfunction(public) else {}
    members = inspect.getmembers_static(public)
    unwrapped = {name: getattr(member, "fget", getattr(member, "__func__", member)) for name, member in members}
    public_ones = {name: member for name, member in unwrapped.items() if not name.startswith("_") or name == "__init__"}
    return {"": public} | {name: member for name, member in public_ones.items() if inspect.isfunction(member)}


@pytest.mark.parametrize(
    "module",
    [modica_facade, modica_facade.ledger, modica_facade.simulator, modica_facade.text],
    ids=lambda m: m.__name__,
)
def test_every_public_annotation_can_be_evaluated_when_a_program_runs(module: ModuleType) -> None:
    """Dependency injection containers, pydantic's validate_call and typeguard do that."""
    looked_at = 0
    for name in getattr(module, "__all__", ["count_parts", "normalise"]):
        for member, function in functions_of(getattr(module, name)).items():
            if function.__module__ is not None and function.__module__.startswith("modica_facade"):
                assert isinstance(get_type_hints(function), dict), f"{name}.{member}"
                looked_at += 1
    assert looked_at


def test_evaluating_the_annotations_of_a_client_is_what_imports_httpx() -> None:
    code = """
import sys, typing, modica_facade
assert "httpx" not in sys.modules
print(typing.get_type_hints(modica_facade.Modica.__init__)["http_client"])
"""
    assert python(code) == f"{httpx.Client | None}\n"


def test_importing_it_brings_nothing_of_an_extra_and_warns_of_nothing() -> None:
    code = (
        "import sys, httpx; before = set(sys.modules); import modica_facade; print(*sorted(set(sys.modules) - before))"
    )
    brought = {module.partition(".")[0] for module in python(code, "-W", "error").split()}
    assert not brought & {"click", "rich", "uvicorn", "starlette", "vcr", "pytest", "dateutil", "yaml"}
    ours = {module for module in python(code).split() if module.startswith("modica_facade.")}
    assert not ours & {f"modica_facade.{room}" for room in ("cli", "simulator", "pytest_plugin", "migration")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    # An sdist, and the wheel out of it: what a downstream packager does.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return dist


@pytest.mark.slow
def test_wheel_and_sdist_hold_both_generated_packages(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "modica_facade",
        "modica_gateway_v1",
        "modica_sms_v2",
    }
    for package in ("modica_facade", "modica_gateway_v1", "modica_sms_v2"):
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    assert {"modica_facade/simulator/_page.html", "modica_facade/simulator/sms-v2.openapi.yaml"} <= set(names)
    assert "modica_facade/ledger/sql/0001.sql" in names
    assert not [name for name in names if "/test" in name or name.endswith(".pyc")]
    assert any(name.endswith("LICENSE") for name in names)
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        kept = {name.partition("/")[2] for name in archive.getnames()}
    pipeline = {"openapi/lock.json", "scripts/pipeline/regenerate.py", "Makefile"}
    assert {"generated/modica_gateway_v1/__init__.py", *pipeline} <= kept


@pytest.mark.slow
def test_the_wheel_works_in_a_fresh_environment(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binary = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = built.glob("*.whl")
    subprocess.run([binary / "python", "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True)
    code = """
import importlib.util, sys
import modica_facade, modica_gateway_v1, modica_sms_v2
assert importlib.util.find_spec("generated") is None
assert importlib.util.find_spec("uvicorn") is None
print(modica_facade.__version__, modica_facade.__file__)
"""
    done = subprocess.run(
        [binary / "python", "-I", "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    version, file = done.stdout.split()
    assert version == modica_facade.__version__
    assert str(tmp_path) in file
    command = subprocess.run([binary / "modica", "send"], capture_output=True, text=True, check=False)
    assert command.returncode == 2
    assert ".[cli]" in command.stderr
