# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proposal says of itself, held against counting by hand: sums, steps, coverage, rare traffic, standing rules, completeness."""

from __future__ import annotations

import itertools
import json
import random
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.expected import rhythm
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.generalise import over_budget, steps_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Service, ServiceMatch
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_evidence
from tests.unit.learn.worlds import NETS, SEGMENTS, World, address, mac, rule_ids, waiting


def segment_and_device(text: str) -> tuple[str, str]:
    _ten, _zone, net, host = text.split(".")
    name = next(each for each, number in NETS.items() if number == int(net))
    return name, mac(name, int(host) - 1)


@pytest.mark.one_python
def test_sums_are_what_counting_flow_by_flow_gives(tmp_path: Path) -> None:
    rng = random.Random(11)
    world = World(tmp_path)
    told = []
    ends = [address(name, number) for name in SEGMENTS for number in range(world.sizes[name])]
    for _flow in range(900):
        client, server = rng.sample(ends, 2)
        flow = (
            rng.randrange(70),
            client,
            server,
            rng.choice(("dicom", "https", "mqtt")),
            rng.randrange(24),
            rng.random() < 0.9,
        )
        told.append(flow)
        world.flow(*flow[:4], flow[4], answered=flow[5])
    world.write()
    members = {mac(name, number): name for name in SEGMENTS for number in range(world.sizes[name])}
    seen, _noise = recorded_evidence(world.data, members=members)
    found = dict(seen.candidates)
    groups: dict[tuple[str, str, str], list[tuple[int, str, str, int, bool]]] = {}
    for day, client, server, service, hour, answered in told:
        groups.setdefault((segment_and_device(client)[0], segment_and_device(server)[0], service), []).append(
            (day, client, server, hour, answered)
        )
    from tests.unit.learn.worlds import PORTS

    strays = {(each.client, each.to, each.server_port) for each in seen.strays}
    for (client, to, service), rows in groups.items():
        key = CandidateKey(client, to, *PORTS[service])
        if key not in found:
            assert len(rows) == 1 and not rows[0][4] and (client, to, 6) in {(c, t, 6) for c, t, _port in strays}
            continue
        each = found.pop(key)
        assert each.flows == len(rows) and each.answered == sum(row[4] for row in rows)
        assert each.client_devices == len({row[1] for row in rows}) and each.server_devices == len(
            {row[2] for row in rows}
        )
        assert each.pairs == len({row[1:3] for row in rows})
        first = date(2026, 11, 2).toordinal()
        assert [day.toordinal() - first for day in each.days] == sorted({row[0] for row in rows}), (
            "over more than 62 days"
        )
        assert each.hours == sum(1 << hour for hour in {row[3] for row in rows})
    assert not found


@pytest.mark.parametrize("seed", range(5))
def test_steps_are_all_that_a_rule_permits_and_nobody_had(seed: int) -> None:
    rng = random.Random(seed)
    clients, servers, ports = range(5), range(4), range(100, 106)
    service = Service("six", (ServiceMatch(6, ((100, 105),)),))
    had = {(c, s, p) for c in clients for s in servers for p in rng.sample(ports, 3) if rng.random() < 0.3} or {
        (0, 0, 100)
    }
    seen = []
    for port in sorted({p for _c, _s, p in had}):
        pairs = {(c, s) for c, s, p in had if p == port}
        seen.append(
            Evidence(
                CandidateKey("a", "b", 6, port),
                (date(2026, 11, 2),),
                len({c for c, _s in pairs}),
                len({s for _c, s in pairs}),
                len(pairs),
            )
        )
    steps = steps_of(seen, service, len(clients), len(servers), "b", False)
    unseen = [each for each in itertools.product(clients, servers, ports) if each not in had]
    by_name = {step.name: step.admits for step in steps}
    assert sum(by_name.values()) == len(unseen)
    of_port = {p: ({c for c, _s, q in had if q == p}, {s for _c, s, q in had if q == p}) for p in ports}
    boxes = {"pairs": 0, "server to segment": 0, "device to segment": 0, "port to service": 0}
    for c, s, p in unseen:
        known_clients, known_servers = of_port[p]
        if not known_clients:
            boxes["port to service"] += 1
        elif c not in known_clients:
            boxes["device to segment"] += 1
        else:
            boxes["pairs" if s in known_servers else "server to segment"] += 1
    assert {name: count for name, count in boxes.items() if count} == by_name
    network = steps_of(seen, service, 5, 1000, "outside", True)
    assert "1000 addresses" in over_budget(network, {}) and not over_budget(network, {"budget": {"addresses": 1000}})


