# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERS: the version that a node says it has. Form: the SDK's description of ``iseversion`` (get_ise_version_and_patch)."""

from __future__ import annotations

import re

from tests.lab.ise.messages import Request, Response, ok
from tests.lab.ise.store import Store

PATH = "/ers/config/op/systemconfig/iseversion"


def handle(store: Store, request: Request) -> Response | None:
    """None: not this path."""
    if request.method != "GET" or request.path != PATH:
        return None
    said = str(store.settings["said_version"] or store.settings["version"])
    found = re.match(r"(\d+\.\d+)(?:\.0)?(?:p(\d+))?", said)
    release, patch = (found[1], found[2] or "0") if found else (said, "0")
    values = [
        {"value": f"{release}.0.608", "name": "version"},
        {"value": patch, "name": "patch information"},
    ]
    return ok({"OperationResult": {"resultValue": values}})
