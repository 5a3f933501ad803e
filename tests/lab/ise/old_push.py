# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The push of ISE before 3.4 patch 2: an undocumented path that Cisco's Terraform provider uses. Assumed: 204, no body, no report."""

from __future__ import annotations

from tests.lab.ise.messages import Request, Response
from tests.lab.ise.pushes import push
from tests.lab.ise.store import Store

PATH = "/ers/config/op/trustsec/egresspushmatrix"


def handle(store: Store, request: Request) -> Response | None:
    """None where the path is another one or this ISE does not have it."""
    if request.path.rstrip("/") != PATH or request.method != "PUT" or not store.settings["old_push"]:
        return None
    push(store, "ALL")
    return Response(204)
