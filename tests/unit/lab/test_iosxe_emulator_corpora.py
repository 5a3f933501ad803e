# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real devices print entries in their final form, so the emulated switch must give every such line back unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.iosxe.ace_text import EXTENDED, IPV6, ROLE_BASED, ROLE_BASED6
from tests.lab.iosxe.acl_syntax import parse_ace
from tests.lab.iosxe.grammar import SyntaxFault

TITLES = (
    ("Extended IP access list", EXTENDED),
    ("ip access-list extended", EXTENDED),
    ("IPv6 access list", IPV6),
    ("Role-based IP access list", ROLE_BASED),
    ("IPv6 Role-based access list", ROLE_BASED6),
)
# What the corpora hold beyond the emulator, or what their authors altered: object groups that no output defines, options
# of other platforms, port names that IOS does not have, host bits under a wildcard, standard entries in an extended list.
BEYOND = re.compile(r"object-group|auth routing|\(tag = |\bssh http\b|10\.1\.1\.0 0\.0\.255\.255|^permit 10\.1\.1\.1$")


def real_entries(corpora: Path) -> Iterator[tuple[str, str]]:
    """Yield (kind, entry) of every list in the show outputs, without numbers, counters and states of time ranges."""
    for platform in ("cisco_ios", "cisco_iosxe"):
        for file in sorted((corpora / "device-outputs" / platform).rglob("*.txt")):
            if file.name.startswith("batfish"):
                continue  # written by hand for another parser
            kind = None
            for raw in file.read_text(encoding="utf-8", errors="replace").splitlines():
                line = raw.strip()
                found = re.match(r"(?:\d+\s+)?((?:permit|deny)\s.*)$", line)
                if found is None:
                    if re.search(r"access.list\b", line, re.IGNORECASE):
                        kind = next((kind for title, kind in TITLES if line.startswith(title)), None)
                elif kind is not None:
                    text = re.sub(
                        r"\s*\(\d+ (?:estimate )?match(?:es)?\)|\s+sequence \d+$|\((?:in)?active\)", "", found.group(1)
                    )
                    yield kind, " ".join(text.split())


@pytest.mark.corpora
def test_real_entries_come_back_unchanged(corpora: Path) -> None:
    same = 0
    for kind, text in real_entries(corpora):
        if BEYOND.search(text):
            continue
        try:
            shown = parse_ace(text, kind).text
        except SyntaxFault as fault:
            pytest.fail(f"{kind} {text!r}: {fault.kind} at {fault.position}")
        assert shown.lower() == text.lower()  # IPv6 addresses print in capitals on some releases
        same += 1
    assert same > 600
