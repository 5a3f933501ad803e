# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interface whose incoming traffic no exporter tells of: what is opened towards it is not unanswered."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import listener
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_info
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, Evidence
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.one_way import bounded_by, is_one_way, unheard
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Telemetry
from tests.unit.flows.test_netflow import PORTS, data, template, v9
from tests.unit.learn.worlds import MONDAY, World, address, waiting

SWITCH = "192.0.2.1"
DAYS = tuple(MONDAY + timedelta(days=number) for number in range(4))


def seen(key: CandidateKey, flows: int, octets: int, answered: int = 0) -> Evidence:
    return Evidence(key, DAYS, flows=flows, answered=answered, bytes=octets)


def test_only_octets_that_no_opening_has_say_that_an_answer_was_not_recorded() -> None:
    key = CandidateKey("cameras", "archive", 6, 443)
    # Eight SYN of IPv6 with all options; one octet more than any opening; an answer; UDP needs none.
    assert not is_one_way(seen(key, 10, 10 * 8 * 100))
    assert is_one_way(seen(key, 10, 10_001))
    assert not is_one_way(seen(key, 10, 90_000, answered=1))
    assert not is_one_way(seen(replace(key, protocol=17), 10, 90_000))


@pytest.mark.parametrize(("lone", "both", "found"), [(20, 79, True), (20, 80, False), (19, 1, False)])
def test_an_end_is_unheard_by_the_share_that_holds_for_exporters(lone: int, both: int, found: bool) -> None:
    ours, other = CandidateKey("cameras", "archive", 6, 443), CandidateKey("pumps", "archive", 6, 104)
    short = CandidateKey("pumps", "archive", 6, 8104)
    told = {ours: seen(ours, lone, lone * 4000), other: seen(other, both, both * 6000, answered=both)}
    ends = unheard(told)
    assert ends == ({"archive"} if found else set())
    # Short conversations with the same end may have been answered too.
    made = bounded_by(Telemetry(), seen(short, 5, 5 * 300), ends)
    assert (made.silence, made.ceiling, made.band) == ((False, 0.8, "partial") if found else (True, 1.0, ""))
    assert bounded_by(Telemetry(), seen(replace(short, to="gateways"), 5, 1500), ends).silence


def exported(day: date, client: str, server: str, port: int, way: tuple[int, int]) -> bytes:
    """Return a record of 12 packets that came in and went out by the interfaces of ``way``, without flags."""
    begin = int((day - date(1970, 1, 1)).total_seconds() + 43_200) * 1000
    ends = (int(ipaddress.IPv4Address(each)) for each in (client, server))
    return struct.pack(">IIHHBBIIQQIIB", *ends, 45_000, port, 6, 0, 12, 4_000, begin, begin + 9_000, *way, 0)


def test_a_segment_behind_an_interface_that_tells_one_way_is_not_taken_for_silent(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.usual(range(14))
    for day in range(4):
        for number in range(3):
            # Nobody serves it: SYN after SYN.
            world.flow(day, address("cameras", number), address("gateways", 0), "smb", 12, answered=False)
    world.write()
    sent = []
    for number, day in enumerate(DAYS):
        rows = [exported(day, address("cameras", each), address("archive", 0), 443, (3, 9)) for each in range(6)]
        moment = int((day - date(1970, 1, 1)).total_seconds()) + 43_300
        sets = (template(256, PORTS, 0), data(256, b"".join(rows)))
        sent.append(listener.raw_packet(SWITCH, 9, "203.0.113.1", 2055, v9(number, *sets, moment=moment)))
    path = tmp_path / "exports.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        + b"".join(struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in sent)
    )
    assert ingest([path], world.data).records == 24
    # Of 204 longer conversations of this switch 36 have no answer: it passes for one that sees both ways.
    assert run_flow_info({"data_dir": str(world.data), "top": 0})["exporters"][SWITCH]["silence"]
    made = world.propose()
    silent = {(item["client"], item["server"], item["port"]) for item in waiting(made, "unanswered")}
    assert silent == {("cameras", "gateways", 445)}
    # What is thin waits for a person and holds enforcement back; what nobody answers does not.
    (item,) = waiting(made, "draft")
    assert (item["client"], item["server"], item["port"]) == ("cameras", "archive", 443)
    assert any(text.endswith(": 1 draft") for text in made["enforcement"]["cameras"]["wait_for"])
