# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escaping and small pieces that several formatters share."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#])")
# Forges call whoever's name stands behind it, even after a backslash; a character without width between prevents that.
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")
_BAR = re.compile(r"\\*\|")
# Control characters, and marks that are not seen and turn the direction of text: a device's name could hide what stands beside it.
_UNSEEN = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff]")


def _line(value: object) -> str:
    return _UNSEEN.sub("\ufffd", " ".join(str(value).split()))


def md(value: object) -> str:
    """Return text safe inside a Markdown table or sentence: one line, markup characters escaped, nobody called by ``@name``."""
    return _MENTION.sub("@&#8203;", _MARKDOWN.sub(r"\\\1", _line(value)))


def code(value: object) -> str:
    """Return text as inline code in Markdown; back quotes and bars cannot break out."""
    text = _BAR.sub(r"\\|", _line(value).replace("`", "'"))  # of a bar after a backslash a table would make two cells
    return f"`{text}`" if text else ""


def fence(text: str, language: str = "") -> str:
    """Return a fenced block whose fence is longer than any fence inside."""
    longest = max((len(match) for match in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def esc(value: object) -> str:
    """Return text safe inside HTML text and quoted attributes."""
    return html.escape(_UNSEEN.sub("\ufffd", str(value)), quote=True)


def md_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; cells are taken as ready Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def finding_rows(findings: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return Markdown table rows of findings: code, place, message, what to do."""
    rows = []
    for finding in findings:
        place = f"{finding['file']}:{finding['line']}" if finding.get("line") else str(finding.get("file", ""))
        rows.append([finding["code"], code(place), md(finding["message"]), md(finding.get("hint", ""))])
    return rows


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 rule``, ``2 rules``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
