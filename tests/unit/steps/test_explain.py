"""One conversation explained: entry, rule, file, line and last commit, for the working tree and for a commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import explain
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.commits import commit_named
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.explain import run_explain
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site
from tests.unit.steps.test_commits import checkout  # noqa: F401  (a fixture)
from tests.unit.steps.test_live import snapshots

ASKED = {
    "client": "infusion_pumps",
    "server": "pump_servers",
    "service": "mqtt",
    "today": "2026-11-23",
    "diff_mode": False,
}


def test_a_permit_names_entry_rule_line_and_last_commit(checkout: Path) -> None:  # noqa: F811
    made = run_explain({**ASKED, "policy_dir": checkout})
    commit = commit_named(checkout, "HEAD")
    assert made["permitted"] and made["path"]["known"] and made["pairs"]["permitted"] == made["pairs"]["all"] > 0
    by_point = {item["point"]: item for item in made["points"]}
    assert (
        set(by_point)
        == {"fw1", "ise-dacl"}
        == {item["point_id"] for item in made["path"]["crossings"] if item["sees"] == "yes"}
    )
    for item in by_point.values():
        assert item["rule"] == "infusion_pumps-to-pump_servers-mqtt"
        assert item["file"] == "clinical/infusion_pumps.yml" and item["file_line"] > 1 and item["last_commit"] == commit
        assert item["entry"] > 0 and ("permit" in item["text"] or "accept" in item["text"])


def test_a_commit_and_the_working_tree_may_differ(checkout: Path) -> None:  # noqa: F811
    file = checkout / "clinical" / "infusion_pumps.yml"
    file.write_text(file.read_text().replace("services: [mqtt]", "services: [https]"))
    workflows = checkout / "workflows.yml"
    before = run_explain({**ASKED, "policy_dir": checkout, "commit": "trunk"})
    after = run_explain({**ASKED, "policy_dir": checkout})
    assert workflows.exists() and before["permitted"] and not after["permitted"]
    assert before["commit"] == commit_named(checkout, "trunk") and after["commit"].endswith("+dirty")
    assert all(item["last_commit"] == before["commit"] for item in before["points"] if item["file"])
    assert "denied by" in after["summary"]


def test_a_service_is_asked_in_all_its_parts(checkout: Path) -> None:  # noqa: F811
    services = checkout / "services.yml"
    text = services.read_text()
    assert "  mqtt:\n" in text
    place = text.index("    match:\n", text.index("  mqtt:\n")) + len("    match:\n")
    more = "      - protocol: icmpv6\n        icmp_type: 128\n      - protocol: udp\n        ports: [1883, 8883]\n"
    services.write_text(text[:place] + more + text[place:])
    made = run_explain({**ASKED, "policy_dir": checkout})
    assert [(part["protocol"], part["port"]) for part in made["service_parts"]][:2] == [(17, 1883), (17, 8883)]
    assert 6 in {part["protocol"] for part in made["service_parts"]}
    assert all(part["permitted"] for part in made["service_parts"]) and made["permitted"]


def test_what_cannot_be_resolved_is_a_finding(checkout: Path) -> None:  # noqa: F811
    for change in ({"client": "nobody"}, {"commit": "nothere"}, {"service": "none"}):
        with pytest.raises(FindingError):
            run_explain({**ASKED, "policy_dir": checkout, **change})


def test_a_line_in_force_is_explained_by_the_rule_that_approved_it_and_another_by_none(
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = sound_site(Paths.of(str(checkout), "unused"), date(2026, 11, 23), cached=False)
    held = snapshots(sound)

    @contextmanager
    def nobody(*_arguments: object) -> Iterator[dict[str, object]]:
        yield {}

    monkeypatch.setattr(explain, "connected", nobody)
    monkeypatch.setattr(explain, "snapshot_all", lambda _targets, _desired: held)
    rule, commit = "infusion_pumps-to-pump_servers-mqtt", commit_named(checkout, "HEAD")
    asked = {**ASKED, "policy_dir": checkout, "live": True, "service": "", "protocol": "tcp"}
    made = run_explain({**asked, "port": 1883})
    assert made["permitted"] and made["live_permitted"] and made["not_read"] == []
    assert {item["point"] for item in made["live_points"]} == {"fw1", "ise-dacl"}
    for item in made["live_points"]:
        assert (item["rule"], item["file"], item["last_commit"]) == (rule, "clinical/infusion_pumps.yml", commit)
        assert item["entry"] > 0 and item["file_line"] > 1 and "1883" in item["text"]
    # At the firewall somebody makes another port of it: MQTT meets the end, and what passes Telnet has no rule, whatever the comment says.
    table = next(key for key in held["fw1"].objects if key.startswith("ruleset/"))
    ruleset = held["fw1"].objects[table]
    line = next(line for line in ruleset["content"].splitlines() if rule in line and "1883" in line and "ip " in line)
    ruleset["content"] = ruleset["content"].replace(line, line.replace("1883", "23"))
    mqtt, telnet = (run_explain({**asked, "port": port}) for port in (1883, 23))
    assert mqtt["permitted"] and not mqtt["live_permitted"] and not telnet["permitted"]
    stopped, foreign = (
        next(item for item in each["live_points"] if (item["point"], item["direction"]) == ("fw1", "forward"))
        for each in (mqtt, telnet)
    )
    assert not stopped["permit"] and foreign["permit"] and foreign["entry"] > 0
    assert (foreign["rule"], foreign["file"], foreign["last_commit"]) == ("", "", "")
