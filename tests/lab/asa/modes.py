# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammars of the two exec modes. Command modules add their commands here."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.iosxe.grammar import Grammar, Handler

USER, EXEC = "user", "exec"
GRAMMARS: dict[str, Grammar] = {USER: Grammar(), EXEC: Grammar()}


def both(*patterns: str) -> Callable[[Handler], Handler]:
    """Decorator: add a command to both modes."""

    def register(handler: Handler) -> Handler:
        for grammar in GRAMMARS.values():
            grammar.command(*patterns)(handler)
        return handler

    return register


def privileged(*patterns: str) -> Callable[[Handler], Handler]:
    """Decorator: add a command to the privileged mode."""

    def register(handler: Handler) -> Handler:
        GRAMMARS[EXEC].command(*patterns)(handler)
        return handler

    return register
