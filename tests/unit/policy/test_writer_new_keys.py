# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer leaves what people wrote: conditions, uses of templates, comments between them, and their order."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import segment_text, write_segment

TEXT = """\
# yaml-language-server: $schema=x/segment.schema.json
segment: pumps   # not the spare ones
zone: clinical
owner: clinical-engineering
criticality: process_critical
# two templates, agreed in CHG-12
use:
  - template: basics   # names and time
    with: {services: [dns, 'ntp']}

  - template: remote
allow:
  # at night only: the ward asked for it
  - reason: Updates
    id: pumps-to-updates
    to: updates
    services: [https]
    origin: manual
    conditions:
      windows:
        - {days: [sat, sun], start: "22:00", end: "05:00"}   # over midnight
      posture: outage
members:
  fact: vlan
  at_least: 110
"""
PROPOSED = {
    "id": "pumps-to-server-mqtt",
    "to": "server",
    "services": ["mqtt"],
    "reason": "Telemetry",
    "origin": "learned",
    "evidence": {"devices": "all", "days": "30 or more", "direction": "high"},
}


def test_a_new_rule_is_the_only_difference(tmp_path: Path) -> None:
    path = tmp_path / "pumps.yml"
    path.write_text(TEXT)
    before = parse_yaml(TEXT, "pumps.yml").value
    change = write_segment(path, {**before, "allow": [PROPOSED]})
    assert change.rules.added == ("pumps-to-server-mqtt",)
    after = path.read_text()
    kept = [line for line in after.split("\n") if line in TEXT.split("\n")]
    assert kept == TEXT.split("\n")
    assert parse_yaml(after, "pumps.yml").value == {**before, "allow": [*before["allow"], PROPOSED]}
    assert not write_segment(path, {**before, "allow": [PROPOSED]}).changed


def test_a_rule_of_people_with_conditions_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "pumps.yml"
    path.write_text(TEXT)
    before = parse_yaml(TEXT, "pumps.yml").value
    proposal = {**PROPOSED, "id": "pumps-to-updates", "to": "updates"}
    write_segment(path, {**before, "allow": [proposal]}, remove=["pumps-to-updates"])
    assert before["allow"][0] in parse_yaml(path.read_text(), "pumps.yml").value["allow"]
    assert "# over midnight" in path.read_text()


def test_a_new_file_has_its_keys_in_the_order_of_the_schema() -> None:
    value = parse_yaml(TEXT, "pumps.yml").value
    text = segment_text(value)
    document = parse_yaml(text, "pumps.yml")
    assert document.value == value
    assert schema_findings("segment", document) == []
    assert text.index("members:") < text.index("use:") < text.index("allow:")
    assert text.index("services: [https]") < text.index("conditions:")
    assert 'start: "22:00"' in text or "start: '22:00'" in text
