# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Linux firewall as a target: one table ``inet NAME`` of ours, replaced in one transaction under a timer that takes it back.

No other table is ever touched, and the whole ruleset is never flushed (facts/devices.md section 1.8).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    body_difference,
    only_list,
    text_diff,
    understood,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.phases import CLEAN, phase_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE, objects_sha256, operation_id
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.conntrack import drop_connections
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import LinuxSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import ways_back_of_others
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_apply import (
    Loader,
    OpenSession,
    table_file,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nft_ways_back import standing
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import not_outdone, of_others

KIND, REVERT = "ruleset", "revert"
# The chain that dialects/nftables.py writes; a table with it is ours.
MARK = re.compile(r"(?m)^\s*chain sw_forward \{")


class NftablesTarget:
    """One firewall over SSH. Not for use from several threads at once."""

    platform = "nftables"

    def __init__(
        self, spec: TargetSpec, open_session: OpenSession = LinuxSession, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.name, self.spec = spec.name, spec
        self._open = open_session
        self._loader = Loader(spec, open_session, sleep)
        self._session: LinuxSession | None = None

    # -- reading and planning

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return the desired tables that exist and every table of ours; see the protocol."""
        session = self._connected()
        wanted = {_table_of(item) for item in desired}
        objects: dict[str, Any] = {}
        raw: dict[str, str] = {}
        for table in self._tables(session):
            if table not in wanted and table != self.spec.table:
                continue
            text = self._read(session, table)
            raw[table] = text
            objects[f"{KIND}/{table}"] = {
                "table": table,
                "content": canonical_ruleset(table, text),
                "owned": bool(MARK.search(text)),
                "internal": {},
            }
        for table in sorted(wanted | {self.spec.table}):
            ways = [way for way, _timer in standing(session, table).values()]
            held = [way.name for way in of_others(ways, self.name)]
            for way in ways:
                objects[f"{REVERT}/{way.name}"] = {
                    "table": table,
                    "owned": False,
                    **({"held": way.described()} if way.name in held else {}),
                }
        return Snapshot(self.name, self.platform, objects, objects_sha256(objects), raw, iso_now())

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the steps from live to desired; see the protocol."""
        steps: list[Operation] = []
        findings = ways_back_of_others(self.name, REVERT, live)
        for item in desired:
            found, step = self._step(item, live.objects.get(f"{KIND}/{_table_of(item)}"))
            findings += found
            if step is not None:
                steps.append(step)
        if findings:
            raise FindingError(*findings)
        steps += self._leftovers(live)
        wanted = {f"{KIND}/{_table_of(item)}" for item in desired}
        for key, body in sorted(live.objects.items()):
            if body["owned"] and key not in wanted:
                before = {"table": body["table"], "content": body["content"]}
                steps.append(
                    self._operation(
                        "delete",
                        str(body["table"]),
                        before,
                        None,
                        f"delete table inet {body['table']}",
                        "widens",
                        "is not in the policy",
                    )
                )
        return tuple(steps)

    def _leftovers(self, live: Snapshot) -> list[Operation]:
        """Return a step for each timer that a dead run left armed: it would take back what is found to be as it should."""
        made = []
        for key, body in sorted(live.objects.items()):
            if key.startswith(f"{REVERT}/"):
                name, before = key.partition("/")[2], {"table": body["table"]}
                text = "a timer that an interrupted run left armed"
                made.append(
                    self._operation("delete", name, before, None, f"call off {text}", "none", text, kind=REVERT)
                )
        return made

    def _step(self, item: DesiredObject, present: Mapping[str, Any] | None) -> tuple[list[Finding], Operation | None]:
        table = _table_of(item)
        body = {"table": table, "content": str(item.body["content"])}
        reason = understood("nftables", body["content"])
        if reason or only_list("nftables", body["content"]).name != table:
            return [
                codes.BAD_BODY.at(f"{self.name}: ruleset {table}: {reason or 'the text is about another table'}")
            ], None
        # What is loaded as root is our own rendering of what was understood, never the text itself.
        body["content"] = canonical_ruleset(table, body["content"])
        if present is None:
            return [], self._operation(
                "create", table, None, body, f"create table inet {table}", "narrows", "is missing"
            )
        before = {"table": table, "content": str(present["content"])}
        if not present["owned"] and not self.spec.adopt:
            return [codes.TABLE_NOT_OURS.at(f"{self.name}: table inet {table}")], None
        reason = understood("nftables", before["content"])
        if reason and not self.spec.adopt:
            return [codes.NOT_UNDERSTOOD.at(f"{self.name}: table inet {table}: {reason}")], None
        difference = body_difference(KIND, before, body)
        if difference.equal:
            return [], None
        witness = difference.lost or difference.gained
        summary = f"replace table inet {table}: {difference.text}"
        return [], self._operation("update", table, before, body, summary, difference.effect, difference.text, witness)

    def _operation(
        self,
        action: str,
        table: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        summary: str,
        effect: str,
        difference: str,
        witness: str = "",
        kind: str = KIND,
    ) -> Operation:
        details: dict[str, Any] = {
            "difference": difference,
            **({"witness": witness} if witness else {}),
            **({PRUNE: True} if after is None and kind == KIND else {}),
        }
        shown = text_diff(
            str((before or {}).get("content", "")), str((after or {}).get("content", "")), f"{KIND}/{table}"
        )
        return Operation(
            operation_id(self.name, kind, table, action, after), self.name, kind, table, action, before, after, summary, shown, effect,
            CLEAN if after is None and kind == KIND else phase_of(effect), details,
        )  # fmt: skip

    # -- writing

    def prepare_change(self, steps: Sequence[Operation]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Return the lines that ``nft -f`` will read, after the kernel has checked them (``nft -c``); see ``LinesKnown``."""
        lines: list[str] = []
        for step in (each for each in steps if each.kind == KIND):  # a timer that is called off is no ruleset
            text = table_file(step.name, str((step.after or {}).get("content", "")))
            session = self._connected()
            session.must(session.run("nft", "-c", "-f", "-", root=True, stdin=text), f"checking {step.name}")
            lines += text.splitlines()
        return tuple(lines), ()

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step; see the protocol. Where anything fails the old table is in force again, or the finding says otherwise."""
        session = self._connected()
        if operation.kind == REVERT:
            table = str((operation.before or {})["table"])
            self._loader.settle(session, table)
            return OperationResult(operation.id, True, findings=self._dropped(session, self._text(session, table)))
        table = operation.name
        self._loader.settle(session, table)
        old = self._text(session, table)
        live = self._body(table, old)
        if body_difference(KIND, live, operation.after).equal:
            return OperationResult(operation.id, False)
        moved = body_difference(KIND, operation.before, live)
        if not moved.equal:
            raise FindingError(codes.CHANGED_MEANWHILE.at(f"{self.name}: table inet {table}: {moved.text}"))
        content = str((operation.after or {}).get("content", ""))
        findings = self._load(table, content, old, operation.after)
        return OperationResult(operation.id, True, 1, tuple(findings), {"old": old})

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back the table's text from before a step, or remove the table that was not there; see the protocol."""
        if operation.kind == REVERT:  # never armed again
            return OperationResult(operation.id, False)
        return not_outdone(lambda: self._undone(operation, result))

    def _undone(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        table = operation.name
        session = self._connected()
        told = self._loader.settle(session, table, undo=True)
        now = self._text(session, table)
        old = str(result["old"]) if "old" in result else str((operation.before or {}).get("content", ""))
        live = self._body(table, now)
        if now == old or ("old" not in result and body_difference(KIND, live, operation.before).equal):
            return OperationResult(operation.id, False, findings=tuple(told))
        moved = body_difference(KIND, operation.after, live)
        if not moved.equal:
            raise FindingError(change_codes.UNDO_REFUSED.at(f"{self.name}: table inet {table}: {moved.text}"))
        findings = self._load(table, old, now, operation.before)
        return OperationResult(operation.id, True, 1, (*told, *findings))

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Read from a new connection; see the protocol."""
        self.close()
        steps = [step for step in self.diff(desired, self.snapshot(desired)) if not step.details.get(PRUNE)]
        return tuple(
            codes.NOT_HELD.at(f"{self.name}: table inet {step.name}: {step.details.get('difference')}")
            for step in steps
        )

    def finish(self) -> bool:
        """Drop connections that our tables do not permit, which an interrupted run may not have come to; nothing is to be saved here."""
        session = self._connected()
        for table in self._tables(session):
            text = self._read(session, table)
            if MARK.search(text):
                self._dropped(session, text)
        return False

    def close(self) -> None:
        """Close the session; never raises."""
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- pieces

    def _connected(self) -> LinuxSession:
        if self._session is None:
            self._session = self._open(self.spec)
        return self._session

    def _load(self, table: str, content: str, old: str, expected: Mapping[str, Any] | None) -> list[Finding]:
        """Load, prove from a new connection, drop connections that are permitted no longer, call the timer off.

        In this order: a run that dies before the timer is called off leaves that to be seen, and the next one drops them as well.
        """
        dropped: list[Finding] = []

        def proof(session: LinuxSession) -> list[Finding]:
            found = body_difference(KIND, expected, self._body(table, self._text(session, table)))
            if not found.equal:
                return [codes.READ_BACK.at(f"{self.name}: table inet {table}: {found.text}")]
            dropped.extend(self._dropped(session, content))
            return []

        session = self._connected()
        try:
            self._session = self._loader.load(session, table, content, old, proof)
        except FindingError:
            self.close()
            raise
        return dropped

    def _dropped(self, session: LinuxSession, content: str) -> tuple[Finding, ...]:
        """Drop connections that a table's text does not permit; return what there is to say."""
        # Another's ruleset that an undo brings back is not understood here; nothing of ours is left that could be cut.
        if not content or understood("nftables", content):
            return ()
        return tuple(drop_connections(session, only_list("nftables", content).first_match())[1])

    def _tables(self, session: LinuxSession) -> list[str]:
        """Return the names of all tables of family inet."""
        output = session.must(session.run("nft", "-j", "list", "tables", root=True), "nft list tables")
        try:
            items = json.loads(output)["nftables"]
            names = [str(item["table"]["name"]) for item in items if item.get("table", {}).get("family") == "inet"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FindingError(codes.BAD_ANSWER.at(f"{self.name}: nft -j list tables")) from None
        return sorted(names)

    def _text(self, session: LinuxSession, table: str) -> str:
        """Return a table's text without counts, or an empty text where there is none."""
        return self._read(session, table) if table in self._tables(session) else ""

    def _read(self, session: LinuxSession, table: str) -> str:
        if not IDENTIFIER.match(table):
            raise FindingError(codes.BAD_BODY.at(f"{self.name}: table name {table[:60]!r}"))
        return session.must(
            session.run("nft", "-s", "list", "table", "inet", table, root=True), f"nft list table inet {table}"
        )

    def _body(self, table: str, text: str) -> dict[str, Any] | None:
        return {"table": table, "content": canonical_ruleset(table, text)} if text else None


def canonical_ruleset(table: str, text: str) -> str:
    """Return a table's text as the policy would write it, so that equal rulesets look equal; the text itself where it is not understood."""
    try:
        found = only_list("nftables", text)
        found.first_match()
        return registry.render("nftables", table, found.aces, policy="accept" if found.default_permit else "drop")
    except (FindingError, ValueError):
        return text


def _table_of(item: DesiredObject) -> str:
    table = str(item.body.get("table", item.name))
    if item.kind != KIND or table != item.name or not IDENTIFIER.match(table):
        raise FindingError(codes.BAD_BODY.at(f"{item.kind} {item.name[:60]!r}: table {table[:60]!r}"))
    return table
