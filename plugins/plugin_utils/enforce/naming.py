# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the objects that the collection owns on targets.

Every name begins with ``SW_`` and is legal for SGACLs (letters, digits, underscore, at most 32: facts/ise.md section 4),
which is the strictest rule of all platforms. Parts are joined by two underscores, so that (a_b, c) and (a, b_c) differ. Long names,
and those whose parts hold or touch two underscores, are cut and closed by eight hex digits of the SHA-256 of their parts.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

PREFIX = "SW_"
LIMIT = 32


def group_name(site: Site, segment: str) -> str:
    """Return the name of a segment's security group: the one that it has in ISE already where the policy gives it, else one of ours."""
    known = site.segments.get(segment)
    return (known.sgt_name if known else "") or owned_name(segment)


def cell_name(site: Site, source: str, destination: str) -> str:
    """Return the name of the matrix cell between two segments; group names have no hyphen (facts/ise.md section 1.6)."""
    return f"{group_name(site, source)}-{group_name(site, destination)}"


@lru_cache(maxsize=65536)
def owned_name(*parts: str) -> str:
    """Return the object name for the parts; equal parts give equal names, different parts different ones."""
    joined = "__".join(parts)
    full = PREFIX + joined
    # As a rule the joined text shows that no part holds or touches two underscores: a matrix has thousands of names.
    unclear = (joined.count("__") >= len(parts) or "___" in joined or joined[:1] == "_" or joined[-1:] == "_") and any(
        "__" in part or part.startswith("_") or part.endswith("_") for part in parts
    )
    if len(full) > LIMIT or unclear:
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
        full = full[: LIMIT - 9].rstrip("_") + "_" + digest
    return safe_name(full, IDENTIFIER)
