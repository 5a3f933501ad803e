# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a change was approved by those who had to, and by nobody who wrote it.

Pure: ``merged.py`` reads the steps out of git, ``approval_files.py`` reads approvals, the policy room says which teams own
what. A step is one commit on the protected branch; what it brought has authors, and an outcome: the content of
the policy directory after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes


@dataclass(frozen=True)
class ApprovalPolicy:
    """Who may approve (approvers.yml of the commit before the change).

    ``teams`` gives the principals of each owner. ``least`` is the number of different people by criticality of what is
    touched, ``risk`` the same by what a change does, 1 where nothing is said. ``forges`` are principals of forges' own keys, which sign
    merges but approve nothing; ``exporters`` those whose signed review records count.
    """

    teams: Mapping[str, tuple[str, ...]]
    least: Mapping[str, int] = field(default_factory=dict, hash=False)
    forges: tuple[str, ...] = ()
    exporters: tuple[str, ...] = ()
    risk: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ChangeStep:
    """One commit on the protected branch.

    ``authors`` are all who signed, wrote or committed what it brought. ``contents`` are the hashes of the policy directory
    that stand for its outcome: of the merge and of the tip of the merged branch. ``teams`` own what it touches,
    ``criticality`` is the highest there, ``classes`` say what it does. ``keys`` are the fingerprints that authors signed with.
    """

    commit: str
    authors: frozenset[str]
    contents: frozenset[str]
    teams: frozenset[str]
    criticality: str = "low"
    paths: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Approval:
    """One approval by one person: of a plan (``plan_id``) or of a content of the policy directory. ``source`` says where it stands.

    ``key``: the fingerprint that the person signed it with, empty where somebody else answers for it.
    """

    approver: str
    source: str
    plan_id: str = ""
    content: str = ""
    key: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return plain values for the journal and for reports."""
        return {"approver": self.approver, "source": self.source, "plan_id": self.plan_id, "content": self.content}


@dataclass(frozen=True)
class Judgement:
    """What was found: the approvals that counted, for the journal, and findings; errors where something is missing."""

    approvals: tuple[Approval, ...]
    findings: tuple[Finding, ...]


def judge_approvals(
    policy: ApprovalPolicy, steps: Sequence[ChangeStep], approvals: Sequence[Approval], plan_id: str, content: str
) -> Judgement:
    """Return whether every step is approved: by one of each team that owns what it touches, by enough people, by no author of it.

    An approval counts for a step where it is for exactly this plan, for the content that the step left, or for ``content``, the
    policy directory as it is to be applied (which has every step in it).
    """
    findings: list[Finding] = []
    used: list[Approval] = []
    fitting = set()
    for step in steps:
        able = []
        for approval in approvals:
            if not _covers(approval, step, plan_id, content):
                continue
            fitting.add(approval)
            if approval.key and approval.key in step.keys and approval.approver not in step.authors:
                text = f"{approval.approver} approved with the key that commit {step.commit[:12]} was written with"
                findings.append(codes.OWN_APPROVAL.at(text))
            elif approval.approver in step.authors:
                findings.append(codes.OWN_APPROVAL.at(f"{approval.approver} wrote commit {step.commit[:12]}"))
            elif approval.approver not in policy.forges:
                able.append(approval)
        findings += _missing(policy, step, able)
        used += [approval for approval in able if approval not in used]
    findings += [
        codes.STALE_APPROVAL.at(f"{approval.approver} approved something else", Location(approval.source))
        for approval in approvals
        if approval not in fitting and steps
    ]
    return Judgement(tuple(used), tuple(dict.fromkeys(findings)))


def _covers(approval: Approval, step: ChangeStep, plan_id: str, content: str) -> bool:
    if approval.plan_id:
        return approval.plan_id == plan_id
    return bool(approval.content) and approval.content in (step.contents | {content})


def _missing(policy: ApprovalPolicy, step: ChangeStep, able: Sequence[Approval]) -> list[Finding]:
    """Return a finding for each team and for the number of people that a step still lacks."""
    findings = []
    people = {approval.approver for approval in able}
    about = f"commit {step.commit[:12]} ({', '.join(step.paths[:3])}{' ...' if len(step.paths) > 3 else ''})"
    for team in sorted(step.teams):
        members = set(policy.teams.get(team, ()))
        if not members:
            findings.append(codes.UNKNOWN_TEAM.at(f"{about}: {team}"))
        elif not people & members:
            others = sorted(members - step.authors)
            who = ", ".join(others) if others else "nobody: every member wrote part of it"
            findings.append(codes.NOT_APPROVED.at(f"{about}: nobody of {team} approved it; who can: {who}"))
    asks = {step.criticality: policy.least.get(step.criticality, 1)}
    asks |= {name: policy.risk.get(name, 1) for name in sorted(step.classes)}
    least = max(1, *asks.values())
    known = {person for members in policy.teams.values() for person in members}
    count = _count(able, known)
    if step.teams and count < least and not findings:
        what = ", ".join(name for name, number in asks.items() if number == least)
        text = f"{about}: {count} of {least} people approved it, as {what} asks for"
        findings.append(codes.NOT_APPROVED.at(text))
    return findings


def _count(able: Sequence[Approval], known: set[str]) -> int:
    """Return how many people approved: names that signed with one key are one person."""
    keys: dict[str, set[str]] = {}
    for approval in able:
        if approval.approver in known:
            keys.setdefault(approval.approver, set()).update({approval.key} - {""})
    count, seen = 0, set[str]()
    for _name, own in sorted(keys.items()):
        count += not own & seen
        seen |= own
    return count
