# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of switch facts: partial readings, damage, newer versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import (
    Section,
    SwitchFacts,
    age_hours,
    hosts_known,
    path_of,
    read,
    read_known,
    write,
)

OLD, NEW = "2026-11-20T08:00:00Z", "2026-11-26T08:00:00Z"


def facts(at: str, **sections: object) -> SwitchFacts:
    return SwitchFacts("acc1", "ios", {name: Section(value, at, ("show x",)) for name, value in sections.items()})


def test_a_reading_that_lacks_a_section_keeps_the_one_before_with_its_time(tmp_path: Path) -> None:
    assert read(tmp_path, "acc1") is None
    write(tmp_path, facts(OLD, tcam={"regions": [1]}, system={"model": "C9300"}))
    write(tmp_path, facts(NEW, system={"model": "C9400"}))
    found = read(tmp_path, "acc1")
    assert found is not None
    assert (found.sections["tcam"].read_at, found.value("tcam")) == (OLD, {"regions": [1]})
    assert (found.sections["system"].read_at, found.value("system")) == (NEW, {"model": "C9400"})
    assert path_of(tmp_path, "acc1").stat().st_mode & 0o077 == 0
    assert hosts_known(tmp_path) == ["acc1"]
    assert age_hours(OLD, datetime(2026, 11, 20, 20, tzinfo=UTC)) == 12


def test_a_name_that_is_no_file_name_writes_nothing(tmp_path: Path) -> None:
    for name in ("../acc1", "a/b", "", ".hidden"):
        with pytest.raises(FindingError):
            write(tmp_path, SwitchFacts(name, "ios"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schema_version": "2.0"}, "SW0007"),
        ({"kind": "register"}, "SW0008"),
        ({"host": "acc2"}, "SW1371"),
        ({"sections": []}, "SW1371"),
        ({"sections": {"tcam": {"read_at": "yesterday", "commands": [], "whole": True, "value": {}}}}, "SW1371"),
    ],
)
def test_a_damaged_file_is_said_and_replaced_by_the_next_reading(
    tmp_path: Path, change: dict[str, object], code: str
) -> None:
    write(tmp_path, facts(OLD, tcam={}))
    path = path_of(tmp_path, "acc1")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    known, findings = read_known(tmp_path, ["acc1", "acc9"])
    assert known == {} and [each.code for each in findings] == [code]
    write(tmp_path, facts(NEW, system={}))
    assert set(read_known(tmp_path, ["acc1"])[0]["acc1"].sections) == {"system"}
