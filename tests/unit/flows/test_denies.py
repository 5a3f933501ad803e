"""Deny evidence: messages of each family as their vendors document them, attributed to point and entry, counted once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nftables import log_prefix
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, denied, ingest, kept, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import deny_messages, syslog


def log_ace(permit: bool, label: str) -> Ace:
    return Ace(
        permit=permit, protocol=6, family=4, source=None, destination=None, source_ports=None, destination_ports=None, detail=None,
        label=label, log=True,
    )  # fmt: skip


DENYING = re.compile(deny_messages.DENYING_PREFIX)
NONE = (None, None)


def parsed(text: str) -> Any:
    made = deny_messages.parse(text, DENYING)
    if not isinstance(made, deny_messages.Deny):
        return made
    target = address.text_of(*made.target) if made.target else ""
    return (
        made.platform, address.text_of(*made.source), made.source_port, target, made.target_port, made.protocol, made.packets,
        made.list, made.entry, made.interface, (made.source_sgt, made.target_sgt),
    )  # fmt: skip


MESSAGES = {
    "%SEC-6-IPACCESSLOGP: list 120 denied tcp 10.0.0.1(1234) -> 10.0.0.2(80), 1 packet":
        ("ios", "10.0.0.1", 1234, "10.0.0.2", 80, 6, 1, "120", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGP: list PUMPS_IN denied udp 10.0.0.1(68) (Vlan20 0011.2233.4455) -> 10.0.0.2(67), 12 packets  [0x723E6E12]":
        ("ios", "10.0.0.1", 68, "10.0.0.2", 67, 17, 12, "PUMPS_IN", "0x723E6E12", "Vlan20 0011.2233.4455", (-1, -1)),
    "%SEC-6-IPACCESSLOGDP: list 150 denied icmp 10.0.0.1 -> 10.0.0.2 (8/0), 4 packets":
        ("ios", "10.0.0.1", 0, "10.0.0.2", 2048, 1, 4, "150", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGDP: list 150 denied icmp 10.0.0.1 -> 10.0.0.2 (0/0), 1 packet":
        ("ios", "10.0.0.1", 2048, "10.0.0.2", 0, 1, 1, "150", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGS: list 50 denied 192.168.1.10 27 packets": ("ios", "192.168.1.10", 0, "", 0, 0, 27, "50", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGRP: list 177 denied igmp 192.168.100.197 -> 224.0.0.22, 1 packet":
        ("ios", "192.168.100.197", 0, "224.0.0.22", 0, 2, 1, "177", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGNP: list 171 denied 47 10.0.0.1 -> 10.0.0.9, 1 packet":
        ("ios", "10.0.0.1", 0, "10.0.0.9", 0, 47, 1, "171", "", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGSP: list IN denied igmp 10.0.0.1 -> 224.0.0.2 (20), 1 packet":
        ("ios", "10.0.0.1", 0, "224.0.0.2", 0, 2, 1, "IN", "", "", (-1, -1)),
    "%IPV6_ACL-6-ACCESSLOGP: list vty-access/10 denied tcp 2001:db8::b15:22(60892) -> 2001:db8::1(22), 1 packet":
        ("ios", "2001:db8::b15:22", 60892, "2001:db8::1", 22, 6, 1, "vty-access", "10", "", (-1, -1)),
    "%IPV6_ACL-6-ACCESSLOGDP: list X/30 denied icmpv6 2001:db8::2 -> 2001:db8::1 (128/0), 2 packets":
        ("ios", "2001:db8::2", 0, "2001:db8::1", 32768, 58, 2, "X", "30", "", (-1, -1)),
    "%SEC-6-IPACCESSLOGP: list 120 permitted tcp 10.0.0.1(1234) -> 10.0.0.2(80), 1 packet": "permitted",
    "%SEC-6-IPACCESSLOGRL: access-list logging rate-limited or missed 10 packets": "rate_limited",
    "%SEC-6-IPACCESSLOGP: list 120 denied tcp 10.0.0.1(99999) -> 10.0.0.2(80), 1 packet": "unreadable",
    "%SEC-6-IPACCESSLOGP: list 120 denied": "unreadable",
    "%RBM-6-SGACLHIT: ingress_interface='GigabitEthernet1/0/1' sgacl_name='deny_log' action='Deny' protocol='tcp'"
    " src-vrf='default' src-ip='10.1.1.1' src-port='40000' dest-vrf='default' dest-ip='10.1.1.2' dest-port='502' sgt='100'"
    " dgt='200' logging_interval_hits='12'":
        ("sgacl", "10.1.1.1", 40000, "10.1.1.2", 502, 6, 12, "deny_log", "", "GigabitEthernet1/0/1", (100, 200)),
    "%RBM-6-SGACLHIT: ingress_interface='Gi1/0/1' sgacl_name='x' action='Deny' protocol='icmp' src-vrf='default' src-ip='10.1.1.1'"
    " src-port='8' dest-vrf='default' dest-ip='10.1.1.2' dest-port='0' sgt='4' dgt='0' logging_interval_hits='1'":
        ("sgacl", "10.1.1.1", 0, "10.1.1.2", 2048, 1, 1, "x", "", "Gi1/0/1", (4, 0)),
    "%RBM-6-SGACLHIT: action='Permit' protocol='tcp' src-ip='10.1.1.1' dest-ip='10.1.1.2' sgt='4' dgt='5'": "permitted",
    "%C4K_IOSINTF-6-SGACLHIT: list deny_udp_src_port_log-30 Denied udp 24.0.0.23(100) -> 28.0.0.91(100), SGT8 DGT 12":
        ("sgacl", "24.0.0.23", 100, "28.0.0.91", 100, 17, 1, "deny_udp_src_port_log-30", "", "", (8, 12)),
    '%ASA-4-106023: Deny tcp src outside:198.51.100.5/40001 dst inside:10.0.0.5/445 by access-group "outside_in" [0x8ed66b60, 0xf8852875]':
        ("asa", "198.51.100.5", 40001, "10.0.0.5", 445, 6, 1, "outside_in", "0x8ed66b60", "outside", (-1, -1)),
    '%ASA-4-106023: Deny icmp src iot:10.7.0.5 dst inside:10.0.0.5 (type 8, code 0) by access-group "iot_in" [0x0, 0x0]':
        ("asa", "10.7.0.5", 0, "10.0.0.5", 2048, 1, 1, "iot_in", "", "iot", (-1, -1)),
    "%ASA-4-106023: Deny protocol 47 src iot:10.7.0.5 dst inside:10.0.0.5 by access-group \"iot_in\" [0xc1, 0x0]":
        ("asa", "10.7.0.5", 0, "10.0.0.5", 0, 47, 1, "iot_in", "0xc1", "iot", (-1, -1)),
    "%ASA-6-106100: access-list iot_in denied udp iot/10.7.0.5(5353) -> inside/10.0.0.5(161) hit-cnt 21 (300-second interval) [0x2, 0x0]":
        ("asa", "10.7.0.5", 5353, "10.0.0.5", 161, 17, 21, "iot_in", "0x2", "iot", (-1, -1)),
    # As ASA writes it since 8.x: no brackets about the interval.
    "%ASA-6-106100: access-list iot_in permitted tcp iot/10.7.0.5(5353) -> inside/10.0.0.5(161) hit-cnt 1 first hit": "permitted",
    "%ASA-5-106100: access-list iot_in denied tcp iot/10.7.0.5(5353) -> inside/10.0.0.5(502) hit-cnt 1 first hit [0xc7afbac6, 0x0]":
        ("asa", "10.7.0.5", 5353, "10.0.0.5", 502, 6, 1, "iot_in", "0xc7afbac6", "iot", (-1, -1)),
    "%ASA-5-106100: access-list v6 denied tcp iot/2001:db8::5(5353) -> inside/2001:db8::9(502) hit-cnt 4 300-second interval [0xc7, 0x0]":
        ("asa", "2001:db8::5", 5353, "2001:db8::9", 502, 6, 4, "v6", "0xc7", "iot", (-1, -1)),
    "%ASA-5-106100: access-list iot_in denied tcp iot/10.7.0.5(5353) -> inside/10.0.0.5(502) hit-cnt 1 first": "unreadable",
    # IOS-XE's forwarding plane.
    "%FMANFP-6-IPACCESSLOGP: F0/0: fman_fp_image: list 100 denied tcp 10.7.0.5(40001) -> 10.0.0.5(502), 3 packets":
        ("ios", "10.7.0.5", 40001, "10.0.0.5", 502, 6, 3, "100", "", "", (-1, -1)),
    "%FMANFP-6-IPACCESSLOGDP: F0/0: fman_fp_image: list 100 denied icmp 10.7.0.5 -> 10.0.0.5 (2048/0), 1 packet":
        ("ios", "10.7.0.5", 0, "10.0.0.5", 2048, 1, 1, "100", "", "", (-1, -1)),
    "%FMANFP-6-IPACCESSLOGP: F0/0: list test-acl-log3 denied tcp f000.02b0.a78d 40.0.1.2(1024) -> 50.0.1.2(1024), 1 packet [0x1]":
        ("ios", "40.0.1.2", 1024, "50.0.1.2", 1024, 6, 1, "test-acl-log3", "0x1", "f000.02b0.a78d", (-1, -1)),
    "%FMANFP-6-IPACCESSLOGP: Chassis 1 F0/0: fman_fp_image: list w denied udp [Gi1/0/3] 10.7.0.5(4001) -> 10.0.0.5(53), 2 packets":
        ("ios", "10.7.0.5", 4001, "10.0.0.5", 53, 17, 2, "w", "", "Gi1/0/3", (-1, -1)),
    "%FMANFP-6-IPV6ACCESSLOGP: R0/0: fman_fp_image: list v6/20 denied tcp 2001:db8::5(1) -> 2001:db8::9(2), 1 packet":
        ("ios", "2001:db8::5", 1, "2001:db8::9", 2, 6, 1, "v6", "20", "", (-1, -1)),
    "%FMANFP-6-IPACCESSLOGP: F0/0: fman_fp_image: list 100 permitted tcp 10.7.0.5(40001) -> 10.0.0.5(502), 3 packets": "permitted",
    "%ASA-6-106100: access-list a est-allowed tcp iot/10.7.0.5(53) -> inside/10.0.0.5(161) hit-cnt 1 (first hit) [0x2, 0x0]": "permitted",
    "%ASA-2-106001: Inbound TCP connection denied from 198.51.100.5/4000 to 10.0.0.5/23 flags SYN  on interface outside":
        ("asa", "198.51.100.5", 4000, "10.0.0.5", 23, 6, 1, "", "", "outside", (-1, -1)),
    "%ASA-2-106006: Deny inbound UDP from 198.51.100.5/4000 to 10.0.0.5/69 on interface outside":
        ("asa", "198.51.100.5", 4000, "10.0.0.5", 69, 17, 1, "", "", "outside", (-1, -1)),
    "%ASA-3-106010: Deny inbound protocol 50 src outside:198.51.100.5 dst inside:10.0.0.5":
        ("asa", "198.51.100.5", 0, "10.0.0.5", 0, 50, 1, "", "", "outside", (-1, -1)),
    "%ASA-3-106010: Deny inbound udp src outside:198.51.100.5/53 dst inside:10.0.0.5/1025":
        ("asa", "198.51.100.5", 53, "10.0.0.5", 1025, 17, 1, "", "", "outside", (-1, -1)),
    "%ASA-3-106014: Deny inbound icmp src outside: 198.51.100.5 dst inside: 10.0.0.5 (type 8, code 0)":
        ("asa", "198.51.100.5", 0, "10.0.0.5", 2048, 1, 1, "", "", "outside", (-1, -1)),
    "%ASA-6-106015: Deny TCP (no connection) from 10.0.0.5/443 to 10.7.0.5/51000 flags RST ACK  on interface inside":
        ("asa", "10.0.0.5", 443, "10.7.0.5", 51000, 6, 1, "", "no connection", "inside", (-1, -1)),
    "%ASA-1-106021: Deny TCP reverse path check from 10.9.9.9 to 10.0.0.5 on interface outside":
        ("asa", "10.9.9.9", 0, "10.0.0.5", 0, 6, 1, "", "", "outside", (-1, -1)),
    "%ASA-3-710003: TCP access denied by ACL from 198.51.100.5/4000 to outside:203.0.113.1/22":
        ("asa", "198.51.100.5", 4000, "203.0.113.1", 22, 6, 1, "", "", "", (-1, -1)),
    "%ASA-6-302013: Built inbound TCP connection 1 for outside:198.51.100.5/4000 (198.51.100.5/4000) to inside:10.0.0.5/443": None,
    '%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.7.0.5, Dst IP: 10.0.0.5, Src Port: 40001, Dst Port: 502, Src Intf: Ethernet3/3,'
    ' Protocol: "TCP"(6), ACL Name: iot-in, ACE Action: Deny, Appl Intf: Vlan10, Hit-count: 17':
        ("nxos", "10.7.0.5", 40001, "10.0.0.5", 502, 6, 17, "iot-in", "", "Ethernet3/3", (-1, -1)),
    '%ACLLOG-6-ACLLOG_NEW_FLOW: Source IP: 2001:db8::2, Destination IP: 2001:db8::1, Source Port: 0, Destination Port: 0,'
    ' Source Interface: mgmt0, Protocol: "IPV6-ICMP"(58), ACL Name: v6, ACE Action: Deny, Appl Intf: mgmt0, Hit-count = 1':
        ("nxos", "2001:db8::2", 0, "2001:db8::1", 0, 58, 1, "v6", "", "mgmt0", (-1, -1)),
    '%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.7.0.5, Dst IP: 10.0.0.5, Src Port: 0, Dst Port: 0, Src Intf: Ethernet3/3,'
    ' Protocol: "IP"(253), ACL Name: any-ip, ACE Action: Deny, Appl Intf: Vlan10, Hit-count: 600':
        ("nxos", "10.7.0.5", 0, "10.0.0.5", 0, 0, 600, "any-ip", "", "Ethernet3/3", (-1, -1)),
    '%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.7.0.5, Dst IP: 10.0.0.5, Src Port: 0, Dst Port: 0, Src Intf: Ethernet3/3,'
    ' Protocol: "IP"(253), ACL Name: any-ip, ACE Action: Permit, Appl Intf: Vlan10, Hit-count: 600': "permitted",
    # The form of releases that name no list: what the entry does is not in it.
    '%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.1.0.10, Dst IP: 172.16.10.10, Src Port: 0, Dst Port: 0, Src Intf: Ethernet4/1,'
    ' Protocol: "ICMP"(1), Hit-count = 2589': "no_verdict",
    "%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.1.0.10, Dst IP: 172.16.10.10": "unreadable",
    '%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 10.1.0.10, Dst IP: 1.2.3, Protocol: "TCP"(6), ACE Action: Deny, Hit-count: 1': "unreadable",
    "%ACLLOG-4-ACLLOG_MAXFLOW_REACHED: Maximum limit 8000 reached for number of flows": "rate_limited",
    "%ACLLOG-5-ACLLOG_PKTLOG: CName: a:b(VXLAN: 1), SIP: 10.0.0.1, DIP: 10.0.0.2, SPort: 1, DPort: 53, Proto: 17, PktLen: 79": None,
    "kernel: [ 12.345678] drop-iot: IN=eth0 OUT=eth1 MAC=00:11 SRC=10.8.0.1 DST=10.8.0.2 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=1 DF"
    " PROTO=TCP SPT=40000 DPT=502 WINDOW=64240 RES=0x00 SYN URGP=0":
        ("nftables", "10.8.0.1", 40000, "10.8.0.2", 502, 6, 1, "drop-iot", "", "eth0", (-1, -1)),
    "kernel: deny IN= OUT=eth1 SRC=10.8.0.1 DST=10.8.0.2 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.8.0.2 DST=10.8.0.1 PROTO=TCP SPT=1 DPT=2 ]":
        ("nftables", "10.8.0.1", 0, "10.8.0.2", 769, 1, 1, "deny", "", "eth1", (-1, -1)),
    "kernel: accept-dns: IN=eth0 OUT=eth1 SRC=10.8.0.1 DST=10.8.0.2 LEN=60 PROTO=UDP SPT=4 DPT=53": "permitted",
    "sshd[1]: Failed password for root from 10.0.0.1 port 22": None,
}  # fmt: skip


@pytest.mark.parametrize("text", MESSAGES)
def test_messages_as_documented(text: str) -> None:
    assert parsed(f"Jun 18 10:17:22.205: {text}") == MESSAGES[text]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("<189>Jun 18 10:17:22 sw1 1234: Jun 18 10:17:21.205 UTC: %SEC-6-X: x", ("2025-06-18T10:17:22+00:00", "sw1")),
        ("<166>Jun 18 2024 10:17:22 fw-1 : %ASA-4-106023: x", ("2024-06-18T10:17:22+00:00", "fw-1")),
        (
            "<166>1 2024-06-18T12:17:22.5+02:00 fw1 - - - - %ASA-4-106023: x",
            ("2024-06-18T10:17:22.500000+00:00", "fw1"),
        ),
        (
            "2024-06-18T10:17:22.205122+00:00 10.0.0.250 kernel: [1.0] drop IN= OUT=",
            ("2024-06-18T10:17:22.205122+00:00", "10.0.0.250"),
        ),
        ("*Nov 30 23:59:59.999: %RBM-6-SGACLHIT: x", ("2024-11-30T23:59:59.999000+00:00", "")),
        ("Feb 29 01:02:03 sw2 : %RBM-6-SGACLHIT: x", ("2024-02-29T01:02:03+00:00", "sw2")),
        ("<166>30: sw-3: 6340004: Mar  4 11:45:20: %SEC-6-X: x", ("2025-03-04T11:45:20+00:00", "sw-3")),
        ("Feb 31 01:02:03 sw2 : %RBM-6-SGACLHIT: x", None),
        ("no time here: %RBM-6-SGACLHIT: x", None),
        ("0001-01-01T00:00:00+14:00 sw2 : %RBM-6-SGACLHIT: x", None),
        ("9999-12-31T23:59:59-14:00 sw2 : %RBM-6-SGACLHIT: x", None),
    ],
)
def test_envelopes(line: str, expected: tuple[str, str] | None) -> None:
    clock = syslog.Clock(datetime(2025, 7, 1, tzinfo=UTC))
    stamp = syslog.stamp_of(line, clock)
    if expected is None:
        assert stamp is None
    else:
        assert stamp is not None
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=stamp.time_us)
        assert (moment.isoformat(), stamp.host) == expected


LOG = (
    "".join(f"Jun 18 10:{i:02d}:00 sw1 {i}: {text}\n" for i, text in enumerate(MESSAGES) if text.startswith("%")) + "\n"
)


def test_a_log_is_imported_once_and_bad_lines_are_located(tmp_path: Path) -> None:
    path = tmp_path / "sw.log"
    path.write_text(LOG + "garbage %SEC-6-IPACCESSLOGP: list 1 denied tcp 10.0.0.1(1) -> 10.0.0.2(2), 1 packet\n")
    expected = [text for text in LOG.splitlines() if text and isinstance(MESSAGES.get(text.split(": ", 1)[1]), tuple)]
    data = tmp_path / "data"
    result = ingest.ingest([path], data, options={"year": 2024})
    assert result.inputs[0]["kind"] == "deny_log" and result.inputs[0]["denies"] == len(expected) >= 20
    assert (result.records, result.connections) == (0, 0)
    lost = [each.code for each in result.findings if each.code in ("SW1466", "SW1467")]
    bad = [each.line for each in result.findings if each.code == "SW1409"]
    assert (
        lost == ["SW1466", "SW1467"] and result.quality[result.inputs[0]["sha256"][:16]]["left_out"]["no_verdict"] == 1
    )
    lines = LOG.splitlines()
    first = next(i for i, text in enumerate(lines, 1) if MESSAGES.get(text.split(": ", 1)[-1]) == "unreadable")
    assert bad == [first, len(lines) + 1]
    rows = kept.read(data, "denies").to_pylist()
    assert {row["point"] for row in rows} == {"sw1"} and {row["input"] for row in rows} == {
        result.inputs[0]["sha256"][:16]
    }
    assert len(rows) == len(expected)
    again = ingest.ingest([path], data, options={"year": 2024})
    assert not again.changed and kept.read(data, "denies").to_pylist() == rows
    assert kept.read(data, "denies", "2024-06-19").num_rows == 0
    assert kept.read(data, "denies", "2024-06-18T10:02:00+00:00", "2024-06-18T10:04:00+00:00").num_rows == 2
    # Questions: by source, target and port, and what is known of the entry.
    (one,) = denied.deny_rows(data, client="10.1.1.0/24", server="10.1.1.2", protocol="tcp", port=502)
    assert (one["packets"], one["list"], one["source_sgt"], one["target_sgt"], one["point"]) == (
        12,
        "deny_log",
        100,
        200,
        "sw1",
    )
    assert one["first"].startswith("2024-06-18T10:") and one["service"] == "modbus"
    busiest = denied.deny_rows(data, limit=2)
    assert [row["packets"] for row in busiest] == [600, 27] and busiest[1]["target"] == ""
    assert sum(row["messages"] for row in denied.summary(data)) == len(expected)
    assert sum(row["messages"] for row in denied.deny_rows(data)) == len(expected)
    # A file that no counted input stands behind does not count.
    document = store.read_inputs(data)
    document["inputs"] = {}
    store.write_inputs(data, document)
    assert kept.read(data, "denies").num_rows == 0


def test_a_log_that_has_grown_counts_each_message_once(tmp_path: Path) -> None:
    line = "2024-06-18T10:00:0{}Z sw1 kernel: drop IN=e0 OUT= SRC=10.0.0.{} DST=10.0.0.9 PROTO=TCP SPT=5000 DPT=502\n"
    texts = [line.format(1, 1) * 2, line.format(1, 1) * 2 + line.format(2, 2), line.format(3, 3)]
    for number, text in enumerate(texts):
        path = tmp_path / f"log{number}"
        path.write_text(text)
        ingest.ingest([path], tmp_path / "data")
    assert kept.read(tmp_path / "data", "denies").num_rows == 6
    rows = denied.deny_rows(tmp_path / "data")
    assert [(row["source"], row["packets"], row["messages"]) for row in rows] == [
        ("10.0.0.1", 2, 2),
        ("10.0.0.2", 1, 1),
        ("10.0.0.3", 1, 1),
    ]
    assert [(row["messages"], row["packets"]) for row in denied.summary(tmp_path / "data")] == [(4, 4)]


def test_rendered_rules_say_in_the_log_what_was_dropped_and_by_which_entry() -> None:
    """A line that cannot be told is no denial."""
    tail = "IN=e0 OUT=e1 SRC=10.0.0.1 DST=10.0.0.9 PROTO=TCP SPT=5000 DPT=502"
    both = [ace for permit in (True, False) for ace in [log_ace(permit, "block-printers")]]
    assert [log_prefix(each) for each in both] == ["segwright accept: ", "segwright drop block-printers: "]
    for ace in both:
        made = deny_messages.parse(f"Nov 26 01:00:00 fw kernel: {log_prefix(ace)}{tail}", DENYING)
        if ace.permit:
            assert made == deny_messages.PERMITTED
        else:
            assert isinstance(made, deny_messages.Deny)
            assert (made.list, made.entry) == ("segwright", "block-printers")
    for prefix in ("segwright: ", "", "fw: "):
        assert deny_messages.parse(f"Nov 26 01:00:00 fw kernel: {prefix}{tail}", DENYING) == deny_messages.PERMITTED
    unnamed = deny_messages.parse(f"kernel: segwright drop: {tail}", DENYING)
    assert isinstance(unnamed, deny_messages.Deny) and unnamed.entry == ""


def test_only_the_beginning_of_a_long_line_is_searched() -> None:
    denying = re.compile(deny_messages.DENYING_PREFIX)
    tail = "IN=e0 OUT= SRC=10.0.0.1 DST=10.0.0.9 PROTO=TCP SPT=5000 DPT=502"
    assert isinstance(deny_messages.parse("x " * 3000 + "drop " + tail, denying), deny_messages.Deny)
    assert deny_messages.parse("x " * 5000 + "drop " + tail, denying) is None


def test_opens_without_an_answer_stand_beside_denials_on_request(tmp_path: Path) -> None:
    log = tmp_path / "conn.log"
    fields = "ts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\thistory\torig_pkts\tresp_pkts\n"
    rows = "".join(f"170000000{i}.0\t10.0.0.1\t{5000 + i}\t10.0.0.2\t502\ttcp\tS0\tS\t1\t0\n" for i in range(3))
    rows += "1700000009.0\t10.0.0.1\t6000\t10.0.0.3\t502\ttcp\tSF\tShADadFf\t5\t4\n"
    log.write_text("#path\tconn\n#fields\t" + fields + rows)
    ingest.ingest([log], tmp_path / "data")
    assert denied.deny_rows(tmp_path / "data") == []
    (one,) = denied.deny_rows(tmp_path / "data", unanswered=True)
    assert (one["platform"], one["source"], one["target"], one["target_port"], one["packets"]) == (
        "flow",
        "10.0.0.1",
        "10.0.0.2",
        502,
        3,
    )


def test_denied_events_of_an_export_are_denials_and_no_connections(tmp_path: Path) -> None:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import inputs, records

    class Export:
        def __init__(self) -> None:
            self.findings: list[Any] = []
            self.quality = records.Quality("nsel")

        def tables(self) -> Any:
            columns = {"start_us": [5, 6], "end_us": [5, 6], "protocol": 6, "source_port": 40000, "target_port": 502, "packets": [0, 3],
                       "bytes": 0, "event": [records.DENIED, 1], "exporter": "fw1", "source": "ab" * 8}  # fmt: skip
            for end, host in (("source", "10.0.0.1"), ("target", "10.0.0.2")):
                columns[f"{end}_hi"], columns[f"{end}_lo"] = address.columns_of(host)
            self.quality.records = 2
            yield records.record_table(2, columns)

    made = inputs.Input(tmp_path / "x", "ab" * 32, 1, "nsel")
    result = ingest.count_source(tmp_path / "data", made, Export())
    assert (result.connections, result.inputs[0]["denies"]) == (1, 1)
    (row,) = denied.deny_rows(tmp_path / "data")
    assert (row["platform"], row["point"], row["source"], row["target_port"], row["packets"]) == (
        "nsel",
        "fw1",
        "10.0.0.1",
        502,
        1,
    )
