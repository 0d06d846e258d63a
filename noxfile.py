"""The tests on every Python that is present, and once with the lowest versions that pyproject.toml declares."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False

PYPROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def install(session: nox.Session, *more: str) -> None:
    """The package with every extra, and what its tests need."""
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    session.install("--quiet", *tools, "--editable", f".[{','.join(EXTRAS)}]", *more)


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """All tests with the newest versions; arguments after -- go to pytest."""
    install(session)
    session.run("pytest", "-q", "-n", "auto", "--maxprocesses", "4", *session.posargs)


@nox.session(python="3.11", name="lowest")
def lowest_versions(session: nox.Session) -> None:
    """All tests with the lowest versions of what a user installs."""
    declared = [*PYPROJECT["project"]["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    # A constraint has no extras: psycopg[binary]>=3.2,<4 becomes psycopg==3.2. Some of our extras name others of ours.
    lowest = (
        re.sub(r"\[.*?\]", "", each).partition(",")[0].replace(">=", "==")
        for each in declared
        if not each.startswith("modica-facade[")
    )
    # Not in a folder of the session: inside a checkout ruff and pytest find this project's settings, and tests fail.
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "lowest.txt"
        constraints.write_text("\n".join(lowest), "utf-8")
        install(session, "--constraint", str(constraints))
    session.run("pytest", "-q", "-n", "auto", "--maxprocesses", "4", *session.posargs)