@pytest.mark.parametrize(
    ("days", "word"),
    [
        (range(1, 29), "daily"),
        ((2, 3, 4, 5, 6, 9, 10, 11, 12, 13), "working days"),
        ((3, 10, 17), "weekly"),
        ((30,), "month-end"),
        ((12,), "once"),
        ((4, 5, 19), "irregular"),
    ],
)
def test_rhythms(days: list[int], word: str) -> None:
    assert rhythm([date(2026, 11, day) for day in days], 28) == word


def test_a_network_set_beyond_the_budget_waits(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(7))
    for day, number in itertools.product(range(7), range(6)):
        world.flow(day, address("pumps", number), "198.51.100.7", "https", 11)
    world.write()
    (world.policy / "networks.yml").write_text(
        "networks:\n  internet:\n    prefixes: [198.51.0.0/16]\n", encoding="utf-8"
    )
    made = world.propose()
    (item,) = waiting(made, "budget")
    assert "65536 addresses, 1 were seen" in item["reason"] and item["admits"] == 6 * 65536 - 6
    assert "pumps-to-internet-https" not in rule_ids(made)


@pytest.mark.one_python
def test_rare_traffic_is_kept_with_a_question_until_somebody_answers(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(30))
    for number in range(6):
        world.flow(28, address("pumps", number), address("archive", 0), "https", 23)  # 30 November
        world.flow(9, address("monitors", number), address("gateways", 0), "dicom", 4)  # the archive was down
        world.flow(10, address("cameras", number), address("gateways", 1), "https", 4, bytes=50_000_000)
    made = world.write().propose()
    kinds = {(item["client"], item["to"]): item for item in made["expected"]}
    assert {key: item["kind"] for key, item in kinds.items()} == {
        ("pumps", "archive"): "month-end", ("monitors", "gateways"): "fail-over", ("cameras", "gateways"): "firmware",
    }  # fmt: skip
    item = kinds["pumps", "archive"]
    assert (item["owner"], item["last_seen"], item["expires"]) == ("owner-of-pumps", "2026-11-30", "2028-01-04")
    assert not {"pumps-to-archive-https", "monitors-to-gateways-dicom"} & rule_ids(made)
    waits = made["enforcement"]["pumps"]
    assert not waits["offered"] and "1 questions to the owner" in waits["wait_for"][-1]
    later = world.propose(window_days=1)
    assert {(each["client"], each["to"]) for each in later["expected"]} == set(kinds), (
        "the window has none of it any more"
    )
    text = (world.policy / "site.yml").read_text(encoding="utf-8")
    own = text.replace("\nlearning:\n", "\nlearning:\n  window_days: 2\n")
    (world.policy / "site.yml").write_text(own, encoding="utf-8")
    asked = [
        world.propose(check_mode=True, **more)["answer"]["summary"]
        for more in ({}, {"window_days": 2}, {"window_days": 7})
    ]
    assert asked[0] == asked[1] != asked[2]
    (world.policy / "site.yml").write_text(text, encoding="utf-8")
    (world.policy / "decisions.yml").write_text(
        "decisions:\n  - client: pumps\n    to: archive\n    service: https\n    decision: approve\n    by: A. Huber\n    reason: Billing\n"
        "    date: 2026-12-01\n",
        encoding="utf-8",
    )
    made = world.propose()
    assert ("pumps", "archive") not in {(each["client"], each["to"]) for each in made["expected"]}
    assert "pumps-to-archive-https" in rule_ids(made)


@pytest.mark.one_python
def test_coverage_and_over_permission_before_and_after(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(7))
    for day in range(7):
        world.flow(day, address("cameras", 0), address("monitors", 0), "smb", 3)  # stays with people
    made = world.write().propose()
    before, after = made["coverage"]["before"], made["coverage"]["after"]
    assert before["by_conversations"] == 0 and before["over_permission"] is None
    # 6 to the gateways, 18 to the name server, 6 to the archive; one more that no rule permits.
    assert after["by_conversations"] == round(30 / 31, 6) and after["by_flows"] == round(210 / 217, 6)
    assert after["segments"]["cameras"] == round(6 / 7, 6)
    # Pumps may open both gateways, each opens one: 36 permitted, 30 seen.
    assert after["permitted"] == {"conversations": 36, "seen": 30, "to_networks": 0, "seen_to_networks": 0}
    assert after["over_permission"] == 1.2
    assert world.propose()["coverage"]["before"] == after


