# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of ISE has what: BEHAVIOUR.md has a row for each feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSIONS = ("3.1", "3.2", "3.3", "3.4", "3.4p2", "3.5.0", "3.5")  # 3.5: with the patches that exist
FIRST = {
    "patch": "3.2",  # the verb PATCH
    "trustsec_openapi": "3.4p2",  # /api/v1/trustsec
    "matrix_id": "3.4p2",
    "multiple_matrices_ers": "3.4p2",  # before it ERS refuses new security groups in that mode
    "sgacl_type": "3.5.0",  # sgAclType
    "sgt_domain": "3.5.0",  # sgtDomain
    "anc_plain_body": "3.5.0",  # ancendpoint/apply takes an ErsAncEndpoint as well
    "validate_acl_content": "3.5",
}
LAST = {"bulk": "3.4p2"}  # the description of 3.5 has no bulk paths any more
FIELDS = {  # body fields that come with a feature
    "matrixId": "matrix_id",
    "sgAclType": "sgacl_type",
    "sgtDomain": "sgt_domain",
    "validateAclContent": "validate_acl_content",
}


def has(settings: Mapping[str, Any], feature: str) -> bool:
    """Whether the emulated version has the feature."""
    now = VERSIONS.index(settings["version"])
    if feature in LAST:
        return now <= VERSIONS.index(LAST[feature])
    return now >= VERSIONS.index(FIRST[feature])


def missing_fields(settings: Mapping[str, Any]) -> set[str]:
    """Body fields that the emulated version does not know."""
    return {field for field, feature in FIELDS.items() if not has(settings, feature)}
