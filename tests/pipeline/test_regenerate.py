"""From the published documents to generated/: the same bytes everywhere, all or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.pipeline import regenerate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of everything the pipeline reads and writes."""
    for name in ("openapi", "generated", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(workspace: Path, *arguments: str, seed: str = "random") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.pipeline.regenerate", *arguments],
        cwd=workspace,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(workspace: Path, *arguments: str) -> tuple[int, str, str]:
    with start(workspace, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow
def test_two_runs_under_different_hash_seeds_make_the_bytes_that_are_committed(tmp_path: Path) -> None:
    workspaces = [tmp_path / "one", tmp_path / "two"]
    for workspace in workspaces:
        shutil.copytree(ROOT / "scripts", workspace / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("published", "overlays"):
            shutil.copytree(ROOT / "openapi" / name, workspace / "openapi" / name)
    runs = [start(workspace, seed=seed) for workspace, seed in zip(workspaces, ("1", "2"), strict=True)]
    for process in runs:
        with process:
            assert process.communicate(timeout=120)[1] == ""
        assert process.returncode == 0
    committed = regenerate.outputs(ROOT)
    for workspace in workspaces:
        assert regenerate.outputs(workspace) == committed
        assert sorted(path.name for path in workspace.iterdir()) == ["generated", "openapi", "scripts"]


@pytest.mark.slow
def test_the_check_names_every_hand_edit_and_every_extra_or_missing_file(workspace: Path) -> None:
    package = workspace / "generated" / "modica_gateway_v1"
    with (package / "client.py").open("a", encoding="utf-8") as file:
        file.write("\n")
    (package / "models" / "extra.py").touch()
    (package / "types.py").unlink()
    (workspace / "generated" / "__init__.py").touch()
    (workspace / "openapi" / "sms-v2.openapi.yaml").write_text("{}", encoding="utf-8")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "client.cpython-311.pyc").touch()
    before = regenerate.outputs(workspace)
    code, out, err = run(workspace, "--check")
    assert code == 1
    assert out.splitlines() == [
        "extra: generated/__init__.py",
        "differs: generated/modica_gateway_v1/client.py",
        "extra: generated/modica_gateway_v1/models/extra.py",
        "missing: generated/modica_gateway_v1/types.py",
        "differs: openapi/sms-v2.openapi.yaml",
    ]
    assert err == "check-generated: run `make regenerate`, and never edit what it makes\n"
    assert regenerate.outputs(workspace) == before


@pytest.mark.slow
def test_a_run_says_what_it_added_removed_and_changed_and_then_that_all_is_well(workspace: Path) -> None:
    package = workspace / "generated" / "modica_sms_v2"
    (package / "client.py").write_text("", encoding="utf-8")
    (package / "extra.py").touch()
    (package / "types.py").unlink()
    code, out, err = run(workspace)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "changed: generated/modica_sms_v2/client.py",
        "removed: generated/modica_sms_v2/extra.py",
        "added: generated/modica_sms_v2/types.py",
    ]
    assert regenerate.outputs(workspace) == regenerate.outputs(ROOT)
    assert run(workspace, "--check") == (0, "openapi/ and generated/ are what the pipeline makes\n", "")


def test_a_broken_overlay_leaves_every_byte_where_it_was_and_says_so_on_one_line(workspace: Path) -> None:
    overlay = workspace / "openapi" / "overlays" / "sms-v2.overlay.yaml"
    overlay.write_text(overlay.read_text(encoding="utf-8").replace("paths['/openapi.yaml']", "paths['/docs']"), "utf-8")
    before = regenerate.read_tree(workspace)
    code, out, err = run(workspace)
    assert (code, out) == (2, "")
    assert err == (
        "regenerate: overlays/sms-v2.overlay.yaml action 1 ($.paths['/docs']): matches nothing: the document changed, "
        "or the target is misspelt; nothing was changed\n"
    )
    assert regenerate.read_tree(workspace) == before


@pytest.mark.slow
def test_an_endpoint_the_generator_would_drop_is_an_error(workspace: Path) -> None:
    published = workspace / "openapi" / "published" / "gateway-v1.swagger.yaml"
    published.write_text(
        published.read_text(encoding="utf-8").replace(
            "produces:\n  - application/json", "produces:\n  - application/xml"
        ),
        "utf-8",
    )
    overlay = workspace / "openapi" / "overlays" / "gateway-v1.overlay.yaml"
    text = overlay.read_text(encoding="utf-8").replace(
        "application/vnd.modica.gateway.v1+json:\n        schema", "application/pdf:\n        schema"
    )
    overlay.write_text(text, "utf-8")
    before = regenerate.read_tree(workspace)
    code, out, err = run(workspace)
    assert (code, out) == (2, "")
    assert err.startswith("regenerate: gateway-v1.openapi.yaml: openapi_python_client failed: Warning(s) encountered")
    assert "/messages" in err
    assert err.count("\n") == 1
    assert regenerate.read_tree(workspace) == before


@pytest.mark.slow
def test_code_the_facade_cannot_use_is_not_put_in_place_and_the_need_is_named(workspace: Path) -> None:
    overlay = workspace / "openapi" / "overlays" / "gateway-v1.overlay.yaml"
    text = overlay.read_text(encoding="utf-8")
    assert text.count("title: NewMessage") == 1
    overlay.write_text(text.replace("title: NewMessage", "title: OutboundMessage"), "utf-8")
    before = regenerate.read_tree(workspace)
    code, out, err = run(workspace)
    assert (code, out) == (2, "")
    assert err.startswith(
        "regenerate: scripts/pipeline/contract.py: Modica.send needs a class modica_gateway_v1.models.NewMessage; spec "
        "path gateway-v1.openapi.yaml#/components/schemas/Message, shaped by overlays/gateway-v1.overlay.yaml action "
    )
    assert err.endswith("; nothing was changed\n")
    assert regenerate.read_tree(workspace) == before


def test_the_lock_knows_every_input_and_output_and_the_pinned_tools() -> None:
    lock = json.loads((ROOT / "openapi" / "lock.json").read_text(encoding="utf-8"))
    assert sorted(lock) == ["generated", "inputs", "products", "tools"]
    assert sorted(lock["inputs"]) == [
        "overlays/gateway-v1.overlay.yaml",
        "overlays/sms-v2.overlay.yaml",
        "published/gateway-v1.swagger.yaml",
        "published/sms-v2.openapi.yaml",
    ]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for tool, version in lock["tools"].items():
        assert f'"{tool}=={version}"' in pyproject


def test_every_generated_file_says_where_it_comes_from_and_no_package_is_called_generated() -> None:
    for name, product in (("modica_gateway_v1", "gateway-v1"), ("modica_sms_v2", "sms-v2")):
        package = ROOT / "generated" / name
        assert (package / "py.typed").is_file()
        for path in package.rglob("*.py"):
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            assert first == f"# Generated from openapi/{product}.openapi.yaml: do not edit, run `make regenerate`."
    assert sorted(path.name for path in (ROOT / "generated").iterdir()) == ["modica_gateway_v1", "modica_sms_v2"]
