"""The worked site: the rendered lists against the lab's judge, which reads the policy documents by itself."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import check_expectations
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.workflows import prove_workflows
from tests.lab.evaluate import evaluate_acl
from tests.lab.judge import (
    expected_in_cell,
    expected_on_access_port,
    expected_on_firewall,
    packets_of,
    points_on_the_way,
    read_policy,
    replies_of,
    seen_by_firewall,
)
from tests.lab.net.probes import from_description, make_probes
from tests.unit.proof.nft_reader import decide

Sound = tuple[Site, Compiled]


@pytest.fixture(scope="module")
def sound(root: Path) -> Sound:
    loaded = load_checked(root / "policies", date(2026, 11, 23))
    assert loaded.site is not None
    return loaded.site, compile_site(loaded.site)


def test_everything_is_proved(sound: Sound) -> None:
    site, compiled = sound
    assert errors_of(compiled.findings) == []
    assert all(item.equal for item in prove_rendering(compiled.lists)[0])
    assert {item.outcome for item in prove_guardrails(site, compiled.lists)[0]} == {"proved"}
    assert {item.outcome for item in prove_workflows(site, compiled.lists)[0]} == {"proved"}
    assert all(item.met for item in check_expectations(site, compiled.lists)[0])


def test_every_list_does_what_the_judge_reads_from_the_documents(sound: Sound, root: Path) -> None:
    _site, compiled = sound
    reading = read_policy(root / "policies")
    texts = {(item.point, item.segment, item.peer): rendered(item) for item in compiled.lists}
    wrong: list[str] = []
    asked = {"dacl": 0, "port_acl": 0, "sgacl": 0, "firewall": 0}
    for probe in [*make_probes([*from_description(), *reading.permitted]), *replies_of(reading)]:
        packets = packets_of(probe, reading.addresses)
        if probe.kind != "reply" and seen_by_firewall(reading, probe) and "fragment" not in probe.kind:
            want = expected_on_firewall(reading, probe)
            packet = {
                **packets[0].fields,
                "protocol": {"tcp": 6, "udp": 17, "icmp": 1}.get(probe.protocol, packets[0].fields["protocol"]),
            }
            if want is not None:
                asked["firewall"] += 1
                if decide(texts["fw1", "", ""], packet) != want:
                    wrong.append(f"fw1: {probe.text()}")
        for packet_of_probe in packets:
            source, destination = (
                reading.segment_of[packet_of_probe.source],
                reading.segment_of[packet_of_probe.destination],
            )
            for point, kind in points_on_the_way(reading, packet_of_probe):
                asked[kind] += 1
                fields = packet_of_probe.fields
                if kind == "sgacl":
                    text, want = texts[point, source, destination], expected_in_cell(reading, packet_of_probe)
                    found = evaluate_acl(text.splitlines(), fields, kind="sgacl", family=4).permit
                else:
                    want = expected_on_access_port(reading, packet_of_probe)
                    lines = [
                        line for line in texts[point, source, ""].splitlines() if not line.startswith("ip access-list")
                    ]
                    endpoint = fields["source"] if kind == "dacl" else None
                    found = evaluate_acl(
                        lines, fields, kind="dacl" if kind == "dacl" else "ios", endpoint=endpoint
                    ).permit
                if found != want:
                    wrong.append(f"{point}: {probe.text()}")
    assert wrong == []
    assert min(asked.values()) > 20, asked
