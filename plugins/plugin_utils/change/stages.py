# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of segments in the text of enforcement.yml, changed in place: nothing else of the file moves. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Assignment

_STAGE = re.compile(r"(\bstage:\s*[\"']?)(observe|monitor|enforce)\b")


def with_stages(text: str, assignments: Mapping[str, Assignment], stages: Mapping[str, str]) -> str:
    """Return the text with the stages of segments as in ``stages``; FindingError SW4112 where one is not found where it was read.

    ``assignments`` say in which line each segment begins.
    """
    lines = text.splitlines(keepends=True)
    starts = sorted(item.location.line for item in assignments.values() if item.location.line)
    for name, stage in stages.items():
        item = assignments[name]
        first = item.location.line - 1
        end = next((line - 1 for line in starts if line > item.location.line), len(lines))
        for number in range(max(first, 0), end):
            content, mark, comment = lines[number].partition("#")
            found = _STAGE.search(content)
            if found and found[2] == item.stage:
                lines[number] = content[: found.start(2)] + stage + content[found.end(2) :] + mark + comment
                break
        else:
            raise FindingError(
                codes.STAGE_NOT_FOUND.at(f"segment {name}", Location(item.location.file, item.location.line))
            )
    return "".join(lines)


def patch(before: str, after: str, path: str) -> str:
    """Return a patch that ``git apply`` takes, empty where nothing changes; ``path`` is relative to the repository."""
    if before == after:
        return ""
    made = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}", n=3
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)
