# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the objects that the collection owns on targets.

Every name begins with ``SW_`` and is legal for SGACLs (letters, digits, underscore, at most 32: facts/ise.md section 4),
which is the strictest rule of all platforms. Long names are cut and closed by eight hex digits of their SHA-256.
"""

from __future__ import annotations

import hashlib

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name

PREFIX = "SW_"
LIMIT = 32


def owned_name(*parts: str) -> str:
    """Return the object name for the parts; equal parts give equal names, different parts different ones."""
    full = PREFIX + "_".join(parts)
    if len(full) > LIMIT or any("__" in part for part in parts):
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
        full = full[: LIMIT - 9] + "_" + digest
    return safe_name(full, IDENTIFIER)
