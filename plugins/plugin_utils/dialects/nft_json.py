# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our table from the JSON of ``nft -j list table`` (schema 1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, Opaque, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nft_names import TCP_FLAGS
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nft_rule import (
    LATER_CHAIN,
    STATELESS_CHAIN,
    TO_LATER,
    RuleDraft,
    masked_values,
    single_value,
    value_range,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet

# What nft prints of each object (libnftables-json(5)); another key may change what the object means ("flags": ["dormant"]).
_KEYS = {
    "table": frozenset(("family", "name", "handle", "comment")),
    "chain": frozenset(("family", "table", "name", "handle", "type", "hook", "prio", "policy", "comment")),
    "rule": frozenset(("family", "table", "chain", "handle", "expr", "comment", "index")),
}
HOOK = {"type": "filter", "hook": "forward", "prio": 0}

_GOTOS: list[list[dict[str, Any]]] = [
    [{"match": {"op": "!=", "left": left, "right": 0}}, {"goto": {"target": LATER_CHAIN}}]
    for left in (
        {"&": [{"payload": {"protocol": "ip", "field": "frag-off"}}, 0x1FFF]},
        {"exthdr": {"name": "frag", "field": "frag-off"}},
    )
]


@dataclass
class TableDraft:
    """A table while its chain is read; shared by the text reader."""

    name: str
    family: str = "inet"
    chain: str = ""
    policy: str = ""
    established: bool = False
    aces: list[Ace] = field(default_factory=list)
    opaque: list[Opaque] = field(default_factory=list)
    later: list[Ace] = field(default_factory=list)
    later_declared: bool = False
    gotos: list[int] = field(default_factory=list)

    @property
    def stateful(self) -> bool:
        """Whether the chain is the one with connection tracking, which every other chain name is held to be."""
        return self.chain != STATELESS_CHAIN

    def goto(self, place: int) -> None:
        """Note rule ``TO_LATER[place]``; NotUnderstood where it does not stand where it is written."""
        if self.stateful or self.aces or place != len(self.gotos):
            raise NotUnderstood("a jump for later fragments that does not stand first")
        self.gotos.append(place)

    def add(self, ace: Ace, chain: str) -> None:
        """Add an entry of the main chain or of the one for later fragments."""
        if chain != LATER_CHAIN:
            if not self.stateful and len(self.gotos) != len(TO_LATER):
                raise NotUnderstood("a rule before later fragments are sent to their chain")
            self.aces.append(ace)
        elif ace.layer4:
            raise NotUnderstood("a layer-4 match on later fragments, which have no such header")
        else:
            self.later.append(replace(ace, fragments=True))

    def entries(self) -> tuple[Ace, ...]:
        """Return the entries in an order that decides as both chains do: later fragments first, up to their end."""
        if self.stateful:
            return tuple(self.aces)
        end = Ace(self.policy == "accept", None, 0, fragments=True, label="later fragments")
        closed = bool(self.later) and self.later[-1].meaning()[1:] == end.meaning()[1:]
        return (*self.later, *([] if closed else [end]), *self.aces)

    def refuse(self, line: int, text: str, reason: str) -> None:
        """Note something that was not understood."""
        self.opaque.append(Opaque(line, text[:400], reason))

    def done(self) -> ParsedAcl:
        """Return the list; opaque where the stateful head is missing."""
        if self.family != "inet":
            self.refuse(0, f"table {self.family} {self.name}", "not a table of family inet")
        if not self.chain:
            self.refuse(0, f"table {self.name}", "no filter chain on the forward hook")
        elif self.stateful and not self.established:
            self.refuse(0, f"chain {self.chain}", "the rule for established connections does not stand first")
        elif self.stateful == self.later_declared or (not self.stateful and len(self.gotos) != len(TO_LATER)):
            self.refuse(0, f"chain {LATER_CHAIN}", "later fragments are not sent to a chain of their own")
        return ParsedAcl(
            name=self.name, kind="nftables", aces=self.entries(), opaque=tuple(self.opaque),
            default_permit=self.policy == "accept", empty_permits=self.policy == "accept", fragments_like_ios=False,
            attributes={"table": self.name, "chain": self.chain, "policy": self.policy, "stateful": self.stateful},
        )  # fmt: skip


def read(value: Any) -> list[ParsedAcl]:
    """Return the list of every table in the JSON document; NotUnderstood when it is no such document."""
    if not isinstance(value, dict) or not isinstance(value.get("nftables"), list):
        raise NotUnderstood("the key 'nftables' is missing")
    tables: dict[str, TableDraft] = {}
    for place, item in enumerate(value["nftables"], 1):
        if not isinstance(item, dict) or len(item) != 1:
            raise NotUnderstood("an object is not of one kind")
        ((kind, body),) = item.items()
        if kind == "metainfo":
            if body.get("json_schema_version") != 1:
                raise NotUnderstood("the JSON schema version is not 1")
        elif kind == "table":
            if body["name"] in tables:
                raise NotUnderstood(f"the table {body['name']!r} stands twice")
            tables[body["name"]] = TableDraft(body["name"], body.get("family", ""))
            _check_keys(tables[body["name"]], place, kind, body)
        else:
            _object(tables, place, kind, body)
    return [table.done() for table in tables.values()]


def _check_keys(table: TableDraft, place: int, kind: str, body: dict[str, Any]) -> None:
    unknown = sorted(set(body) - _KEYS.get(kind, frozenset(body)))
    if unknown:
        table.refuse(place, json.dumps(body, sort_keys=True), f"{kind} with {', '.join(unknown)}")


def _object(tables: dict[str, TableDraft], place: int, kind: str, body: Any) -> None:
    table = tables.get(str(body.get("table", "")))
    if table is None:
        raise NotUnderstood(f"a {kind} without its table")
    shown = json.dumps(body, sort_keys=True)
    _check_keys(table, place, kind, body)
    if kind == "chain" and body.get("name") == LATER_CHAIN and not set(HOOK) & set(body) and not table.later_declared:
        table.later_declared = True
    elif kind == "chain":
        if table.chain or any(body.get(key) != wanted for key, wanted in HOOK.items()):
            table.refuse(place, shown, "a chain that this collection did not write")
        else:
            table.chain, table.policy = str(body.get("name")), str(body.get("policy", "accept"))
    elif kind == "rule":
        _rule(table, place, body, shown)
    else:
        table.refuse(place, shown, f"a {kind} that this collection did not write")


def _rule(table: TableDraft, place: int, body: dict[str, Any], shown: str) -> None:
    chain = str(body.get("chain", ""))
    later = chain == LATER_CHAIN and table.later_declared
    if not later and (not table.chain or chain != table.chain):
        table.refuse(place, shown, "a rule of another chain")
        return
    try:
        statements = body.get("expr")
        if not isinstance(statements, list):
            raise NotUnderstood("a rule without statements")
        if statements in _GOTOS:
            if later:
                raise NotUnderstood("a jump inside the chain for later fragments")
            table.goto(_GOTOS.index(statements))
            return
        tracked = _tracked(statements)
        if tracked and (later or not table.stateful):
            raise NotUnderstood("connection state in a stateless list")
        if tracked == ("established,related", "accept") and not table.aces:
            table.established = True
        elif tracked == ("invalid", "drop") and not table.aces:
            pass
        elif tracked:
            raise NotUnderstood(f"ct state {tracked[0]} {tracked[1]} is not ours")
        else:
            draft = RuleDraft(label=str(body.get("comment", "")))
            for statement in statements:
                _statement(draft, statement)
            table.add(draft.ace(place, shown[:400], table.stateful and not later), chain)
    except (NotUnderstood, KeyError, TypeError, ValueError, AttributeError) as reason:
        table.refuse(place, shown, str(reason) or "not understood")


def _tracked(statements: list[Any]) -> tuple[str, str] | None:
    """Return (states, verdict) of a rule on connection state alone."""
    if not statements or not isinstance(statements[0], dict):
        return None
    left = statements[0].get("match", {}).get("left")
    if left != {"ct": {"key": "state"}}:
        return None
    match = statements[0]["match"]
    right = match["right"] if isinstance(match["right"], list) else [match["right"]]
    if isinstance(match["right"], dict) and set(match["right"]) == {"set"}:
        right = match["right"]["set"]
    if match["op"] not in ("in", "==") or len(statements) != 2:
        raise NotUnderstood("a rule on connection state with other matches")
    words = {1: "invalid", 2: "established", 4: "related"}  # nft -n prints numbers
    return ",".join(sorted(str(words.get(state, state)) for state in right)), next(iter(statements[1]))


def _statement(draft: RuleDraft, statement: Any) -> None:
    ((kind, body),) = statement.items()
    if draft.permit is not None:
        raise NotUnderstood("a statement after the verdict")
    if kind == "match":
        _match(draft, body)
    elif kind == "log":
        draft.log = True
    elif kind in ("accept", "drop"):
        draft.verdict(kind == "accept")
    elif kind != "counter":
        raise NotUnderstood(f"statement {kind!r}")


def _match(draft: RuleDraft, body: dict[str, Any]) -> None:
    left, operator, right = body["left"], body["op"], body["right"]
    if set(left) == {"&"} and operator == "==":
        field_part, mask = left["&"]
        if field_part.get("payload", {}).get("field") in ("saddr", "daddr"):
            subject = f"{field_part['payload']['protocol']} {field_part['payload']['field']}"
            draft.match(subject, masked_values(subject, mask, right))
            return
        if field_part != {"payload": {"protocol": "tcp", "field": "flags"}} or flag_value(mask) != 63:
            raise NotUnderstood("a mask that is not the six TCP flags")
        values = right["set"] if isinstance(right, dict) and "set" in right else [right]
        draft.match("tcp flags", IntervalSet.of(*(flag_value(value) for value in values)))
        return
    if operator != "==":
        raise NotUnderstood(f"operator {operator!r}")
    if set(left) == {"payload"}:
        subject = f"{left['payload']['protocol']} {left['payload']['field']}"
    elif set(left) == {"meta"}:
        subject = f"meta {left['meta']['key']}"
    else:
        raise NotUnderstood(f"left side {left!r}")
    draft.match(subject, IntervalSet.of(*_pairs(subject, right)))


def _pairs(subject: str, right: Any) -> Iterable[tuple[int, int]]:
    if isinstance(right, dict):
        ((kind, body),) = right.items()
        if kind == "set":
            for item in body:
                yield from _pairs(subject, item)
        elif kind == "range":
            yield value_range(subject, body[0], body[1])
        elif kind == "prefix":
            yield single_value(subject, f"{body['addr']}/{body['len']}")
        else:
            raise NotUnderstood(f"right side {kind!r}")
    else:
        yield single_value(subject, right)


def flag_value(value: Any) -> int:
    """Return the number of a TCP flag expression: a word, a number, a list of them or ``{"|": [a, b]}``."""
    parts = value["|"] if isinstance(value, dict) and set(value) == {"|"} else value
    if isinstance(parts, list):
        result = 0
        for part in parts:
            result |= flag_value(part)
        return result
    if isinstance(value, str) and value in TCP_FLAGS:
        return TCP_FLAGS[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    raise NotUnderstood(f"flags {value!r}")
