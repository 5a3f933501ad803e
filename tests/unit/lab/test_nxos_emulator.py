# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated NX-OS: what real switches print comes back unchanged, and the rules of sessions, hardware and packets hold."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import read_config
from tests.lab.iosxe.grammar import SyntaxFault
from tests.lab.nxos.device import Device
from tests.lab.nxos.entry import read_entry
from tests.lab.nxos.lists import AccessList
from tests.lab.nxos.spec import DeviceSpec

TITLES = {"IP access list": 4, "IPv6 access list": 6, "ip access-list": 4, "ipv6 access-list": 6}


def real_entries(corpora: Path, outputs: str = "show_access-lists") -> Iterator[tuple[int, str]]:
    """Yield (family, entry) of every list in the show outputs, without numbers and counters."""
    for file in sorted((corpora / "device-outputs" / "cisco_nxos" / outputs).glob("*.txt")):
        family = 0
        for raw in file.read_text(encoding="utf-8", errors="replace").splitlines():
            line = raw.strip()
            if re.search(r"access.list ", line) and not line[0].isdigit():
                family = next((number for title, number in TITLES.items() if line.startswith(title)), 0)
            found = re.match(r"\d+\s+((?:permit|deny|remark)\s.*)$", line)
            if found and family:
                yield family, " ".join(re.sub(r"\[match=\d+\]", "", found[1]).split())


@pytest.mark.corpora
def test_real_entries_come_back_unchanged(corpora: Path) -> None:
    count = 0
    for family, text in real_entries(corpora):
        listing = AccessList("A", family)
        listing.apply(text)
        shown = listing.lines[0].text
        # One output shows port 80 by number, the others by name.
        assert shown == re.sub(r"\beq 80\b", "eq www", text), text
        count += 1
    assert count >= 20


@pytest.mark.corpora
def test_real_outputs_are_read_as_the_emulator_shows_them(corpora: Path) -> None:
    """The product's reader gives a real output and the emulator's rendering of it one meaning."""
    for file in sorted((corpora / "device-outputs" / "cisco_nxos" / "show_access-lists").glob("*.txt")):
        real = {item.name: item for item in registry.parse("nxos", file.read_text(encoding="utf-8"))}
        device = Device(DeviceSpec("n9k1", "127.0.0.1"))
        for name, item in real.items():
            if item.kind not in ("nxos", "nxos_ipv6") or item.opaque:
                continue
            family = 6 if item.kind == "nxos_ipv6" else 4
            head = f"{'ipv6' if family == 6 else 'ip'} access-list {name}"
            lines = registry.render("nxos", name, item.aces, end="", numbers=False, family=family).splitlines()[1:]
            refused = [text for text in device.apply_lines([head, *lines]) if text]
            assert not refused, (name, refused)
        shown = {item.name: item for item in registry.parse("nxos", device.config.body())}
        for name, item in shown.items():
            assert not item.opaque and item.first_match() is not None
            assert [ace.conditions for ace in item.aces] == [ace.conditions for ace in real[name].aces]


def run(device: Device, *lines: str, cli: Any = None) -> str:
    terminal = cli or device.make_cli("admin")

    async def all_lines() -> str:
        return "".join([await terminal.run(line) for line in lines])

    return asyncio.run(all_lines())


@pytest.fixture
def device() -> Device:
    return Device(DeviceSpec("n9k1", "127.0.0.1"))


LIST = ("ip access-list A", "permit tcp any host 10.0.0.1 eq 443", "deny ip any any")
ATTACH = ("interface ethernet 1/1", "ip port access-group A in")


def test_a_session_changes_nothing_before_its_commit(device: Device) -> None:
    before, cli = device.config.body(), device.make_cli("admin")
    out = run(device, "configure session S", *LIST, *ATTACH, "verify", cli=cli)
    assert out.startswith("Config Session started, Session ID is 1\n") and out.endswith("Verification Successful\n")
    assert device.config.body() == before
    assert run(device, "commit", cli=cli) == "Commit Successful\n"
    assert cli.prompt() == "n9k1# " and not device.config_sessions
    assert "  ip port access-group A in\n" in device.config.body()


def test_a_session_outlives_its_terminal_and_not_a_reload(device: Device) -> None:
    run(device, "configure session S", *LIST)
    assert "Number of active configuration sessions = 1" in run(device, "show configuration session")
    assert run(device, "configure session S", *ATTACH, "commit").endswith("Commit Successful\n")
    run(device, "configure session T", "ip access-list B")
    device.reload()
    assert not device.config_sessions and "access-list" not in device.config.body()


def test_a_commit_is_all_or_nothing(device: Device) -> None:
    device.regions["ing-ifacl"] = 2
    out = run(device, "configure session S", *LIST, *ATTACH, "verify", "commit")
    assert out.count("Verification failed") == 2 and "Sufficient free entries" in out
    assert "access-list" not in device.config.body()
    device.regions["ing-ifacl"] = 0
    assert "TCAM region is not configured" in run(device, "configure session S", "commit")


