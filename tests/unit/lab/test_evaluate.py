# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's packet evaluator against hand-written cases: each rule of facts/devices.md sections 1 and 6 once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.evaluate import Verdict, evaluate_acl, evaluate_matrix, parse_acl

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def tcp(source: str, destination: str, sport: int, dport: int, *flags: str, **more: Any) -> dict[str, Any]:
    return {
        "protocol": "tcp", "source": source, "destination": destination, "source_port": sport,
        "destination_port": dport, "tcp_flags": set(flags or ("syn",)), **more,
    }  # fmt: skip


def udp(source: str, destination: str, sport: int | None, dport: int | None, **more: Any) -> dict[str, Any]:
    return {
        "protocol": "udp", "source": source, "destination": destination, "source_port": sport,
        "destination_port": dport, **more,
    }  # fmt: skip


def icmp(kind: int, code: int = 0, source: str = A, destination: str = B, protocol: str | int = 1) -> dict[str, Any]:
    return {
        "protocol": protocol, "source": source, "destination": destination, "icmp_type": kind, "icmp_code": code,
    }  # fmt: skip


def permits(lines: list[str], packet: dict[str, Any], **more: Any) -> bool:
    return evaluate_acl(lines, packet, **more).permit


def test_first_match_decides_and_names_its_line() -> None:
    lines = ["remark one", "deny tcp any host 10.0.0.2 eq 22", "permit tcp any any", ""]
    assert evaluate_acl(lines, tcp(A, B, 1000, 22)) == Verdict(False, 2, "deny tcp any host 10.0.0.2 eq 22")
    assert evaluate_acl(lines, tcp(A, C, 1000, 22)) == Verdict(True, 3, "permit tcp any any")
    assert evaluate_acl(lines, udp(A, C, 1, 2)) == Verdict(False, None, None)


@pytest.mark.parametrize("lines", [None, [], ["remark only"], ["   "]])
def test_empty_and_missing_lists(lines: list[str] | None) -> None:
    assert evaluate_acl(lines, tcp(A, B, 1, 2), kind="ios").permit is True
    assert evaluate_acl(lines, tcp(A, B, 1, 2), kind="sgacl").permit is True
    assert evaluate_acl(lines, tcp(A, B, 1, 2), kind="dacl", endpoint=A).permit is False


@pytest.mark.parametrize(
    ("ace", "port", "hit"),
    [
        ("eq 443", 443, True), ("eq www", 80, True), ("eq 443 8443 www", 8443, True), ("eq 443 8443 www", 81, False),
        ("neq 443", 443, False), ("neq 443", 442, True), ("neq 443 80", 80, False), ("neq 443 80", 81, True),
        ("gt 1023", 1023, False), ("gt 1023", 1024, True), ("lt 1024", 1023, True), ("lt 1024", 1024, False),
        ("range 10 20", 10, True), ("range 10 20", 20, True), ("range 10 20", 21, False),
        ("range ftp-data ftp", 21, True),
        ("gt 65535", 65535, False), ("lt 0", 0, False), ("eq 514", 514, True), ("eq cmd", 514, True), ("", 9, True),
    ],
)  # fmt: skip
def test_port_operators(ace: str, port: int, hit: bool) -> None:
    assert permits([f"permit tcp any any {ace}"], tcp(A, B, 5, port)) is hit
    assert permits([f"permit tcp any {ace} any"], tcp(A, B, port, 5)) is hit


def test_one_name_means_different_ports_for_tcp_and_udp() -> None:
    assert permits(["permit udp any any eq syslog"], udp(A, B, 1, 514))
    with pytest.raises(ValueError, match="port"):
        parse_acl(("permit udp any any eq cmd",), "ios", 4)


