# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated ASA against raw outputs of real ones, and against its own table of behaviours."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import asa
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_config import asa_text, read_asa_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa_conns import read_connections
from tests.lab.asa.cli import AsaCli
from tests.lab.asa.device import AsaDevice
from tests.lab.asa.entries import parse_entry
from tests.lab.asa.spec import AsaSpec, ConnSpec, NameifSpec

NAMEIFS = (
    NameifSpec("GigabitEthernet0/0", "outside", "203.0.113.1", level=0),
    NameifSpec("GigabitEthernet0/1", "inside", "10.1.1.1", level=100),
)
CONNECTIONS = (
    ConnSpec("tcp", "inside", "10.1.1.5", 50000, "outside", "203.0.113.9", 443),
    ConnSpec("udp", "outside", "203.0.113.9", 53000, "inside", "10.1.1.53", 53),
)
ENTRY = re.compile(r"access-list \S+ line \d+ extended (.*?)(?: \(hitcnt=\d+\))?(?: \(inactive\))? 0x[0-9a-f]+\s*\Z")


def device(**more: object) -> AsaDevice:
    return AsaDevice(AsaSpec("fw1", "127.10.82.40", interfaces=NAMEIFS, connections=CONNECTIONS, **more))


def said(cli: AsaCli, *lines: str) -> list[str]:
    return [asyncio.run(cli.run(line)) for line in lines]


def test_entries_of_real_devices_print_as_they_were(corpora: Path) -> None:
    """Each entry in raw ``show access-list`` outputs comes back as the device printed it, or is one of the forms named here."""
    unknown = []
    seen = 0
    for path in sorted((corpora / "device-outputs" / "cisco_asa" / "show_access-list").glob("*.txt")):
        for line in path.read_text(errors="replace").splitlines():
            found = ENTRY.match(line.strip())
            if found is None:
                continue
            seen += 1
            text = re.sub(r" \((?:unresolved|[a-z0-9.-]+\.[a-z]+)\)", "", found[1])
            try:
                shown = parse_entry(text.split()).words(shown=True)
            except Exception:
                unknown.append(text)
                continue
            assert shown == text
    assert seen > 100
    odd = [text for text in unknown if " fqdn " not in text and " range " not in text.split(" eq ")[0]]
    assert len(odd) <= seen // 20, odd
    print(f"{seen} entries, {len(unknown)} not understood")


def test_real_arp_is_read_whole(corpora: Path) -> None:
    text = (corpora / "device-outputs" / "cisco_asa" / "show_arp" / "genie-out.txt").read_text()
    found = asa.arp(text)
    assert found.whole and len(found.entries) == 6
    assert [each.age_minutes for each in found.entries] == [0, None, None, None, 18, 37]
    assert asa.arp("inside 10.1.1.5 aa11.bb22.cc33 12 more\n").findings


def test_configurations_of_others_are_taken(corpora: Path) -> None:
    """Interfaces, lists and attachments of hand-written configurations are read by the product as they stand there."""
    text = (corpora / "device-outputs" / "cisco_asa" / "running-config" / "batfish-asa-filters.txt").read_text()
    state = read_asa_config(text)
    assert state.groups[("name1", "in")] == "FILTER_IN" and state.groups[("name5", "out")] == "FILTER_OUT5"
    assert state.named["name3"].level == 50 and str(state.named["name1"].network) == "192.168.1.0/24"
    assert state.behind("192.168.4.9") == "name4" and state.behind("10.0.0.1") == ""


def test_tables_read_back() -> None:
    cli = AsaCli(device(), "u", privilege=15)
    found = [parse(said(cli, text)[0]) for text, parse in (
        ("show nameif", asa.nameif), ("show arp", asa.arp), ("show conn count", asa.conn_count), ("show version", asa.version),
    )]  # fmt: skip
    assert all(each.whole for each in found) and [len(each.entries) for each in found] == [2, 3, 1, 1]
    table, unread = read_connections(said(cli, "show conn")[0])
    assert unread == 0 and {(each.protocol, each.first[0]) for each in table} == {
        ("tcp", "outside"),
        ("udp", "outside"),
    }
    assert read_connections("TCP outside:1.1.1.1/80 strange\n") == ([], 1)
    assert asa.failover(said(cli, "show failover")[0]).entries[0].on is False
    pair = AsaCli(device(failover="standby"), "u", privilege=15)
    state = asa.failover(said(pair, "show failover")[0]).entries[0]
    assert (state.on, state.role, state.state, state.mate) == (True, "Primary", "Standby Ready", "Active")


