# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of rules that are made by a program."""

from __future__ import annotations

import hashlib

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, safe_name

LIMIT = 63


def rule_id(client: str, to: str, service: str) -> str:
    """Return CLIENT-to-TO-SERVICE; where that is longer than 63 characters, cut and closed by eight hex digits of its SHA-256.

    Equal parts give equal ids. ValueError where a part is no legal name.
    """
    full = f"{client}-to-{to}-{service}"
    if len(full) > LIMIT:
        full = f"{full[: LIMIT - 9]}-{hashlib.sha256(full.encode('utf-8')).hexdigest()[:8]}"
    return safe_name(full, ACL_NAME)
