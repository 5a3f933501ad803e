"""Writing segment files: what people wrote survives byte for byte. ruamel.yaml and PyYAML are the second opinion."""

from __future__ import annotations

import copy
import difflib
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.merging import merge_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import (
    schema_comment,
    segment_path,
    segment_text,
    write_segment,
)

BY_HAND = """\
# yaml-language-server: $schema=../../schemas/segment.schema.json
# Pumps of ward 3. Ask Maria before you touch this.
segment: pumps
zone: clinical
description: 'Infusion pumps'   # quotes are mine
sgt: 110

owner: clinical-engineering
criticality: life_support
members:
    all:   # four blanks here
    - fact: endpoint_profile
      equals: "Pump"
allow:
  # Learnt rules first
  - id: pumps-to-gateways-mqtt   # telemetry
    to: gateways
    services: [ mqtt ]
    reason: >-
      Telemetry
      and alarms
    origin: learned
    evidence:
      devices: some  # two are in repair
      days: 1 to 2
      direction: high

  # This one is for the biomedical workshop
  - id: pumps-to-workshop
    origin: manual
    to: workshop
    services:
      - ssh
      - https
    reason: "Firmware: only by hand"
  # and this was learnt
  - id: pumps-to-names-dns
    to: names
    services: [dns]
    reason: Names
    origin: learned
# the end
"""


def proposal(name: str, to: str = "gateways", services: tuple[str, ...] = ("mqtt",), **more: Any) -> dict[str, Any]:
    return {"id": name, "to": to, "services": list(services), "reason": "Seen", "origin": "learned", **more}


