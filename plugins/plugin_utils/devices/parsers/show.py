# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All parsers under one name: ``show.NAME(text)``, where NAME is the command with ``_`` for blanks and hyphens.

Own and fail-closed: each line is in an entry, is known furniture, or is in a finding (facts/devices.md section 2.3).
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import lines_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.neighbors import (
    lldp_neighbors_detail,
    version,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.ports import interfaces_description
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.sessions import (
    session_details,
    sessions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tables import (
    device_tracking_database,
    ip_arp,
    ip_dhcp_snooping_binding,
    mac_address_table,
)

access_session = authentication_sessions = sessions
access_session_details = authentication_sessions_details = session_details

__all__ = [
    "access_session",
    "access_session_details",
    "authentication_sessions",
    "authentication_sessions_details",
    "device_tracking_database",
    "interfaces_description",
    "ip_arp",
    "ip_dhcp_snooping_binding",
    "lines_of",
    "lldp_neighbors_detail",
    "mac_address_table",
    "session_details",
    "sessions",
    "version",
]
