# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ISE that does not open the interface of policy sets. No connection."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_more import MoreObjects

GROUP = {"id": "1", "name": "SW_G0", "description": "segwright: x"}


class Closed:
    """Has one endpoint group of ours; the Open API is off."""

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        return [GROUP] if kind == "endpoint_group" else []

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        return GROUP

    def open_api(self, verb: str, path: str, body: Any = None) -> dict[str, Any]:
        raise NotFound(path)


def test_groups_are_read_where_rules_cannot_be_and_rules_say_why() -> None:
    closed: Any = Closed()
    kinds = ("endpoint_group", "authorization_rule")
    objects, _notes = MoreObjects(closed, closed).read([DesiredObject("endpoint_group", "SW_G0", {})], kinds)
    assert set(objects) == {"endpoint_group/SW_G0"}
    with pytest.raises(FindingError, match="Open API"):
        MoreObjects(closed, closed).read([DesiredObject("authorization_rule", "SW_R@Default", {})], kinds)
