# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of segments and cells in the text of enforcement.yml, changed in place: nothing else of the file moves. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Assignment, CellStage
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.splice import (
    STEP,
    Splices,
    child,
    compose,
    last_index,
    render,
    set_key,
)

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


def with_cell_stages(
    text: str, cells: Sequence[CellStage], stages: Mapping[tuple[str, str], str], file: str = "enforcement.yml"
) -> str:
    """Return the text with the stages of cells as in ``stages``, by source and destination; what has no entry gets one.

    A cell with stage "" loses its entry, so that it takes the stage of its segments. ``cells`` are those that stand there, in file order.
    FindingError SW4112 where the text would not say then what was meant.
    """
    before = parse_yaml(text, file).value
    standing = before.get("cells", [])
    known = {(item["source"], item["destination"]) for item in standing}
    kept = [
        {**item, "stage": stage}
        for item in standing
        if (stage := stages.get((item["source"], item["destination"]), item["stage"]))
    ]
    new = [
        {"source": pair[0], "destination": pair[1], "stage": stage}
        for pair, stage in sorted(stages.items())
        if pair not in known and stage
    ]
    wanted = {**before, "cells": [*kept, *new]}
    if not wanted["cells"]:
        del wanted["cells"]
    if wanted == before:
        return text
    after = _with_cells(text, before, stages, wanted.get("cells", []), new)
    if parse_yaml(after, file).value != wanted:
        place = Location(file, cells[0].location.line if cells else 0)
        raise FindingError(codes.STAGE_NOT_FOUND.at("the cells", place))
    return after


def _with_cells(
    text: str,
    before: Mapping[str, Any],
    stages: Mapping[tuple[str, str], str],
    wanted: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
) -> str:
    tree = compose(text)
    splices = Splices(text)
    found = child(tree, "cells")
    if found is not None and not wanted:
        _cut_lines(splices, found[0].start_mark.index, last_index(text, found[1]))
        return splices.result()
    if found is None:
        segments = child(tree, "segments") or tree.value[-1]
        splices.insert_line(_below(text, last_index(text, segments[1])), render({"cells": list(wanted)}))
        return splices.result()
    if found[1].flow_style and (new or len(wanted) < len(before["cells"])):
        set_key(splices, tree, "cells", list(wanted), before, list(schema_of("enforcement")["properties"]))
        return splices.result()
    for item, node in zip(before["cells"], found[1].value, strict=True):
        stage = stages.get((item["source"], item["destination"]), item["stage"])
        place = child(node, "stage")
        if not stage:
            _cut_lines(splices, node.start_mark.index, last_index(text, node))
        elif stage != item["stage"] and place is not None:
            splices.replace(place[1].start_mark.index, last_index(text, place[1]), stage)
    if new:
        column = found[1].start_mark.column
        lines = [" " * column + "- " + render(item, column + STEP) for item in new]
        splices.insert_line(_below(text, last_index(text, found[1])), "\n".join(lines))
    return splices.result()


def _below(text: str, last: int) -> int:
    """Return an index in the last of the indented comments that stand right below the line of an index; that index where none does."""
    while (end := text.find("\n", last)) >= 0:
        line = text[end + 1 :].partition("\n")[0]
        if not line.startswith(" ") or not line.lstrip(" ").startswith("#"):
            break
        last = end + 1
    return last


def _cut_lines(splices: Splices, first: int, last: int) -> None:
    """Remove the lines from that of one index through that of another, and the comments right above them in the same column."""
    text = splices.text
    start = text.rfind("\n", 0, first) + 1
    line = text[start:last]
    indent = line[: len(line) - len(line.lstrip(" "))]
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above:start].startswith(f"{indent}#"):
            break
        start = above
    end = text.find("\n", last)
    splices.replace(start, len(text) if end < 0 else end + 1, "")


def with_ends_of(file: bytes, *texts: str) -> tuple[str, ...]:
    """Return texts, whose lines end in a line feed, with lines that end as those of a file do: a patch is of the file as it is."""
    end = "\r\n" if b"\r\n" in file else "\n"
    return tuple(text.replace("\n", end) for text in texts)


def patch(before: str, after: str, path: str) -> str:
    """Return a patch that ``git apply`` takes, empty where nothing changes; ``path`` is relative to the repository."""
    if before == after:
        return ""
    made = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}", n=3
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)
