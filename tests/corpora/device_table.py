# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How show outputs of the public corpora are read, command by command: whole, or with lines that are findings, or refused.

``PYTHONPATH=.:collections python -m tests.corpora.device_table`` prints the table that ``docs/devices-corpora.md`` shows (``--write``
puts it there); a test keeps both true. Every folder of IOS and IOS-XE is either read by a parser of facts, or named in ``NOT_READ`` with
where its facts come from. Access lists as entries are the matter of ``acl_table``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import cts, hardware, lists, show
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tracking import (
    ip_device_tracking,
    tracking_policies,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.sgacl_cells import read_cells
from tests.conftest import corpora_directory

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "devices-corpora.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PLATFORMS = ("cisco_ios", "cisco_iosxe")
Read = Callable[[str], tuple[int, list[str]]]


def _by(parse: Callable[[str], Parsed[Any]]) -> Read:
    def read(text: str) -> tuple[int, list[str]]:
        made = parse(text)
        return len(made.entries), [each.message for each in made.findings]

    return read


def _cells(text: str) -> tuple[int, list[str]]:
    cells, opaque = read_cells(text)
    return len(cells), [f"{each.text.strip()!r}: {each.reason}" for each in opaque]


LISTS = ("access lists with number of entries", _by(lists.access_lists))
DETAILS = ("sessions with policies", _by(show.session_details))
SESSIONS = ("sessions", _by(show.sessions))
TRACKING = ("addresses and places", _by(show.device_tracking_database))
ARP = ("addresses", _by(show.ip_arp))
MACS = ("places", _by(show.mac_address_table))
LLDP = ("neighbours", _by(show.lldp_neighbors_detail))
READ: dict[str, tuple[str, Read]] = {
    "show_access-list": LISTS,
    "show_access-lists": LISTS,
    "show_ip_access-lists": LISTS,
    "show_ipv6_access-lists": LISTS,
    "show_ipv6_access-list": LISTS,
    "show_ip_access-list_inbound": LISTS,
    "show_access-session": SESSIONS,
    "show_access-session_interface": SESSIONS,
    "show_authentication_sessions": SESSIONS,
    "show_access-session_details": DETAILS,
    "show_access-session_interface_details": DETAILS,
    "show_access-session_mac_details": DETAILS,
    "show_access-session_mac_details_method": DETAILS,
    "show_access-session_session-id_details": DETAILS,
    "show_access-session_method_dot1x_details": DETAILS,
    "show_authentication_sessions_interface": DETAILS,
    "show_authentication_sessions_interface_details": DETAILS,
    "show_authentication_sessions_method": DETAILS,
    "show_authentication_sessions_method_details": DETAILS,
    "show_authentication_sessions_session-id": DETAILS,
    "show_arp": ARP,
    "show_ip_arp": ARP,
    "show_mac-address-table": MACS,
    "show_mac_address-table": MACS,
    "show_mac_address-table_dynamic": MACS,
    "show_device-tracking_database": TRACKING,
    "show_device-tracking_database_interface": TRACKING,
    "show_device-tracking_database_mac_MAC": TRACKING,
    "show_ip_device_tracking_all": ("addresses and places (images before 16)", _by(ip_device_tracking)),
    "show_device-tracking_policies": ("tracking at work", _by(tracking_policies)),
    "show_ip_dhcp_snooping_binding": ("leases", _by(show.ip_dhcp_snooping_binding)),
    "show_ip_source_binding": ("leases", _by(show.ip_dhcp_snooping_binding)),
    "show_lldp_entry": LLDP,
    "show_lldp_neighbors_detail": LLDP,
    "show_cts_role-based_counters": ("packets by cell", _by(cts.counters)),
    "show_cts_role-based_permissions": ("cells", _cells),
    "show_platform_hardware_fed_tcam_utilization": ("hardware by region", _by(hardware.tcam_utilization)),
    "show_platform_hardware_fed_sgacl_resource_usage": (
        "policies and cells in hardware",
        _by(hardware.sgacl_resources),
    ),
}
# What is not read, and where its facts come from or why none are needed.
CONFIG = "from `show running-config`"
SESSION = "from the session's details"
NOT_READ = {
    "running-config": "snippets without `end`, which is refused; their lists are in the table of [dialects](acl-dialects.md)",
    "show_running-config_partition_access-list": CONFIG,
    "show_access-list_fqdn_client": "no list of ours has names of hosts",
    "show_ip_access-lists_dump-reflexive": "router feature",
    "show_access-session_brief": SESSION,
    "show_archive": "needed by writing only",
    "show_archive_config_differences": "needed by writing only",
    "show_archive_config_incremental-diffs": "needed by writing only",
    "show_configuration_lock": "needed by writing only",
    "show_cdp_neighbors": "neighbours come from LLDP",
    "show_cdp_neighbors_detail": "neighbours come from LLDP",
    "show_lldp_neighbors": "from `show lldp neighbors detail`",
    "show_cts": CONFIG,
    "show_cts_interface": CONFIG,
    "show_cts_interface_summary": CONFIG,
    "show_cts_pacs": "carries key material, never asked",
    "show_cts_rbacl": "entries come from `show ip access-lists`, see [dialects](acl-dialects.md)",
    "show_cts_server-list": CONFIG,
    "show_cts_role-based_sgt-map_all": "tags of devices come from their sessions",
    "show_cts_role-based_sgt-map_ip": "tags of devices come from their sessions",
    "show_cts_sxp_connections": "not read yet",
    "show_cts_sxp_connections_brief": "not read yet",
    "show_cts_sxp_sgt-map": "not read yet",
    "show_cts_sxp_sgt-map_brief": "not read yet",
    "show_device-sensor": "the controller's profile comes from ISE",
    "show_device-sensor_details": "the controller's profile comes from ISE",
    "show_device_classifier_attached_detail": "the switch's guess is in the session's details",
    "show_device-tracking_database_details": "from `show device-tracking database`",
    "show_device-tracking_database_mac_MAC_details": "from `show device-tracking database`",
    "show_device-tracking_database_mac_details": "from `show device-tracking database`",
    "show_device-tracking_policy": CONFIG,
    "show_dot1x_all": CONFIG,
    "show_dot1x_all_details": CONFIG,
    "show_mab_all_details": CONFIG,
    "show_flow_monitor_cache": "flows come from exporters",
    "show_flow_monitor_cache_filter_interface": "flows come from exporters",
    "show_flow_monitor_cache_record": "flows come from exporters",
    "show_interfaces_status": CONFIG,
    "show_ipv6_neighbors": "IPv6 addresses come from device tracking and sessions",
    "show_ipv6_neighbors_detail": "IPv6 addresses come from device tracking and sessions",
    "show_object-group": CONFIG,
    "show_object-group_name": CONFIG,
    "show_platform_hardware_qfp_tcam_usage": "router hardware",
    "show_platform_software_access-list_summary": "counts are in `show access-lists`",
    "show_platform_software_fed_access-security_auth-acl_summary": SESSION,
    "show_platform_software_fed_acl_info_db_summary": "counts are in the TCAM table",
    "show_platform_software_fed_acl_sgacl": "counts are in the TCAM table",
    "show_platform_software_fed_acl_usage": "counts are in the TCAM table",
    "show_platform_software_fed_sgacl_detail": "counts are in the TCAM table",
    "show_platform_software_fed_sgacl_port": CONFIG,
    "show_platform_software_fed_sgacl_vlan": CONFIG,
    "show_sdm_prefer": "limits are in the TCAM table",
    "show_sdm_prefer_custom": "limits are in the TCAM table",
    "show_vlan": CONFIG,
    "show_vlan_access-map": CONFIG,
    "show_vlan_filter": CONFIG,
}


@dataclass
class Row:
    """Figures of one command: files, entries, files read whole, and the lines or outputs that were not understood, with their reasons."""

    platform: str
    command: str
    what: str
    files: int = 0
    entries: int = 0
    whole: int = 0
    opaque: list[str] = field(default_factory=list)


def rows(corpora: Path) -> list[Row]:
    """Return a row for each folder that is read; raises KeyError for a folder that nobody has decided about."""
    made = []
    for platform in PLATFORMS:
        for folder in sorted(path for path in (corpora / "device-outputs" / platform).iterdir() if path.is_dir()):
            if folder.name in NOT_READ:
                continue
            what, read = READ[folder.name]
            row = Row(platform, folder.name.replace("_", " "), what)
            for path in sorted(folder.glob("*.txt")):
                row.files += 1
                try:
                    entries, reasons = read(path.read_text(encoding="utf-8", errors="replace"))
                except FindingError as error:
                    entries, reasons = 0, [each.message for each in error.findings]
                row.entries += entries
                row.whole += not reasons
                row.opaque += [f"{path.name}: {reason}" for reason in reasons]
            made.append(row)
    return made


def table(found: list[Row]) -> str:
    """Return the table of the document."""
    lines = [
        "| platform | command | gives | files | entries | files read whole | lines that are findings |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        lines.append(
            f"| {row.platform} | `{row.command}` | {row.what} | {row.files} | {row.entries} | {row.whole} | {len(row.opaque)} |"
        )
    total = [sum(getattr(row, name) for row in found) for name in ("files", "entries", "whole")]
    lines.append(f"| all | | | {total[0]} | {total[1]} | {total[2]} | {sum(len(row.opaque) for row in found)} |")
    lines += [
        "",
        "Not read, since no fact would come from it that is not known already:",
        "",
        "| command | instead |",
        "|---|---|",
    ]
    lines += [f"| `{name.replace('_', ' ')}` | {why} |" for name, why in sorted(NOT_READ.items())]
    return "\n".join(lines)


def main() -> None:
    """Print the table with every finding, or write it to the document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    found = rows(corpora_directory())
    text = table(found)
    if parser.parse_args().write:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
        return
    print(text)
    for row in found:
        for reason in row.opaque:
            print(f"{row.platform} {row.command}: {reason}")


if __name__ == "__main__":
    main()