@pytest.mark.parametrize(
    ("wildcard", "address", "hit"),
    [
        ("10.0.0.0 0.0.0.255", "10.0.0.77", True), ("10.0.0.0 0.0.0.255", "10.0.1.0", False),
        ("10.20.0.11 0.0.3.0", "10.20.2.11", True), ("10.20.0.11 0.0.3.0", "10.20.4.11", False),  # not contiguous
        ("10.20.0.11 0.0.3.0", "10.20.2.12", False), ("0.0.0.0 255.255.255.255", "1.2.3.4", True),
        ("10.0.0.9 0.0.0.255", "10.0.0.1", True),  # bits under the wildcard do not count
    ],
)  # fmt: skip
def test_wildcards(wildcard: str, address: str, hit: bool) -> None:
    assert permits([f"permit ip any {wildcard}"], udp(A, address, 1, 2)) is hit
    assert permits([f"permit ip {wildcard} any"], udp(address, A, 1, 2)) is hit


@pytest.mark.parametrize(
    ("option", "flags", "hit"),
    [
        ("established", ("syn",), False), ("established", ("syn", "ack"), True), ("established", ("rst",), True),
        ("established", ("fin",), False), ("ack", ("ack", "psh"), True), ("ack rst", ("syn",), False),
        ("match-all +ack -fin", ("ack",), True), ("match-all +ack -fin", ("ack", "fin"), False),
        ("match-any +syn -fin", ("ack",), True), ("match-any +syn -fin", ("fin",), False), ("syn log", ("syn",), True),
    ],
)  # fmt: skip
def test_tcp_flags(option: str, flags: tuple[str, ...], hit: bool) -> None:
    assert permits([f"permit tcp any any {option}"], tcp(A, B, 1, 2, *flags)) is hit


@pytest.mark.parametrize(
    ("option", "kind", "code", "hit"),
    [
        ("echo", 8, 0, True), ("echo", 0, 0, False), ("echo-reply", 0, 0, True), ("unreachable", 3, 4, True),
        ("packet-too-big", 3, 4, True), ("packet-too-big", 3, 1, False), ("3 4", 3, 4, True), ("3 4", 3, 3, False),
        ("3", 3, 3, True), ("ttl-exceeded", 11, 0, True), ("ttl-exceeded", 11, 1, False), ("", 13, 0, True),
    ],
)  # fmt: skip
def test_icmp(option: str, kind: int, code: int, hit: bool) -> None:
    assert permits([f"permit icmp any any {option}"], icmp(kind, code)) is hit


def test_fragments_after_the_first() -> None:
    later, first = udp(A, B, None, None, fragment_offset=185), udp(A, B, 5, 161, fragment_offset=0)
    assert permits(["permit udp host 10.0.0.1 host 10.0.0.2 eq 161"], later)  # permit: layer 3 alone
    assert not permits(["permit udp host 10.0.0.1 host 10.0.0.3 eq 161"], later)
    assert not permits(["permit tcp host 10.0.0.1 host 10.0.0.2 eq 161"], later)  # the protocol is layer 3
    lines = ["deny udp any any eq 161", "permit ip any any"]
    assert permits(lines, later)  # deny with ports: never
    assert not permits(lines, first)
    assert not permits(["deny ip any any fragments", "permit ip any any"], later)
    assert permits(["deny ip any any fragments", "permit ip any any"], first)
    assert not permits(["deny udp any any", "permit ip any any"], later)  # deny without ports: yes
    assert permits(["permit tcp dst eq 80", "deny ip"], {**later, "protocol": "tcp"}, kind="sgacl")


def test_dacl_replaces_any_by_the_endpoint() -> None:
    lines = ["permit udp any eq bootpc any eq bootps", "permit tcp any host 10.0.0.2 eq 443", "deny ip any any"]
    packet = tcp(A, B, 1000, 443)
    assert permits(lines, packet, kind="dacl", endpoint=A)
    assert evaluate_acl(lines, packet, kind="dacl", endpoint=C) == Verdict(False, None, None)
    discover = udp("0.0.0.0", "255.255.255.255", 68, 67)
    assert permits(lines, discover, kind="dacl", endpoint=None)
    assert not permits(lines, discover, kind="dacl", endpoint=A)


