"""docs/troubleshooting.md: the messages that it quotes are those that the package has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")


def texts() -> str:
    """Every string of the package, each f-string in one piece."""
    found = []
    for path in (ROOT / "modica_facade").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_message_it_quotes_exists() -> None:
    chapter = PAGE.partition("## By the text of the message")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", chapter, re.MULTILINE)
    assert len(quoted) > 10
    package = texts()
    assert [message for message in quoted if message not in package] == []