@pytest.mark.one_python
def test_standing_rules_are_held_against_their_use(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(10))
    world.write().propose()
    text = (world.policy / "services.yml").read_text(encoding="utf-8")
    (world.policy / "services.yml").write_text(
        text + "  clinical:\n    match:\n      - {protocol: tcp, ports: [100-199, 1883]}\n", encoding="utf-8"
    )
    path = world.policy / "clinical" / "pumps.yml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("services: [mqtt]", "services: [clinical]")
        + "  - id: pumps-by-hand\n    to: archive\n    services: [https]\n    reason: Manuals\n    origin: manual\n"
        + "    expires: 2026-11-30\n",
        encoding="utf-8",
    )
    for number in range(6):
        for day in range(8, 10):
            world.flow(day, address("monitors", number), address("gateways", 0), "https", 3)
            world.flow(day, address("monitors", number), address("cameras", 0), "https", 3, method=9, confidence=0.5)
    made = world.write(documents=False).propose()["after_activation"]
    (wide,) = made["too_wide"]
    assert (
        wide["rule"] == "pumps-to-gateways-mqtt"
        and "1 of 101 ports are used" in wide["why"]
        and "services: [mqtt]" in wide["suggested"]
    )
    assert [each["rule"] for each in made["unused"]] == ["pumps-by-hand"]
    assert {(each["to"], each["kind"], each["since"]) for each in made["new"]} == {
        ("gateways", "few-days", "this week")
    }
    assert {(each["to"], each["kind"]) for each in made["unexpected"]} == {("cameras", "direction")}
    (due,) = made["recertify"]["owner-of-pumps"]
    assert due["rule"] == "pumps-by-hand" and due["why"] == ["not used in the window", "expires 2026-11-30"]


def test_a_rule_that_several_ports_make_together_is_seen_again_by_the_next_run(tmp_path: Path) -> None:
    """A server that draws its port anew each day: no port has days enough by itself, and the rule that stands permits each."""
    world = World(tmp_path)
    world.usual(range(7))
    for day in range(7):
        for number in range(6):
            world.flow(day, address("pumps", number), address("gateways", 0), (6, 49_000 + day), 4)
    world.write()
    path = world.policy / "services.yml"
    path.write_text(
        path.read_text(encoding="utf-8") + "  rpc:\n    match:\n      - {protocol: tcp, ports: [49000-49009]}\n",
        encoding="utf-8",
    )
    assert "pumps-to-gateways-rpc" in rule_ids(world.propose())
    before = world.files()
    again = world.propose()
    assert "pumps-to-gateways-rpc" in rule_ids(again) and not again["answer"]["changed"]
    assert world.files() == before
    document = json.loads((world.policy / "evidence" / "pumps.json").read_text(encoding="utf-8"))
    assert document["rules"]["pumps-to-gateways-rpc"].get("in_window", True)


def test_enforcement_is_not_proposed_before_enough_is_known(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(5))
    made = world.write().propose()
    assert set(made["enforcement"]) == set(SEGMENTS)
    assert not any(each["offered"] for each in made["enforcement"].values())
    assert made["completeness"]["pumps"]["days"] == 5 and made["completeness"]["pumps"]["known_conversations"] == 12
    assert any("more days" in text for text in made["enforcement"]["pumps"]["wait_for"])
    text = (world.data / "out" / "propose.md").read_text(encoding="utf-8")
    assert "How much is known" in text
    document = json.loads((world.policy / "evidence" / "pumps.json").read_text(encoding="utf-8"))
    assert document["schema_version"] == "1.1" and document["sources"] == {"1" * 64: "made"}
    rule = document["rules"]["pumps-to-gateways-mqtt"]
    assert (rule["devices"], rule["segment_devices"], rule["shifts"], rule["rhythm"]) == (6, 6, ["early"], "daily")
