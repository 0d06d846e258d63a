"""Make the OpenAPI products, both generated packages and the lock from the published documents and the overlays.

`regenerate` replaces them all or none of them; `--check` only says whether they are what it would make; `--into`
makes them elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from . import conformance
from .apis import APIS, ROOT, Api
from .convert import to_openapi3
from .document import SpecError, check_names, dump, parse, validate
from .overlay import apply_overlay

# What decides the bytes; pinned in pyproject.toml, repeated in the lock.
TOOLS = ("openapi-python-client", "python-jsonpath", "pyyaml", "ruff")


def build(inputs: Path, out: Path, redundant: list[str] | None = None) -> None:
    """Make everything from the folder `inputs` (an openapi/) into the empty folder `out` (openapi/ and generated/).

    An overlay action with nothing left to do is noted in `redundant`; without that list it is an error.
    """
    lock: dict[str, dict[str, str]] = {"inputs": {}, "products": {}, "generated": {}}
    (out / "openapi").mkdir()
    (out / "generated").mkdir()
    # All documents first: what is wrong with one is known before anything is generated.
    for api in APIS:
        product = make_product(api, inputs, redundant)
        (out / "openapi" / api.product).write_bytes(product)
        lock["products"][api.product] = sha256(product)
        for name in (api.published, api.overlay):
            lock["inputs"][name] = sha256((inputs / name).read_bytes())
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda api: generate(out / "openapi" / api.product, out / "generated" / api.package), APIS))
    for api in APIS:
        files = {name: sha256(data) for name, data in read_tree(out / "generated" / api.package).items()}
        lock["generated"][api.package] = sha256(json.dumps(files).encode())
    lock["tools"] = {tool: version(tool) for tool in TOOLS}
    (out / "openapi" / "lock.json").write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


def make_product(api: Api, inputs: Path, redundant: list[str] | None = None) -> bytes:
    """Read the published document and its overlay and return the corrected OpenAPI 3.0 document."""
    published = parse((inputs / api.published).read_bytes(), api.published)
    validate(published, f"{api.published}#")
    overlay = parse((inputs / api.overlay).read_bytes(), api.overlay)
    product = apply_overlay(to_openapi3(published, f"{api.published}#"), overlay, api.overlay, redundant)
    validate(product, f"{api.product}#")
    check_names(product, f"{api.product}#")
    header = f"# Made from {api.published} and {api.overlay}: do not edit, run `make regenerate`.\n"
    return (header + dump(product)).encode()


def generate(product: Path, package: Path) -> None:
    """Generate the client package for a product, formatted the same on every machine."""
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.json"
        # The generator's own hooks obey whatever pyproject.toml is around; a title is a whole class name here.
        settings = {
            "package_name_override": package.name,
            "post_hooks": [],
            "use_path_prefixes_for_title_model_names": False,
        }
        config.write_text(json.dumps(settings), encoding="utf-8")
        _run(
            product.name, "openapi_python_client", "generate", "--path", product, "--config", config, "--meta", "none",
            "--output-path", package, "--fail-on-warning",
        )  # fmt: skip
    options = ("--isolated", "--no-cache", "--quiet", "--target-version", "py311")
    _run(product.name, "ruff", "check", *options, "--select", "F401,I", "--fix", package)
    _run(product.name, "ruff", "format", *options, "--line-length", "120", package)
    _run(product.name, "ruff", "check", *options, "--select", "F82", package)
    (package / "py.typed").touch()
    banner = f"# Generated from openapi/{product.name}: do not edit, run `make regenerate`.\n"
    for path in package.rglob("*.py"):
        path.write_bytes(banner.encode() + path.read_bytes())


def _run(product: str, module: str, *arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).partition("If you believe this was a mistake")[0]
        raise SpecError(product, f"{module} failed: {' '.join(said.split())[:1000]}")


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path with forward slashes, sorted; caches of Python left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def sha256(data: bytes) -> str:
    """The hash of a file as the lock and SOURCES.md have it."""
    return hashlib.sha256(data).hexdigest()


def outputs(root: Path) -> dict[str, bytes]:
    """Every file the pipeline answers for, under `root`: all of generated/, the products and the lock."""
    openapi = {f"openapi/{name}": root / "openapi" / name for name in (*(api.product for api in APIS), "lock.json")}
    return {
        **{name: path.read_bytes() for name, path in openapi.items() if path.is_file()},
        **{f"generated/{name}": data for name, data in read_tree(root / "generated").items()},
    }


def differences(old: dict[str, bytes], new: dict[str, bytes], words: tuple[str, str, str]) -> list[str]:
    """What separates two sets of files, one line each: `words` say only in new, only in old, not the same."""
    return [
        f"{words[0] if name not in old else words[1] if name not in new else words[2]}: {name}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


OUTPUTS = (*(f"openapi/{api.product}" for api in APIS), "openapi/lock.json", "generated")


def swap(built: Path, root: Path, backup: Path, names: Sequence[str] = OUTPUTS) -> None:
    """Put what was built in the place of what is there, all of it or, when anything fails, none of it."""
    undo: list[tuple[Path, Path]] = []
    try:
        for name in names:
            new, old, kept = built / name, root / name, backup / Path(name).name
            undo += [(kept, old), (old, new)]
            if old.exists():
                old.rename(kept)
            new.rename(old)
    except BaseException:
        for source, destination in reversed(undo):
            if source.exists() and not destination.exists():
                source.rename(destination)
        raise


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="make everything in this new folder instead")
    arguments = parser.parse_args()
    check = arguments.check
    try:
        if arguments.into:
            arguments.into.mkdir()
            build(ROOT / "openapi", arguments.into)
            return 0
        # The swap is a rename, so what is built must be on the same file system.
        with tempfile.TemporaryDirectory(prefix=".regenerate-", dir=None if check else ROOT) as scratch:
            built, backup = Path(scratch, "built"), Path(scratch, "backup")
            built.mkdir()
            backup.mkdir()
            build(ROOT / "openapi", built)
            words = ("missing", "extra", "differs") if check else ("added", "removed", "changed")
            changes = differences(outputs(ROOT), outputs(built), words)
            if changes and not check:
                conformance.hold(built, ROOT)
                swap(built, ROOT, backup)
    except (SpecError, OSError) as error:
        print(f"regenerate: {error}; nothing was changed", file=sys.stderr)
        return 1
    print("\n".join(changes) or "openapi/ and generated/ are what the pipeline makes")
    if changes and check:
        print("check-generated: run `make regenerate`, and never edit what it makes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
