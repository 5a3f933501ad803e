# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-alone actions make of their arguments, without any connection."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_policy import ise_object, run_ise_policy
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import (
    device_objects,
    run_device_policy,
)

HOSTS = {
    "ise1": {"microseg_platform": "ise", "ansible_user": "u", "ansible_password": "p-secret"},
    "acc1": {"ansible_network_os": "cisco.ios.ios", "ansible_user": "u", "ansible_password": "p-secret"},
}


def variables(host: str) -> dict[str, Any]:
    return {"inventory_hostname": host, "hostvars": HOSTS}


def test_entries_become_marked_objects_with_defaults() -> None:
    acl = ise_object({"kind": "downloadable_acl", "name": "SW_x", "content": "deny ip any any", "description": "pumps"})
    assert acl.body == {"dacl_type": "IPV4", "content": "deny ip any any", "description": "segwright: pumps"}
    cell = ise_object({"kind": "egress_matrix_cell", "source": "A", "destination": "B"})
    assert (cell.name, cell.body["status"], cell.body["default_rule"]) == ("A-B", "MONITOR", "NONE")
    with pytest.raises(FindingError) as error:
        ise_object({"kind": "sgacl", "ip_version": "IPV4"})
    assert "content, name not given" in str(error.value)


def test_rendered_needs_no_connection_and_checks_everything() -> None:
    good = {"kind": "sgacl", "name": "SW_x", "content": "permit  tcp dst eq 443 \r\ndeny ip"}
    done = run_ise_policy({"state": "rendered", "objects": [good]}, variables("ise1"))
    assert done["rendered"][0]["content"] == "permit tcp dst eq 443\ndeny ip"
    with pytest.raises(FindingError) as error:
        run_ise_policy({"state": "rendered", "objects": [{**good, "content": "permit frob"}]}, variables("ise1"))
    assert "not understood" in str(error.value)
    values = {
        "state": "rendered",
        "name": "SW_x",
        "content": "deny ip any any",
        "interfaces": ["Gi1/0/1"],
        "direction": "in",
    }
    done = run_device_policy(values, variables("acc1"))
    assert [item["kind"] for item in done["rendered"]] == ["access_list", "attachment"]
    assert done["rendered"][1]["interface"] == "GigabitEthernet1/0/1"


@pytest.mark.parametrize(
    "values",
    [
        {"name": "MGMT", "content": "deny ip any any"},
        {"name": "SW_x\nreload", "content": "deny ip any any"},
        {"name": "SW_x", "content": "permit frob any any"},
        {"name": "SW_x", "content": "deny ip any any\nend\nreload"},
        {"name": "SW_x", "interfaces": ["Gi1/0/1\nshutdown"]},
    ],
)
def test_nothing_but_names_and_entries_reaches_a_command_line(values: dict[str, Any]) -> None:
    with pytest.raises(FindingError):
        device_objects("ios", values)


def test_the_wrong_kind_of_host_is_named() -> None:
    with pytest.raises(FindingError) as error:
        run_device_policy({"state": "gathered", "name": "SW_x"}, variables("ise1"))
    assert "use ise_policy" in str(error.value)
    with pytest.raises(FindingError) as error:
        run_ise_policy({"state": "gathered", "objects": []}, variables("acc1"))
    assert "not an ISE" in str(error.value)
    with pytest.raises(FindingError) as error:
        run_ise_policy({"state": "gathered", "objects": [], "target": "nowhere"}, variables("acc1"))
    assert "nowhere" in str(error.value)
    assert "p-secret" not in str(error.value)
