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
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.live import lists_in_force
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import SoundSite, sound_site

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
    protocol, port, client_port = _flow(site, values)
    client, server = _end(site, values["client"]), _end(site, values["server"])
    if client[0] != server[0]:
        raise FindingError(codes.END_UNKNOWN.at("client and server have addresses of different families"))
    conversation = Conversation(client[0], client[1], server[1], protocol, port, client_port)
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
        "summary": f"{conversation.forward().describe()} is {_says(verdict)}",
    }
    if values.get("live"):
        answer |= _live(values, variables or {}, sound, site, conversation, verdict)
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
    number = next((n for n, ace in enumerate(listing.aces, 1) if ace.label == item.label), 0)
    return {
        **item.as_dict(),
        "entry": number,
        "text": _entry_text(listing, number),
        "last_commit": last_commit_of(policy, item.origin.location, commit) if item.origin.location.file else "",
    }


def _entry_text(listing: PointList, number: int) -> str:
    """Return the first entry with the label as its platform writes it, empty where it writes none alone."""
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
    site: Site,
    asked: Conversation,
    approved: Verdict,
) -> dict[str, Any]:
    """Return what the lists in force on the targets of this run say, beside what the policy says."""
    with connected(values, variables, hosts_of(sound.compiled.targets)) as targets:
        snapshots = snapshot_all(targets, sound.compiled.targets)
    lists = lists_in_force(sound.compiled.lists, snapshots)
    verdict = Evaluator(site, lists).verdict(asked)
    unread = sorted({item.host for item in sound.compiled.lists} - set(snapshots))
    points = [
        {**item.as_dict(), "entry": number, "text": _entry_text(listing, number)}
        for item in verdict.points
        for listing in [next(each for each in lists if (each.point, each.name) == (item.point, item.list_name))]
        for number in [next((n for n, ace in enumerate(listing.aces, 1) if ace.label == item.label), 0)]
    ]
    text = f"live: {_says(verdict)}; the policy: {_says(approved)}" + (
        f"; not read: {', '.join(unread)}" if unread else ""
    )
    return {
        "live_permitted": verdict.permitted,
        "live_points": points,
        "not_read": unread,
        "summary": f"{asked.forward().describe()}: {text}",
    }


def _end(site: Site, name: str) -> tuple[int, int]:
    found = addresses_of_end(site, name)
    if not found:
        raise FindingError(codes.END_UNKNOWN.at(f"{name[:80]!r} has no address in the membership"))
    return found[0]


def _flow(site: Site, values: dict[str, Any]) -> tuple[int, int, int]:
    client_port = int(values.get("client_port") or 49152)
    name = values.get("service")
    if name:
        if name not in site.services:
            raise FindingError(codes.BAD_ARGUMENT.at(f"service: the site has no service {str(name)[:80]!r}"))
        service = site.services[name]
        if not service.matches:
            seen = ", ".join(f"0x{value:04X}" for value in service.ethertypes)
            text = f"service: {str(name)[:80]} is below IP (ethertype {seen}); no enforcement point sees it, so none cuts or limits it"
            raise FindingError(codes.BAD_ARGUMENT.at(text))
        match = service.matches[0]
        port = match.ports[0][0] if match.ports else (match.icmp_type or 0) * 256 + (match.icmp_code or 0)
        return match.protocol, port, port if service.symmetric else client_port
    text = str(values.get("protocol") or "")
    protocol = PROTOCOLS.get(text, int(text) if text.isdigit() and int(text) < 256 else -1)
    if protocol < 0:
        raise FindingError(
            codes.BAD_ARGUMENT.at("give a service, or a protocol (tcp, udp, icmp or a number) and a port")
        )
    return protocol, int(values.get("port") or 0), client_port
