# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and replies of ICMP under one key: type * 256 + code of the request, on the server's side."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded

np = guarded("numpy")

ICMP, ICMP6 = 1, 58
# Reply type -> request type (RFC 792, RFC 950, RFC 4443).
ICMP_REPLIES = {0: 8, 14: 13, 16: 15, 18: 17}
ICMP6_REPLIES = {129: 128}


def canonical_icmp(protocol: Any, source_port: Any, target_port: Any) -> tuple[Any, Any]:
    """Return (source port, target port) of one-way records where ICMP's stand as type * 256 + code in the target port.

    Requests keep that, with 0 as source; replies have their request's on the source side, so that both have one key.
    """
    control = (protocol == ICMP) | (protocol == ICMP6)
    if not control.any():
        return source_port, target_port
    kind = np.where(control, target_port, 0)
    source_port = np.where(control, 0, source_port)
    for number, replies in ((ICMP, ICMP_REPLIES), (ICMP6, ICMP6_REPLIES)):
        for reply, request in replies.items():
            answers = (protocol == number) & (kind >> 8 == reply)
            source_port = np.where(answers, request * 256 + (kind & 255), source_port)
            target_port = np.where(answers, 0, target_port)
    return source_port, target_port
