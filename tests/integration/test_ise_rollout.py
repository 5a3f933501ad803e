# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens after ISE was written: sessions, re-authentication, switches, promotion. ISE and switches share state."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import carriers
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import read_entries, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import reauthentication
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.apply import run_apply
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_policy import run_ise_policy
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import run_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture import run_posture
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.promote import run_promote
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollback import run_rollback
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.verify import run_verify
from tests.integration.ise_worlds import configuration
from tests.lab.bridge import SwitchView
from tests.lab.iosxe.control import Control
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.provider import StaticProvider
from tests.lab.iosxe.spec import DeviceSpec, InterfaceSpec
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer
from tests.lab.playbooks import CHECKOUT, program
from tests.unit.flows import packets

HOST = "127.10.211.10"
SWITCHES = {"acc1": "127.10.211.31", "edge2": "127.10.211.32"}
PORT = 2222
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", "", 10) for number in range(1, 25))
PUMPS = ("02:1a:10:00:00:11", "02:1a:10:00:00:12", "02:1a:10:00:00:13")
CAMERAS = ("02:1a:30:00:00:31", "02:1a:30:00:00:32")
# MAC, address, switch, port, what the site's authorization rules hand out once ours are named there
DEVICES = (
    (PUMPS[0], "100.64.10.11", "acc1", 1, "SW_infusion_pumps", None),
    (PUMPS[1], "100.64.10.12", "acc1", 2, "SW_infusion_pumps", None),
    (PUMPS[2], "100.64.10.13", "acc1", 3, "SW_infusion_pumps", None),
    (CAMERAS[0], "100.64.30.31", "edge2", 3, "SW_cameras", None),
    (CAMERAS[1], "100.64.30.32", "edge2", 4, "SW_cameras", None),
    ("02:1a:20:00:00:11", "100.64.20.11", "acc1", 6, "PermitAccess", 130),
    ("02:1a:40:00:00:11", "100.64.40.11", "edge2", 12, "PermitAccess", 220),
)
SEED: dict[str, Any] = {
    "settings": {"push_delay": 0.05},
    "network_devices": [{"name": name, "ip": address} for name, address in SWITCHES.items()],
}


class LiveProvider(StaticProvider):
    """What the switches hold: what ISE gave each session and pushed to each of them, asked for whenever a switch is."""

    def __init__(self, view: SwitchView) -> None:
        super().__init__()
        self.view, self._known, self._count = view, "", 0

    @property
    def revision(self) -> int:
        built = self.view.build()
        text = json.dumps(built, sort_keys=True)
        if text != self._known:
            self._known, self._count = text, self._count + 1
            self._sessions, self._cells = built["sessions"], built["cts_cells"]
            self._sgts = {int(tag): name for tag, name in built["sgts"].items()}
        return self._count

    @revision.setter
    def revision(self, value: int) -> None:
        """Set by the base class only; what counts is the view."""


@contextlib.contextmanager
def following(view: SwitchView) -> Iterator[None]:
    """Let the switches fetch from ISE what was pushed, whether or not anybody asks them: until they hold it ISE reports no success."""
    ended = threading.Event()

    def fetch() -> None:
        while not ended.wait(0.2):
            with contextlib.suppress(OSError):  # a test may have stopped ISE's control
                view.build()

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)


@dataclass
class Rollout:
    """A site's checkout, its ISE and its switches."""

    directory: Path
    ise: IseServer
    control: ControlClient
    fleet: FleetThread
    known_hosts: Path
    hosts: tuple[str, ...] = ("ise1", "acc1", "edge2")
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def policies(self) -> Path:
        return self.directory / "policies"

    @property
    def variables(self) -> dict[str, Any]:
        hostvars: dict[str, Any] = {
            "ise1": {
                "microseg_platform": "ise", "ansible_host": HOST, "ansible_port": 9060, "microseg_ise_url": self.ise.base_url,
                "ansible_user": self.ise.username, "ansible_password": self.ise.password, "microseg_ca_file": self.ise.ca_file,
            },
        }  # fmt: skip
        for name, address in SWITCHES.items():
            hostvars[name] = {
                "microseg_platform": "ios", "ansible_host": address, "ansible_port": PORT, "ansible_user": USER,
                "ansible_password": PASSWORD, "ansible_become_password": ENABLE, "microseg_known_hosts_file": str(self.known_hosts),
            }  # fmt: skip
        return {"hostvars": hostvars}

    def values(self, **more: Any) -> dict[str, Any]:
        return {
            "policy_dir": self.policies, "data_dir": self.directory / "data", "today": "2026-11-26", "targets": list(self.hosts),
            "check_mode": False, "diff_mode": False, "reauth_batch": 1, "reauth_pause": 0.0, "reauth_settle": 0.0,
            "reread_pause": 0.2, **self.more, **more,
        }  # fmt: skip

    def git(self, *words: str) -> None:
        subprocess.run(["git", "-C", str(self.policies), *words], check=True, capture_output=True)

    def commit(self, path: str, old: str, new: str) -> None:
        file = self.policies / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        self.git("commit", "-qam", f"{path}: {new.strip()[:40]}")

    def apply(self, **more: Any) -> dict[str, Any]:
        run_plan(self.values(), self.variables)
        return run_apply(self.values(**more), self.variables)

    def verify(self) -> dict[str, Any]:
        return run_verify(self.values(), self.variables)

    def authorize(self, *macs: str) -> None:
        """Let the site's rules hand out our profiles and tags, and these devices authenticate (all where none is named)."""
        for mac, _address, _switch, _port, profile, tag in DEVICES:
            if macs and mac not in macs:
                continue
            self.control.change_session(mac, authorization_profile=profile, sgt=tag)
            self.control.call("POST", f"/sessions/{mac}/reauthenticate")

    def revision(self, mac: str) -> str:
        return str(self.control.sessions()[mac.upper()]["dacl_name"])

    def count(self, switch: str, source: int, destination: int, port: int, number: int = 1) -> None:
        """Packets of a cell on a switch."""
        probe = {
            "source_sgt": source, "destination_sgt": destination,
            "packet": {
                "protocol": 6, "source": "100.64.20.11", "destination": "100.64.40.11", "source_port": 50000, "destination_port": port,
            },
        }  # fmt: skip
        self.fleet.call(
            lambda: Control(self.fleet.fleet).run("inject", {"device": switch, "probes": [probe], "count": number})
        )

    @property
    def journal(self) -> Path:
        return self.directory / "data" / "state" / "journal.jsonl"


