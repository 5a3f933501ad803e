# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain one conversation: what every list on its way says, by which rule, file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.paths import path_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import PROTOCOL_NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import PROTOCOLS
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.expectations import addresses_of_end
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import (
    Conversation,
    Evaluator,
    PointVerdict,
    Verdict,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import (
    commit_name,
    moment_of,
    paths_of,
    today_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.commits import (
    commit_named,
    directory_at,
    last_commit_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import connected, hosts_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force, with_approved_origins
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

OTHER_ICMP = {4: 58, 6: 1}
PARTS = 64  # protocols and ports of a service that are asked
PAIRS = 400  # pairs of addresses that are asked besides the first


def run_explain(values: dict[str, Any], variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the verdicts for the first address of each end, and whether all other pairs of addresses fare alike.

    The policy is that of the working tree, or of a ``commit``. With ``live`` the lists that the targets hold now are asked as well.
    """
    paths = paths_of(values)
    with ExitStack() as stack:
        commit = commit_named(paths.policy, str(values["commit"])) if values.get("commit") else ""
        where = stack.enter_context(directory_at(paths.policy, commit)) if commit else paths.policy
        sound = sound_site(replace(paths, policy=where), today_of(values), moment_of(values))
    site, lists = sound.in_force, sound.compiled.lists
    client, server = _ends(site, values)
    flows = _flows(site, values, client[0])
    asked = [Conversation(client[0], client[1], server[1], *flow) for flow in flows]
    conversation = asked[0]
    evaluator = Evaluator(site, lists)
    verdict = evaluator.verdict(conversation)
    way = path_of(site, address_text(*client), address_text(*server))
    answer: dict[str, Any] = {
        "changed": False,
        "permitted": verdict.permitted,
        "covered": verdict.covered,
        "commit": commit or commit_name(paths.policy),
        "client_address": address_text(*client),
        "server_address": address_text(*server),
        "points": [_point(item, lists, paths.policy, commit) for item in verdict.points],
        "path": {"known": way.known, "why": way.why, "crossings": [asdict(item) for item in way.points]},
        "pairs": _pairs(site, evaluator, values, conversation),
        "service_parts": [
            {"protocol": flow[0], "port": flow[1], "permitted": evaluator.verdict(each).permitted}
            for flow, each in zip(flows, asked, strict=True)
        ],
        "summary": f"{conversation.forward().describe()} is {_says(verdict)}",
    }
    unlike = [each for each in answer["service_parts"] if each["permitted"] is not verdict.permitted]
    if unlike:
        shown = ", ".join(
            f"{PROTOCOL_NAMES.get(each['protocol'], each['protocol'])}/{each['port']}" for each in unlike[:5]
        )
        answer["summary"] += f"; of the same service {'denied' if verdict.permitted else 'permitted'}: {shown}"
    if values.get("live"):
        answer |= _live(values, variables or {}, sound, conversation, verdict, (paths.policy, commit))
    return answer


def _says(verdict: Verdict) -> str:
    deciding = verdict.deciding()
    if deciding is None:
        return "permitted: no enforcement point sees it"
    text = f"{'permitted' if verdict.permitted else 'denied'} by {deciding.label} of list {deciding.list_name} at {deciding.point}"
    return text + (f" ({deciding.origin.location})" if deciding.origin.location.file else "")


def _point(item: PointVerdict, lists: Sequence[PointList], policy: Path, commit: str) -> dict[str, Any]:
    """Return one list's answer with the entry as the platform has it and the last commit of the document's line."""
    listing = next(each for each in lists if (each.point, each.name) == (item.point, item.list_name))
    return {
        **item.as_dict(),
        "entry": item.entry,
        "text": _entry_text(listing, item.entry),
        "last_commit": last_commit_of(policy, item.origin.location, commit) if item.origin.location.file else "",
    }


def _entry_text(listing: PointList, number: int) -> str:
    """Return an entry as its platform writes it, empty where it writes none alone."""
    if not number:
        return ""
    ace = listing.aces[number - 1]
    if ace.raw:
        return ace.raw
    try:
        lines = rendered(replace(listing, aces=(ace,))).strip().splitlines()
    except FindingError:
        return ""
    words = ("permit", "deny", "accept", "drop")
    found = (line.strip() for line in lines if any(word in line for word in words))
    return next((line for line in found if not line.startswith(("type ", "ct state"))), "")


def _pairs(site: Site, evaluator: Evaluator, values: Mapping[str, Any], asked: Conversation) -> dict[str, Any]:
    """Return how many pairs of the two ends' addresses are permitted: a segment's devices need not fare alike."""
    clients, servers = (addresses_of_end(site, values[end]) for end in ("client", "server"))
    pairs = [(c[1], s[1]) for c in clients for s in servers if c[0] == s[0] == asked.family and c[1] != s[1]]
    permitted = 0
    other = ""
    first = evaluator.verdict(asked).permitted
    for client, server in pairs[:PAIRS]:
        works = evaluator.verdict(replace(asked, client=client, server=server)).permitted
        permitted += works
        if works is not first and not other:
            other = f"{address_text(asked.family, client)} to {address_text(asked.family, server)}"
    return {"all": len(pairs), "asked": min(len(pairs), PAIRS), "permitted": permitted, "otherwise": other}


def _live(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    sound: SoundSite,
    asked: Conversation,
    approved: Verdict,
    where: tuple[Path, str],
) -> dict[str, Any]:
    """Return what the lists in force on the targets of this run say, beside what the policy (``where``: directory, commit) says.

    A line in force that is approved has its rule, file, line and last commit; another has none.
    """
    with connected(values, variables, hosts_of(sound.compiled.targets)) as targets:
        snapshots = snapshot_all(targets, sound.compiled.targets)
    by_place = {(item.point, item.name): item for item in sound.compiled.lists}
    lists = [
        with_approved_origins(item, by_place[item.point, item.name])
        for item in lists_in_force(sound.compiled.lists, snapshots)
    ]
    verdict = Evaluator(sound.in_force, lists).verdict(asked)
    unread = sorted({item.host for item in sound.compiled.lists} - set(snapshots))
    text = f"live: {_says(verdict)}; the policy: {_says(approved)}" + (
        f"; not read: {', '.join(unread)}" if unread else ""
    )
    return {
        "live_permitted": verdict.permitted,
        "live_points": [_point(item, lists, *where) for item in verdict.points],
        "not_read": unread,
        "summary": f"{asked.forward().describe()}: {text}",
    }


def _ends(site: Site, values: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first addresses of client and server that are of one family."""
    found = []
    for end in ("client", "server"):
        addresses = addresses_of_end(site, values[end])
        if not addresses:
            raise FindingError(codes.END_UNKNOWN.at(f"{str(values[end])[:80]!r} has no address in the membership"))
        found.append(addresses)
    pairs = ((one, two) for one in found[0] for two in found[1] if one[0] == two[0])
    pair = next((pair for pair in pairs if pair[0] != pair[1]), None)
    if pair is None:
        raise FindingError(codes.END_UNKNOWN.at("client and server have no two addresses of one family"))
    return pair


def _flows(site: Site, values: Mapping[str, Any], family: int) -> list[tuple[int, int, int]]:
    """Return protocol, port and client port of what is asked: of a service each protocol and the first port of each range.

    ICMP of the other family is no part of it.
    """
    client_port = int(values.get("client_port") or 49152)
    name = values.get("service")
    if not name:
        text = str(values.get("protocol") or "")
        protocol = PROTOCOLS.get(text, int(text) if text.isdigit() and int(text) < 256 else -1)
        if protocol < 0:
            raise FindingError(
                codes.BAD_ARGUMENT.at("give a service, or a protocol (tcp, udp, icmp or a number) and a port")
            )
        return [(protocol, int(values.get("port") or 0), client_port)]
    if name not in site.services:
        raise FindingError(codes.BAD_ARGUMENT.at(f"service: the site has no service {str(name)[:80]!r}"))
    service = site.services[name]
    found: list[tuple[int, int, int]] = []
    for match in service.matches:
        if match.protocol == OTHER_ICMP[family]:
            continue
        if match.icmp_type is not None:
            ports = [match.icmp_type * 256 + (match.icmp_code or 0)]
        else:
            ports = [low for low, _high in match.ports] or [0]
        for port in ports:
            own = port if service.symmetric else match.client_ports[0][0] if match.client_ports else client_port
            found.append((match.protocol, port, own))
    if not found:
        raise FindingError(codes.BAD_ARGUMENT.at(f"service: {name!r} has nothing of IPv{family}"))
    return found[:PARTS]