def test_ipv6_lists() -> None:
    lines = ["permit tcp any host 2001:db8::2 eq 443", "permit udp 2001:db8:1::/48 any"]
    assert permits(lines, tcp("2001:db8::1", "2001:db8::2", 1, 443))
    assert permits(lines, udp("2001:db8:1:9::1", "::1", 1, 2))
    assert not permits(lines, udp("2001:db8:2::1", "::1", 1, 2))
    solicitation = icmp(135, 0, "fe80::1", "ff02::1:ff00:2", "icmp")
    assert permits(lines, solicitation)  # implicit nd-ns and nd-na before the implicit deny
    assert not permits([*lines, "deny ipv6 any any"], solicitation)
    assert permits(["permit icmp any any nd-ns", "deny ipv6 any any"], solicitation)
    with pytest.raises(ValueError, match="does not see"):
        evaluate_acl(lines, tcp(A, B, 1, 2))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("permit tcp any any eq", "ios"), ("permit tcp any any eq https", "ios"), ("permit ip any any eq 5", "ios"),
        ("permit tcp any any range 20 10", "ios"), ("permit tcp any any eq 70000", "ios"), ("allow ip any any", "ios"),
        ("permit tcp any any established fragments", "ios"), ("permit tcp any any eq 80 fragments", "ios"),
        ("permit udp any any established", "ios"), ("permit ip any any time-range WORK", "ios"),
        ("permit ip object-group A any", "ios"), ("permit ip any", "ios"), ("permit ip 10.0.0.0/8 any", "ios"),
        ("permit ip any any dscp ef", "ios"), ("permit tcp any any match-all", "ios"), ("permit foo any any", "ios"),
        ("permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11", "ios"), ("permit icmp any any 256", "ios"),
        ("permit ip host 10.0.0.1 any", "dacl"), ("10 permit ip any any", "dacl"),
        ("permit tcp any any eq 1 2", "dacl"),
        ("permit ip any any", "sgacl"), ("permit tcp eq 80", "sgacl"), ("permit tcp dst eq 1 2", "sgacl"),
        ("permit tcp dst", "sgacl"), ("permit tcp dst eq 1 src eq 2", "sgacl"), ("permit udp established", "sgacl"),
    ],
)  # fmt: skip
def test_what_is_not_understood_raises(line: str, kind: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_acl((line,), kind, 4)


def test_missing_packet_fields_raise() -> None:
    with pytest.raises(ValueError, match="destination_port"):
        evaluate_acl(["permit udp any any eq 53"], udp(A, B, None, None))
    with pytest.raises(ValueError, match="tcp_flags"):
        evaluate_acl(["permit tcp any any established"], {**tcp(A, B, 1, 2), "tcp_flags": None})
    assert permits(["permit ip any any"], {"protocol": 47, "source": A, "destination": B})


# -- the eight proven cases of facts/devices.md section 6: a conversation passes if every packet passes every port


def conversation(acls: dict[str, list[str]], client: str, server: str, port: int) -> bool:
    opening = tcp(client, server, 50000, port, "syn")
    answer = tcp(server, client, port, 50000, "syn", "ack")
    return all(
        permits(acls[packet["source"]], packet, kind="dacl", endpoint=packet["source"])
        for packet in (opening, answer)
        if packet["source"] in acls
    )


def test_the_proven_dacl_cases() -> None:
    forward = ["permit tcp any host 10.0.0.2 eq 443", "deny ip any any"]
    assert conversation({A: forward}, A, B, 443)
    assert not conversation({A: forward}, C, A, 22)
    blanket = ["permit tcp any any established", *forward]
    assert conversation({A: blanket}, C, A, 22)
    served = ["permit tcp any eq 22 host 10.0.0.3 established", *forward]
    assert conversation({A: served}, C, A, 22)
    assert not conversation({A: served}, B, A, 22)
    assert not conversation({A: forward, B: ["deny ip any any"]}, A, B, 443)
    assert conversation({A: forward, B: ["permit tcp any eq 443 host 10.0.0.1 established"]}, A, B, 443)


def cell(source: int, destination: int, *lines: str, status: str = "ENABLED", rule: str = "NONE", **more: Any) -> Any:
    return {
        "source": source, "destination": destination, "status": status, "default_rule": rule,
        "sgacls": [{"name": "L", "ip_version": "IPV4", "lines": list(lines)}] if lines else [], **more,
    }  # fmt: skip


def matrix_of(*cells: Any, default: Any = None, monitor_all: bool = False) -> dict[str, Any]:
    return {"cells": list(cells), "default": default, "monitor_all": monitor_all}


def through(matrix: dict[str, Any], opener: int, other: int, port: int) -> bool:
    there = evaluate_matrix(matrix, opener, other, tcp(A, B, 50000, port, "syn"))
    back = evaluate_matrix(matrix, other, opener, tcp(B, A, port, 50000, "syn", "ack"))
    return there.permit and back.permit


def test_the_proven_sgacl_cases() -> None:
    there = cell(10, 20, "permit tcp dst eq 443", "deny ip")
    assert not through(matrix_of(there, cell(20, 10, rule="DENY_IP")), 10, 20, 443)
    back = matrix_of(there, cell(20, 10, "permit tcp src eq 443 established", rule="DENY_IP"))
    assert through(back, 10, 20, 443)
    assert not through(back, 20, 10, 22)
    loose = matrix_of(there, cell(20, 10, "permit tcp established", rule="DENY_IP"))
    assert through(loose, 10, 20, 443)
    assert not through(loose, 20, 10, 22)


def test_matrix_falls_to_the_default_cell() -> None:
    packet = tcp(A, B, 1, 22)
    deny = cell(65535, 65535, rule="DENY_IP")
    assert evaluate_matrix(matrix_of(), 10, 20, packet).permit is True
    assert evaluate_matrix(matrix_of(default=deny), 10, 20, packet).permit is False
    disabled = cell(10, 20, "permit ip", status="DISABLED")
    assert evaluate_matrix(matrix_of(disabled, default=deny), 10, 20, packet).permit is False
    found = evaluate_matrix(matrix_of(cell(10, 20, "permit ip"), default=deny), 10, 20, packet)
    assert (found.permit, found.cell, found.line) == (True, (10, 20), "permit ip")
    # hit cell, no ACE matches: permitted on Catalyst, unless a rule closes the cell
    assert evaluate_matrix(matrix_of(cell(10, 20, "deny udp"), default=deny), 10, 20, packet).permit is True
    closed = cell(10, 20, "deny udp", rule="DENY_IP")
    assert evaluate_matrix(matrix_of(closed), 10, 20, packet).permit is False
    # an IPv4 list says nothing about IPv6
    six = tcp("2001:db8::1", "2001:db8::2", 1, 22)
    assert evaluate_matrix(matrix_of(cell(10, 20, "permit ip"), default=deny), 10, 20, six).permit is False


def test_monitor_counts_and_forwards() -> None:
    packet = tcp(A, B, 1, 22)
    verdict = evaluate_matrix(matrix_of(cell(10, 20, "deny ip", status="MONITOR")), 10, 20, packet)
    assert (verdict.permit, verdict.enforced, verdict.monitored, verdict.line) == (True, False, True, "deny ip")
    verdict = evaluate_matrix(matrix_of(cell(10, 20, "deny ip"), monitor_all=True), 10, 20, packet)
    assert (verdict.permit, verdict.enforced) == (True, False)
    with pytest.raises(ValueError, match="two cells"):
        evaluate_matrix(matrix_of(cell(10, 20), cell(10, 20)), 10, 20, packet)


def test_several_lists_of_a_cell_are_read_in_order() -> None:
    both = cell(10, 20, "deny tcp dst eq 22")
    both["sgacls"].append({"name": "M", "ip_version": "IP_AGNOSTIC", "lines": ["permit tcp", "deny ip"]})
    assert evaluate_matrix(matrix_of(both), 10, 20, tcp(A, B, 1, 22)).sgacl == "L"
    verdict = evaluate_matrix(matrix_of(both), 10, 20, tcp(A, B, 1, 23))
    assert (verdict.sgacl, verdict.line_number, verdict.permit) == ("M", 1, True)