def codes(result: Mapping[str, Any], directory: Path, name: str) -> set[str]:
    made = json.loads((directory / "data" / "out" / f"{name}.json").read_text())
    return {item["code"] for item in (*made["errors"], *made["warnings"])}


@pytest.fixture(scope="module")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, FleetThread, Path, dict[str, Any]]]:
    base = tmp_path_factory.mktemp("rollout")
    with IseServer(HOST, 9060, base / "ise", SEED) as server:
        control = ControlClient(server.control_url)
        for mac, address, switch, port, _profile, _tag in DEVICES:
            control.call(
                "POST",
                "/sessions",
                {"mac": mac, "ip": address, "nas_ip": SWITCHES[switch], "nas_port": f"GigabitEthernet1/0/{port}"},
            )
        view = SwitchView(control.call, {address: name for name, address in SWITCHES.items()})
        fleet = Fleet(
            [DeviceSpec(name, address, PORT, interfaces=PORTS, cts_download="all") for name, address in SWITCHES.items()],
            base / "key", {USER: PASSWORD}, known_hosts_path=base / "known_hosts", enable_secret=ENABLE, provider=LiveProvider(view),
        )  # fmt: skip
        with FleetThread(fleet) as running, following(view):
            yield server, running, base, control.state()


@pytest.fixture
def rollout(
    _lab: tuple[IseServer, FleetThread, Path, dict[str, Any]],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Rollout:
    server, fleet, base, state = _lab
    control = ControlClient(server.control_url)
    control.fresh(state)
    for name in SWITCHES:
        fleet.call(lambda name=name: fleet.device(name).cell_hits.clear())  # type: ignore[misc]
        fleet.call(lambda name=name: fleet.device(name).sgacl_hits.clear())  # type: ignore[misc]
    monkeypatch.setattr(carriers, "CLOCK_SECONDS", 0.0)  # here both clocks are one
    made = Rollout(tmp_path, server, control, fleet, base / "known_hosts")
    shutil.copytree(root / "policies", made.policies)
    subprocess.run(["git", "-C", str(made.policies), "init", "-q", "-b", "main"], check=True)
    made.git("config", "user.email", "otto@example.net")
    made.git("config", "user.name", "Otto")
    made.git("add", "-A")
    made.git("commit", "-qm", "first")
    return made


RULE = """  - id: infusion_pumps-to-pump_servers-https
    to: pump_servers
    services: [https]
    reason: Drug library
    origin: manual
"""


class Killed(BaseException):
    """What no handler of errors takes: the run ends here."""


def dies_at_reauthentication(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> None:
    """Let a run die where it asks for the first session."""

    def dies(_client: Any, _node: str, _mac: str) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(reauthentication, "request_reauthentication", dies)
        with pytest.raises(Killed):
            run()


def test_stale_sessions_are_shown_and_taken_along_batch_by_batch(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not rollout.apply().get("failed")
    rollout.authorize()
    first = rollout.verify()
    assert not first.get("failed"), first
    assert first["enforced"]["sessions"] == {"absent": 2, "approved": 5}  # both patient monitors are off
    assert first["enforced"]["cells_differing"] == []
    assert first["enforced"]["cells_on_switches"] == 8
    old = rollout.revision(PUMPS[0])

    rollout.commit("clinical/infusion_pumps.yml", "allow:\n", f"allow:\n{RULE}")
    waiting = rollout.apply()
    assert "| 3 |" in (rollout.directory / "data" / "out" / "plan.md").read_text()
    assert not waiting.get("failed"), waiting
    stale = [item for item in waiting["enforced"]["sessions_not_approved"] if item["state"] == "old"]
    assert {item["mac"] for item in stale} == set(PUMPS)
    assert all(item["revision"] == old.replace("#ACSACL#", "xACSACLx") and item["switch"] == "acc1" for item in stale)
    assert all(item["age_seconds"] is not None and "443" in item["reason"] for item in stale)
    assert "SW4093" in codes(waiting, rollout.directory, "apply")
    assert not rollout.verify().get("failed")  # waiting is no fault
    assert {rollout.revision(mac) for mac in PUMPS} == {old}

    # One pump is in use, the second one stays silent after its re-authentication.
    real = reauthentication.request_reauthentication

    def silent(client: Any, node: str, mac: str) -> bool:
        taken = real(client, node, mac)
        if mac == PUMPS[1]:
            rollout.control.call("DELETE", f"/sessions/{mac}")
        return taken

    monkeypatch.setattr(reauthentication, "request_reauthentication", silent)
    stopped = rollout.apply(reauthenticate=True, reauth_hold=["PUMP1"])
    assert stopped["failed"]
    assert {"SW4100", "SW4104", "SW4105"} <= codes(stopped, rollout.directory, "apply")
    assert "pump2 at acc1 GigabitEthernet1/0/2" in str(stopped["errors"])
    assert "rollback" in str(stopped["errors"])
    done = stopped["reauthentication"]
    assert [item["mac"] for item in done["held"]] == [PUMPS[0]]
    assert [item["mac"] for item in done["failed"]] == [PUMPS[1]]
    assert (done["done"], done["left"]) == ([], [PUMPS[2]])
    assert rollout.revision(PUMPS[0]) == rollout.revision(PUMPS[2]) == old
    counters = rollout.control.counters()
    assert counters["reauthentications"] == 1 and counters["disconnects"] == 0

    # Nobody woke it: applying again touches nothing more.
    monkeypatch.setattr(reauthentication, "request_reauthentication", real)
    still = rollout.apply(reauthenticate=True)
    assert still["failed"] and still["reauthentication"]["batches"] == 0
    assert rollout.revision(PUMPS[2]) == old and rollout.control.counters()["reauthentications"] == 1

    # Somebody woke the pump; the next run goes on where this one stopped.
    rollout.control.call(
        "POST",
        "/sessions",
        {"mac": PUMPS[1], "ip": "100.64.10.12", "nas_ip": SWITCHES["acc1"], "nas_port": "GigabitEthernet1/0/2",
         "authorization_profile": "SW_infusion_pumps"},
    )  # fmt: skip
    resumed = rollout.apply(reauthenticate=True, reauth_hold_criticality=["low"])
    assert not resumed.get("failed"), resumed
    assert resumed["reauthentication"]["done"] == [PUMPS[0], PUMPS[2]]
    assert resumed["enforced"]["sessions"] == {"absent": 2, "approved": 5}
    again = rollout.apply(reauthenticate=True)
    assert not again["changed"] and again["reauthentication"]["batches"] == 0

    # The way back counts as done when sessions carry the old meaning.
    back = run_rollback(rollout.values(), rollout.variables)
    plan_id = str(back["plan_id"])
    assert back["failed"] and "SW4179" in back["msg"] and plan_id in back["msg"], back
    assert back["undone"] and back["enforced"]["sessions"] == {"old": 3}
    assert "SW4093" not in str(back["errors"]) + str(back["warnings_found"])
    looked = run_rollback(rollout.values(plan_id=plan_id), rollout.variables)
    assert looked["failed"] and "SW4179" in looked["msg"] and not looked["undone"] and not looked["changed"], looked
    back = run_rollback(rollout.values(plan_id=plan_id[:12], reauthenticate=True, reauth_batch=3), rollout.variables)
    assert not back.get("failed"), back
    assert back["reauthentication"]["done"] == list(PUMPS)
    assert back["enforced"]["sessions"] == {"approved": 3}
    assert "3 sessions were re-authenticated" in back["summary"]
    assert verify_journal(rollout.journal) == []
    events = [entry["event"] for entry in read_entries(rollout.journal)]
    assert events.count("reauth_batch_started") == 4 and events.count("reauth_stopped") == 2


def test_a_run_that_died_in_a_batch_looks_there_first(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout.apply()
    rollout.authorize()
    rollout.commit("clinical/infusion_pumps.yml", "allow:\n", f"allow:\n{RULE}")

    class Killed(BaseException):
        pass

    def dies(_client: Any, _node: str, mac: str) -> bool:
        rollout.control.call("DELETE", f"/sessions/{mac}")
        raise Killed

    real = reauthentication.request_reauthentication
    monkeypatch.setattr(reauthentication, "request_reauthentication", dies)
    with pytest.raises(Killed):
        rollout.apply(reauthenticate=True)
    monkeypatch.setattr(reauthentication, "request_reauthentication", real)
    found = rollout.apply(reauthenticate=True)
    assert found["failed"]
    assert [item["mac"] for item in found["reauthentication"]["failed"]] == [PUMPS[0]]
    assert found["reauthentication"]["batches"] == 0
    assert rollout.control.counters()["reauthentications"] == 0


def test_nobody_writes_while_sessions_take_the_new_list(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock in ISE is held from the first re-authentication to the last look, and one held elsewhere lets nobody be touched."""
    rollout.hosts = ("ise1",)
    rollout.apply()
    rollout.authorize()
    rollout.commit("clinical/infusion_pumps.yml", "allow:\n", f"allow:\n{RULE}")
    rollout.apply()

    def locks() -> list[str]:
        lists = rollout.control.state()["objects"]["downloadableacl"].values()
        return [item["description"] for item in lists if item["name"] == "SEGWRIGHT_LOCK"]

    assert locks() == []
    elsewhere = (
        "segwright-lock run=0123456789ab holder=ann@elsewhere place=abcdefabcdef pid=4711 since=x until={} for apply"
    )
    body = {"name": "SEGWRIGHT_LOCK", "dacl": "permit ip any any", "daclType": "IPV4"}
    held = {**body, "description": elsewhere.format("2999-01-01T00:00:00+00:00")}
    rollout.control.call("POST", "/objects/downloadableacl", held)
    with pytest.raises(FindingError, match="held by ann on elsewhere") as refused:
        rollout.apply(reauthenticate=True)
    assert {finding.code for finding in refused.value.findings} == {"SW4040"}
    assert rollout.control.counters()["reauthentications"] == 0
    assert [entry["event"] for entry in read_entries(rollout.journal)].count("reauth_batch_started") == 0
    lock = next(
        k for k, v in rollout.control.state()["objects"]["downloadableacl"].items() if v["name"] == body["name"]
    )
    rollout.control.call("DELETE", f"/objects/downloadableacl/{lock}")

    real, during = reauthentication.request_reauthentication, []

    def watched(client: Any, node: str, mac: str) -> bool:
        other = {"kind": "downloadable_acl", "name": "SW_other", "content": "permit ip any any"}
        values = {"target": "ise1", "state": "present", "objects": [other], "check_mode": False, "diff_mode": False}
        with pytest.raises(FindingError) as kept_off:
            run_ise_policy(values, {"inventory_hostname": "ise1", **rollout.variables})
        during.append((*(finding.code for finding in kept_off.value.findings), *locks()))
        return bool(real(client, node, mac))

    monkeypatch.setattr(reauthentication, "request_reauthentication", watched)
    done = rollout.apply(reauthenticate=True)
    assert not done.get("failed"), done
    assert sorted(done["reauthentication"]["done"]) == sorted(PUMPS)
    assert [code for code, _text in during] == ["SW4040"] * len(PUMPS)
    assert len({text.split()[1] for _code, text in during}) == 1  # one lock for all batches
    assert all("for re-authentication after" in text for _code, text in during)
    assert locks() == []


def test_without_switches_only_what_ise_says_is_claimed(rollout: Rollout) -> None:
    rollout.hosts = ("ise1",)
    rollout.apply()
    rollout.authorize()
    found = rollout.verify()
    assert not found.get("failed")
    assert found["enforced"]["sessions"] == {"absent": 2, "current": 5}
    assert found["enforced"]["switches_asked"] == []
    assert "SW4098" in codes(found, rollout.directory, "verify")


def test_a_list_that_differs_on_a_switch_is_drift(rollout: Rollout) -> None:
    rollout.apply()
    rollout.authorize()
    device = rollout.fleet.device("edge2")
    held = rollout.control.state()
    name = next(key for key in held["revisions"] if "SW_cameras" in key)
    held["sessions"][CAMERAS[0].upper()]["applied"]["dacl"].insert(0, "permit tcp any any eq 22")
    held["devices"]["edge2"]["matrix"]["cells"][0]["status"] = "MONITOR"
    rollout.control.restore(held)
    found = rollout.verify()
    assert found["failed"]
    assert {"SW4094", "SW4106"} <= codes(found, rollout.directory, "verify")
    text = str(found["errors"])
    assert "cam1 at edge2" in text and ":22" in text and "edge2: cell" in text
    assert device is not None and name


def test_one_switch_refuses_a_cell_and_is_mended(rollout: Rollout) -> None:
    rollout.apply()
    rollout.authorize()
    rollout.control.settings(push_outcomes={"edge2": "nack"})
    rollout.commit(
        "enforcement.yml", "imaging_modalities:\n    stage: enforce", "imaging_modalities:\n    stage: monitor"
    )
    partial = rollout.apply()
    assert partial["failed"]
    outcomes = {item["device"]: item for item in partial["pushed"]}
    assert {name: item["outcome"] for name, item in outcomes.items()} == {"acc1": "confirmed", "edge2": "refused"}
    assert "apply again" in outcomes["edge2"]["next"]
    assert "partially confirmed: 1 of 2" in str(partial["errors"])
    drift = rollout.verify()
    assert drift["failed"] and "edge2: cell" in str(drift["errors"]) and "acc1: cell" not in str(drift["errors"])
    rollout.control.settings(push_outcomes={})
    mended = run_apply(rollout.values(), rollout.variables)
    assert not mended.get("failed"), mended
    assert {item["outcome"] for item in mended["pushed"]} == {"confirmed"}
    assert not rollout.verify().get("failed")


def record(rollout: Rollout) -> None:
    """Traffic of some days between radiology and its archive, and one attempt that nobody answered."""
    begin = int(datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp())
    frames = []
    for day in range(3):
        for number, client in enumerate(("100.64.20.11", "100.64.20.12")):
            frames += packets.session(begin + day * 86_400 + number * 60, client, 41_000 + day, "100.64.40.11", 11112)
    frames.append((begin + 900, packets.frame(packets.tcp("100.64.20.11", 50_000, "100.64.40.11", 22, packets.SYN))))
    ingest([packets.write(rollout.directory / "days.pcap", sorted(frames))], rollout.directory / "data")


def test_a_cell_is_enforced_when_counters_replay_and_switches_agree(rollout: Rollout) -> None:
    radiology = ["imaging_modalities", "pacs"]
    rollout.git("rm", "-q", "expectations/imaging.yml")  # what is only monitored denies nothing
    for name in radiology:
        rollout.commit("enforcement.yml", f"{name}:\n    stage: enforce", f"{name}:\n    stage: monitor  # since May")
    rollout.commit("enforcement.yml", "budgets:\n", "promotion:\n  clean_days: 2\nbudgets:\n")
    assert not rollout.apply().get("failed")
    rollout.authorize()
    record(rollout)

    def promote(day: int, **more: Any) -> dict[str, Any]:
        rollout.more = {"today": f"2026-11-{day}"}
        return run_promote(rollout.values(segments=radiology, **more), rollout.variables)

    def unmet(made: dict[str, Any], segment: str) -> dict[str, str]:
        item = next(item for item in made["promotions"] if item["segment"] == segment)
        return {check["check"]: check["text"] for check in item["checks"] if not check["ok"]}

    first = promote(21)
    assert first["failed"] and first["patch"] == ""
    assert "one reading only" in unmet(first, "pacs")["counters of imaging_modalities to pacs"]
    rollout.count("edge2", 130, 220, 22, 7)
    rollout.count("edge2", 130, 220, 11112, 90)
    hit = promote(22)
    assert hit["failed"]
    text = unmet(hit, "imaging_modalities")["counters of imaging_modalities to pacs"]
    assert "edge2 between" in text and "7 packets would have been denied" in text and "deny ip" in text
    assert "a rule is missing in imaging_modalities: to pacs for tcp/22" in text
    assert "SW4109" in str(hit["errors"])
    # A schedule that names no segment collects and judges, and does not fail.
    rollout.more = {"today": "2026-11-23"}
    assert not run_promote(rollout.values(), rollout.variables).get("failed")
    # The same by its playbook, which has another store of counters here.
    inventory = rollout.directory / "inventory.json"
    inventory.write_text(
        json.dumps({"all": {"children": {"microseg_targets": {"hosts": rollout.variables["hostvars"]}}}})
    )
    given = {"microseg_policy_dir": str(rollout.policies), "microseg_data_dir": str(rollout.directory / "other")}
    words = [str(program("ansible-playbook")), "-i", str(inventory), "playbooks/promote.yml", "-e", json.dumps(given)]
    played = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "8 counters were read" in " ".join(played.stdout.split())
    assert PASSWORD not in played.stdout and rollout.ise.password not in played.stdout
    # Going back is free whatever was counted.
    back = promote(23, stage="observe", check_mode=True, diff_mode=True)
    assert not back.get("failed") and "+    stage: observe  # since May" in back["diff"]["prepared"]
    # Nothing more was denied for two days; traffic that is permitted goes on.
    rollout.count("edge2", 130, 220, 11112, 400)
    clean = promote(24, write=True)
    assert not clean.get("failed"), clean
    checks = {check["check"]: check for item in clean["promotions"] for check in item["checks"]}
    assert "497 packets counted" in checks["counters of imaging_modalities to pacs"]["text"]
    assert checks["counters of imaging_modalities to pacs"]["reach"] == "counted"
    assert checks["replay"]["reach"] == "seen"
    assert any("counted by switches" in text for text in clean["promotions"][0]["behind"])
    changed = (rollout.policies / "enforcement.yml").read_text()
    assert changed.count("stage: enforce  # since May") == 2
    rollout.git("checkout", "-q", "enforcement.yml")
    patch = rollout.directory / "data" / "out" / "promote.patch"
    rollout.git("apply", str(patch.resolve()))
    assert (rollout.policies / "enforcement.yml").read_text() == changed
    rollout.git("commit", "-qam", "Enforce radiology")
    rollout.more = {}
    assert not rollout.apply().get("failed")
    assert not rollout.verify().get("failed")
    enforced_cells = {
        each["status"] for each in rollout.control.matrix("edge2")["cells"] if each["source_name"].startswith("SW_")
    }
    assert enforced_cells == {"ENABLED"}


def test_one_cell_goes_ahead_of_its_segments_and_one_is_held_back(rollout: Rollout) -> None:
    """The cell from imaging to the archive counts what it would deny, that of the answers nothing. Switches show who is where."""
    rollout.git("rm", "-q", "expectations/imaging.yml")
    for name in ("imaging_modalities", "pacs"):
        rollout.commit("enforcement.yml", f"{name}:\n    stage: enforce", f"{name}:\n    stage: monitor")
    rollout.commit("enforcement.yml", "budgets:\n", "promotion:\n  clean_days: 2\nbudgets:\n")
    assert not rollout.apply().get("failed")
    rollout.authorize()
    record(rollout)
    there, back = (
        {"source": a, "destination": b} for a, b in (("imaging_modalities", "pacs"), ("pacs", "imaging_modalities"))
    )

    def promote(day: int, **more: Any) -> dict[str, Any]:
        rollout.more = {"today": f"2026-11-{day}"}
        return run_promote(rollout.values(**more), rollout.variables)

    def shown() -> dict[tuple[int, int], str]:
        cells = rollout.control.matrix("edge2")["cells"]
        return {
            (each["source"], each["destination"]): each["status"]
            for each in cells
            if 220 in (each["source"], each["destination"])
        }

    def carried_out(text: str) -> None:
        rollout.git("commit", "-qam", text)
        rollout.more = {}
        assert not rollout.apply().get("failed")
        assert not rollout.verify().get("failed")

    for day in (21, 22, 23):
        assert promote(day, cells=[there])["failed"]
        rollout.count("edge2", 130, 220, 22, 7)
    refused = promote(24, cells=[there], segments=["imaging_modalities", "pacs"])
    assert [item["ok"] for item in refused["promotions"]] == [False, False, False]
    assert "7 packets would have been denied" in str(refused["errors"]) and "cell imaging_modalities to pacs" in str(
        refused["errors"]
    )
    ahead = promote(24, cells=[back], write=True)
    assert not ahead.get("failed"), ahead
    assert ahead["promotions"][0]["cell"] == back and ahead["summary"].startswith("1 of 1 cells")
    assert "+  - source: pacs\n+    destination: imaging_modalities\n+    stage: enforce\n" in ahead["patch"]
    carried_out("Enforce the answers of the archive")
    assert shown() == {(130, 220): "MONITOR", (220, 130): "ENABLED", (220, 220): "MONITOR"}

    # Held back by a person, the dirty cell is no reason against its segments any more.
    text = (rollout.policies / "enforcement.yml").read_text()
    entry = "  - {source: imaging_modalities, destination: pacs, stage: monitor, reason: SSH to the archive is not explained yet}\n"
    (rollout.policies / "enforcement.yml").write_text(text.replace("cells:\n", f"cells:\n{entry}"))
    rollout.git("commit", "-qam", "Hold one cell")
    segments = promote(25, segments=["imaging_modalities", "pacs"], write=True)
    assert not segments.get("failed"), segments
    assert not any(
        "imaging_modalities to pacs" in check["check"] for item in segments["promotions"] for check in item["checks"]
    )
    carried_out("Enforce radiology but one cell")
    assert shown() == {(130, 220): "MONITOR", (220, 130): "ENABLED", (220, 220): "ENABLED"}

    # A schedule that names nothing goes on to judge the held cell; clean for two days, it takes the stage of its segments.
    waiting = promote(25)
    assert [item["cell"] for item in waiting["promotions"] if not item["segment"]] == [there] and not waiting.get(
        "failed"
    )
    assert not promote(26).get("failed")
    last = promote(27, cells=[there], write=True)
    assert not last.get("failed"), last
    assert f"-{entry}" in last["patch"]
    carried_out("Enforce the last cell")
    assert set(shown().values()) == {"ENABLED"}
    # Back by the playbook, which no counter hinders.
    given = {"microseg_promote_cells": [there], "microseg_promote_stage": "monitor", "microseg_promote_write": True}
    played = play(rollout, "promote", **given)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "1 of 1 cells may change their stage" in " ".join(played.stdout.split())
    carried_out("Back to counting")
    assert shown() == {(130, 220): "MONITOR", (220, 130): "ENABLED", (220, 220): "ENABLED"}

    # A cell that is only observed leaves with prune, and the plan says what passes then.
    rollout.commit("enforcement.yml", "cells:\n", "cells:\n  - {source: pacs, destination: pacs, stage: observe}\n")
    assert "SW4051" in codes(rollout.verify(), rollout.directory, "verify")
    run_plan(rollout.values(prune=True), rollout.variables)
    plan = json.loads((rollout.directory / "data" / "state" / "plan.json").read_text())
    rows = plan["effect"]["meaning"]["rows"]
    assert {(row["change"], row["client"], row["server"]) for row in rows} == {("gained", "pacs", "pacs")}
    assert not run_apply(rollout.values(), rollout.variables).get("failed")
    assert shown() == {(130, 220): "MONITOR", (220, 130): "ENABLED"}


def with_rule(state: dict[str, Any], name: str) -> dict[str, Any]:
    """The state with a rule above the default one, as a site has for its other users."""
    rules = state["objects"]["authorizationrule"]
    identifier, default = next((key, item) for key, item in rules.items() if item["default"])
    new = {**default, "id": "5f0f0000-0000-11ef-8000-525400000001", "name": name, "default": False, "rank": 0}
    rules[identifier] = {**default, "rank": 1}
    rules[new["id"]] = new
    return state


AUTHORIZATION = """    authorization:
      policy_set: Default
      before: Basic_Authenticated_Access
      endpoints: assigned
"""


def test_rules_that_bind_segments_go_all_the_way_and_back(rollout: Rollout) -> None:
    """Groups, rules and assignments that the policy asks for: planned, applied, verified, changed by hand, taken back."""
    variables = rollout.variables
    variables["hostvars"]["ise1"]["microseg_ise_assignment_pause"] = 0.001
    rollout.more = {"reauthenticate": False}
    start = configuration(rollout.control)
    for kind in ("dacl", "sgacl"):
        old = f"    kind: {kind}\n    platform: ise\n    host: ise1\n"
        rollout.commit("enforcement.yml", old, old + AUTHORIZATION)
    with pytest.raises(FindingError, match="no rule 'Basic_Authenticated_Access' to stand before"):
        run_plan(rollout.values(), variables)  # refused before anything is written
    assert configuration(rollout.control) == start
    rollout.control.restore(with_rule(rollout.control.state(), "Basic_Authenticated_Access"))
    start = configuration(rollout.control)
    run_plan(rollout.values(), variables)
    applied = run_apply(rollout.values(), variables)
    assert not applied.get("failed"), [applied["msg"], [item["message"] for item in applied["errors"]]]
    held = configuration(rollout.control)
    rules = {key.split("/")[1]: item for key, item in held.items() if key.startswith("authorizationrule/SW_")}
    assert {"SW_cameras", "SW_infusion_pumps", "SW_patient_monitors", "SW_pacs", "SW_imaging_modalities"} <= set(rules)
    assert [key for key in held if key.startswith("endpointgroup/SW_")]
    assigned = [item for key, item in held.items() if key.startswith("endpoint/") and item["groupId"].startswith("SW_")]
    assert len(assigned) >= 5 and all(item["staticGroupAssignment"] for item in assigned)
    assert not run_verify(rollout.values(), variables).get("failed")
    again = run_plan(rollout.values(), variables)
    assert again["operations"] == 0, again
    # A rule that somebody turned off cuts its devices off from their list: verify names it.
    identifier, rule = next(
        (identifier, item)
        for identifier, item in rollout.control.state()["objects"]["authorizationrule"].items()
        if item["name"] == "SW_cameras"
    )
    state = rollout.control.state()
    rules_there = state["objects"]["authorizationrule"]
    rollout.control.restore({**state, "objects": {**state["objects"], "authorizationrule": {
        **rules_there, identifier: {**rule, "state": "disabled"},
    }}})  # fmt: skip
    drifted = run_verify(rollout.values(), variables)
    assert drifted["failed"]
    assert "SW_cameras" in json.dumps(drifted)
    rollout.control.restore(state)
    back = run_rollback(rollout.values(), variables)
    assert not back.get("failed"), back
    assert configuration(rollout.control) == start


SMALL_RINGS = """rings:
  - id: one-device
    devices: [pump1]
    shared_lists: true
  - id: one-port
    ports:
      acc1: [GigabitEthernet1/0/2]
budgets:
"""


def test_one_list_is_taken_over_device_by_device(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written once, with the first ring; each ring re-authenticates its own devices, a killed one goes on, and all go back."""
    assert not rollout.apply().get("failed")
    rollout.authorize()
    old = {mac: rollout.revision(mac) for mac in PUMPS}
    documents = rollout.policies / "enforcement.yml"
    text = documents.read_text()
    documents.write_text(text[: text.index("rings:\n")] + SMALL_RINGS + text[text.index("budgets:\n") + 9 :])
    rollout.commit("clinical/infusion_pumps.yml", "allow:\n", f"allow:\n{RULE}")
    plan = run_plan(rollout.values(), rollout.variables)
    order = plan["effect"]["rings"]["order"]
    assert [(ring["id"], ring["sessions"][0]["devices"]) for ring in order] == [
        ("one-device", 1), ("one-port", 2), ("rest", 3),
    ]  # fmt: skip
    assert "2 devices of later rings (pump2, pump3)" in order[0]["beyond"][0]
    assert "SW4155" in {item["code"] for item in plan["warnings_found"]}
    assert "pump2, pump3" in (rollout.directory / "data" / "out" / "plan.md").read_text()

    def go_on(**more: Any) -> dict[str, Any]:
        return run_apply(rollout.values(ring="next", ring_blind=True, **more), rollout.variables)

    writes = rollout.control.counters()
    with pytest.raises(FindingError, match="SW4156"):
        go_on()
    assert rollout.control.counters() == writes and {mac: rollout.revision(mac) for mac in PUMPS} == old

    made = go_on(reauthenticate=True)
    assert not made.get("failed"), made
    assert made["reauthentication"]["done"] == [PUMPS[0]] and made["writes"] > 0
    kept = [entry for entry in read_entries(rollout.journal) if entry["event"] == "ring_counts"]
    assert [(item["switch"], "SW_infusion_pumps" in item["name"]) for item in kept[-1]["counts"]] == [
        ("acc1", True)
    ] * 2
    assert [rollout.revision(mac) != old[mac] for mac in PUMPS] == [True, False, False]
    made = go_on(reauthenticate=True)
    assert not made.get("failed"), made
    assert made["reauthentication"]["done"] == [PUMPS[1]] and made["writes"] == 0
    assert [rollout.revision(mac) != old[mac] for mac in PUMPS] == [True, True, False]

    # A posture that is pulled meanwhile stops the rollout where it is, until it is released (or a plan is made that keeps it).
    why = {"postures": ["isolate_cameras"], "reason": "The model is under attack", "person": "nina@example.net"}
    pulled = run_posture(rollout.values(state="pulled", **why), rollout.variables)
    assert not pulled.get("failed") and pulled["changed"], pulled
    writes = rollout.control.counters()
    with pytest.raises(FindingError, match="SW4148"):
        go_on(reauthenticate=True)
    assert rollout.control.counters()["reauthentications"] == writes["reauthentications"]
    assert [rollout.revision(mac) != old[mac] for mac in PUMPS] == [True, True, False]
    assert not run_posture(rollout.values(state="released", **why), rollout.variables).get("failed")

    dies_at_reauthentication(monkeypatch, lambda: go_on(reauthenticate=True))
    made = go_on(reauthenticate=True)
    assert not made.get("failed") and made["reauthentication"]["done"] == [PUMPS[2]], made
    assert all(rollout.revision(mac) != old[mac] for mac in PUMPS)
    assert read_entries(rollout.journal)[-1]["event"] == "plan_done"
    assert go_on(reauthenticate=True)["completed"] == []  # every ring is done

    back = run_rollback(rollout.values(ring="one-port", reauthenticate=True, reauth_batch=3), rollout.variables)
    assert not back.get("failed"), back
    assert back["reauthentication"]["done"] == list(PUMPS) and back["enforced"]["sessions"] == {"approved": 3}
    assert "SW4130" in str(go_on(reauthenticate=True)["errors"])
    assert rollout.control.counters()["disconnects"] == 0 and verify_journal(rollout.journal) == []


SERVER = "02:1a:40:00:00:13"
MOVING_RINGS = """rings:
  - id: one-pump
    devices: [pump1]
  - id: pumps
    devices: [pump2, pump3]
  - id: server
    devices: [pumpsrv1]
budgets:
"""


def copied(policies: Path, old: Path, new: Path, segment: tuple[str, str], sgt: tuple[int, int], *more: str) -> None:
    """A segment's file as a new one: same rules under other names, written by hand, with the lines ``more`` at its end."""
    text = (policies / old).read_text().replace(segment[0], segment[1]).replace(f"sgt: {sgt[0]}", f"sgt: {sgt[1]}")
    text = re.sub(r"    origin: learned\n    evidence:\n(?:      .*\n)+", "    origin: manual\n", text)
    (policies / new).write_text(text + "".join(more))


def moved_in_lock(policies: Path, **moves: str) -> None:
    """Each device, by its name, into another segment of the membership."""
    path = policies / "members.lock.json"
    held = json.loads(path.read_text())
    for name, segment in moves.items():
        for found in list(held["segments"].values()):
            for device in [item for item in found["devices"] if item["name"] == name]:
                found["devices"].remove(device)
                held["segments"].setdefault(segment, {"devices": []})["devices"].append(device)
    path.write_text(json.dumps(held, indent=2) + "\n")


def two_generations(rollout: Rollout) -> None:
    """Pumps and their server have a new segment each beside the old one; new pumps may reach the old server, old pumps not the new one."""
    policies = rollout.policies
    to_old = """  - id: syringe_pumps-to-pump_servers-mqtt
    to: pump_servers
    services: [mqtt]
    reason: Until the server has moved
    origin: manual
"""
    shutil.rmtree(policies / "expectations")  # of segments that have nobody afterwards
    pumps = policies / "clinical/infusion_pumps.yml"
    pumps.write_text(pumps.read_text().replace("life_support", "high"))
    copied(
        policies,
        Path("clinical/infusion_pumps.yml"),
        Path("clinical/syringe_pumps.yml"),
        ("infusion_pumps", "syringe_pumps"),
        (110, 115),
    )
    copied(
        policies,
        Path("data_center/pump_servers.yml"),
        Path("data_center/gateway_servers.yml"),
        ("pump_servers", "gateway_servers"),
        (240, 245),
    )
    file = policies / "clinical/syringe_pumps.yml"
    file.write_text(file.read_text().replace("pump_servers", "gateway_servers") + to_old)
    documents = policies / "enforcement.yml"
    text = documents.read_text()
    for kind in ("dacl", "sgacl"):
        old = f"    kind: {kind}\n    platform: ise\n    host: ise1\n"
        text = text.replace(old, old + AUTHORIZATION)
    for old, new, had, points in (
        ("infusion_pumps", "syringe_pumps", "[fw1, ise-dacl]", "[fw1, ise-dacl, ise-matrix]"),
        ("pump_servers", "gateway_servers", "[fw1]", "[fw1, ise-matrix]"),
    ):
        stage = "  {}:\n    stage: enforce\n    points: {}\n"
        assert stage.format(old, had) in text
        text = text.replace(stage.format(old, had), stage.format(old, "[fw1, ise-matrix]") + stage.format(new, points))
    documents.write_text(text[: text.index("rings:\n")] + text[text.index("budgets:\n") :])
    rollout.git("add", "-A")
    rollout.git("commit", "-qm", "Two generations")
    rollout.control.restore(with_rule(rollout.control.state(), "Basic_Authenticated_Access"))


def play(rollout: Rollout, name: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A playbook as a user runs it, on the rollout's own ISE and switches."""
    inventory = rollout.directory / "inventory.json"
    inventory.write_text(
        json.dumps({"all": {"children": {"microseg_targets": {"hosts": rollout.variables["hostvars"]}}}})
    )
    given = {"microseg_policy_dir": str(rollout.policies), "microseg_data_dir": str(rollout.directory / "data"), **more}
    words = [str(program("ansible-playbook")), "-i", str(inventory), f"playbooks/{name}.yml", "-e", json.dumps(given)]
    return subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)


def test_devices_that_a_ring_moves_authenticate_again_before_the_next(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """New pumps may reach the old server and old pumps not the new one: pumps first, and each ring is done when they have followed."""
    variables = rollout.variables
    variables["hostvars"]["ise1"]["microseg_ise_assignment_pause"] = 0.001
    two_generations(rollout)
    run_plan(rollout.values(), variables)
    assert not run_apply(rollout.values(), variables).get("failed")

    def authenticate(mac: str, profile: str, tag: int) -> None:
        """What the rules give now; a session has it when it authenticates again."""
        rollout.control.change_session(mac, authorization_profile=profile, sgt=tag)

    for mac in PUMPS[:2]:
        authenticate(mac, "PermitAccess", 110)
        rollout.control.call("POST", f"/sessions/{mac}/reauthenticate")
    rollout.control.call("DELETE", f"/sessions/{PUMPS[2]}")  # switched off
    documents = rollout.policies / "enforcement.yml"
    documents.write_text(documents.read_text().replace("budgets:\n", MOVING_RINGS, 1))
    pumps = dict.fromkeys(("pump1", "pump2", "pump3"), "syringe_pumps")
    moved_in_lock(rollout.policies, pumpsrv1="gateway_servers", **pumps)
    for name, old, new in (
        ("workflows.yml", "infusion_pumps-to-pump_servers", "syringe_pumps-to-gateway_servers"),
        ("workflows.yml", "pump_servers-to-emr_interface", "gateway_servers-to-emr_interface"),
        ("guardrails.yml", "infusion_pumps\n    server: pump_servers", "syringe_pumps\n    server: gateway_servers"),
    ):
        path = rollout.policies / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    rollout.git("commit", "-qam", "Everybody moves")
    plan = run_plan(rollout.values(), variables)
    assert [ring["id"] for ring in plan["effect"]["rings"]["order"]] == ["one-pump", "pumps", "server"]
    assert plan["effect"]["moves"]["follow"] and not plan["effect"]["moves"]["at_once"]
    assert "SW4174" in {item["code"] for item in plan["warnings_found"]}

    def go_on(ring: str = "next", again: bool = True) -> dict[str, Any]:
        return run_apply(rollout.values(ring=ring, ring_blind=True, reauthenticate=again), variables)

    def carried(mac: str) -> tuple[Any, Any]:
        found = rollout.control.sessions()[mac.upper()]
        return found["authorization_profile"], found["sgt"]

    start = rollout.control.counters()
    for order in (
        lambda: go_on("next", False),
        lambda: go_on("server"),
        lambda: run_apply(rollout.values(), variables),
    ):
        with pytest.raises(FindingError, match="SW4174"):
            order()
    assert rollout.control.counters()["writes"] == start["writes"]

    authenticate(PUMPS[0], "SW_syringe_pumps", 115)
    if full:  # a playbook costs seconds; the step behind it is the same
        given = {"microseg_ring": "next", "microseg_ring_blind": True, "microseg_reauthenticate": True}
        played = play(rollout, "apply", microseg_reauth_settle=0, **given)
        assert played.returncode == 0, played.stdout + played.stderr
        assert PASSWORD not in played.stdout and rollout.ise.password not in played.stdout
    else:
        assert not go_on().get("failed")
    assert carried(PUMPS[0]) == ("SW_syringe_pumps", 115) and carried(PUMPS[1]) == ("PermitAccess", 110)
    made = json.loads((rollout.directory / "data" / "out" / "apply.json").read_text())
    assert made["ring"] == "one-pump" and made["moved"] == {"followed": [PUMPS[0]], "absent": [], "open": []}
    assert made["reauthentication"]["done"] == [PUMPS[0]]

    # The second pump comes back with what it had: its ring stays open, and no other one begins.
    failed = go_on()
    assert failed["failed"] and "SW4103" in str(failed["errors"]), failed
    with pytest.raises(FindingError, match="SW4174"):
        go_on("server")
    authenticate(PUMPS[1], "SW_syringe_pumps", 115)

    dies_at_reauthentication(monkeypatch, lambda: go_on())
    made = go_on()
    assert not made.get("failed"), made
    assert made["moved"] == {
        "followed": [PUMPS[1]],
        "absent": [PUMPS[2]],
        "open": [],
    }  # acc1 shows no session of the third
    assert made["reauthentication"]["done"] == [PUMPS[1]] and made["writes"] == 0
    assert carried(PUMPS[1]) == ("SW_syringe_pumps", 115)

    # ISE knows no session of the server, and nobody asked its switch: that is no proof.
    waiting = go_on()
    assert waiting["failed"] and "pumpsrv1 (ISE knows no session, and acc2 was not asked)" in str(waiting["errors"])
    assert read_entries(rollout.journal)[-1]["event"] == "plan_failed"
    rollout.control.call(
        "POST",
        "/sessions",
        {
            "mac": SERVER,
            "ip": "100.64.40.13",
            "nas_ip": SWITCHES["edge2"],
            "nas_port": "GigabitEthernet1/0/14",
            "sgt": 245,
        },
    )
    made = go_on()
    assert not made.get("failed") and made["moved"]["followed"] == [SERVER], made
    assert made["reauthentication"]["batches"] == 0  # it had authenticated by itself
    assert read_entries(rollout.journal)[-1]["event"] == "plan_done" and verify_journal(rollout.journal) == []

    # Back, one ring: its pump takes the old tag again, and no list.
    authenticate(PUMPS[1], "PermitAccess", 110)
    back = run_rollback(rollout.values(ring="pumps", reauthenticate=True), variables)
    assert not back.get("failed"), back
    assert back["moved"] == {"followed": [PUMPS[1]], "absent": [PUMPS[2]], "open": []}
    assert back["reauthentication"]["done"] == [PUMPS[1]] and carried(PUMPS[1]) == ("PermitAccess", 110)
    counters = rollout.control.counters()
    assert counters["reauthentications"] - start["reauthentications"] == 4 and counters["disconnects"] == 0
