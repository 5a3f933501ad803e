# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show commands, one module per family. register() puts a command into both exec grammars."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from tests.lab.iosxe import modes
from tests.lab.iosxe.grammar import Handler

MODULES = (
    "access_lists",
    "configuration",
    "cts",
    "endpoint_sessions",
    "neighbours",
    "ports",
    "resources",
    "system",
    "tables",
    "tracking",
    "wireless",
)


def register(*patterns: str, privileged: bool = False) -> Callable[[Handler], Handler]:
    """Decorator: add a show command; privileged: only after enable."""

    def add(handler: Handler) -> Handler:
        for mode in (modes.EXEC,) if privileged else (modes.EXEC, modes.USER):
            modes.GRAMMARS[mode].command(*(f"show {pattern}" for pattern in patterns))(handler)
        return handler

    return add


def register_all() -> None:
    """Import every module, which adds its commands."""
    for name in MODULES:
        importlib.import_module(f"tests.lab.iosxe.show.{name}")


def text(lines: list[str]) -> str:
    """Return lines as output."""
    return "".join(f"{line}\n" for line in lines)
