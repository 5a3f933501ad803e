"""Conversations walked through rendered text by an evaluator of its own, in normal operation and in others.

What a rule permits works, both ways; what works is meant, or reported by the compiler. Exceptions, windows, pulled postures,
prefixes wider than a segment, network sets as clients and IPv6 cells are part of the sites.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import text_difference
from tests.unit.enforce.plain_sites import (
    PlainSite,
    answer_to,
    later_fragment,
    random_opener,
    random_plain_site,
    random_situation,
)
from tests.unit.enforce.text_walk import TextList, says, sees, stopped_by, works

SWAPS = ((" permit ", " deny "), (" deny ", " permit "), (" accept", " drop"), (" drop", " accept"))
SITES, EACH = 20, 30
FULL_SITES, FULL_EACH = 1000, 100


def text_lists(compiled: Compiled) -> list[TextList]:
    return [
        TextList(
            item.point, item.kind, item.platform, item.family, item.direction,
            item.interfaces[0] if item.kind == "router_acl" else "", item.segment, item.peer, item.stage, rendered(item),
        )
        for item in compiled.lists
    ]  # fmt: skip


def enforced_at(site: PlainSite, segment: str, kind: str) -> bool:
    stage, points = site.stages.get(segment, ("observe", []))
    return stage == "enforce" and any(site.points[p][0] == kind for p in points)


def meant(site: PlainSite, lists: list[TextList], packet: dict[str, Any], reported: dict[str, str]) -> str:
    """Return why a conversation that no rule permits may work, "" where nothing allows it.

    ``unseen``: no list at stage enforce sees its packets for a segment that it denies. ``answer``: the lists see it as the answer of a
    permitted conversation, which stateless lists cannot tell apart (SW3019). ``wider``: a cell or a DACL permits more, as reported.
    ``extra``: a list on a port names a prefix around a segment, as reported with the addresses.
    """
    judged = []
    for direction, opener in ((packet, True), (answer_to(packet), False)):
        source, destination = site.device_at(direction["source"]), site.device_at(direction["destination"])
        for item in lists:
            if not sees(site, item, direction, opener):
                continue
            if item.kind in ("dacl", "port_acl", "sgacl"):
                if item.stage == "enforce":
                    judged.append((item, direction))
                continue
            ends = (
                {"in": [source], "out": [destination]}[item.direction]
                if item.kind == "router_acl"
                else [source, destination]
            )
            default = site.points[item.point][2].get("default") == "deny" and not any(
                e and item.point in site.stages.get(e.segment, ("", []))[1] for e in ends
            )
            default &= any(s == "enforce" and item.point in p for s, p in site.stages.values())
            if default or any(
                e and enforced_at(site, e.segment, item.kind) and item.point in site.stages[e.segment][1] for e in ends
            ):
                judged.append((item, direction))
    if not judged:
        return "unseen"
    # Every list that judges it passes it: each must have a reason that the compiler reported.
    reasons = set()
    for item, direction in judged:
        reason = _reason(site, item, direction, reported) or _extra(site, item, direction, reported)
        if not reason:
            return ""
        reasons.add(reason)
    return "+".join(sorted(reasons))


def _reason(site: PlainSite, item: TextList, packet: dict[str, Any], reported: dict[str, str]) -> str:
    stateless = item.kind != "firewall" or (item.platform == "asa" and packet["protocol"] in (1, 58))
    if site.permitting(packet):
        return "rule"
    back = _turned(packet)
    if stateless and back and site.permitting(back) and (packet["protocol"] != 6 or "ack" in packet["tcp_flags"]):
        return "answer" if packet["protocol"] in (6, 1, 58) or "SW3019" in reported else ""
    if item.kind in ("sgacl", "dacl"):
        # A cell knows segments only, a DACL the segment of the sender only: some pair of their devices is permitted.
        for one in [packet] + ([back] if back else []):
            for client in site.devices:
                for server in [d.addresses for d in site.devices] + [{4: one["destination"], 6: one["destination"]}]:
                    family = 6 if ":" in one["source"] else 4
                    if family not in client.addresses or family not in server:
                        continue
                    other = {**one, "source": client.addresses[family], "destination": server[family]}
                    if site.permitting(other) and _same_for(site, item, one, other, one is back):
                        return "wider" if {"SW3012", "SW3017", "SW3025"} & set(reported) else ""
    return ""


def _extra(site: PlainSite, item: TextList, packet: dict[str, Any], reported: dict[str, str]) -> str:
    """Return "extra" where the receiver is no device, a finding says that its address is added to a segment, and that has a reason."""
    if item.kind not in ("dacl", "port_acl") or site.device_at(packet["destination"]) is not None:
        return ""
    to = ipaddress.ip_address(packet["destination"])
    for segment, spans in added_addresses(reported.get("SW3023", "")):
        if not any(a.version == to.version and a <= to <= b for a, b in spans):
            continue
        for device in site.devices:
            if device.segment == segment and to.version in device.addresses:
                inside = {**packet, "destination": device.addresses[to.version]}
                if _reason(site, item, inside, reported):
                    return "extra"
    return ""


def added_addresses(text: str) -> list[tuple[str, list[tuple[Any, Any]]]]:
    """Return the segments that findings name with the spans of addresses that they say are added."""
    found = []
    for line in text.splitlines():
        segment = re.search(r"one prefix for (\S+),", line)
        spans = [part.split(" to ") for part in line.partition("of no device: ")[2].split(", ")]
        assert segment is not None, line
        found.append((segment[1], [tuple(ipaddress.ip_address(a) for a in (span[0], span[-1])) for span in spans]))
    return found


def said_by(compiled: Compiled) -> dict[str, str]:
    """Return what a compilation reports: the messages of each code, one a line."""
    said: dict[str, str] = {}
    for finding in compiled.findings:
        said[finding.code] = f"{said.get(finding.code, '')}\n{finding.message}".strip()
    return said


def _turned(packet: dict[str, Any]) -> dict[str, Any] | None:
    """Return the opener that a packet could be the answer of."""
    if packet["protocol"] in (1, 58):
        request = {0: 8, 129: 128}.get(packet["icmp_type"])
        if request is None:
            return None
        return {**packet, "source": packet["destination"], "destination": packet["source"], "icmp_type": request}
    made = {**packet, "source": packet["destination"], "destination": packet["source"]}
    if "source_port" in packet:
        made |= {"source_port": packet["destination_port"], "destination_port": packet["source_port"]}
    if packet["protocol"] == 6:
        made["tcp_flags"] = {"syn"}
    return made


def _same_for(site: PlainSite, item: TextList, one: dict[str, Any], other: dict[str, Any], turned: bool) -> bool:
    """Return whether a list cannot tell two conversations apart by their ends."""
    mine, theirs = (
        [site.device_at(one[end]) for end in ("source", "destination")],
        [site.device_at(other[end]) for end in ("source", "destination")],
    )
    segments = [[d.segment if d else "" for d in pair] for pair in (mine, theirs)]
    if item.kind == "sgacl":
        return segments[0] == segments[1]
    if turned:
        return segments[0][1] == segments[1][1] and one["source"] == other["source"]
    return segments[0][0] == segments[1][0] and one["destination"] == other["destination"]


@pytest.mark.one_python
def test_conversations_through_the_text(full: bool) -> None:
    seen: Counter[str] = Counter()
    situations: Counter[str] = Counter()
    for seed in range(FULL_SITES if full else SITES):
        choose = random.Random(seed)
        written = random_plain_site(seed)
        now = random_situation(written, choose)
        compiled = compile_site(written.site(), now.situation())
        site = written.in_force(now)
        reported = said_by(compiled)
        lists = text_lists(compiled)
        situations.update(
            [*now.pulled, *(["windows"] if now.opened is not None else []), *(["normal"] if not now.pulled else [])]
        )
        for _ in range(FULL_EACH if full else EACH):
            packet = random_opener(site, choose)
            permitted, passes = bool(site.permitting(packet)), works(site, lists, packet)
            if permitted:
                seen["from a network"] += site.device_at(packet["source"]) is None
                seen["IPv6 between cells"] += any(
                    i.kind == "sgacl" and i.family == 6 and sees(site, i, packet, True) for i in lists
                )
                stops = stopped_by(site, lists, packet) + stopped_by(site, lists, answer_to(packet), False)
                assert passes, (seed, packet, [(s.point, s.direction) for s in stops])
                seen["permitted"] += 1
                if packet["protocol"] in (6, 17):
                    for way, part in ((True, packet), (False, answer_to(packet))):
                        stateless = [item for item in lists if item.kind != "firewall"]
                        assert not stopped_by(site, stateless, later_fragment(part), way), (seed, packet)
                continue
            if passes:
                why = meant(site, lists, packet, reported)
                assert why, (seed, packet, [i.point for i in lists if sees(site, i, packet, True)])
                seen[why] += 1
            else:
                seen["denied"] += 1
    assert seen["from a network"] and (seen["IPv6 between cells"] or not full), seen
    del seen["from a network"], seen["IPv6 between cells"]
    assert seen["permitted"] > 0.2 * seen.total(), seen
    assert seen["denied"] > 0.2 * seen.total(), seen
    assert {"unseen"} <= set(seen), seen
    assert {"alone", "apart", "eased", "windows", "normal"} <= set(situations), situations
    if full:
        assert any("extra" in why for why in seen), seen
    print(dict(seen), dict(situations))


def test_every_entry_turned_round_is_found(full: bool) -> None:
    """Each rendered entry in turn gets the other action: the gate's step says so with a packet, unless no packet can tell."""
    found = said_equal = 0
    for seed in range(60 if full else 3):
        choose = random.Random(seed)
        written = random_plain_site(1000 + seed)
        now = random_situation(written, choose)
        compiled, site = compile_site(written.site(), now.situation()), written.in_force(now)
        lists = list(compiled.lists)
        if not full:
            lists = choose.sample(lists, min(4, len(lists)))
        for listing, item in zip(lists, text_lists(Compiled(tuple(lists), ())), strict=True):
            for line, mutant in turned_round(item, choose, None if full else 6):
                message, witness = text_difference(listing, mutant.text)
                if message:
                    found += 1
                    assert witness is not None, (message, mutant.text)
                    continue
                said_equal += 1
                for _ in range(40):
                    packet = random_opener(site, choose)
                    for part, way in ((packet, True), (answer_to(packet), False)):
                        if sees(site, item, part, way):
                            assert says(item, part) == says(mutant, part), (seed, line, part)
    assert found > 3 * said_equal, (found, said_equal)


def turned_round(item: TextList, choose: random.Random, most: int | None) -> list[tuple[str, TextList]]:
    """The list with one entry's action changed, for every entry or for some."""
    lines = item.text.split("\n")
    found = []
    for number, line in enumerate(lines):
        shown = f" {line}"
        for word, other in SWAPS:
            if word in shown and "ct state" not in line and "policy" not in line:
                text = "\n".join([*lines[:number], shown.replace(word, other, 1)[1:], *lines[number + 1 :]])
                found.append((line, replace(item, text=text)))
                break
    return found if most is None else choose.sample(found, min(most, len(found)))
