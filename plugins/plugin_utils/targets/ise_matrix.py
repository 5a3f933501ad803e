# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which matrix cells without a matrix of their own belong to (facts/ise.md section 1.7)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound

MATRICES = "/api/v1/trustsec/matrix"
ALWAYS = ("PRODUCTION", "DEFAULT")
# Those of a connection that does not work are not about the interface.
FATAL = frozenset(code.number for code in (codes.LOGIN_REFUSED, codes.UNREACHABLE, codes.CERTIFICATE, codes.NO_ANSWER))


def production_matrix(client: IseClient) -> str:
    """Return the id of the production matrix; empty where this ISE has no such interface (before 3.4 patch 2) or does not open it."""
    try:
        rows = client.open_api("GET", MATRICES).get("response")
    except NotFound:
        return ""
    except FindingError as error:
        if any(finding.code in FATAL for finding in error.findings):
            raise
        return ""
    named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found = [row for row in named if str(row.get("type")) in ALWAYS]
    return str(found[0].get("matrixUuId") or "") if found else ""
