# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is permitted passes and nothing else does: packets through fw1, an independent evaluator at the other points."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Loop
from tests.lab.check import Report, check
from tests.lab.description import load_hospital
from tests.lab.judge import read_policy
from tests.lab.net.probes import from_description


@pytest.fixture(scope="module")
def report(loop: Loop) -> Report:
    loop.targets.restore(loop.moments["verified"])
    made = check(loop.targets.places, loop.copies / "verified" / "site")
    print("\n".join(made.lines()))
    return made


def test_every_point_gives_the_expected_verdict(report: Report) -> None:
    assert report.wrong == [], "\n".join(report.lines())
    assert report.unanswered == []


def test_the_set_is_large_and_a_quarter_is_permitted(report: Report) -> None:
    assert report.probes >= 500
    assert report.permitted * 4 >= report.probes
    points = report.by_point()
    asked = {
        "fw1",
        "ise-dacl",
        "ise-dacl on acc1",
        "ise-dacl on acc2",
        "ise-matrix",
        "acc2-ports",
        "acc2-ports on acc2",
    }
    assert asked <= set(points)
    for name in asked:
        assert points[name]["permitted"] > 0, name
        assert points[name]["denied"] > 0, name
    purposes = report.by_purpose()
    for purpose in (
        "permitted", "reply", "reverse-open", "neighbour-port", "neighbour-host", "sibling-segment", "other-protocol",
        "udp-from-service", "forged-ack", "fragment",
    ):  # fmt: skip
        assert purposes[purpose], purpose


def test_the_learnt_policy_permits_what_the_hospital_does_and_nothing_the_scan_did(loop: Loop) -> None:
    hospital = load_hospital()
    reading = read_policy(loop.copies / "learnt" / "site", hospital)
    assert reading.strangers == ()
    legitimate = {(each.client, each.server, each.protocol, each.port) for each in from_description(hospital)}
    allowed = {(each.client, each.server, each.protocol, each.port) for each in reading.permitted}
    assert legitimate <= allowed
    scan = hospital.scan
    scanned = {
        (scan.source, host.name, "tcp", port)
        for host in hospital.hosts.values()
        for port in scan.ports
        if host.subnet in scan.subnets
    }
    assert not scanned & allowed
