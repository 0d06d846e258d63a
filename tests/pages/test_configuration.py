"""docs/configuration.md, options.md and statuses.md: their tables are what the code has."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import attrs

from modica_facade import DeliveryStatus, Modica, ModicaV2, RetryPolicy

ROOT = Path(__file__).parents[2]


def rows(page: str, heading: str | None = None) -> list[list[str]]:
    """The cells of the rows whose first cell is code, on a page or below one of its headings."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    if heading is not None:
        text = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| `.*\|$", text, re.MULTILINE)]


def name(cell: str) -> str:
    (found,) = re.findall(r"`([\w.-]+)`", cell)[:1]
    return str(found)


def test_the_defaults_of_a_client() -> None:
    table = {name(cells[0]): cells[-1] for cells in rows("configuration.md", "Arguments of a client")}
    for policy_field in attrs.fields(RetryPolicy):
        assert float(table.pop(policy_field.name)) == policy_field.default
    parameters = inspect.signature(Modica).parameters
    assert float(table.pop("timeout")) == parameters["timeout"].default
    assert float(table.pop("keepalive")) == parameters["keepalive"].default
    assert set(table) == {"retry", "http_client"} == set(parameters) & set(table)


def test_the_extras() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {name(cells[0]) for cells in rows("configuration.md", "Extras")} == set(declared)


def test_the_options_of_a_send() -> None:
    accepted = {
        version: set(inspect.signature(client.send).parameters) - {"self"}
        for version, client in (("v1", Modica), ("v2", ModicaV2))
    }
    text = (ROOT / "docs" / "options.md").read_text("utf-8")
    table = re.findall(r"^\| \[`(\w+)`\]\(#[\w-]+\) \|.*\| ([v12, ]+) \|$", text, re.MULTILINE)
    for version, options in accepted.items():
        assert {option for option, versions in table if version in versions} == options


def test_the_statuses_are_in_the_order_of_their_rank() -> None:
    table = rows("statuses.md")
    assert [name(cells[0]) for cells in table] == sorted(DeliveryStatus, key=lambda status: status.rank)
    assert [cells[2] == "yes" for cells in table] == [DeliveryStatus(name(cells[0])).is_final for cells in table]
