# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what was approved, only when allowed, and the way back is free: through the playbooks, against the lab."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.integration.conftest import LabTargets
from tests.integration.test_drift_and_rollback import widen_two_services
from tests.integration.test_refusals import codes_in
from tests.lab.playbooks import Site
from tests.unit.change.signers import Signers, mail

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TEAMS = (
    "clinical-applications",
    "facility-management",
    "clinical-engineering",
    "server-operations",
    "radiology",
    "network-security",
)


class SiteSigners(Signers):
    """The lab site's people: the policy directory is the whole repository."""

    def __init__(self, folder: Path, site: Site) -> None:
        super().__init__(folder)
        self.site = site

    @property
    def checkout(self) -> Path:
        return self.site.policy

    @property
    def policies(self) -> Path:
        return self.site.policy


def calendar(moment: datetime) -> str:
    """A calendar whose only window is the hour around a moment, every zone."""
    local = moment.astimezone(ZoneInfo("Europe/Vienna"))
    start, end = local - timedelta(minutes=30), local + timedelta(minutes=60)
    return (
        f"windows:\n  - id: now\n    zones: [all]\n    days: [{DAYS[start.weekday()]}]\n"
        f'    start: "{start:%H:%M}"\n    end: "{end:%H:%M}"\n'
    )


@pytest.mark.full
def test_approved_in_the_window_and_the_way_back_is_free(
    targets: LabTargets, at: Callable[[str], Site], tmp_path: Path
) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is needed (Debian package openssh-client)")
    site = at("verified")
    folder = tmp_path / "keys"
    folder.mkdir()
    signers = SiteSigners(folder, site)
    signers.allowed.touch()
    owners = {f"{team}: [{mail('anna')}, {mail('ben')}]" for team in TEAMS}
    approvers = "teams:\n" + "".join(f"  {owner}\n" for owner in sorted(owners)) + "site: network-security\n"
    widen_two_services(site)
    signers.git("reset", "-q", "--soft", "HEAD^")  # that commit is not signed; what it changed is committed below
    elsewhere = datetime.now(UTC) + timedelta(days=3)
    signers.commit({"approvers.yml": approvers, "calendar.yml": calendar(elsewhere)}, "otto", "Who and when")
    site.variables |= {"microseg_allowed_signers": str(signers.allowed), "microseg_protected_branch": "main"}
    assert site.run("plan").code == 0

    # Neither approved nor within a window: both are said at once, and nothing is written.
    counter = targets.writes()
    run = site.run("apply")
    assert run.code != 0
    assert {"SW4070", "SW4090"} <= codes_in(run)
    assert set(counter.counts().values()) == {0}

    # The window opens; an approval of the plan that is void by now does not help.
    old_plan = site.result("plan")["plan_id"]
    signers.commit({"calendar.yml": calendar(datetime.now(UTC))}, "otto", "A window now")
    assert site.run("approve", microseg_approver=mail("anna")).code == 0
    (approval,) = (site.state / "approvals").glob("*.json")
    assert old_plan in approval.read_text()
    signers.sign_file(approval, "anna", "segwright-approval")
    assert site.run("plan").code == 0
    assert site.result("plan")["plan_id"] != old_plan
    run = site.run("apply")
    assert run.code != 0
    assert "SW4070" in codes_in(run) and "SW4090" not in codes_in(run)
    assert set(counter.counts().values()) == {0}

    # Approved as it is: applied, with the approver in the record.
    assert site.run("approve", microseg_approver=mail("ben")).code == 0
    (approval,) = (path for path in (site.state / "approvals").glob("*.json") if old_plan[:12] not in path.name)
    signers.sign_file(approval, "ben", "segwright-approval")
    run = site.run("apply")
    assert run.code == 0, run.tail()
    result = site.result("apply")
    assert result["writes"] > 0
    assert [item["approver"] for item in result["approvals"]] == [mail("ben")]
    entries = [json.loads(line) for line in (site.state / "journal.jsonl").read_text().splitlines()]
    started = [entry for entry in entries if entry["event"] == "plan_started"][-1]
    assert [item["approver"] for item in started["approvals"]] == [mail("ben")]

    # The window is over. The way back needs none, and no approval either.
    signers.commit({"calendar.yml": calendar(elsewhere)}, "otto", "No window")
    run = site.run("rollback")
    assert run.code == 0, run.tail()
    assert "SW4090" not in codes_in(run)

    # What somebody took back stays back: a schedule does not carry out the same approved plan again.
    signers.git("checkout", "-q", started["policy_commit"])
    before = counter.counts()
    run = site.run("apply", microseg_wait=True)
    assert run.code != 0
    assert codes_in(run) & {"SW4135", "SW4070", "SW4090"} == {"SW4135"}
    assert counter.counts() == before
    signers.git("checkout", "-q", "main")

    # An auditor's one command, and what it says of a record that somebody touched.
    run = site.run("journal_verify")
    assert run.code == 0 and "in order and unaltered" in run.output
    journal = site.state / "journal.jsonl"
    journal.write_text(journal.read_text().replace(mail("ben"), mail("eve"), 1))
    run = site.run("journal_verify")
    assert run.code != 0
    assert "SW4030" in codes_in(run)
