# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of lists by their content: a list whose inputs have not changed is neither made nor proved again.

A key is the hash of everything a list depends on (rules, addresses, services, stage, point, and the code itself). Its entry holds sizes,
findings and whether the rendering was proved, as JSON: reading it runs nothing. Facts are keys of other proofs that held. The file has a
seal by a key that lies elsewhere (``base.seals``): whoever can only write the data directory cannot make a gate say that something was
proved.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import JSON_LIMIT_BYTES, write_parts_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.seals import code_sum, is_sealed, sealed
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList

KIND = "list-cache"
SCHEMA_VERSION = "4.0"
SEAL_LENGTH = 64
# Rooms whose code decides what a list is, how it is written and how it is proved.
ROOMS = ("base", "packets", "dialects", "policy", "enforce", "proof")


class ListCache:
    """Entries of one data directory by key. Only those that were asked for or made in this run are written back."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        self._used: dict[str, dict[str, Any]] = {}
        self._facts: set[str] = set()
        self._used_facts: set[str] = set()
        self._sums: dict[str, str] = {}
        self._used_sums: dict[str, str] = {}
        # Lists of this run by their keys: in another situation or commit most are the very same.
        self.made: dict[object, Any] = {}
        if path is not None and path.exists():
            self._known, self._facts, self._sums = _read(path)

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry of a key, or None."""
        found = self._used.get(key)
        if found is None:
            found = self._known.get(key)
            if found is not None:
                self._used[key] = found
        return found

    def put(self, key: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Keep an entry; it may be filled in later, until ``save``."""
        self._used[key] = entry
        return entry

    def holds(self, fact: str) -> bool:
        """Return whether something was proved before, by its key (``key_of`` of all that the proof depends on)."""
        if fact in self._used_facts:
            return True
        if fact in self._facts:
            self._used_facts.add(fact)
            return True
        return False

    def keep(self, fact: str) -> None:
        """Keep that something was proved. What does not hold is never kept: it is proved, and told, each time."""
        self._used_facts.add(fact)

    def sum_of(self, key: str, make: Callable[[], str]) -> str:
        """Return the value of a key: what was made of it before, by whatever ``make`` depends on, or what ``make`` returns now."""
        found = self._used_sums.get(key)
        if found is None:
            found = self._used_sums[key] = self._sums.get(key) or make()
        return found

    def known_sum(self, key: str) -> str:
        """Return the value of a key, "" where there is none."""
        found = self._used_sums.get(key)
        if found is None:
            found = self._sums.get(key, "")
            if found:
                self._used_sums[key] = found
        return found

    def keep_sum(self, key: str, value: str) -> None:
        """Keep the value of a key; it depends on nothing but what the key was made of."""
        self._used_sums[key] = value

    def save(self) -> None:
        """Write the entries of this run, whole or not at all; where the directory cannot be written the next run makes them again."""
        if self._path is None:
            return
        content = {
            "code": code_hash(),
            "entries": self._used,
            "facts": " ".join(sorted(self._used_facts)),
            "sums": self._used_sums,
        }
        body = json.dumps(content, separators=(",", ":")).encode("ascii")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_parts_atomic(self._path, (_seal(body), b"\n", body), 0o600)


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], set[str], dict[str, str]]:
    """Return entries, facts and sums of a file; none where it is damaged, not sealed here or of other code: all can be made again."""
    try:
        stored = path.read_bytes() if path.stat().st_size <= JSON_LIMIT_BYTES else b""
        body = stored[SEAL_LENGTH + 1 :]
        if not is_sealed(_sealed_part(body), stored[:SEAL_LENGTH].decode("ascii", "replace")):
            return {}, set(), {}
        document = json.loads(body)
        entries, facts, sums = document["entries"], document["facts"], document["sums"]
        if document["code"] != code_hash():
            return {}, set(), {}
        known = {key: value for key, value in entries.items() if isinstance(value, dict)}
        return known, set(facts.split()), {key: value for key, value in sums.items() if isinstance(value, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, set(), {}


def _seal(body: bytes) -> bytes:
    return sealed(_sealed_part(body)).encode("ascii")


def _sealed_part(body: bytes) -> bytes:
    """Return what is sealed: the body, and of which kind and version it is."""
    return f"{KIND} {SCHEMA_VERSION}\n".encode("ascii") + body


def code_hash() -> str:
    """Return the hash of the code that entries depend on."""
    return code_sum(ROOMS)


def key_of(*parts: object) -> str:
    """Return the key of inputs; their ``repr`` tells equal from different."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def key_of_texts(*parts: str) -> str:
    """Return the key of texts without line breaks, such as names and other keys: the same as ``key_of`` in a fraction of its time."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def findings_of(entry: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of an entry."""
    return [Finding(**item) for item in entry.get("findings", ())]


@dataclass(frozen=True)
class Pieces:
    """A firewall's list by its parts: what stands before and after the rules, and the rules of each client segment or network set.

    ``make_frame`` returns the list with its first ``head`` lines (permits only) and its end, and no rules; ``frame_key`` is the key of what
    makes it. ``parts``: the key of a part, and what makes its lines; they are permits, and their sources are addresses of the client.
    ``shared`` are the parts of network sets, whose addresses may be anybody's: they belong to every question. ``answers``: the segments
    from whose devices a client's part passes answers as well (a firewall that does not track ICMP); where those come from a network set,
    the part is shared.
    """

    make_frame: Callable[[], PointList]
    frame_key: str
    head: int
    parts: Mapping[str, tuple[str, Callable[[], tuple[Ace, ...]]]]
    shared: tuple[str, ...] = ()
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _answered(self) -> Mapping[str, tuple[str, ...]]:
        """The clients whose parts pass answers from a segment's devices."""
        found: dict[str, list[str]] = {}
        for client, servers in self.answers.items():
            for server in servers:
                found.setdefault(server, []).append(client)
        return {server: tuple(clients) for server, clients in found.items()}

    @cached_property
    def frame(self) -> PointList:
        """The list without its rules."""
        return self.make_frame()

    def concerned(self, segments: Iterable[str]) -> tuple[str, ...]:
        """Return the parts that packets from devices of some segments can meet, by name: theirs, those of network sets, and those of
        clients to whom they answer."""
        names = set(segments)
        names.update(*(self._answered.get(name, ()) for name in names) if self.answers else ())
        return tuple(sorted(names.union(self.shared)))

    def key(self, segment: str) -> str:
        """Return the key of a segment's part, "" where it has none."""
        found = self.parts.get(segment)
        return found[0] if found else ""

    def lines(self, segment: str) -> tuple[Ace, ...]:
        """Return the lines of a segment's part."""
        return self.parts[segment][1]() if segment in self.parts else ()

    def around(self, segments: Iterable[str]) -> PointList:
        """Return the list with the parts of some segments alone."""
        chosen = [self.lines(name) for name in self.concerned(segments)]
        lines = self.frame.aces
        return replace(
            self.frame, aces=(*lines[: self.head], *(ace for part in chosen for ace in part), *lines[self.head :])
        )


def pieces_of(listing: PointList) -> Pieces | None:
    """Return the parts of a firewall's list; None for every other list, and where it was made without a cache."""
    found: Pieces | None = listing.__dict__.get("_pieces")
    return found


def list_key(listing: PointList) -> str:
    """Return the key of a list by its content, "" where it was made without a cache or is known by parts."""
    found: str = listing.__dict__.get("_key", "")
    return found


def lazy_list(
    head: Mapping[str, Any], entry: dict[str, Any], make: Callable[[], PointList], key: str = ""
) -> PointList:
    """Return a list whose lines are made when someone looks at them.

    ``head`` holds every field but ``aces`` and ``origins``; ``key`` is the list's own.
    """
    made = object.__new__(PointList)
    made.__dict__.update(head)
    made.__dict__["_entry"] = entry
    made.__dict__["_make"] = make
    made.__dict__["_key"] = key
    return made


def head_of(listing: PointList) -> dict[str, Any]:
    """Return every field of a list but its lines."""
    return {
        name: value for name, value in listing.__dict__.items() if name not in ("aces", "origins") and name[0] != "_"
    }


def entry_of(listing: PointList) -> dict[str, Any] | None:
    """Return the entry that belongs to a list; None where it was made without a cache."""
    found: dict[str, Any] | None = listing.__dict__.get("_entry")
    return found


def only_closes(listing: PointList) -> bool:
    """Return whether a cell's list holds nothing but its end."""
    entry = entry_of(listing)
    if entry is not None and "closed" in entry:
        return bool(entry["closed"])
    return len(listing.aces) == 1