def test_sessions_are_isolated_until_their_commit() -> None:
    made = device()
    first, second = AsaCli(made, "a", privilege=15), AsaCli(made, "b", privilege=15)
    before = made.config.body()
    said(first, "configure session one", "access-list X extended permit tcp any any eq https")
    assert made.config.body() == before and "un-committed" in said(second, "show configuration session")[0]
    assert "Invalid input" in said(first, "access-group X global")[0]
    said(first, "exit", "configure session one", "abort")
    assert made.config.body() == before and not made.config_sessions
    said(
        first,
        "configure session one",
        "access-list X extended permit tcp any any eq https",
        "commit noconfirm revert-save",
    )
    assert "access-list X extended permit tcp any any eq https" in made.config.body()
    said(first, "configure session one", "revert")
    assert made.config.body() == before
    for name in ("a", "b", "c"):
        said(first, f"configure session {name}", "exit")
    assert "maximum" in said(first, "configure session d")[0]
    assert "limited to 32" in said(first, f"configure session {'n' * 33}")[0]


def test_a_commit_is_all_or_nothing() -> None:
    made = device()
    cli, other = AsaCli(made, "a", privilege=15), AsaCli(made, "b", privilege=15)
    said(other, "configure terminal", "object network SRV", "host 10.1.1.9", "exit")
    said(
        cli,
        "configure session one",
        "access-list X extended permit tcp any any",
        "access-list X extended permit ip any object SRV",
    )
    assert said(other, "no object network SRV") == [""]
    before = made.config.body()
    assert "Commit failed" in said(cli, "commit noconfirm")[0] and made.config.body() == before


def test_refusals_change_nothing() -> None:
    made = device()
    cli = AsaCli(made, "a", privilege=15)
    said(cli, "configure terminal")
    before = made.config.body()
    for line, text in (
        ("access-list X extended permit tcp any foo", "Invalid input"),
        ("access-list X extended permit", "Incomplete"),
        ("access-list X extended permit tcp 10.1.1.5 255.255.255.0 any", "doesn't pair"),
        ("access-list X extended permit tcp 10.1.1.0 255.0.255.0 any", "Invalid input"),
        ("access-list X extended permit tcp any any established", "Invalid input"),
        ("access-list X extended permit tcp any object NOPE", "does not exist"),
        ("access-group X in interface inside", "access-list <X> does not exist"),
        ("access-group X in interface nowhere", "Interface name nowhere not found"),
        ("clear configure access-list X", "does not exist"),
        ("frobnicate", "Invalid input"),
    ):
        assert text in said(cli, line)[0], line
    assert made.config.body() == before


def test_a_list_that_goes_takes_its_access_group_along() -> None:
    made = device()
    cli = AsaCli(made, "a", privilege=15)
    said(cli, "configure terminal", "access-list X extended deny ip any any", "access-group X in interface outside")
    packet = {
        "protocol": "tcp",
        "source": "10.1.1.5",
        "destination": "203.0.113.9",
        "source_port": 1,
        "destination_port": 2,
    }
    assert made.decide({"packet": packet}).permit is True  # from the higher level to the lower one
    back = {**packet, "source": "203.0.113.9", "destination": "10.1.1.5"}
    assert made.decide({"packet": back}).permit is False
    said(cli, "clear configure access-list X")
    assert made.config.groups == {} and made.decide({"packet": back}).permit is False  # by security level now


@pytest.mark.parametrize("attached", ["global", "in interface inside", "out interface outside"])
def test_the_evaluator_and_the_engine_agree_by_witness(attached: str) -> None:
    """Where the packet engine says that two lists differ, the emulator's evaluator tells them apart by its witness."""
    first = ["permit tcp 10.1.1.0 255.255.255.0 any eq 443", "deny ip any any"]
    second = ["permit tcp 10.1.1.0 255.255.255.128 any range 440 443", "deny ip any any"]
    texts = [asa_text("X", [f"extended {line}" for line in lines]) for lines in (first, second)]
    found = difference("asa", *texts)
    assert found.lost and found.gained
    for witness, expected in ((found.lost, (True, False)), (found.gained, (False, True))):
        row = re.search(r"tcp (\S+):(\d+) > (\S+):(\d+)", witness)
        assert row is not None
        source = row[1]
        packet = {
            "protocol": "tcp",
            "source": source,
            "destination": "203.0.113.9",
            "source_port": int(row[2]),
            "destination_port": int(row[4]),
        }
        verdicts = []
        for lines in (first, second):
            made = device()
            cli = AsaCli(made, "a", privilege=15)
            said(
                cli,
                "configure terminal",
                *(f"access-list X extended {line}" for line in lines),
                f"access-group X {attached}",
            )
            verdicts.append(made.decide({"packet": packet, "interface": "inside"}).permit)
        assert tuple(verdicts) == expected


def test_the_table_of_behaviours_is_complete() -> None:
    """Every row has a source and one of four words for what it is worth; sources are defined."""
    text = (Path(__file__).resolve().parents[2] / "lab" / "asa" / "BEHAVIOUR.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[1:-1]
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| behaviour")
    ]
    assert len(rows) > 30
    known = set(re.findall(r"(?m)^- \*\*(A\d+)\*\*", text))
    for behaviour, source, worth in ([cell.strip() for cell in row] for row in rows):
        assert worth in ("recorded", "documented", "assumed", "lab"), behaviour
        assert source == "-" or set(re.findall(r"A\d+", source)) <= known, behaviour
        assert (source == "-") == (worth in ("assumed", "lab")), behaviour
