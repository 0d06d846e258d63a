"""Make the OpenAPI products, both generated packages and the lock from the published documents and the overlays.

`make regenerate` replaces them all or none of them; `make check-generated` only says whether they are what it would
make; `--into` makes them elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from attrs import field, frozen

from . import conformance
from .apis import APIS, ROOT, Api
from .convert import to_openapi3
from .document import Document, SpecError, collecting, dump, parse, raise_all, validate
from .overlay import apply_overlay
from .prepare import prepare, without_idle
from .swap import BusyError, exclusive, settle, swap

MAX_PROBLEMS = 50  # printed at once
# What decides the bytes; pinned in pyproject.toml, repeated in the lock.
TOOLS = ("openapi-python-client", "python-jsonpath", "pyyaml", "ruff")
OUTPUTS = (*(f"openapi/{api.product}" for api in APIS), "openapi/lock.json", "generated")


@frozen
class Notes:
    """What a build leaves to be said: overlay actions with nothing left to do, and names that were given by rule."""

    redundant: list[str] = field(factory=list)
    derived: list[str] = field(factory=list)


def build(inputs: Path, out: Path, notes: Notes | None = None) -> None:
    """Make everything from the folder `inputs` (an openapi/) into the empty folder `out` (openapi/ and generated/).

    An overlay action with nothing left to do is noted; without `notes` it is an error.
    """
    lock: dict[str, dict[str, str]] = {"inputs": {}, "products": {}, "generated": {}}
    (out / "openapi").mkdir()
    (out / "generated").mkdir()
    # All documents first: what is wrong with one is known before anything is generated.
    errors: list[SpecError] = []
    products: dict[Api, Document] = {}
    for api in APIS:
        with collecting(errors):
            products[api] = make_product(api, inputs, notes)
        for name in (api.published, api.overlay):
            lock["inputs"][name] = sha256((inputs / name).read_bytes())
    raise_all(errors)
    with ThreadPoolExecutor() as pool:
        generated = [pool.submit(generate, products[api], api, out / "generated" / api.package) for api in APIS]
        # Meanwhile, since the generator is a process of its own.
        for api in APIS:
            data = (_HEADER.format(api) + dump(products[api])).encode()
            (out / "openapi" / api.product).write_bytes(data)
            lock["products"][api.product] = sha256(data)
        for each in generated:
            each.result()
    for api in APIS:
        files = {name: sha256(data) for name, data in read_tree(out / "generated" / api.package).items()}
        lock["generated"][api.package] = sha256(json.dumps(files).encode())
    lock["tools"] = {tool: version(tool) for tool in TOOLS}
    (out / "openapi" / "lock.json").write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


_HEADER = "# Made from {0.published} and {0.overlay}: do not edit, run `make regenerate`.\n"


def make_product(api: Api, inputs: Path, notes: Notes | None = None) -> Document:
    """Read the published document and its overlay and return the corrected OpenAPI 3.0 document."""
    published = parse((inputs / api.published).read_bytes(), api.published)
    validate(published, f"{api.published}#")
    overlay = parse((inputs / api.overlay).read_bytes(), api.overlay)
    redundant = notes.redundant if notes else None
    product = apply_overlay(to_openapi3(published, f"{api.published}#"), overlay, api.overlay, redundant)
    validate(product, f"{api.product}#")
    derived = prepare(product)
    if notes:
        notes.derived.extend(f"{api.overlay}: {line}" for line in derived)
    return product


def generate(product: Document, api: Api, package: Path) -> None:
    """Generate the client package for a product, formatted the same on every machine."""
    with tempfile.TemporaryDirectory() as scratch:
        document = Path(scratch) / "product.json"
        document.write_text(json.dumps(without_idle(product)), encoding="utf-8")
        config = Path(scratch) / "config.json"
        # The generator's own hooks obey whatever pyproject.toml is around; a title is a whole class name here.
        settings = {
            "package_name_override": package.name,
            "post_hooks": [],
            "use_path_prefixes_for_title_model_names": False,
        }
        config.write_text(json.dumps(settings), encoding="utf-8")
        _run(
            api.product, "openapi_python_client", "generate", "--path", document, "--config", config, "--meta", "none",
            "--output-path", package, "--fail-on-warning",
        )  # fmt: skip
    options = ("--isolated", "--no-cache", "--quiet", "--target-version", "py311")
    _run(api.product, "ruff", "check", *options, "--select", "F401,I", "--fix", package)
    _run(api.product, "ruff", "format", *options, "--line-length", "120", package)
    _run(api.product, "ruff", "check", *options, "--select", "F82", package)
    (package / "py.typed").touch()
    banner = f"# Generated from openapi/{api.product}: do not edit, run `make regenerate`.\n"
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


def differences(old: dict[str, bytes], new: dict[str, bytes], verbs: tuple[str, str, str]) -> list[str]:
    """What separates two sets of files, one line each: `verbs` are for only in new, only in old, not the same."""
    return [
        f"{verbs[0] if name not in old else verbs[1] if name not in new else verbs[2]}: {name}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


class ObstacleError(Exception):
    """What was understood and reported, and cannot be put in place."""


def command(name: str, run: Callable[[], int]) -> int:
    """Run a command of the pipeline: 2 and one line for each problem when it fails, and never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a vendor's text on any terminal
    try:
        code = run()
        sys.stdout.flush()
    except SpecError as error:
        problems = error.problems
    except (BusyError, ObstacleError, OSError) as error:
        problems = (str(error),)
    except KeyboardInterrupt:
        problems = ("interrupted",)
    except Exception as error:  # noqa: BLE001 - exit status 1 and its traceback mean "breaking" to who calls this
        problems = (f"a fault of scripts/pipeline, {type(error).__name__}: {error}",)
    else:
        return code
    *shown, last = problems[:MAX_PROBLEMS]
    more = f" (and {len(problems) - MAX_PROBLEMS} problems more)" if len(problems) > MAX_PROBLEMS else ""
    for problem in shown:
        print(printable(f"{name}: {problem}"), file=sys.stderr)
    print(printable(f"{name}: {last}{more}; nothing was changed"), file=sys.stderr)
    return 2


def printable(text: str) -> str:
    """Text on one line that does nothing to a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def check() -> int:
    """Say what differs from what the pipeline would make, and change nothing."""
    settle(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        build(ROOT / "openapi", Path(scratch))
        changes = differences(outputs(ROOT), outputs(Path(scratch)), ("missing", "extra", "differs"))
    print("\n".join(changes) or "openapi/ and generated/ are what the pipeline makes")
    if changes:
        print("check-generated: run `make regenerate`, and never edit what it makes", file=sys.stderr)
    return 1 if changes else 0


def regenerate() -> int:
    """Put in place what the pipeline makes, and say what changed."""
    with exclusive(ROOT) as scratch:
        built = scratch / "built"
        built.mkdir()
        build(ROOT / "openapi", built)
        changes = differences(outputs(ROOT), outputs(built), ("added", "removed", "changed"))
        if changes:
            conformance.hold(built, ROOT)
            swap(scratch, ROOT, OUTPUTS)
    print("\n".join(changes) or "openapi/ and generated/ are what the pipeline makes")
    return 0


def make_into(folder: Path) -> int:
    """Make everything in a new folder."""
    folder.mkdir()
    build(ROOT / "openapi", folder)
    return 0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something would change")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="make everything in this new folder instead")
    arguments = parser.parse_args()
    if arguments.into:
        return command("regenerate", lambda: make_into(arguments.into))
    return command("check-generated", check) if arguments.check else command("regenerate", regenerate)


if __name__ == "__main__":
    sys.exit(main())