def value_of(text: str) -> Any:
    return parse_yaml(text, "x.yml").value


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    diff = list(difflib.ndiff(before.split("\n"), after.split("\n")))
    return [line[2:] for line in diff if line.startswith("- ")], [line[2:] for line in diff if line.startswith("+ ")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "pumps.yml"
    made.write_text(BY_HAND)
    return made


def test_nothing_new_changes_nothing(path: Path) -> None:
    change = write_segment(path, value_of(BY_HAND), update=("allow", "sgt", "owner", "members", "description"))
    assert not change.changed
    assert path.read_text() == BY_HAND


def test_a_band_changes_one_line(path: Path) -> None:
    seen = {"devices": "most", "days": "1 to 2", "direction": "high"}
    change = write_segment(path, {"allow": [proposal("pumps-to-gateways-mqtt", evidence=seen)]})
    assert change.rules.updated == ("pumps-to-gateways-mqtt",)
    assert changed_lines(BY_HAND, path.read_text()) == (
        ["      devices: some  # two are in repair"],
        ["      devices: most  # two are in repair"],
    )


def test_a_new_rule_stands_below_and_comments_stay(path: Path) -> None:
    change = write_segment(path, {"allow": [proposal("pumps-to-recorder-https", "recorder", ("https",))]})
    assert change.rules.added == ("pumps-to-recorder-https",)
    removed, added = changed_lines(BY_HAND, path.read_text())
    assert removed == []
    assert added == [
        "  - id: pumps-to-recorder-https",
        "    to: recorder",
        "    services: [https]",
        "    reason: Seen",
        "    origin: learned",
    ]
    # The file's ids are not in order, so the rule comes last, above the closing comment.
    assert path.read_text().endswith("    origin: learned\n# the end\n")


def test_a_rule_of_a_person_is_never_touched(path: Path) -> None:
    mine = proposal("pumps-to-workshop", "workshop", ("ssh",), evidence={"devices": "one"})
    change = write_segment(path, {"allow": [mine]}, remove=["pumps-to-workshop"])
    assert not change.changed
    assert change.rules.covered == ("pumps-to-workshop",)


def test_what_a_rule_permits_already_is_not_proposed_again(path: Path) -> None:
    change = write_segment(path, {"allow": [proposal("pumps-to-workshop-https", "workshop", ("https",))]})
    assert (change.changed, change.rules.covered) == (False, ("pumps-to-workshop-https",))


def test_nothing_goes_unless_it_is_named(path: Path) -> None:
    assert not write_segment(path, {"allow": []}).changed
    change = write_segment(path, {"allow": []}, remove=["pumps-to-names-dns"])
    assert change.rules.removed == ("pumps-to-names-dns",)
    removed, added = changed_lines(BY_HAND, path.read_text())
    assert added == []
    assert removed[0] == "  # and this was learnt"
    assert len(removed) == 6
    assert path.read_text().endswith('    reason: "Firmware: only by hand"\n# the end\n')


def test_keys_of_people_are_kept_unless_asked_for(path: Path) -> None:
    new = {"segment": "pumps", "zone": "clinical", "sgt": 111, "owner": "someone", "description": "x"}
    assert not write_segment(path, new).changed
    assert write_segment(path, new, update=("sgt",)).changed
    assert changed_lines(BY_HAND, path.read_text()) == (["sgt: 110"], ["sgt: 111"])


def test_a_new_key_stands_where_the_schema_has_it(path: Path) -> None:
    path.write_text(BY_HAND.replace("sgt: 110\n", ""))
    write_segment(path, {"sgt": 110}, update=("sgt",))
    lines = path.read_text().split("\n")
    assert lines[lines.index("sgt: 110") - 1].startswith("description:")


def test_evidence_that_was_not_there_is_added(path: Path) -> None:
    seen = {"direction": "high", "devices": "all", "days": "3 to 6"}
    write_segment(path, {"allow": [proposal("pumps-to-names-dns", "names", ("dns",), evidence=seen)]})
    removed, added = changed_lines(BY_HAND, path.read_text())
    assert removed == []
    assert added == ["    evidence:", "      devices: all", "      days: 3 to 6", "      direction: high"]


@pytest.mark.parametrize(
    "start", ["allow: []", "allow:\n  []", "", "allow: [{id: a, to: b, services: [c], reason: d, origin: learned}]"]
)
def test_lists_in_other_styles(path: Path, start: str) -> None:
    head = BY_HAND.split("allow:", maxsplit=1)[0]
    path.write_text(f"{head}{start}\n" if start else head)
    write_segment(path, {"allow": [proposal("x-to-gateways-mqtt")]})
    rules = value_of(path.read_text())["allow"]
    assert rules[-1] == proposal("x-to-gateways-mqtt")
    assert path.read_text().startswith(head)


def test_carriage_returns_stay(path: Path) -> None:
    path.write_bytes(BY_HAND.replace("\n", "\r\n").encode())
    write_segment(path, {"allow": [proposal("z-to-gateways-ssh", services=("ssh",))]})
    data = path.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n") == BY_HAND.count("\n") + 5


def test_a_new_file_has_one_order_and_is_stable(tmp_path: Path) -> None:
    value = {
        "allow": [
            {
                "evidence": {"direction": "low", "devices": "one"},
                "origin": "learned",
                "reason": "yes",
                "services": ["a", "b"],
                "to": "n",
                "id": "r",
            }
        ],
        "members": {"any": [{"fact": "vlan", "in": [1, "1:30"]}, {"not": {"fact": "hostname", "matches": "*: #x"}}]},
        "criticality": "low",
        "owner": "team",
        "zone": "z",
        "segment": "s",
        "description": "on",
    }
    folder = tmp_path / "z"
    first = write_segment(folder / "s.yml", value, comment="# yaml-language-server: $schema=x")
    assert first.created
    text = (folder / "s.yml").read_text()
    assert text.split("\n")[0] == "# yaml-language-server: $schema=x"
    assert [line.split(":")[0] for line in text.split("\n")[1:] if line and line[0].isalpha()] == [
        "segment",
        "zone",
        "description",
        "owner",
        "criticality",
        "members",
        "allow",
    ]
    assert value_of(text) == value
    assert not write_segment(folder / "s.yml", value, update=tuple(value)).changed


def test_broken_and_unfit_files_are_left_alone(path: Path) -> None:
    for text in ("segment: [", BY_HAND.replace("owner:", "ownr:")):
        path.write_text(text)
        with pytest.raises(FindingError):
            write_segment(path, {"allow": [proposal("x")]})
        assert path.read_text() == text
    path.write_text(BY_HAND)
    with pytest.raises(FindingError):
        write_segment(path, {"allow": [proposal("x; no aaa", services=("ssh",))]})
    assert path.read_text() == BY_HAND


def test_paths_are_made_of_names_only(tmp_path: Path) -> None:
    assert segment_path(tmp_path, "clinical", "pumps") == tmp_path / "clinical" / "pumps.yml"
    for zone, name in (("..", "x"), ("clinical", "../x"), ("clinical", "x\n"), ("/etc", "x")):
        with pytest.raises(ValueError, match="unsafe name"):
            segment_path(tmp_path, zone, name)


def test_schema_comment_follows_the_site(root: Path, tmp_path: Path) -> None:
    first = (root / "policies" / "clinical" / "infusion_pumps.yml").read_text().split("\n", 1)[0]
    assert schema_comment(root / "policies") == first
    assert schema_comment(tmp_path).endswith("=segment.schema.json")


def test_the_worked_site_is_written_as_we_write(root: Path) -> None:
    """A file of policies/ is what segment_text makes of its value: regenerating it from nothing changes no byte."""
    for path in sorted((root / "policies").glob("*/*.yml")):
        if path.parent.name != "expectations":
            text = path.read_text()
            assert segment_text(value_of(text), text.split("\n", 1)[0]) == text, path


def _random_file(source: random.Random) -> tuple[str, list[dict[str, Any]]]:
    """Return a file in a person's style, by ruamel.yaml, with comments between lines that belong to nobody but the person."""
    rules = []
    for number in sorted(
        source.sample(range(30), source.randint(0, 6)), key=lambda n: n if source.random() < 0.8 else 0
    ):
        rule = proposal(
            f"r{number:02}",
            f"n{number}",
            ("s",),
            **({"evidence": {"devices": "one", "days": "1 to 2"}} if source.random() < 0.6 else {}),
        )
        rule["origin"] = source.choice(["learned", "manual"])
        rules.append(rule)
    value = {
        "segment": "s",
        "zone": "z",
        "owner": "o",
        "criticality": "low",
        "members": {"fact": "vlan", "equals": 1},
        "allow": rules,
    }
    writer = YAML()
    offset = source.choice([0, 2])
    writer.indent(mapping=2, sequence=2 + offset, offset=offset)
    import io

    stream = io.StringIO()
    writer.dump(value, stream)
    lines = []
    for number, line in enumerate(stream.getvalue().rstrip("\n").split("\n")):
        if source.random() < 0.25:
            lines.append(" " * source.choice([0, 2, 4]) + f"# person {number}")
        if source.random() < 0.1:
            lines.append("")
        lines.append(line + (f"  # inline {number}" if source.random() < 0.2 else ""))
    return "\n".join([*lines, "# end"]) + "\n", rules


@pytest.mark.one_python
def test_random_files_and_proposals(tmp_path: Path, full: bool) -> None:
    source = random.Random(4)
    path = tmp_path / "s.yml"
    changes = 0
    for _ in range(1500 if full else 100):
        text, rules = _random_file(source)
        path.write_text(text)
        proposals = [
            proposal(
                f"r{n:02}",
                f"n{n}",
                ("s",),
                evidence={
                    "devices": source.choice(["one", "all"]),
                    "days": "3 to 6",
                    **({"direction": "low"} if source.random() < 0.3 else {}),
                },
            )
            for n in source.sample(range(30), source.randint(0, 5))
        ]
        remove = [rule["id"] for rule in rules if source.random() < 0.15]
        change = write_segment(path, {"allow": proposals}, remove=remove)
        after = path.read_text()
        expected = merge_rules(copy.deepcopy(rules), proposals, remove)
        by_id = {rule["id"]: dict(rule) for rule in expected.rules}
        # Two other parsers read what was meant.
        for parsed in (yaml.safe_load(after), YAML(typ="safe").load(after)):
            assert {rule["id"]: rule for rule in parsed.get("allow") or []} == by_id
            assert parsed["segment"] == "s"
        # Untouched rules and comments: no line goes except those of removed rules and changed evidence.
        gone, _new = changed_lines(text, after)
        if not remove and not expected.updated and rules:
            assert gone == []
        if not remove:
            assert {line for line in gone if line.strip().startswith("# person")} <= set() or expected.updated
        # A second time changes nothing.
        assert not write_segment(path, {"allow": proposals}, remove=remove).changed
        changes += change.changed
    assert changes > 25
