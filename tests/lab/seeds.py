# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulated ISE and switches start with, made from the hospital's description.

A brownfield without enforcement: every session is open, nothing of Segwright exists, and a few objects belong to somebody
else. Those must still be there, unchanged, after whatever the product does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .credentials import SWITCH_ENABLE, SWITCH_PASSWORD, SWITCH_USER
from .description import Hospital, Switch
from .places import Places

FOREIGN_DACL = "Corp-Printers-DACL"
FOREIGN_SGACL = "Corp_Web_Only"
FOREIGN_ACL = "MGMT-ACCESS"
# Sessions are older than the sample recordings, so that every recorded flow falls into one.
SESSIONS_SINCE = int(datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp())

_FOREIGN_DACL_LINES = [
    "remark printers of the office, kept by the desktop team",
    "permit udp any eq bootpc any eq bootps",
    "permit tcp any any eq 9100",
    "deny ip any any",
]
_FOREIGN_SGACL_LINES = ["permit tcp dst eq 443", "deny ip"]


def ise_seed(hospital: Hospital, places: Places) -> dict[str, Any]:
    """The seed of tests.lab.ise: endpoints as profiled, open sessions, both switches, two objects of somebody else."""
    hosts = hospital.hosts.values()
    return {
        "network_devices": [
            {
                "name": each.name,
                "ip": places.switch(each.number)[0],
                "description": f"access switch, {each.location}",
                "groups": [
                    f"Location#All Locations#{each.location.title().replace(' ', '')}",
                    "Device Type#All Device Types#Switch",
                ],
            }
            for each in hospital.switches.values()
        ],
        "sgacls": [{"name": FOREIGN_SGACL, "lines": _FOREIGN_SGACL_LINES, "description": "kept by the desktop team"}],
        "dacls": [{"name": FOREIGN_DACL, "lines": _FOREIGN_DACL_LINES, "description": "kept by the desktop team"}],
        # An asset database fills the custom attribute, as the integrations of real sites do.
        "endpoints": [
            {
                "mac": host.mac,
                "profile": host.profile,
                "description": host.name,
                "custom_attributes": {"hostname": host.name},
            }
            for host in hosts
        ],
        "sessions": [
            {
                "mac": host.mac,
                "ip": host.address,
                "nas_ip": places.switch(hospital.switches[host.switch].number)[0],
                "nas_port": host.interface,
                "endpoint_profile": host.profile,
                "authorization_profile": "PermitAccess",
                "started": SESSIONS_SINCE,
            }
            for host in hosts
        ],
    }


def fleet_spec(hospital: Hospital, places: Places) -> dict[str, Any]:
    """The file of tests.lab.iosxe: both switches with their ports, hosts and neighbours."""
    directory = places.directory / "switches"
    return {
        "devices": [_switch(hospital, places, each) for each in hospital.switches.values()],
        "users": {SWITCH_USER: [SWITCH_PASSWORD, 1]},
        "enable_secret": SWITCH_ENABLE,
        "control": list(places.switch_control),
        "host_key": str(directory / "host_key"),
        "known_hosts": str(directory / "known_hosts"),
        "provider_url": f"http://{places.control[0]}:{places.control[1]}/switches",
    }


def _switch(hospital: Hospital, places: Places, switch: Switch) -> dict[str, Any]:
    address, port = places.switch(switch.number)
    vlans = {name: each.vlan for name, each in hospital.subnets.items()}
    hosts = hospital.on_switch(switch.name)
    leased = set(hospital.conversation("leases").clients)
    interfaces: list[dict[str, Any]] = [
        {"name": host.interface, "description": host.name, "vlan": vlans[host.subnet]} for host in hosts
    ]
    neighbours = []
    for local, (other, remote) in switch.neighbours.items():
        interfaces.append({"name": local, "description": f"to {other}", "trunk": True})
        neighbours.append(_neighbour(hospital, local, other, remote))
    interfaces += _unused(interfaces)
    interfaces.sort(key=lambda each: int(each["name"].rpartition("/")[2]))
    return {
        "hostname": switch.name,
        "address": address,
        "port": port,
        "model": "C9300-48U",
        "interfaces": interfaces,
        "hosts": [
            {
                "mac": host.mac,
                "ip": host.address,
                "interface": host.interface,
                "vlan": vlans[host.subnet],
                "dhcp": host.name in leased,
            }
            for host in hosts
        ],
        "neighbours": neighbours,
        "initial_config": _foreign_config(hospital) + _network_access(hospital, [host.interface for host in hosts]),
        "controller": hospital.controller,
    }


def _unused(used: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {each["name"] for each in used}
    names = [f"GigabitEthernet1/0/{number}" for number in range(1, 49)]
    return [{"name": name, "up": False} for name in names if name not in taken]


def _neighbour(hospital: Hospital, local: str, other: str, remote: str) -> dict[str, Any]:
    found: dict[str, Any] = {"interface": local, "system_name": other, "port": remote}
    if other in hospital.switches:
        return {**found, "address": hospital.switches[other].management, "platform": "cisco C9300-48U"}
    return {
        **found,
        "address": hospital.firewall,
        "platform": "Linux",
        "capabilities": "R",
        "description": "Debian GNU/Linux 12",
        "mac": "02:1a:00:00:00:01",
        "protocol": "lldp",
    }


def _network_access(hospital: Hospital, ports: list[str]) -> str:
    """Return what makes a switch ready for downloaded lists and cells: MAB on closed ports, with a way in while RADIUS is silent."""
    ise = str(hospital.subnets["servers"].prefix[3])
    lines = [
        "aaa server radius dynamic-author",
        f" client {ise} server-key 7 00071A150754",
        "radius server LAB_ISE",
        f" address ipv4 {ise} auth-port 1812 acct-port 1813",
        " automate-tester username probe",
        "radius-server dead-criteria time 10 tries 3",
        "radius-server deadtime 15",
        "device-tracking policy LAB",
        " tracking enable",
    ]
    for port in ports:
        lines += [
            f"interface {port}",
            " device-tracking attach-policy LAB",
            " authentication event server dead action authorize",
            " authentication event server alive action reinitialize",
            " authentication host-mode multi-auth",
            " authentication port-control auto",
            " mab",
        ]
    return "\n".join([*lines, ""])


def _foreign_config(hospital: Hospital) -> str:
    """Somebody else's list, in use: only the management subnet may log in."""
    prefix = hospital.management
    names = [line for each in hospital.subnets.values() for line in (f"vlan {each.vlan}", f" name {each.name}")]
    return "\n".join(
        [
            *names,
            f"ip access-list extended {FOREIGN_ACL}",
            " remark kept by network operations",
            f" permit tcp {prefix.network_address} {prefix.hostmask} any eq 22",
            " deny tcp any any eq 22 log",
            "line vty 0 4",
            f" access-class {FOREIGN_ACL} in",
            "line vty 5 15",
            f" access-class {FOREIGN_ACL} in",
            "",
        ]
    )
