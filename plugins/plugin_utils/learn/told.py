# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owners of segments tell that they open, and that it is all: no waiting shows what a fire server calls once in a year.

An account counts as far as recordings do not say otherwise. What it lists and nothing shows becomes a rule as an approval does, under
the name of the person who gave it; what was seen and waits in the queue is asked about there, account or not. It has no effect at all
where it is past its end, names what the site does not have, lists what people refused, leaves out what the segment was seen to open, or
lists what no rule permits. Pure; equal inputs give equal answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.accounts import ANYBODY
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.completeness import (
    DEFAULT_DAYS,
    MINIMUM_DAYS,
    Completeness,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.coverage import (
    holds_on,
    permitted_spans,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import (
    NOISE,
    TO_ALL,
    CandidateKey,
    Gathered,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.holding import like_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Proposal
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.review import Decisions, ReviewItem, spans_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import is_date
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import (
    APPROVE,
    REFUSE,
    Decision,
    SegmentAccount,
    Use,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Service, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.replay import PROTOCOL_NAMES

KIND = "segment-account"
SHOWN = 5
Span = tuple[str, int, int, int]


@dataclass(frozen=True)
class Told:
    """Accounts that nothing speaks against, by segment; approvals of what they list and nothing shows; what speaks against others."""

    accounts: Mapping[str, SegmentAccount]
    approvals: tuple[Decision, ...] = ()
    findings: tuple[Finding, ...] = ()


def weighed(
    given: Iterable[SegmentAccount],
    site: Site,
    segments: Sequence[Segment],
    seen: Gathered,
    decisions: Decisions,
    today: str,
    earlier: Collection[CandidateKey] = (),
) -> Told:
    """Return what the accounts come to, held against what was seen. Of two of a segment the later in the file counts.

    ``earlier`` is rare traffic that earlier runs saw. Seen is what evidence could be made of, what nobody answered, and what was opened
    to addresses that nobody knows; not what scans and threats are, nor what people have refused.
    """
    own = {each.name: each for each in segments}
    last = {each.segment: each for each in given}
    accounts, approvals, findings = {}, [], []
    for name, account in sorted(last.items()):
        spans = _listed(account, site.services)
        against = (
            []
            if account.until >= today
            else [codes.ACCOUNT_ENDED.at(f"{name}: {_who(account)}, until {account.until}", account.location)]
        )
        if not against:
            texts = list(_unsound(account, site, own, decisions, today))
            against = [codes.ACCOUNT_UNSOUND.at(f"{name}: {text}; {_who(account)}", account.location) for text in texts]
        if not against:
            more = sorted(set(_beyond(name, spans, seen, decisions, earlier)))
            if more:
                shown = ", ".join(more[:SHOWN]) + (f" and {len(more) - SHOWN} more" if len(more) > SHOWN else "")
                text = f"{name} was seen to open {shown}, which {account.by} does not list (account of {account.date})"
                against = [codes.ACCOUNT_CONTRADICTED.at(text, account.location)]
        findings += against
        if not against:
            accounts[name] = account
            keys = set(_own_keys(name, seen))
            approvals += [
                _approval(account, use)
                for use, ports in zip(account.opens, spans, strict=True)
                if not any(_meets(key, each) for each in ports for key in keys)
            ]
    return Told(accounts, tuple(approvals), tuple(findings))


def in_force(
    told: Told, site: Site, proposal: Proposal, today: str, taken_out: Collection[str] = ()
) -> tuple[frozenset[str], list[Finding]]:
    """Return the segments whose account counts: all that it lists is permitted by what stands or is proposed; and a finding for each other.

    ``site`` has the services that the proposal adds. ``taken_out`` are proposed rules that people took out of the files: they are not
    put back.
    """
    rules = (rule for rule in proposal.rules if rule.id not in taken_out)
    proposed = permitted_spans(((rule.client, rule.to, (rule.service,)) for rule in rules), site.services)
    # A rule for some devices, or under conditions, is none for the segment.
    whole = (rule for rule in site.rules() if holds_on(rule, today) and not rule.devices and rule.conditions is None)
    standing = permitted_spans(((rule.client, rule.to, rule.services) for rule in whole), site.services)
    names, findings = set(), []
    for name, account in told.accounts.items():
        lacking = [
            f"{to} {PROTOCOL_NAMES.get(protocol, protocol)}/{low}"
            for to, protocol, low, high in (each for ports in _listed(account, site.services) for each in ports)
            if not any(
                begin <= low and high <= end
                for spans in (standing, proposed)
                for begin, end in spans.get((name, to, protocol), ())
            )
        ]
        if lacking:
            text = f"{name}: no rule permits {', '.join(lacking[:SHOWN])}, which {account.by} lists (account of {account.date})"
            findings.append(codes.ACCOUNT_NOT_PERMITTED.at(text, account.location))
        else:
            names.add(name)
    return frozenset(names), findings


def questions(
    known: Mapping[str, Completeness],
    segments: Sequence[Segment],
    openers: Mapping[str, Collection[str]],
    minimum_days: Mapping[str, int] | None = None,
) -> list[ReviewItem]:
    """Return of which segments an account is asked for: where the days are over, too little is still known of what the segment needs, and
    itself or another waits for that."""
    wanted = MINIMUM_DAYS if minimum_days is None else minimum_days
    waiting = {name: sorted(other for other, own in openers.items() if name in own) for name in known}
    items = []
    for segment in sorted(segments, key=lambda each: each.name):
        each = known.get(segment.name)
        if each is None or each.known or like_of(segment) or each.days < wanted.get(segment.criticality, DEFAULT_DAYS):
            continue
        others = waiting[segment.name]
        if each.uses is None and not others:
            continue
        seen = (
            f"{each.uses.low:.1%} of what its devices will need are known at least" if each.uses else "it hardly spoke"
        )
        for_whom = f"its own enforcement and that of {len(others)} others wait" if others else "its enforcement waits"
        text = (
            f"{each.days} days are too few to know what it opens ({seen}), and {for_whom} for that: can its owner name all? Write"
            " what it opens under segment_accounts in decisions.yml; it is held against what is recorded"
        )
        items.append(ReviewItem(segment.name, ANYBODY, 0, 0, 0, each.days, text, 0, KIND))
    return items


def _who(account: SegmentAccount) -> str:
    return f"account of {account.by}, {account.date}"


def _listed(account: SegmentAccount, services: Mapping[str, Service]) -> list[list[Span]]:
    """Return (to, protocol, first port, last port) of each use, in the account's order."""
    return [
        [(use.to, *span) for span in spans_of(use.service, use.protocol, use.port, services)] for use in account.opens
    ]


def _unsound(
    account: SegmentAccount, site: Site, segments: Mapping[str, Segment], decisions: Decisions, today: str
) -> Iterator[str]:
    """Yield what of an account cannot be: days and ends and services that are not there, and what people refused."""
    if not is_date(account.date) or not is_date(account.until) or account.date > today:
        yield f"it is of {account.date}, until {account.until}: no days, or none that has been"
    if account.segment not in segments:
        yield "there is no such segment"
        return
    if like_of(segments[account.segment]):
        yield "devices in doubt wait in it, and nobody can tell what they open"
    for use, ports in zip(account.opens, _listed(account, site.services), strict=True):
        if use.to not in site.networks and (use.to not in segments or like_of(segments[use.to])):
            yield f"{use.to} is no segment and no network set"
        elif not ports:
            yield f"there is no service {use.service}"
        for to, protocol, low, high in ports:
            refusal = decisions.refused(account.segment, to, protocol, low, high)
            if refusal is not None:
                yield f"{refusal.by} refused {to} {PROTOCOL_NAMES.get(protocol, protocol)}/{low} on {refusal.date}"


def _own_keys(name: str, seen: Gathered) -> Iterator[CandidateKey]:
    """Yield what a segment was seen to open, towards the segments that devices in doubt may belong to; of strays those that stand for their
    port alone, since nobody can be asked about the others' ports."""
    for key in (*seen.candidates, *(each.key for each in seen.strays if each.lone)):
        if key.client == name:
            for to in seen.holding.get(key.to, (key.to,)):
                yield CandidateKey(name, to, key.protocol, key.server_port)


def _meets(key: CandidateKey, span: Span) -> bool:
    to, protocol, low, high = span
    return key.to == to and key.protocol == protocol and low <= key.server_port <= high


def _beyond(
    name: str,
    spans: Sequence[Sequence[Span]],
    seen: Gathered,
    decisions: Decisions,
    earlier: Collection[CandidateKey],
) -> Iterator[str]:
    """Yield what a segment was seen to open and its account does not list."""
    listed = [span for ports in spans for span in ports]
    for key in (*seen.candidates, *(each.key for each in seen.strays), *earlier):
        if key.client != name:
            continue
        meant = [CandidateKey(name, to, *(key.protocol, key.server_port)) for to in seen.holding.get(key.to, (key.to,))]
        if any(_meets(each, span) for each in meant for span in listed):
            continue
        decision = decisions.about(key)
        if decision is None or decision.decision != REFUSE:
            yield f"{key.to} {PROTOCOL_NAMES.get(key.protocol, key.protocol)}/{key.server_port}"
    for each in seen.excluded:
        if (
            each.client_segment == name
            and not each.server_segment
            and each.mark not in NOISE
            and not each.reason.endswith(TO_ALL)
        ):
            yield f"{each.server} {PROTOCOL_NAMES.get(each.protocol, each.protocol)}/{each.server_port}"


def _approval(account: SegmentAccount, use: Use) -> Decision:
    return Decision(
        account.segment, use.to, use.service, use.protocol, use.port, APPROVE, account.by, account.reason, account.date, account.until,
        account.location,
    )  # fmt: skip
