# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that are put into valid documents, with the codes and places that must be reported, known by construction.

A fault changes documents of ``random_sites`` and says where each finding must stand: a file and the path of a key or entry,
or ``LINE_1`` for a file whose findings name its first line. It returns None where the site has nothing to spoil in this way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.policy.random_sites import Documents, Path_

LOCK = "members.lock.json"
LINE_1: Path_ = ("line 1",)
NO_LINE: Path_ = ("no line",)
ROOT: Path_ = ()
Expected = tuple[str, str, Path_]  # code, file, path of the key
Make = Callable[["Spoiled"], "list[Expected] | None"]


@dataclass
class Spoiled:
    """Documents that are being spoilt, and the chance that decides where."""

    documents: Documents
    chance: random.Random
    # Changes of a file's text after it is written: file, line's path, what happens to the line.
    edits: list[tuple[str, Path_, Callable[[str], str]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.documents[name]

    def segments(self) -> list[str]:
        """Return the files of segments, by the name of the segment."""
        found = [name for name, value in self.documents.items() if isinstance(value, dict) and "segment" in value]
        return sorted(found, key=lambda name: self.documents[name]["segment"])

    def segment(self) -> str:
        """Return the file of one segment."""
        return self.chance.choice(self.segments())

    def rule(self, **changes: Any) -> tuple[str, Path_] | None:
        """Put one more rule into a segment, along a path that is permitted; return its file and path.

        It permits a service of its own that nothing else names; ``changes`` are keys to set, None to remove.
        """
        files = [name for name in self.segments() if self[name]["allow"]]
        if not files:
            return None
        name = self.chance.choice(files)
        made: dict[str, Any] = {
            "id": "spoilt-rule",
            "to": self[name]["allow"][0]["to"],
            "services": [self.service()],
            "reason": "Something is wrong with it",
            "origin": "manual",
            **changes,
        }
        self[name]["allow"].append({key: value for key, value in made.items() if value is not None})
        return name, ("allow", len(self[name]["allow"]) - 1)

    def service(self, name: str = "spoilt-service", **match: Any) -> str:
        """Define a service; return its name."""
        self["services.yml"]["services"][name] = {"match": [match or {"protocol": "tcp", "ports": [9999]}]}
        return name

    def new_segment(self, assigned: bool = True, devices: bool = True, **changes: Any) -> str:
        """Add a segment with one device in zone_0, observed at the first point; return its file."""
        value = {
            "segment": "zz_new",
            "zone": "zone_0",
            "owner": "plant-operations",
            "criticality": "low",
            "members": {"fact": "endpoint_profile", "equals": "New"},
            **changes,
        }
        name = f"zone_0/{value['segment']}.yml"
        self.documents[name] = {key: item for key, item in value.items() if item is not None}
        point = next(iter(self["enforcement.yml"]["points"]))
        if assigned:
            self["enforcement.yml"]["segments"][value["segment"]] = {"stage": "observe", "points": [point]}
        entry = {"device": "02:00:00:ff:ff:01", "name": "new-device", "addresses": ["10.0.254.1"]}
        self[LOCK]["segments"][value["segment"]] = {"devices": [entry] if devices else []}
        return name

    def exception(self, **changes: Any) -> tuple[str, Path_]:
        """Change one exception; return its file and path."""
        items = self["exceptions.yml"]["exceptions"]
        place = self.chance.randrange(len(items))
        items[place].update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del items[place][key]
        return "exceptions.yml", ("exceptions", place)


@dataclass(frozen=True)
class Fault:
    """A class of faults: its name and what makes one."""

    name: str
    make: Make


FAULTS: list[Fault] = []


def fault(make: Make) -> Make:
    """Add a function to the classes of faults, under its name."""
    FAULTS.append(Fault(make.__name__, make))
    return make
