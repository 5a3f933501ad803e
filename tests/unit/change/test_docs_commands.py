# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that docs/change shows: the playbook is there, and its role knows each variable."""

from __future__ import annotations

import re
from pathlib import Path

COMMAND = re.compile(r"ansible-playbook (?:playbooks/|segwright\.microseg\.)([a-z_]+)([^`\n]*(?:\\\n[^`\n]*)*)")
VARIABLE = re.compile(r"(microseg_[a-z_]+)")


def test_commands_name_what_is_there(root: Path) -> None:
    seen = 0
    for document in sorted((root / "docs" / "change").glob("*.md")):
        for playbook, words in COMMAND.findall(document.read_text(encoding="utf-8")):
            assert (root / "playbooks" / f"{playbook}.yml").is_file(), (document.name, playbook)
            role = root / "roles" / playbook
            known = "".join(path.read_text(encoding="utf-8") for path in role.glob("*/main.yml"))
            for name in VARIABLE.findall(words):
                assert name in known, (document.name, playbook, name)
                seen += 1
    assert seen > 8
