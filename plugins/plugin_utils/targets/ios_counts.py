# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that IOS-XE switches counted for each entry of their IPv4 lists, by one command: port lists, downloaded ones, cells'."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counted import CountedList
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.cts import list_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import WORKERS, Show
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

COMMAND = "show ip access-lists"
_HEAD = re.compile(r"\A(?:Extended|Role-based) IP(?:v4)? access list (\S{1,128}?)(?: \([\w-]+\))*:?\Z", re.IGNORECASE)
_ANY_HEAD = re.compile(r"\A(?:\S+ )?IP(?:v[46])? .*access list ", re.IGNORECASE)


def read_counts(
    specs: Sequence[TargetSpec], opener: Callable[[TargetSpec], Show] = IosSession
) -> tuple[list[CountedList], list[Finding]]:
    """Return every list with its counts, switch by switch, read side by side; a switch that cannot be asked is a finding (SW4108)."""

    def read(spec: TargetSpec) -> list[CountedList] | Finding:
        try:
            shell = opener(spec)
            try:
                return counted_lists(spec.name, shell.show(COMMAND))
            finally:
                shell.close()
        except FindingError as error:
            return change_codes.SWITCH_UNREAD.at(f"{spec.name}: {error.findings[0].message}")

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        found = list(pool.map(read, specs))
    lists = [each for item in found if not isinstance(item, Finding) for each in item]
    return lists, [item for item in found if isinstance(item, Finding)]


def counted_lists(switch: str, text: str) -> list[CountedList]:
    """Return the lists of one command's output; one with a line that is not understood is left out, as nothing is known of its places."""
    made: list[CountedList] = []
    name, lines = "", list[str]()
    for line in [*text.splitlines(), "IP access list "]:
        content = " ".join(line.split())
        if not _ANY_HEAD.match(f"{content} "):
            lines.append(line)
            continue
        if name:
            parsed = list_entries("\n".join(lines))
            if parsed.whole and parsed.entries:
                made.append(CountedList(switch, name, tuple((item.text, item.matches) for item in parsed.entries)))
        found = _HEAD.match(content)
        name, lines = (found[1] if found else ""), []
    return made
