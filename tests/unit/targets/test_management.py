# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What manages a switch goes on, whatever address it has, or it is said that nobody can know."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_guards, nxos_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.host_names import (
    addresses_of,
    configured_domain,
    configured_host,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_guards import (
    cut_findings,
    way_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_services import read_services
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import (
    ManagementPath,
    controller,
    cut,
    cuts_dhcp_servers,
    passing,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_guard import (
    management_findings,
    management_path,
)

CONFIG = """ip dhcp snooping
radius server ISE1
 address ipv4 10.60.0.5 auth-port 1812 acct-port 1813
radius server ISE2
 address ipv4 10.20.0.6 auth-port 1812 acct-port 1812
tacacs server T1
 address ipv4 10.60.0.9
aaa server radius dynamic-author
 client 10.60.0.5 server-key x
ip radius source-interface Loopback0
aaa group server tacacs+ ADMINS
 server name T1
 ip tacacs source-interface Vlan20
interface Loopback0
 ip address 10.255.0.1 255.255.255.255
interface Vlan10
 ip address 10.10.0.1 255.255.255.0
 ip helper-address 10.60.0.53
interface Vlan20
 ip address 10.20.0.1 255.255.255.0
interface TenGigabitEthernet1/1/1
 ip dhcp snooping trust
interface GigabitEthernet1/0/1
 description ip radius source-interface Vlan10
ntp server 10.20.0.53
end
"""
ARP = "Internet  {}   5   {}  ARPA   {}\n"
MAC = " 20    {}    DYNAMIC     {}\n"
TABLES = {
    "show users": "*  2 vty 0     netops     idle   00:00:00 10.10.0.9\n",
    "show ip arp 10.10.0.9": ARP.format("10.10.0.9", "0200.0000.0009", "Vlan10"),
    "show mac address-table address 0200.0000.0009": MAC.format("0200.0000.0009", "Te1/1/1"),
    "show ip arp 10.20.0.6": ARP.format("10.20.0.6", "0200.0000.0006", "Vlan20"),
    "show mac address-table address 0200.0000.0006": MAC.format("0200.0000.0006", "Gi1/0/1"),
    "show ip route 10.60.0.5": "Routing entry for 10.60.0.0/16\n  * 10.20.0.6, via Vlan20\n",
}


path_of = ios_guards.management_path


def session(answers: dict[str, str], peer: str = "", device: str = "10.10.0.1", port: int = 22) -> Any:
    asked: list[str] = []

    def show(command: str, _seconds: float = 0.0) -> str:
        asked.append(command)
        return answers.get(command, "")

    return SimpleNamespace(
        show=show,
        peer=lambda: peer,
        device=lambda: device,
        asked=asked,
        spec=SimpleNamespace(name="sw1", service_port=port),
    )


def told(content: str, place: tuple[Any, ...], exposure: ManagementPath) -> list[tuple[str, str]]:
    """Return (code, what and packet) of each finding."""
    found = cut_findings("sw1", content, [place], exposure)
    return [(each.code, re.sub(r".*?sw1: \S+ (?:in|out): ", "", each.message)) for each in found]


def test_each_server_is_judged_where_its_answers_come_in_and_by_the_address_they_go_to() -> None:
    asked = session(TABLES)
    exposure = path_of(asked, read_config(CONFIG))
    assert ManagementPath.of_text(exposure.as_text()) == exposure
    assert len(asked.asked) == len(set(asked.asked)), "a table is asked once"
    # ISE1 and the change of authorization come through the router on Gi1/0/1, to Loopback0; the controller does not come there.
    port = ("GigabitEthernet1/0/1", "in", 4)
    answers = told("permit tcp any any", port, exposure)
    assert [code for code, _text in answers] == ["SW4263"] * 4, answers
    text = str(answers)
    assert text.count("10.255.0.1") == 4 and text.count("10.60.0.5") == 3 and text.count("10.20.0.6") == 1, answers
    passing = "permit udp host 10.60.0.5 host 10.255.0.1\npermit udp host 10.20.0.6 host 10.255.0.1"
    assert told(passing, port, exposure) == []
    # The address of the port's own subnet is not the one that is asked from.
    assert told(passing.replace("10.255.0.1", "10.20.0.1"), port, exposure)
    assert exposure.may_cut([port]) and not exposure.may_cut([("GigabitEthernet1/0/2", "in", 4)])


def test_a_server_whose_way_is_not_told_is_taken_to_come_as_the_controller_does_and_is_named() -> None:
    exposure = path_of(session(TABLES), read_config(CONFIG))
    found = told("permit tcp any any eq 22\npermit udp any any", ("TenGigabitEthernet1/1/1", "in", 4), exposure)
    assert [(code, text.partition(":")[0]) for code, text in found] == [("SW4263", "TACACS+")]
    assert "10.20.0.1" in found[0][1], "its group's source interface"
    (warning,) = way_findings("sw1", exposure)
    assert (warning.code, "TACACS+ 10.60.0.9" in warning.message, "RADIUS" in warning.message) == (
        "SW4461",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("permit tcp any any\npermit udp any any", []),
        ("permit tcp any any\npermit udp any any neq 68\ndeny udp any any", []),
        (
            "permit tcp any any\npermit udp any any range 1 66",
            ["SW4263", "SW4463"],
        ),  # answers to the relay, and any at all
    ],
)
def test_dhcp_answers_come_in_on_a_trusted_port(content: str, expected: list[str]) -> None:
    exposure = path_of(session(TABLES), read_config(CONFIG.replace("tacacs server", "tacacs-none server")))
    assert [code for code, _text in told(content, ("TenGigabitEthernet1/1/1", "in", 4), exposure)] == expected


def test_clients_reach_the_relay_of_their_vlan() -> None:
    exposure = path_of(session({**TABLES, "show users": ""}, peer="10.20.0.6"), read_config(CONFIG))
    vlan = ("Vlan10", "in", 4)
    assert told("permit udp any eq 68 any eq 67", vlan, exposure) == []
    assert [code for code, _text in told("permit ip 10.10.0.0 0.0.0.255 any", vlan, exposure)] == ["SW4463"]


def test_ntp_is_told_and_stops_nothing() -> None:
    exposure = path_of(session(TABLES), read_config(CONFIG))
    found = told("permit udp any any neq 123\npermit tcp any any", ("Vlan20", "in", 4), exposure)
    assert [(code, text[:4]) for code, text in found] == [("SW4462", "NTP:")]


@pytest.mark.parametrize(
    ("client", "device", "families"),
    [
        ("", "10.10.0.1", {4}), ("", "", {4, 6}), ("10.9.0.9", "", {4}), ("2001:db8::9", "10.10.0.1", {4, 6}), ("2001:db8::9", "", {6}),
        ("not-an-address", "2001:db8::1", {6}),
    ],
)  # fmt: skip
def test_an_unknown_address_never_passes(client: str, device: str, families: set[int]) -> None:
    talk = controller(client, device, ("Vlan10",), False)
    for family in (4, 6):
        for direction in ("in", "out"):
            found = cut("ios", "sw1", "permit ip any any", ("Vlan10", direction, family), family, [talk])
            assert [each.code for each in found] == (["SW4460"] if family in families else []), (family, direction)


def test_a_controller_over_ipv6_is_judged_in_ipv6_lists_and_servers_go_on_in_ipv4_ones() -> None:
    """An IPv4 list sees no packet of an IPv6 session; what it does see was left unjudged before."""
    answers = {**TABLES, "show users": "*  2 vty 0   netops   idle   00:00:00 2001:DB8::9\n"}
    exposure = path_of(session(answers, device="2001:db8::1"), read_config(CONFIG))
    assert (exposure.client, exposure.known) == ("2001:db8::9", False)
    found = told("deny ip any any", ("GigabitEthernet1/0/1", "in", 4), exposure)
    assert {text.partition(":")[0] for _code, text in found} == {"RADIUS", "change of authorization"}
    assert exposure.may_cut([("GigabitEthernet1/0/9", "in", 4)]), "its way is not known: the way back is armed"


NEXUS = """version 9.3
radius-server host 10.60.0.5 key x authentication accounting
ip radius source-interface loopback0
interface Vlan10
  ip address 10.10.0.1/24
  ipv6 address 2001:db8::1/64
  ip dhcp relay address 10.60.0.53
interface loopback0
  ip address 10.255.0.1/32
interface Ethernet1/1
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("permit tcp any any eq 22", []),
        ("permit tcp 2001:db8::9/128 2001:db8::1/128 eq 22", []),
        ("permit tcp 2001:db8:1::/48 any eq 22", ["SW4263"]),
        ("permit udp any any", ["SW4263"]),
    ],
)
def test_ipv6_lists_of_a_nexus_let_the_controller_in(lines: str, expected: list[str]) -> None:
    path = management_path(session({}, "2001:db8::9", "2001:db8::1"), nxos_config.read_config(NEXUS))
    assert ManagementPath.of_text(path.as_text()) == path
    place = ("Vlan10", "in", "ipv6 traffic-filter")
    found = management_findings(f"ipv6 access-list SW_x\n  {lines}\n", [place], "n1", path)
    assert [each.code for each in found if each.severity == "error"] == expected


def test_a_nexus_answers_radius_by_its_source_interface() -> None:
    path = management_path(session({}, "10.10.0.9"), nxos_config.read_config(NEXUS))
    place = ("Vlan10", "in", "ip access-group")
    base = "ip access-list SW_x\n  permit tcp any any eq 22\n  permit udp any any eq 67\n  permit udp any 10.{}/32\n"
    found = management_findings(base.format("255.0.1"), [place], "n1", path)
    assert [each.code for each in found] == ["SW4461"], found
    wrong = management_findings(base.format("10.0.1"), [place], "n1", path)
    assert {each.code for each in wrong} == {"SW4263", "SW4461"} and "10.255.0.1" in str(wrong)
    silent = management_path(session({}, "", ""), nxos_config.read_config(NEXUS))
    assert "SW4460" in [each.code for each in management_findings(base.format("255.0.1"), [place], "n1", silent)]


def test_what_stands_in_other_places_is_no_source() -> None:
    services = read_services(CONFIG)
    assert services.sources == (("radius", "Loopback0"), ("tacacs", "Vlan20"))
    assert (services.trusted, services.ntp) == (frozenset({"TenGigabitEthernet1/1/1"}), ("10.20.0.53",))
    assert read_services(CONFIG.replace("ip dhcp snooping\n", "")).trusted == frozenset()
    assert services.connected("10.20.0.77") == "Vlan20" and not services.connected("10.60.0.5")


def test_what_threads_share_is_only_read() -> None:
    content = "permit udp any eq 67 any eq 68\npermit tcp any any eq 22\ndeny ip any any"
    text = f"ip access-list extended SW_a\n{content}"
    nodes = passing("ios", text).space.nodes
    size = len(nodes.level)
    assert not cuts_dhcp_servers("ios", text)
    assert cuts_dhcp_servers("ios", "ip access-list extended SW_a\npermit tcp any any")
    assert passing("ios", text).space.nodes is nodes
    assert len(nodes.level) == size


@pytest.mark.parametrize(
    ("line", "connected", "cut_off"),
    [
        ("", 22, False), ("", 2222, False),  # a port that is translated on the way
        ("ip ssh port 2222 rotary 1", 22, False), ("ip ssh port 2222 rotary 1", 2222, True),
    ],
)  # fmt: skip
def test_ssh_is_judged_on_the_port_that_is_used(line: str, connected: int, cut_off: bool) -> None:
    exposure = path_of(session(TABLES, port=connected), read_config(f"{line}\n{CONFIG}"))
    assert ManagementPath.of_text(exposure.as_text()) == exposure
    content = "permit tcp any any eq 22\npermit tcp any eq 49 any\npermit udp any any"
    found = [text for _code, text in told(content, ("TenGigabitEthernet1/1/1", "in", 4), exposure)]
    assert any("the controller" in text and ":2222" in text for text in found) == cut_off


def test_a_nexus_that_listens_elsewhere_is_judged_there() -> None:
    path = management_path(session({}, "10.10.0.9"), nxos_config.read_config(f"ssh port 2022\n{NEXUS}"))
    assert path.conversations[0].near_port == 2022
    assert management_path(session({}, "10.10.0.9"), nxos_config.read_config(NEXUS)).conversations[0].near_port == 22


def test_a_nexus_asks_radius_over_tls_on_its_own_port() -> None:
    more = "radius-server host 10.60.0.5 key 7 x\nradius-server host 10.60.0.5 tls client-trustpoint sw\n"
    state = nxos_config.read_config(f"{more}{NEXUS}")
    assert ("radius-tls", (2083,)) in [(each.kind, each.ports) for each in state.servers]
    path = management_path(session({}, "10.10.0.9"), state)
    assert {(each.protocol, each.far_port) for each in path.conversations if each.what == "RADIUS over TLS"} == {
        (6, 2083)
    }


def test_servers_of_old_images_and_ports_of_their_own_are_known() -> None:
    text = """radius-server host 10.60.0.5 auth-port 1812 acct-port 1813 key 7 0822455D0A16
radius-server host 10.60.0.6 key cisco
radius-server host radius.example.org
radius-server deadtime 15
tacacs-server host 10.60.0.9 single-connection port 4949
tacacs-server host 10.60.0.8
tacacs server T1
 address ipv4 10.60.0.10
 key x
 port 5049
aaa server radius dynamic-author
 client 10.60.0.5 server-key x
 port 3799
line vty 0 4
 port 12
end
"""
    assert read_config(text).servers == (
        ("radius", "10.60.0.5", 1812), ("radius", "10.60.0.5", 1813),
        ("radius", "10.60.0.6", 1645), ("radius", "10.60.0.6", 1646),
        ("radius", "radius.example.org", 1645), ("radius", "radius.example.org", 1646),
        ("tacacs", "10.60.0.9", 4949), ("tacacs", "10.60.0.8", 49), ("tacacs", "10.60.0.10", 5049), ("coa", "10.60.0.5", 3799),
    )  # fmt: skip


def test_servers_over_tls_and_dtls_and_by_name_are_known() -> None:
    text = """radius server TLS
 address ipv4 10.60.0.5 auth-port 1812 acct-port 1813
 tls connectiontimeout 10
 tls trustpoint client SW
radius server DTLS
 address ipv4 10.60.0.6 auth-port 1812 acct-port 1813
 dtls idletimeout 5 port 2084
 dtls retries 3
radius server NAMED
 fqdn ise3.example.org
aaa server radius dynamic-author
 client 10.60.0.5 tls client-tp SW server-tp SW
 client 10.60.0.6 dtls server-key x
 client 10.60.0.7 server-key x
end
"""
    assert read_config(text).servers == (
        ("radius-tls", "10.60.0.5", 2083), ("radius", "10.60.0.6", 2084),
        ("radius", "ise3.example.org", 1645), ("radius", "ise3.example.org", 1646),
        ("coa-tls", "10.60.0.5", 2083), ("coa", "10.60.0.6", 2083), ("coa", "10.60.0.7", 1700),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "protocol", "what"),
    [
        (" tls port 2083", "tcp", "RADIUS over TLS"),
        (" dtls port 2083\n dtls ip radius source-interface Vlan20", "udp", "RADIUS"),
    ],
)
def test_a_list_that_would_cut_radius_over_tls_is_refused(lines: str, protocol: str, what: str) -> None:
    config = re.sub(r"(radius server ISE1\n address ipv4 .*)", rf"\1\n{lines}", CONFIG)
    exposure, place = path_of(session(TABLES), read_config(config)), ("GigabitEthernet1/0/1", "in", 4)
    plain = "permit tcp any any eq 22\npermit udp any range 1645 1813 any\npermit udp any any range 67 68\npermit tcp any eq 49 any"
    found = told(f"{plain}\npermit udp any any eq 1700", place, exposure)
    assert any(code == "SW4263" and f"{what}:" in text and "10.60.0.5:2083" in text for code, text in found), found
    also = told(f"{plain}\npermit udp any any eq 1700\npermit {protocol} host 10.60.0.5 eq 2083 any", place, exposure)
    assert not any("2083" in text for _code, text in also), also


def test_a_list_that_would_cut_the_radius_of_an_old_image_is_refused() -> None:
    old = re.sub(r"radius server ISE1\n address ipv4 (\S+) (.*)", r"radius-server host \1 \2 key x", CONFIG)
    exposure = path_of(session(TABLES), read_config(old))
    found = told("permit tcp any any\npermit udp any any range 67 68", ("GigabitEthernet1/0/1", "in", 4), exposure)
    assert sum("RADIUS" in text and "10.60.0.5" in text for _code, text in found) == 2


# -- servers that have a name, or an IPv6 address

NAMED = """radius server ISE1
 address ipv4 ise1.example.com auth-port 1812 acct-port 1812
aaa server radius dynamic-author
 client ise1.example.com server-key x
aaa group server radius OLD
 server-private ise2 auth-port 1812 acct-port 1812 key x
ip radius source-interface Vlan20
ip domain name example.com
{hosts}
interface Vlan10
 ip address 10.10.0.1 255.255.255.0
interface Vlan20
 ip address 10.20.0.1 255.255.255.0
interface TenGigabitEthernet1/1/1
interface GigabitEthernet1/0/1
interface GigabitEthernet1/0/2
end
"""
TWO_HOSTS = "ip host ise1.example.com 10.60.0.5 10.60.0.6\nip host ISE2.example.com 10.60.0.7"
RESOLVED = """Default domain is example.com
Codes: UN - unknown, EX - expired, OK - OK, ?? - revalidate

Host                      Port  Flags      Age Type   Address(es)
ise1.example.com          None  (temp, OK)  0   IP    10.60.0.5
                                                      10.60.0.6
ise2.example.com          None  (temp, {})  0   IP    10.60.0.7
other.example.com         None  (temp, OK)  0   IP    10.60.0.99
"""
BY_NAME = TABLES | {f"show ip route 10.60.0.{number}": TABLES["show ip route 10.60.0.5"] for number in range(5, 8)}
ROUTED_IN, ACCESS = ("GigabitEthernet1/0/1", "in", 4), ("GigabitEthernet1/0/2", "in", 4)


@pytest.mark.parametrize(("hosts", "shown"), [(TWO_HOSTS, ""), ("ip name-server 10.0.0.53", RESOLVED.format("OK"))])
def test_a_server_with_a_name_is_judged_by_every_address_that_the_switch_has_for_it(hosts: str, shown: str) -> None:
    path = path_of(session({**BY_NAME, "show hosts": shown}), read_config(NAMED.format(hosts=hosts)))
    assert ManagementPath.of_text(path.as_text()) == path
    judged = told("permit tcp any any", ROUTED_IN, path)
    assert [code for code, _text in judged] == ["SW4263"] * 5
    assert {re.search(r"10\.60\.0\.\d+", text)[0] for _code, text in judged} == {"10.60.0.5", "10.60.0.6", "10.60.0.7"}  # type: ignore[index]
    assert told("permit udp 10.60.0.4 0.0.0.3 host 10.20.0.1", ROUTED_IN, path) == []
    assert told("permit tcp any any", ACCESS, path) == [], "its answers do not come in there"
    assert path.may_cut([ROUTED_IN]) and not path.may_cut([ACCESS])


@pytest.mark.parametrize("shown", ["", RESOLVED.format("EX"), RESOLVED.format("??"), "% Invalid input"])
def test_a_name_that_the_switch_does_not_tell_passes_only_where_every_address_does(shown: str) -> None:
    config = NAMED.format(hosts="ip host ise1.example.com 10.60.0.5")
    path = path_of(session({**BY_NAME, "show hosts": shown}), read_config(config))
    for place in (ROUTED_IN, ACCESS):  # its answers may come in anywhere
        found = [(code, text) for code, text in told("permit udp host 10.60.0.5 any", place, path) if code == "SW4479"]
        assert [text.partition(":")[0] for _code, text in found] == ["RADIUS ise2"], found
        assert told("permit udp host 10.60.0.5 any\npermit udp any eq 1812 host 10.20.0.1", place, path) == []
        almost = "permit udp host 10.60.0.5 any\ndeny udp host 10.66.6.6 any\npermit udp any eq 1812 any"
        assert [code for code, _text in told(almost, place, path)] == ["SW4479"]
    assert told("deny ip any any", ("GigabitEthernet1/0/2", "out", 4), path) == []
    assert path.may_cut([ACCESS]), "the way back is armed for every place"
    assert "RADIUS ise2" in str(way_findings("sw1", path)[0].message)


@pytest.mark.parametrize(
    ("line", "port", "protocol"),
    [
        ("radius-server host ipv6 2001:db8:60::5 auth-port 1812 acct-port 1812", 1812, "udp"),
        ("radius-server host 2001:DB8:60::5 key x", 1645, "udp"),
        ("tacacs-server host 2001:db8:60::5", 49, "tcp"),
        ("radius server ISE6\n address ipv6 2001:db8:60::5 auth-port 1812 acct-port 1812", 1812, "udp"),
        ("tacacs server T6\n address ipv6 2001:db8:60::5", 49, "tcp"),
        ("aaa group server tacacs+ OLD\n server-private 2001:db8:60::5 key x", 49, "tcp"),
        (
            "radius server ISE6\n address ipv6 ise6 auth-port 1812 acct-port 1812\nipv6 host ise6 2001:db8:60::5",
            1812,
            "udp",
        ),
    ],
)
def test_servers_over_ipv6_are_judged_in_ipv6_lists(line: str, port: int, protocol: str) -> None:
    config = f"{line}\ninterface Vlan20\n ipv6 address 2001:db8:20::1/64\ninterface Vlan10\ninterface TenGigabitEthernet1/1/1\nend\n"
    tables = {
        "show ipv6 route 2001:db8:60::5": "Routing entry for 2001:db8:60::/64\n  2001:DB8:20::6, Vlan20\n",
        "show ipv6 neighbors 2001:DB8:20::6": "2001:DB8:20::6    0 0200.0000.0006  REACH Vlan20\n",
    }
    path = path_of(session({**TABLES, **tables}), read_config(config))
    place, head = ("Vlan20", "in", 6), "ipv6 access-list SW_x\n permit icmp any any\n"
    refused = told(f"{head} permit ipv6 2001:db8:99::/64 any", place, path)
    assert {code for code, _text in refused} == {"SW4263"} and f":{port}" in str(refused)
    assert told(f"{head} permit {protocol} host 2001:db8:60::5 host 2001:db8:20::1", place, path) == []
    assert told("deny ip any any", ("Vlan20", "in", 4), path) == [], "an IPv4 list sees none of it"


@pytest.mark.parametrize(
    ("more", "shown", "expected"),
    [
        ("", "", {"SW4479"}),
        ("ip host ise1 10.60.0.6\n", "", set()),
        ("ip domain-name example.com\n", "Host                    Address\nise1.example.com        10.60.0.6\n", set()),
        ("ip host ise1 10.60.0.7\n", "", {"SW4263"}),
    ],
)
def test_a_nexus_knows_its_server_by_a_name(more: str, shown: str, expected: set[str]) -> None:
    config = more + NEXUS.replace("host 10.60.0.5", "host ise1")
    tables = {"show ip route 10.60.0.6": "    *via 10.10.0.254, Vlan10, [1/0]\n", "show hosts": shown}
    path = management_path(session(tables, "10.10.0.9"), nxos_config.read_config(config))
    lines = "permit tcp any any eq 22\n  permit udp any any eq 67\n  permit udp 10.60.0.6/32 10.255.0.1/32\n"
    found = management_findings(f"ip access-list SW_x\n  {lines}", [("Vlan10", "in", "ip access-group")], "n1", path)
    assert {each.code for each in found if each.severity == "error"} == expected


def test_a_nexus_asks_servers_over_ipv6() -> None:
    config = NEXUS.replace("host 10.60.0.5", "host 2001:db8:60::5").replace("ip radius", "no ip radius")
    tables = {
        "show ipv6 route 2001:db8:60::5": "2001:db8:60::/64, ubest/mbest: 1/0\n    *via 2001:db8::6, Vlan10, [1/0], 1d\n",
        "show ipv6 neighbor 2001:db8::6": "2001:db8::6  00:01:10  0200.0000.0006   50  icmpv6     Vlan10\n",
        "show mac address-table address 0200.0000.0006": "*   10     0200.0000.0006   dynamic  0  F  F  Eth1/1\n",
    }
    path = management_path(session(tables, "10.10.0.9"), nxos_config.read_config(config))
    (first, *_rest) = [each for each in path.conversations if each.what == "RADIUS"]
    assert (first.near, first.known) == ("2001:db8::1", True)
    place = ("Vlan10", "in", "ipv6 traffic-filter")
    for lines, expected in (("permit tcp any any", {"SW4263"}), ("permit udp 2001:db8:60::5/128 any", set())):
        found = management_findings(f"ipv6 access-list SW_x\n  {lines}\n", [place], "n1", path)
        assert {each.code for each in found if each.severity == "error"} == expected, lines


def test_names_in_the_forms_that_devices_know() -> None:
    hosts = [pair for line in ("ip host vrf M ise 23 10.0.0.1 10.0.0.2", "ipv6 host ise 2001:DB8::1", "ip host x y") for pair in
             configured_host(line)]  # fmt: skip
    assert hosts == [("ise", "10.0.0.1"), ("ise", "10.0.0.2"), ("ise", "2001:db8::1")]
    assert addresses_of("ISE", "", hosts) == ("10.0.0.1", "10.0.0.2", "2001:db8::1")
    assert addresses_of("ise", "example.com", [("ise.example.com", "10.0.0.3")]) == ("10.0.0.3",)
    assert addresses_of("ise.other.org", "example.com", [("ise", "10.0.0.3")]) == ()
    assert configured_domain("ip domain-name vrf M Example.com") == "example.com" and not configured_domain(
        "ip domain lookup"
    )
