# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is in its segment: register, queries and the committed lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.membership import run_explain_any
from tests.unit.steps.test_commits import checkout  # noqa: F401  (a fixture)


def asked(checkout: Path, facts: dict[str, str] | None, **more: Any) -> dict[str, Any]:  # noqa: F811
    lock = json.loads((checkout / "members.lock.json").read_text())
    pump = lock["segments"]["infusion_pumps"]["devices"][0]
    data = checkout.parent / "data"
    (data / "register").mkdir(parents=True, exist_ok=True)
    values = {} if facts is None else {"hostname": pump["name"], **facts}
    known = {"id": pump["device"], "facts": {name: {"value": value} for name, value in values.items()}}
    register = {"kind": "register", "schema_version": "1.0", "devices": [] if facts is None else [known]}
    (data / "register" / "register.json").write_text(json.dumps(register))
    return run_explain_any(
        {"policy_dir": checkout, "data_dir": data, "today": "2026-11-23", "device": pump["name"], **more}
    )


def test_register_and_lock_agree(checkout: Path) -> None:  # noqa: F811
    text = next(checkout.rglob("infusion_pumps.yml")).read_text()
    profile = next(line.split(": ", 1)[1] for line in text.splitlines() if line.strip().startswith("equals:"))
    found = asked(checkout, {"endpoint_profile": profile.strip("'\"")})
    assert (found["segment"], found["fulfils"]) == ("infusion_pumps", ["infusion_pumps"])
    first = found["memberships"][0]
    assert first["segment"] == "infusion_pumps" and first["holds"] and first["lines"][0].startswith("yes: ")
    assert profile.strip("'\"") in "".join(first["lines"])
    assert all(not item["holds"] and any("no: " in line for line in item["lines"]) for item in found["memberships"][1:])
    assert found["summary"].endswith("in segment infusion_pumps, and the register agrees")


def test_a_device_that_changed_says_what_it_is_now(checkout: Path) -> None:  # noqa: F811
    found = asked(checkout, {"endpoint_profile": "Coffee-Machine"})
    assert (found["segment"], found["fulfils"]) == ("infusion_pumps", [])
    assert "by the register it is in none: run propose" in found["summary"]
    assert any("it is 'Coffee-Machine'" in line for line in found["memberships"][0]["lines"])


def test_a_device_that_the_register_does_not_know(checkout: Path) -> None:  # noqa: F811
    found = asked(checkout, None)
    assert found["memberships"] == [] and found["summary"].endswith("the register does not know it any more")
    with pytest.raises(FindingError, match=r"neither in the register nor in the membership"):
        asked(checkout, None, device="nobody")


def test_either_a_device_or_two_ends(checkout: Path) -> None:  # noqa: F811
    with pytest.raises(FindingError, match=r"SW4601.*give it alone"):
        asked(checkout, {}, client="pump1")
    with pytest.raises(FindingError, match=r"SW4601.*give client and server, or a device alone"):
        asked(checkout, {}, device=None, client="pump1")
