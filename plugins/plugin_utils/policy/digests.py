# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hashes of a policy directory's files: what was found about one holds as long as it, and what all share, stay the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment


@dataclass(frozen=True)
class Digests:
    """``shared``: of every document but segments and lock, and of which segments exist in which zone; ``segments``: of each file by
    segment; ``lock``: "" where there is none."""

    shared: str
    segments: Mapping[str, str]
    lock: str = ""

    @property
    def ground(self) -> str:
        """Everything but what stands in the files of segments; "" where there is no lock."""
        return f"{self.shared} {self.lock}" if self.lock else ""


def digests_of(
    top: Mapping[str, Document], documents: Iterable[Document], segments: Mapping[str, Segment], lock: str
) -> Digests | None:
    """Return the digests of documents that were read with a cache, None where a document has none."""
    own = {document.value["segment"]: document.digest for document in documents}
    if not all(own.values()) or not all(document.digest for document in top.values()):
        return None
    digest = hashlib.sha256()
    for name, document in sorted(top.items()):
        digest.update(f"{name}\0{document.digest}\n".encode())
    for name, segment in segments.items():
        digest.update(f"{name}\0{segment.zone}\n".encode("utf-8", "surrogatepass"))
    return Digests(digest.hexdigest(), own, lock)
