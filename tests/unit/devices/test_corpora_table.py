# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every raw output of the corpora is read whole or says which line it does not know; the document shows the figures of now."""

from __future__ import annotations

from pathlib import Path

from tests.corpora.device_table import BEGIN, DOCUMENT, END, rows, table

# Lines of another command's table (sessions), damaged values, and a row whose port is the switch itself: findings, and nothing else is.
KNOWN = {
    ("cisco_ios", "show lldp neighbors detail"): 2,
    ("cisco_ios", "show mac-address-table"): 1,
    ("cisco_iosxe", "show access-session details"): 6,
}


def test_every_output_is_read_whole_or_names_its_lines(corpora: Path) -> None:
    found = rows(corpora)
    assert {(row.platform, row.command): len(row.opaque) for row in found if row.opaque} == KNOWN
    assert all(row.files for row in found)
    shown = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown.strip() == table(found), "python -m tests.corpora.device_table --write"
