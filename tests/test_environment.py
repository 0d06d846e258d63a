"""scripts/environment.sh: .venv is made with a Python that is new enough, made again by another one, or left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/bin/sh
case "$*" in
    -c*) echo {version} ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *) echo "{version}: $*" >>asked ;;
esac
"""


class Checkout:
    """A checkout with a Makefile that prints instead of running a demo, and Pythons that note what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        (folder / "bin").mkdir()
        (folder / "pyproject.toml").write_text("")
        for name in ("Makefile", "scripts/environment.sh"):
            shutil.copy(ROOT / name, folder / name)
        for name, version in (("python3", "3.11.7"), ("python3.12", "3.12.1"), ("python3.10", "3.10.13")):
            self.python(folder / "bin" / name, version)

    @staticmethod
    def python(path: Path, version: str) -> None:
        path.write_text(PYTHON.format(version=version))
        path.chmod(0o755)

    def make(self, *arguments: str, target: str = ".venv/.demo") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["make", target, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    @property
    def asked(self) -> list[str]:
        """What the Pythons were asked for, beside their version and an environment."""
        noted = self.folder / "asked"
        return noted.read_text().splitlines() if noted.exists() else []

    @property
    def made_by(self) -> str:
        return subprocess.run(
            [self.folder / ".venv/bin/python", "-c", ""], capture_output=True, text=True, check=True
        ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_demo_installs_only_what_it_needs_once_and_says_so(checkout: Checkout) -> None:
    first = checkout.make()
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        "Making .venv with Python 3.11.7",
        "Installing the package, its simulator and its command into .venv; this takes half a minute",
    ]
    [line] = checkout.asked
    assert line.startswith("3.11.7: -m pip install")
    assert line.endswith("--editable .[simulator,cli]")
    again = checkout.make()
    assert (again.returncode, again.stdout, len(checkout.asked)) == (0, "", 1)


def test_the_tools_of_development_come_with_the_first_target_that_needs_them_and_serve_the_demo(
    checkout: Checkout,
) -> None:
    checkout.make()
    assert checkout.make(target=".venv/.installed").returncode == 0
    assert "--group dev" in checkout.asked[-1]
    installed = len(checkout.asked)
    for target in (".venv/.demo", ".venv/.installed"):
        assert checkout.make(target=target).stdout == ""
    assert len(checkout.asked) == installed


def test_a_change_of_pyproject_installs_again(checkout: Checkout) -> None:
    checkout.make()
    (checkout.folder / "pyproject.toml").write_text("dependencies = []")
    assert checkout.make().returncode == 0
    assert len(checkout.asked) == 2


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("python3.10", "Python 3.11 or newer is needed, and python3.10 is 3.10.13; name another"),
        ("python3.99", "python3.99 cannot be run; name a Python of 3.11 or newer"),
    ],
)
def test_a_python_that_is_too_old_or_missing_is_named_and_nothing_is_left_behind(
    checkout: Checkout, python: str, said: str
) -> None:
    before = sorted(checkout.folder.rglob("*"))
    done = checkout.make(f"PYTHON={python}")
    assert done.returncode != 0
    assert said in done.stderr
    assert sorted(checkout.folder.rglob("*")) == before


def test_our_environment_is_made_anew_by_another_python_and_kept_if_nobody_asks_for_one(checkout: Checkout) -> None:
    checkout.make()
    (checkout.folder / ".venv" / "leftover").touch()
    done = checkout.make("PYTHON=python3.12")
    assert "Removing .venv, which was made by another Python (3.11.7)" in done.stdout
    assert not (checkout.folder / ".venv" / "leftover").exists()
    assert checkout.made_by == "3.12.1"
    assert checkout.make().stdout == ""  # python3 is 3.11, but 3.12 will do
    assert checkout.made_by == "3.12.1"


@pytest.mark.parametrize("version", ["3.10.13", None])
def test_our_environment_is_made_anew_if_its_python_is_too_old_or_gone(checkout: Checkout, version: str | None) -> None:
    checkout.make()
    python = checkout.folder / ".venv/bin/python"
    if version is None:
        python.unlink()
    else:
        checkout.python(python, version)
    done = checkout.make()
    assert done.returncode == 0, done.stderr
    assert f"made by another Python ({version or 'it is gone'})" in done.stdout
    assert checkout.made_by == "3.11.7"


def test_an_environment_that_was_interrupted_while_it_was_made_is_ours(checkout: Checkout) -> None:
    broken = checkout.folder / "bin" / "python3"
    broken.write_text(broken.read_text().replace('*) echo "', '*) exit 1; echo "'))
    assert checkout.make().returncode != 0
    checkout.python(broken, "3.11.7")
    checkout.python(checkout.folder / ".venv/bin/python", "3.11.7")
    assert checkout.make().returncode == 0


@pytest.mark.parametrize("arguments", [[], ["PYTHON=python3.12"]])
@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_any_other_venv_is_refused_and_left_alone(checkout: Checkout, arguments: list[str], kind: str) -> None:
    venv = checkout.folder / ".venv"
    if kind == "folder":
        venv.mkdir()
        (venv / "precious").touch()
    elif kind == "file":
        venv.touch()
    else:
        venv.symlink_to("nowhere")
    before = sorted(checkout.folder.rglob("*"))
    done = checkout.make(*arguments)
    assert done.returncode != 0
    assert ".venv was not made by this Makefile; move it away" in done.stderr
    assert sorted(checkout.folder.rglob("*")) == before


def test_what_a_python_without_venv_has_begun_is_removed(checkout: Checkout) -> None:
    python = checkout.folder / "bin" / "python3"
    python.write_text(python.read_text().replace("mkdir -p .venv/bin &&", "mkdir -p .venv/bin; exit 1;"))
    done = checkout.make()
    assert done.returncode != 0
    assert "install python3-venv" in done.stderr
    assert not (checkout.folder / ".venv").exists()
