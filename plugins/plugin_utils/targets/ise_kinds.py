# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of ISE objects: their order, words, places in the interfaces, and who owns one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import PREFIX

OWNERSHIP = "segwright:"
# What was there before us keeps its own text behind this mark, so that ISE itself tells whom it is given back to.
TAKEN_OVER = f"{OWNERSHIP}adopted:"
DESCRIPTION_LIMIT = 256
RULES_PATH = "/api/v1/policy/network-access/policy-set"


@dataclass(frozen=True)
class Kind:
    """A kind of object. ``path``: where it is written; ``marked``: whether it has a description that can carry our mark.

    ``fields`` maps names of the canonical body to those of the interface.
    """

    word: str
    path: str
    marked: bool
    fields: Mapping[str, str]


_CELL_FIELDS = {
    "source": "sourceSgtId",
    "destination": "destinationSgtId",
    "status": "matrixCellStatus",
    "sgacls": "sgacls",
    "default_rule": "defaultRule",
    "matrix": "matrixId",
}
# In the order in which objects are written; they are removed in reverse. A rule comes before the endpoints that it is for: assigned
# first, they would fall through to whatever else catches them.
KIND_TABLE: Mapping[str, Kind] = {
    "sgt": Kind("SGT", "/ers/config/sgt", True, {"value": "value"}),
    "sgacl": Kind("SGACL", "/ers/config/sgacl", True, {"ip_version": "ipVersion", "content": "aclcontent"}),
    "downloadable_acl": Kind(
        "downloadable ACL", "/ers/config/downloadableacl", True, {"dacl_type": "daclType", "content": "dacl"}
    ),
    "authorization_profile": Kind(
        "authorization profile",
        "/ers/config/authorizationprofile",
        True,
        {"access_type": "accessType", "dacl_name": "daclName", "ipv6_dacl_name": "ipv6DaclName"},
    ),
    "endpoint_group": Kind("endpoint group", "/ers/config/endpointgroup", True, {"parent": "parentId"}),
    "anc_policy": Kind("ANC policy", "/ers/config/ancpolicy", False, {"actions": "actions"}),
    "ip_sgt_mapping": Kind(
        "IP-SGT mapping",
        "/ers/config/sgmapping",
        False,
        {"host": "hostIp", "sgt": "sgt", "deploy_type": "deployType", "deploy_to": "deployTo"},
    ),
    "egress_matrix_cell": Kind(
        "cell",
        "/ers/config/egressmatrixcell",
        True,
        _CELL_FIELDS,
    ),
    "matrix_cell": Kind("cell", "/ers/config/egressmatrixcell", True, _CELL_FIELDS),
    "authorization_rule": Kind(
        "authorization rule",
        RULES_PATH,
        False,
        {
            "state": "rule.state",
            "condition": "rule.condition",
            "before": "rule.rank",
            "profiles": "profile",
            "security_group": "securityGroup",
        },
    ),
    "endpoint": Kind("endpoint assignment", "/ers/config/endpoint", True, {"group": "groupId"}),
}
ALL_KINDS = tuple(KIND_TABLE)
WORDS: Mapping[str, str] = {name: kind.word for name, kind in KIND_TABLE.items()}
# Cells of the production matrix, and of others (ise_matrices.py).
CELL_KINDS = ("egress_matrix_cell", "matrix_cell")
# The kinds that ise_read.py reads; the others are read by ise_more.py.
CORE_KINDS = ("sgt", "sgacl", "downloadable_acl", "authorization_profile", "egress_matrix_cell")
MORE_KINDS = tuple(kind for kind in ALL_KINDS if kind not in CORE_KINDS)


def owned(description: str) -> bool:
    """Return whether a description carries the mark of this collection."""
    return description.startswith(OWNERSHIP)


def taken_over(description: str) -> bool:
    """Return whether a description says that its object was there before this collection took it over."""
    return description.startswith(TAKEN_OVER)


def taken_over_text(description: str) -> str:
    """Return the description of an object that is taken over: our mark, then its own text as far as there is room."""
    return f"{TAKEN_OVER} {description}"[:DESCRIPTION_LIMIT].rstrip()


def given_back_text(description: str) -> str:
    """Return the description of an object without our mark: its own text, or what ours says of it."""
    return description.removeprefix(TAKEN_OVER if taken_over(description) else OWNERSHIP).strip()


def named_as_ours(name: str) -> bool:
    """Return whether the name of an object without a description claims that it is ours: the prefix is reserved for this."""
    return name.startswith(PREFIX)


def scoped_name(name: str, scope: str) -> str:
    """Return the name of an object inside a matrix or policy set; the scope is left out where it is the default."""
    return f"{name}@{scope}" if scope else name
