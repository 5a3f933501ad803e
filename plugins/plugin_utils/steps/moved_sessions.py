# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of devices that a ring moved: which list and tag each carries, by its switch and by ISE, and its re-authentication.

Batches, pauses, held devices and what counts as well are those of changed lists (``reauthentication``); here a session is judged by list
and tag together, and one that carries another list is an old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    ABSENT,
    Carrier,
    IseSession,
    SwitchSession,
    SwitchView,
    Wanted,
    last_changes,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.moved_sessions import (
    EVENT,
    EVENT_BACK,
    Followed,
    Handed,
    Moved,
    assigns,
    followed_of,
    handed_out,
    hands_out_more,
    held_after,
    moved_back,
    tag_alone,
    with_tag,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.reauth import both
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.standing import Standing
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import owned_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.enforced import (
    EnforcedState,
    Reader,
    reader_of,
    worst,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.reauthentication import After, sessions_after
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import Enforced
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_facts import session_fields
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sessions import Monitor, read_sessions

# As ISE hands it out: hexadecimal, with a generation (facts/devices.md, sessions).
_TAG = re.compile(r"cts:security-group-tag=([0-9A-Fa-f]{1,4})-")
Key = tuple[str, str]  # target and list, or target and device


@dataclass
class _Listening:
    """Asks ISE and keeps the tag of each session whose details it answers."""

    client: Monitor
    tags: dict[str, int] = field(default_factory=dict)

    def monitoring(self, path: str) -> bytes:
        answer = self.client.monitoring(path)
        if path.startswith("Session/MACAddress/"):
            fields = session_fields(answer)
            text = " ".join(fields.get(key, "") for key in ("response", "other_attr_string", "cisco_av_pair"))
            if found := _TAG.search(text):
                self.tags[fields.get("calling_station_id", "").lower().replace("-", ":")] = int(found[1], 16)
        return answer


@dataclass
class MovedReader(Reader):
    """Judges the sessions of devices that moved. ``handed``: what each (target, segment) hands out now, None where that is not known."""

    moved: Sequence[Moved] = ()
    handed: Mapping[Key, Handed | None] = field(default_factory=dict)
    _by_ise: dict[Key, int] = field(default_factory=dict)
    _only_tag: set[str] = field(default_factory=set)

    def wanted(self) -> list[Wanted]:
        """Return the lists that the devices have to carry, and a name without a list for those that get a tag alone."""
        if self._wanted is None:
            made = []
            changes = last_changes(self.journal_entries)
            for target, segment, macs in self.moved:
                handed = self.handed.get((target, segment))
                if handed is None or target not in self.ise_targets():
                    continue
                lists = handed.lists
                if not lists:
                    name = f"tag {handed.tag}"
                    lists = ((4, name, ""),)
                    self._only_tag.add(name)
                known = self.site.segments.get(segment)
                criticality = known.criticality if known else ""  # unknown counts as the highest
                for family, name, text in lists:
                    changed = changes.get((target, name), (0.0, ""))[0]
                    made.append(Wanted(target, name, family, text, segment, criticality, changed))
                    self._devices = {**self._devices, (target, name): frozenset(macs)}
            self._wanted = made
        return self._wanted

    def devices(self, segment: str) -> dict[str, str]:
        """Return the names of the devices that moved to a segment, by MAC, wherever the membership has them."""
        macs = {mac for _target, name, found in self.moved if name == segment for mac in found}
        names = {item.device.lower(): item.name for found in self.site.members.values() for item in found}
        return {mac: names.get(mac) or mac for mac in sorted(macs)}

    def _sessions(
        self, target: IseTarget, devices: Collection[str], views_of: Mapping[str, SwitchView]
    ) -> tuple[dict[str, IseSession], list[Finding]]:
        client = _Listening(target.client)
        # A switch need not show tags: then ISE is asked what it handed out.
        untold = {mac for mac in devices if mac not in views_of or views_of[mac].sessions[mac].sgt is None}
        found = read_sessions(client, devices, untold)
        self._by_ise |= {(target.name, mac): tag for mac, tag in client.tags.items()}
        return found

    def _judged(
        self, item: Wanted, mac: str, session: IseSession | None, view: SwitchView | None, device: str
    ) -> Carrier:
        made = super()._judged(item, mac, session, view, device)
        handed = self.handed.get((item.target, item.segment))
        shown: SwitchSession | None = view.sessions.get(mac) if view is not None else None
        tags = (shown.sgt if shown else None, self._by_ise.get((item.target, mac)))
        wanted = handed.tag if handed else None
        if item.name in self._only_tag:
            carried = shown.revisions if shown else session.revisions if session else ()
            made = tag_alone(made, bool(carried), wanted is None and tags != (None, None))
        return with_tag(made, wanted, *tags)

    def read(self, macs: Collection[str] | None = None, switches: Collection[str] | None = None) -> EnforcedState:
        """Return what the devices carry; of several ISE the one that knows a session counts."""
        self._by_ise.clear()
        state = super().read(macs, switches)
        known = {item.mac for item in state.carriers if item.state != ABSENT}
        kept = tuple(item for item in state.carriers if item.state != ABSENT or item.mac not in known)
        return replace(state, carriers=kept)


def moved_reader(
    base: Reader,
    moved: Sequence[Moved],
    objects: Mapping[str, Mapping[str, Mapping[str, Any]]],
    later: Iterable[Operation],
) -> MovedReader:
    """Return a reader for devices that moved. ``objects``: by target and ``kind/name`` what the policy wants there; ``later``: steps of
    rings to come, which is not in force yet."""
    steps = list(later)
    held = {
        target: held_after(objects.get(target, {}), [step for step in steps if step.target == target])
        for target in {row[0] for row in moved}
    }
    known = base.site.segments
    handed = {
        (target, segment): handed_out(held[target], owned_name(segment) if segment in known else segment)
        for target, segment, _macs in moved
    }
    return MovedReader(
        base.site,
        base.compiled,
        base.targets,
        base.specs,
        base.journal_entries,
        base.notes,
        base.clock,
        base.sleep,
        False,
        base.patience,
        moved=moved,
        handed=handed,
    )


@dataclass(frozen=True)
class MovedAfter:
    """What became of the moved devices of a ring: what was read and done, and who has followed."""

    after: After
    followed: Followed
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether nothing of it is an error."""
        return not errors_of((*self.after.findings, *self.findings))


def joined(moved: MovedAfter | None, lists: After | None) -> After:
    """Return what moved devices and changed lists came to, as one."""
    if moved is None:
        return lists or After()
    followed = moved.followed.as_dict()
    if lists is None or lists.state is None:
        return replace(moved.after, moved=followed, more=moved.findings)
    told = moved.after.state.findings if moved.after.state else ()
    errors = tuple(item for item in errors_of(told) if item not in lists.state.findings)
    done = both(moved.after.done, lists.done)
    return After(lists.state, done, followed, (*errors, *moved.findings), lists.not_back)


def moved_after(
    reader: MovedReader,
    journal: Journal,
    values: Mapping[str, Any],
    plan_id: str,
    ring: str,
    *,
    needed: bool,
    closed: Callable[[], list[Finding]] | None = None,
    event: str = EVENT,
    way_back: bool = False,
) -> MovedAfter:
    """Re-authenticate the sessions of moved devices that do not carry their new list and tag, and write into the journal who does then.

    ``needed``: the plan is proved only where all of them have followed.
    """
    after = sessions_after(reader, journal, values, plan_id, closed, way_back)
    state = after.state or EnforcedState()
    held = dict(after.done.held) if after.done else {}
    followed = followed_of(worst(state.carriers), _places(reader.site, reader.moved), _showed_all(state.switches), held)
    journal.append(event, plan_id=plan_id, ring=ring, **followed.as_dict())
    names = {
        member.device.lower(): member.name for found in reader.site.members.values() for member in found if member.name
    }
    return MovedAfter(after, followed, tuple(followed.findings(ring, names, needed=needed)))


def _places(site: Site, moved: Iterable[Moved]) -> dict[str, str]:
    """Return the switch of each device that moved, by MAC."""
    macs = {mac for _target, _segment, devices in moved for mac in devices}
    where = {member.device.lower(): member.switch for found in site.members.values() for member in found}
    return {mac: where.get(mac, "") for mac in macs}


def _showed_all(switches: Iterable[Enforced]) -> list[str]:
    return [item.view.switch for item in switches if not item.findings]


def run_moved(
    base: Reader,
    standing: Standing,
    journal: Journal,
    values: Mapping[str, Any],
    plan_id: str,
    *,
    needed: bool,
    closed: Callable[[], list[Finding]] | None = None,
) -> MovedAfter:
    """Let the moved devices of a run authenticate again, in batches, and return who has followed."""
    reader = moved_reader(base, standing.moved, _objects(base), standing.later)
    ring = standing.ring.id if standing.ring else ""
    return moved_after(reader, journal, values, plan_id, ring, needed=needed, closed=closed)


def _objects(base: Reader) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return what the policy wants of each target, by ``kind/name``."""
    return {
        target.host: {f"{item.kind}/{item.name}": item.body for item in target.objects}
        for target in base.compiled.targets
    }


def sessions_back(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    paths: Paths,
    targets: Mapping[str, Target],
    undone: Sequence[Operation],
    journal: Journal,
    plan_id: str,
) -> After:
    """Return which sessions carry what a rollback restored; it is done when all of them do (design rule 11): else SW4179, an error.

    Devices that it moved back are re-authenticated first, with ``reauthenticate``; without, they are only counted.
    """
    moves = any(assigns(step) or hands_out_more(step) for step in undone)
    before = {
        (step.target, step.name): str(step.before["content"])
        for step in undone
        if step.kind == "downloadable_acl" and step.before
    }
    if not before and not moves:
        return After()
    names = ", ".join(sorted(name for _target, name in before)) or "groups of devices"
    try:
        sound = sound_site(paths, today_of(values), moment_of(values))
    except (FindingError, OSError):
        return After(EnforcedState(findings=(codes.OLD_UNKNOWN.at(names),)))
    reader = reader_of(values, variables, sound.in_force, sound.compiled, targets, paths)
    reader.with_cells = False  # the policy's cells are not what was restored
    moved = _moved_back(reader, sound.site, undone, journal, values, plan_id) if moves else None
    reader.want_back(before)
    if not before:
        return joined(moved, None)
    made = sessions_after(reader, journal, values, plan_id, way_back=True)
    told = made.state.findings if made.state else ()
    late = [finding for finding in told if finding.code == codes.SESSIONS_OLD.number]
    not_back = tuple(codes.BACK_NOT_TAKEN.at(f"{item.message}; plan {plan_id}") for item in late)
    return joined(moved, replace(made, not_back=not_back))


def _moved_back(
    base: Reader,
    site: Site,
    undone: Sequence[Operation],
    journal: Journal,
    values: Mapping[str, Any],
    plan_id: str,
) -> MovedAfter | None:
    rows = moved_back(site, undone)
    if not rows:
        return None
    if not values.get("reauthenticate"):
        count = len({mac for _target, _segment, macs in rows for mac in macs})
        text = f"{count} devices are told back in ISE; their sessions stay as they were until they authenticate again"
        hint = "run rollback with microseg_reauthenticate=true the next time; now let them authenticate, in batches"
        return MovedAfter(After(), Followed(), (codes.MOVED_OPEN.at(text, hint=hint).with_severity("warning"),))
    reader = moved_reader(base, rows, _objects(base), undone)
    return moved_after(reader, journal, values, plan_id, "", needed=False, event=EVENT_BACK, way_back=True)
