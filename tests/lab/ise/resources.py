# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ERS resources that the emulated ISE knows: wrapper names, fields, filters, verbs, and fixed built-in ids.

Shapes and built-in ids: facts/ise.md sections 1.2 and 1.6.
"""

from __future__ import annotations

from dataclasses import dataclass

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
            ("name",),
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
        Resource(
            "sgmappinggroup",
            "SGMappingGroup",
            _fields("sgt deployTo deployType sgtDomain"),
            ("name", "deployType"),
            ("name", "sgtName"),
        ),
        Resource("ancpolicy", "ErsAncPolicy", _fields("actions"), ("name",), ("name",), by_name=True),
        Resource(
            "ancendpoint",
            "ErsAncEndpoint",
            _fields("macAddress policyName"),
            filters=("macAddress", "policyName"),
            verbs=READ_ONLY,
        ),
        Resource(
            "networkdevicegroup",
            "NetworkDeviceGroup",
            _fields("othername"),
            verbs=READ_ONLY,
            by_name=True,
        ),
        Resource(
            "node",
            "Node",
            _fields("gateWay userName passWord inDeployment otherParams primaryPapNode pxGridNode papNode ipAddresses"),
            verbs=READ_ONLY,
            by_name=True,
        ),
    )
}

OPEN_API_KINDS = ("matrix", "policyset", "authorizationrule", "condition")  # kept in the store, not in ERS
KINDS = (*RESOURCES, *OPEN_API_KINDS)

_SUFFIX = "8c01-11e6-996c-525400b48521"
PERMIT_IP = f"92951ac0-{_SUFFIX}"
DENY_IP = f"92919850-{_SUFFIX}"
SGT_UNKNOWN = f"92adf9f0-{_SUFFIX}"
SGT_ANY = f"92bb1950-{_SUFFIX}"
DEFAULT_CELL = f"92c1a900-{_SUFFIX}"
PRODUCTION_MATRIX = f"92c1a910-{_SUFFIX}"
BUILT_IN_TIME = 1475784915  # 2016-10-06 20:15:15 UTC, hex 57f6b0d3: the suffix that switches show for built-in DACLs
UNKNOWN_GROUP = f"aa0e8b20-{_SUFFIX}"
DEFAULT_SET = f"92e1a900-{_SUFFIX}"