def test_an_atomic_update_needs_room_for_old_and_new(device: Device) -> None:
    device.regions["ing-ifacl"] = 5
    device.apply_lines([*LIST, *ATTACH])
    new = [
        "ip access-list B",
        "permit udp any any",
        "deny ip any any",
        "interface ethernet 1/1",
        "ip port access-group B in",
    ]
    assert "Sufficient free entries" in "".join(device.apply_lines(new))
    assert device.config.interfaces["Ethernet1/1"].access_list("ip port access-group", "in") == "A"
    device.probes = [{"interface": "Ethernet1/1", "packet": {
        "protocol": "tcp", "source": "10.0.0.7", "destination": "10.0.0.1", "source_port": 1, "destination_port": 443, "tcp_flags": ["syn"],
    }}]  # fmt: skip
    device.apply_lines(["no hardware access-list update atomic", "interface ethernet 1/1", "ip port access-group B in"])
    assert [record["verdicts"] for record in device.trace] == ["P", "D", "D"]  # the second: while it is updated
    assert device.config.interfaces["Ethernet1/1"].access_list("ip port access-group", "in") == "B"


def test_lists_that_are_not_there_permit_everything(device: Device) -> None:
    device.apply_lines([*LIST, *ATTACH])
    packet = {"protocol": "tcp", "source": "10.0.0.7", "destination": "10.0.0.1", "source_port": 1, "destination_port": 22,
              "tcp_flags": ["syn"]}  # fmt: skip
    probe = {"interface": "Ethernet1/1", "packet": packet}
    assert device.decide(probe).permit is False
    device.apply_lines(["no ip access-list A"])
    assert device.decide(probe).permit is True
    device.apply_lines(["ip access-list A"])
    assert device.decide(probe).permit is True
    device.apply_lines(["ip access-list A", "permit udp any any"])
    assert device.decide(probe).permit is False


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("permit tcp any any eq 443 8443", "8443"), ("permit ip any", ""), ("permit fabric any any", "fabric"),
        ("permit ip any any eq 5", "eq"), ("permit tcp any 10.0.0.0/33", "10.0.0.0/33"), ("allow ip any any", "allow"),
        ("permit tcp any range 9 5 any", "5"), ("permit icmp any any established", "established"),
    ],
)  # fmt: skip
def test_lines_that_are_refused_change_nothing(device: Device, line: str, word: str) -> None:
    before = device.config.body()
    out = device.apply_lines(["ip access-list A", line])[1]
    assert "at '^' marker." in out and device.config.lists["A"].lines == []
    if word:
        column = out.index("^") - len("n9k1(config-acl)# ")
        assert line[column:].startswith(word)
    assert device.config.body() == before.replace(
        "\ninterface Ethernet1/1\n", "\nip access-list A\n\ninterface Ethernet1/1\n"
    )


def test_numbers_remarks_and_counters(device: Device) -> None:
    device.apply_lines(
        ["ip access-list A", "statistics per-entry", "remark one", "permit ip any any", "15 deny udp any any"]
    )
    assert [line.sequence for line in device.config.lists["A"].lines] == [10, 15, 20]
    probe = {"interface": "Ethernet1/1", "packet": {"protocol": "tcp", "source": "10.0.0.7", "destination": "10.0.0.1"}}
    device.apply_lines(["interface ethernet1/1", "ip port access-group A in"])
    device.decide(probe, count=5)
    shown = run(device, "show access-lists A")
    assert "        20 permit ip any any [match=5] \n" in shown and "10 remark one \n" in shown
    assert "already exists" in device.apply_lines(["ip access-list A", "15 permit tcp any any"])[1]
    device.apply_lines(["resequence ip access-list A 100 5", "ip access-list A", "no 105"])
    assert [line.text for line in device.config.lists["A"].lines] == ["remark one", "permit ip any any"]


def test_a_scheduled_job_runs_its_lines(device: Device) -> None:
    async def wait() -> None:
        device.loop = asyncio.get_running_loop()
        device.apply_lines(["feature scheduler", "scheduler job name J", "configure terminal", "interface ethernet1/1",
                            "no ip port access-group A in", "end-job", "scheduler schedule name S", "job name J",
                            "time start +00:01"])  # fmt: skip
        await asyncio.sleep(0.2)

    object.__setattr__(device.spec, "minute_seconds", 0.05)
    device.apply_lines([*LIST, *ATTACH])
    asyncio.run(wait())
    assert device.jobs_run
    assert device.config.interfaces["Ethernet1/1"].access_list("ip port access-group", "in") is None


def test_the_product_reads_the_configuration(device: Device) -> None:
    device.apply_lines([*LIST, *ATTACH, "feature scheduler", "radius-server host 10.9.0.5 key x auth-port 1645",
                        "interface Vlan10", "ip address 10.1.0.1/24", "ipv6 traffic-filter SIX in",
                        "no hardware access-list update atomic"])  # fmt: skip
    state = read_config(device.running_text())
    assert state.lists == {"A": ("10 permit tcp any 10.0.0.1/32 eq 443", "20 deny ip any any")}
    assert state.groups == {
        ("Ethernet1/1", "in", "ip port access-group"): "A", ("Vlan10", "in", "ipv6 traffic-filter"): "SIX",
    }  # fmt: skip
    assert state.routed == {"Vlan10": "10.1.0.1"} and state.layers["Vlan10"] == 3
    assert (state.atomic, state.scheduler) == (False, True)
    assert [(each.address, each.ports) for each in state.servers] == [("10.9.0.5", (1645, 1813))]


def test_costs() -> None:
    wide = read_entry("permit udp any any range 1 65534", 4)
    assert (wide.cost("in"), wide.cost("out")) == (1, 30)
    assert read_entry("permit tcp any any eq 443", 6).cost("in") == 2
    with pytest.raises(SyntaxFault):
        read_entry("permit tcp any any range 1", 4)
