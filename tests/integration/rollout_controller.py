# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of the loop in processes of their own that can be killed: everything is imported once, then each line of standard input is
carried out by a fork. Prints the number of the process that does it.

A line is JSON: ``step`` (plan, apply, rollback), ``values`` (the action's arguments), ``variables`` (hostvars and hosts, as Ansible
gives them), ``out`` (where the result goes).
"""

from __future__ import annotations

from typing import Any

import asyncssh  # noqa: F401 - what targets import when they are first used would be imported in every fork
import ciscoisesdk  # noqa: F401
import netmiko  # noqa: F401

from ansible_collections.segwright.microseg.plugins.action import policy_apply, policy_plan, policy_rollback
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.action import failure
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.apply import run_apply
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import run_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback
from tests.integration.forks import serve

STEPS = {
    "plan": (policy_plan.ARGUMENTS, run_plan),
    "apply": (policy_apply.ARGUMENTS, run_apply),
    "rollback": (policy_rollback.ARGUMENTS, run_rollback),
}


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Return what the action would return."""
    arguments, step = STEPS[order["step"]]
    values = {name: spec.get("default") for name, spec in arguments.items()}
    values |= {"check_mode": False, "diff_mode": False, **order["values"]}
    try:
        return step(values, order["variables"])
    except FindingError as error:
        return failure(error.findings)


if __name__ == "__main__":
    serve(carry_out, lambda text: {"failed": True, "msg": f"crash: {text}"})
