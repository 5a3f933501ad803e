# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ERS resources that the emulated ISE knows: wrapper names, fields, filters, verbs, fixed built-in objects.

Shapes and built-in ids: facts/ise.md sections 1.2 and 1.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ALL_VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
READ_ONLY = frozenset({"GET"})


@dataclass(frozen=True)
class Resource:
    """fields: what a body may carry. required: what a POST and a PUT must carry. filters: ``filter=`` names."""

    path: str
    wrapper: str
    fields: frozenset[str]
    required: tuple[str, ...] = ()
    filters: tuple[str, ...] = ("name", "description")
    verbs: frozenset[str] = ALL_VERBS
    by_name: bool = False


COMMON = frozenset({"id", "name", "description", "link"})

_PROFILE_FIELDS = (
    "vlan webRedirection accessType authzProfileType profileName airespaceACL acl daclName autoSmartPort "
    "interfaceTemplate ipv6ACLFilter avcProfile asaVpn uniqueIdentifier trackMovement serviceTemplate "
    "easywiredSessionCandidate voiceDomainPermission neat webAuth macSecPolicy reauth advancedAttributes "
    "ipv6DaclName airespaceIPv6ACL agentlessPosture"
)
_ENDPOINT_FIELDS = (
    "customAttributes groupId identityStore identityStoreId mac portalUser profileId staticGroupAssignment "
    "staticGroupAssignmentDefined staticProfileAssignment staticProfileAssignmentDefined mdmAttributes"
)


def _fields(words: str) -> frozenset[str]:
    return COMMON | frozenset(words.split())


RESOURCES: dict[str, Resource] = {
    each.path: each
    for each in (
        Resource(
            "downloadableacl",
            "DownloadableAcl",
            _fields("dacl daclType"),
            ("name", "dacl"),
            ("name", "description", "daclType"),
            ALL_VERBS | {"PATCH"},
        ),
        Resource(
            "sgacl",
            "Sgacl",
            _fields(
                "aclcontent ipVersion generationId readOnly isReadOnly modelledContent sgAclType validateAclContent"
            ),
            ("name", "aclcontent", "ipVersion"),
            ("name", "description", "ipVersion", "sgAclType"),
        ),
        Resource(
            "sgt",
            "Sgt",
            _fields("value generationId isReadOnly propogateToApic defaultSGACLs"),
            ("name", "value"),
            ("name", "value", "description", "propogateToApic"),
        ),
        Resource(
            "egressmatrixcell",
            "EgressMatrixCell",
            _fields("sourceSgtId destinationSgtId matrixCellStatus defaultRule sgacls matrixId"),
            ("sourceSgtId", "destinationSgtId", "matrixCellStatus", "defaultRule"),
            ("sgtSrcName", "sgtDstName", "sgtSrcValue", "sgtDstValue", "matrixStatus", "matrixId", "description"),
        ),
        Resource(
            "authorizationprofile",
            "AuthorizationProfile",
            _fields(_PROFILE_FIELDS),
            ("name",),
            (),
            ALL_VERBS | {"PATCH"},
            by_name=True,
        ),
        Resource(
            "endpoint",
            "ERSEndPoint",
            _fields(_ENDPOINT_FIELDS),
            ("mac",),
            ("name", "mac", "description", "groupId", "profileId", "staticGroupAssignment", "staticProfileAssignment"),
            ALL_VERBS | {"PATCH"},
            by_name=True,
        ),
        Resource(
            "endpointgroup",
            "EndPointGroup",
            _fields("systemDefined parentId"),
            verbs=READ_ONLY,
            by_name=True,
        ),
        Resource("profilerprofile", "ProfilerProfile", _fields("parentId"), verbs=READ_ONLY),
        Resource(
            "networkdevice",
            "NetworkDevice",
            _fields("NetworkDeviceIPList NetworkDeviceGroupList profileName modelName softwareVersion"),
            filters=("ipaddress", "name", "description", "location", "type"),
            verbs=READ_ONLY,
            by_name=True,
        ),
        Resource(
            "sgmapping",
            "SGMapping",
            _fields("sgt deployTo deployType hostName hostIp mappingGroup sgtDomain"),
            ("name", "deployType"),
            ("hostName", "ip", "sgtName", "groupName"),
        ),
    )
}

_SUFFIX = "8c01-11e6-996c-525400b48521"
PERMIT_IP = f"92951ac0-{_SUFFIX}"
DENY_IP = f"92919850-{_SUFFIX}"
SGT_UNKNOWN = f"92adf9f0-{_SUFFIX}"
SGT_ANY = f"92bb1950-{_SUFFIX}"
DEFAULT_CELL = f"92c1a900-{_SUFFIX}"
PRODUCTION_MATRIX = f"92c1a910-{_SUFFIX}"
BUILT_IN_TIME = 1475784915  # 2016-10-06 20:15:15 UTC, hex 57f6b0d3: the suffix that switches show for built-in DACLs

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
            },
        ),
    ]
    for number, (name, value) in enumerate(_SHIPPED_TAGS.items()):
        found.append(sgt(f"93{number:02x}6890-{_SUFFIX}", name, value, False))
    return found
