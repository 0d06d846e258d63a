"""Show what the newest generator and formatter would make of our documents: elsewhere, and without changing anything.

Prints their versions, the difference they would cause in generated/, and whether the facade could live with it.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

from . import conformance
from .apis import ROOT
from .regenerate import outputs

UPGRADED = ("openapi-python-client", "ruff")


def environment(folder: Path) -> Path:
    """A fresh environment with the tools of the pipeline, the upgraded ones unpinned; returns its Python."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    wanted = [name if (name := tool.partition("==")[0]) in UPGRADED else tool for tool in groups["generator"]]
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", "--upgrade", *wanted)
    return python


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip())


def difference(old: dict[str, bytes], new: dict[str, bytes]) -> Iterator[str]:
    """Two sets of files as one unified diff; the lock, which has a line for everything, left out."""
    for name in sorted({*old, *new} - {"openapi/lock.json"}):
        before, after = (files.get(name, b"").decode().splitlines(keepends=True) for files in (old, new))
        yield from difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")


def main() -> int:
    """Run from the command line."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch, "built")
        try:
            python = environment(Path(scratch, "venv"))
            _run(python, "-m", f"{__package__}.regenerate", "--into", built)
        except (RuntimeError, OSError) as error:
            print(f"upgrade-generator: {error}", file=sys.stderr)
            return 1
        diff = list(difference(outputs(ROOT), outputs(built)))
        sys.stdout.writelines(diff)
        locks = [json.loads((root / "openapi" / "lock.json").read_bytes())["tools"] for root in (ROOT, built)]
        for tool in UPGRADED:
            print(f"{tool}: {locks[0][tool]} here, {locks[1][tool]} is the newest")
        changes = [line for line in diff if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]
        print(f"{len(changes)} lines of generated/ would change" if changes else "nothing would change")
        unmet = conformance.unmet(built / "generated")
        for need in unmet:
            print(f"not met any more: {need}")
        return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main())
