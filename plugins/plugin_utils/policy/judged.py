# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What numbered rules had nothing to say about, by content: the permissions of a segment, and the lock.

A key is the hash of all that such a rule may look at (``ruling.NumberedRule``) and of the code of the rooms that judge. Only silence is
kept: whoever has a finding is judged anew, each time. The file lies beside the documents of ``cache.py`` and has a seal of the same kind.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.seals import code_sum, is_sealed, sealed
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cache import SUM_LENGTH
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.digests import Digests
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outline_of

FILE = "judged"
SPARE = 20_000  # keys of other sites and commits that are kept beside those of this run
ROOMS = ("base", "packets", "dialects", "devices", "policy")


class Judged:
    """Segments and locks without a finding, of one cache directory."""

    def __init__(self, directory: str | Path, digests: Digests, today: date) -> None:
        self._path = Path(directory) / FILE
        self._digests, self._today = digests, today
        self._known = _read(self._path)
        self._used: set[str] = set()

    def silent(self, segment: Segment) -> bool:
        """Return whether rules that judge permissions alone had nothing to say about a segment of just this content."""
        return self._holds(self._segment(segment))

    def rest(self, site: Site) -> Site:
        """Return the site without the permissions of silent segments, for rules that judge permissions alone."""
        segments = {
            name: _without_rules(item) if outline_of(item).ids and self.silent(item) else item
            for name, item in site.segments.items()
        }
        return replace(site, segments=segments)

    def keep(self, site: Site, found: Iterable[Finding]) -> None:
        """Keep which segments of a site are silent, by all that rules that judge permissions alone have found."""
        loud = {finding.file for finding in found}
        for item in site.segments.values():
            if outline_of(item).ids and item.location.file not in loud:
                self._used.add(self._segment(item))

    def lock_is_silent(self) -> bool:
        """Return whether rules about devices and addresses of the lock had nothing to say about just this lock."""
        return self._holds(self._lock())

    def keep_lock(self, found: Iterable[Finding]) -> None:
        """Keep that the lock is silent where nothing was found."""
        if not list(found):
            self._used.add(self._lock())

    def save(self) -> None:
        """Write what was used, and others as long as they are few; a directory that cannot be written costs time and nothing else."""
        used = {key for key in self._used if key}
        if used <= self._known:
            return
        kept = used | (self._known if len(self._known) < SPARE + len(used) else set())
        body = json.dumps(sorted(kept), separators=(",", ":")).encode("ascii")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self._path.with_name(f".{FILE}.{os.getpid()}")
            part.write_bytes(sealed(FILE.encode() + body).encode("ascii") + b"\n" + body)
            part.replace(self._path)
        except OSError:
            return

    def _holds(self, key: str) -> bool:
        if not key or key not in self._known:
            return False
        self._used.add(key)
        return True

    def _segment(self, segment: Segment) -> str:
        own = self._digests.segments.get(segment.name, "")
        if not own:
            return ""
        day = self._today.isoformat() if outline_of(segment).expiring else ""
        return self._key("segment", segment.location.file, own, day)

    def _lock(self) -> str:
        return self._key("lock", self._digests.lock) if self._digests.lock else ""

    def _key(self, *parts: str) -> str:
        digest = hashlib.sha256(code_sum(ROOMS).encode())
        digest.update("\0".join((*parts, self._digests.shared)).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _without_rules(segment: Segment) -> Segment:
    """Return a segment without its rules, which are not read for it: thousands are asked."""
    made = object.__new__(Segment)
    made.__dict__.update((name, value) for name, value in segment.__dict__.items() if name[0] != "_")
    made.__dict__["allow"] = ()
    return made


def _read(path: Path) -> set[str]:
    """Return the keys of a file; none where it is absent, damaged or not sealed here."""
    try:
        stored = path.read_bytes()
        body = stored[SUM_LENGTH + 1 :]
        if not is_sealed(FILE.encode() + body, stored[:SUM_LENGTH].decode("ascii", "replace")):
            return set()
        return {key for key in json.loads(body) if isinstance(key, str)}
    except (OSError, ValueError, TypeError, RecursionError):
        return set()
