# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run that wrote to targets: a disk that is full does not hide what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic, write_json


def write_report(path: Path, made: dict[str, Any], markdown: str = "") -> None:
    """Write a result as JSON, and as Markdown where given; where that fails its ``summary`` says so, and what was done stands."""
    try:
        write_json(path, made)
        if markdown:
            write_atomic(path.with_suffix(".md"), markdown)
    except OSError as error:
        made["summary"] += f"; {path.name} could not be written ({error.strerror or 'unwritable'})"
