# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a fresh ISE. Built-in ids and names: facts/ise.md section 1.6."""

from __future__ import annotations

from typing import Any

from tests.lab.ise.resources import (
    BUILT_IN_TIME,
    DEFAULT_CELL,
    DEFAULT_SET,
    DENY_IP,
    PERMIT_IP,
    PRODUCTION_MATRIX,
    SGT_ANY,
    SGT_UNKNOWN,
    UNKNOWN_GROUP,
)

_SUFFIX = "8c01-11e6-996c-525400b48521"
_SHIPPED_GROUPS = (
    (UNKNOWN_GROUP, "Unknown", "Unknown Identity Group"),
    (f"aa10ae00-{_SUFFIX}", "Profiled", "Profiled Identity Group"),
    (f"aa13bb40-{_SUFFIX}", "RegisteredDevices", "Asset Registered Endpoints Identity Group"),
    (f"aa178bd0-{_SUFFIX}", "GuestEndpoints", "Guest Endpoints Identity Group"),
    (f"aa0b2d60-{_SUFFIX}", "Blocked List", "Blocked List Identity Group"),
)
_SHIPPED_TAGS = {
    "TrustSec_Devices": 2, "Network_Services": 3, "Employees": 4, "Contractors": 5, "Guests": 6,
    "Production_Users": 7, "Developers": 8, "Auditors": 9, "Point_of_Sale_Systems": 10, "Production_Servers": 11,
    "Development_Servers": 12, "Test_Servers": 13, "PCI_Servers": 14, "BYOD": 15, "Quarantined_Systems": 255,
}  # fmt: skip


def built_in_objects() -> list[tuple[str, dict[str, Any]]]:
    """(resource path, stored object) of everything that a fresh ISE holds. Lower-case hidden keys start with _."""

    def sgt(identifier: str, name: str, value: int, read_only: bool) -> tuple[str, dict[str, Any]]:
        return "sgt", {
            "id": identifier, "name": name, "description": f"{name} Security Group", "value": value,
            "generationId": "0", "isReadOnly": read_only, "propogateToApic": False, "defaultSGACLs": [],
            "_builtin": read_only,
        }  # fmt: skip

    def sgacl(identifier: str, name: str, content: str) -> tuple[str, dict[str, Any]]:
        return "sgacl", {
            "id": identifier, "name": name, "description": f"{name} SGACL", "aclcontent": content,
            "ipVersion": "IP_AGNOSTIC", "generationId": "0", "readOnly": True, "_builtin": True,
        }  # fmt: skip

    def dacl(identifier: str, name: str, content: str, kind: str) -> tuple[str, dict[str, Any]]:
        return "downloadableacl", {
            "id": identifier, "name": name, "description": name.replace("_", " ").lower(), "dacl": content,
            "daclType": kind, "_builtin": True, "_modified": BUILT_IN_TIME,
        }  # fmt: skip

    def profile(number: int, name: str, access: str) -> tuple[str, dict[str, Any]]:
        return "authorizationprofile", {
            "id": f"92e0000{number}-{_SUFFIX}", "name": name,
            "description": f"Default Profile with access type {access}", "accessType": access,
            "authzProfileType": "SWITCH", "profileName": "Cisco", "_builtin": True,
        }  # fmt: skip

    found = [
        sgt(SGT_UNKNOWN, "Unknown", 0, True),
        sgt(SGT_ANY, "ANY", 65535, True),
        sgacl(PERMIT_IP, "Permit IP", "permit ip"),
        sgacl(DENY_IP, "Deny IP", "deny ip"),
        sgacl(f"92a00010-{_SUFFIX}", "Permit_IP_Log", "permit ip log"),
        sgacl(f"92a00020-{_SUFFIX}", "Deny_IP_Log", "deny ip log"),
        dacl("982498d0-" + _SUFFIX, "PERMIT_ALL_IPV4_TRAFFIC", "permit ip any any", "IPV4"),
        dacl("9825aa40-" + _SUFFIX, "DENY_ALL_IPV4_TRAFFIC", "deny ip any any", "IPV4"),
        dacl("5cc278c0-ea30-11ea-8b14-005056871e13", "PERMIT_ALL_IPV6_TRAFFIC", "permit ipv6 any any", "IPV6"),
        dacl("5cc3d850-ea30-11ea-8b14-005056871e13", "DENY_ALL_IPV6_TRAFFIC", "deny ipv6 any any", "IPV6"),
        profile(1, "PermitAccess", "ACCESS_ACCEPT"),
        profile(2, "DenyAccess", "ACCESS_REJECT"),
        (
            "egressmatrixcell",
            {
                "id": DEFAULT_CELL,
                "name": "ANY-ANY",
                "description": "Default egress rule",
                "sourceSgtId": SGT_ANY,
                "destinationSgtId": SGT_ANY,
                "matrixCellStatus": "ENABLED",
                "defaultRule": "PERMIT_IP",
                "sgacls": [],
                "matrixId": PRODUCTION_MATRIX,
            },
        ),
        (
            "matrix",
            {
                "id": PRODUCTION_MATRIX,
                "name": "Production",
                "description": "Production matrix",
                "matrixPolicyType": "TRUSTSEC_POLICY",
                "type": "PRODUCTION",
                "defconLevel": None,
                "nadList": [],
                "ndgList": [],
                "_modified": BUILT_IN_TIME,
            },
        ),
    ]
    for identifier, name, description in _SHIPPED_GROUPS:
        group = {"id": identifier, "name": name, "description": description, "systemDefined": True, "_builtin": True}
        found.append(("endpointgroup", group))
    for number, (name, value) in enumerate(_SHIPPED_TAGS.items()):
        found.append(sgt(f"93{number:02x}6890-{_SUFFIX}", name, value, False))
    return [*found, *_policy()]


def _policy() -> list[tuple[str, dict[str, Any]]]:
    """The default policy set with its default rule, and three library conditions."""
    found: list[tuple[str, dict[str, Any]]] = [
        ("policyset", {
            "id": DEFAULT_SET, "name": "Default", "description": "Default policy set", "default": True, "rank": 0,
            "state": "enabled", "condition": None, "serviceName": "Default Network Access", "isProxy": False,
            "hitCounts": 0,
        }),
        ("authorizationrule", {
            "id": f"92e1a910-{_SUFFIX}", "name": "Default", "_policy": DEFAULT_SET, "default": True,
            "rank": 0, "state": "enabled", "condition": None, "profile": ["DenyAccess"], "securityGroup": None,
            "hitCounts": 0,
        }),
    ]  # fmt: skip
    for number, (name, value) in enumerate(
        (("Wired_MAB", "WiredMAB"), ("Wired_802.1X", "Wired802_1x"), ("Wireless_MAB", "WirelessMAB"))
    ):
        found.append(("condition", {
            "id": f"92e1a92{number}-{_SUFFIX}", "name": name, "description": f"{name} sessions",
            "link": None, "conditionType": "LibraryConditionAttributes", "isNegate": False,
            "dictionaryName": "Normalised Radius", "attributeName": "RadiusFlowType", "operator": "equals",
            "attributeValue": value, "dictionaryValue": None,
        }))  # fmt: skip
    return found
