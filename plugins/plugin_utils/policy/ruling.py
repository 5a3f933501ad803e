# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a numbered rule is, and how a rule module registers its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site


@dataclass(frozen=True)
class Context:
    """What a rule may know beside the site: the day on which it is judged."""

    today: date


Check = Callable[[Site, Context], Iterator[Finding]]


@dataclass(frozen=True)
class NumberedRule:
    """A semantic rule: the codes it may raise (first the one it is called by), its description and its function.

    ``alone``: it judges each permission of a segment by that segment's file and the documents that all share (everything but other
    segments' rules, and the lock), and by the day only where the permission has an expiry. Each finding stands in that file.
    ``of_lock``: it judges the lock by which segments exist in which zone and by the documents that all share, and nothing else.
    """

    codes: tuple[Code, ...]
    description: str
    check: Check
    alone: bool = False
    of_lock: bool = False

    @property
    def number(self) -> str:
        """Return the number by which people quote the rule."""
        return self.codes[0].number

    @property
    def severity(self) -> str:
        """Return the severity of its first code."""
        return self.codes[0].severity


def rule(*codes: Code, alone: bool = False, of_lock: bool = False) -> Callable[[Check], Check]:
    """Mark a function of a rule module as a numbered rule; its docstring is the description, the rest as in ``NumberedRule``."""

    def mark(check: Check) -> Check:
        description = " ".join((check.__doc__ or "").split())
        check.numbered_rule = NumberedRule(codes, description, check, alone, of_lock)  # type: ignore[attr-defined]
        return check

    return mark
