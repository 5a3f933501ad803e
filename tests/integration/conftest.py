# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab and one run of the loop for all integration tests; each test starts from a remembered moment of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab import control
from tests.lab.fixtures import _free
from tests.lab.iosxe.control_client import ControlClient
from tests.lab.net import firewall
from tests.lab.net.features import why_not
from tests.lab.net.topology import FIREWALL
from tests.lab.places import CHECKOUT, Places
from tests.lab.playbooks import Run, Site, assign_sessions
from tests.lab.supervisor import Lab
from tests.lab.writes import WriteCounter

LAB_IDS = range(91, 96)
# Files whose targets are emulators of their own, at addresses of their own: they run beside those of the lab.
WITHOUT_LAB = frozenset(
    f"test_{name}.py"
    for name in (
        "asa_faults", "asa_in_step", "asa_loop", "check_equals_apply", "device_fleet", "facts_fallback", "ios_ipv6", "ise_drift",
        "ise_export", "ise_faults", "ise_policy_kinds", "ise_read", "ise_rollout", "ise_snapshot", "ise_states", "ise_wire", "nxos_check",
        "nxos_faults", "nxos_in_step", "nxos_playbooks", "old_gear", "targets_asa", "targets_ios", "targets_ise", "targets_nxos",
        "ways_back",
    )
)  # fmt: skip
# What ISE numbers itself; an undo cannot bring these back.
MOVING = {"id", "generationId", "generation", "revision", "createTime", "updateTime", "link"}
RESOURCES = ("sgt", "sgacl", "downloadableacl", "authorizationprofile", "egressmatrixcell")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs no lab."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and item.path.name in WITHOUT_LAB:
            item.add_marker(pytest.mark.without_lab)


@dataclass(frozen=True)
class Moment:
    """Everything the lab's targets hold, to be brought back."""

    ise: dict[str, Any]
    switches: dict[str, Any]
    ruleset: str


@dataclass
class LabTargets:
    """The lab's targets seen from outside the product: read, changed by hand, brought back."""

    lab: Lab
    switches: ControlClient = field(init=False)

    def __post_init__(self) -> None:
        self.switches = ControlClient(*self.places.switch_control)

    @property
    def places(self) -> Places:
        return self.lab.places

    def ise(self, method: str, path: str, body: Any = None) -> Any:
        return control.call(self.places.ise_control, method, path, body)

    def nft(self, *words: str) -> str:
        return self.lab.namespaces.run(FIREWALL, ["nft", *words])

    def ruleset(self) -> str:
        return firewall.ruleset(self.lab.namespaces)

    def running(self) -> dict[str, str]:
        return {name: each["text"] for name, each in self.switches.call("running", device="*").items()}

    def ise_objects(self) -> dict[str, Any]:
        """ISE's configuration by name, without the ids and numbers that it gives itself."""
        everything = {name: self.ise("GET", f"/objects/{name}") for name in RESOURCES}
        names = {each["id"]: each["name"] for items in everything.values() for each in items}

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items() if key not in MOVING and key[0] != "_"}
            if isinstance(value, list):
                return [plain(item) for item in value]
            return names.get(value, value) if isinstance(value, str) else value

        return {f"{resource}/{each['name']}": plain(each) for resource, items in everything.items() for each in items}

    def remember(self) -> Moment:
        return Moment(self.ise("GET", "/state"), self.switches.call("dump", device="*"), self.ruleset())

    def restore(self, moment: Moment) -> None:
        """Bring the targets back to a moment; scheduled faults and counters end."""
        self.ise("DELETE", "/faults")
        self.ise("PUT", "/state", moment.ise)
        self.switches.call("reset", device="*")
        self.switches.call("restore", device="*", state=moment.switches)
        self.nft("flush", "ruleset")
        firewall.load_ruleset(self.lab.namespaces, moment.ruleset)

    def writes(self) -> WriteCounter:
        return WriteCounter(self.places)


@dataclass
class Loop:
    """One run of the whole loop: every run of a playbook, its JSON result, and the moments between."""

    site: Site
    targets: LabTargets
    copies: Path
    runs: dict[str, Run] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    writes: dict[str, dict[str, int]] = field(default_factory=dict)
    moments: dict[str, Moment] = field(default_factory=dict)

    def step(self, name: str, *flags: str, as_name: str = "") -> None:
        """Run a playbook that must succeed."""
        key = as_name or name
        counter = self.targets.writes()
        run = self.site.run(name, *flags)
        assert run.code == 0, f"{name} ended with {run.code}:\n{run.tail(40)}"
        self.runs[key], self.writes[key] = run, counter.counts()
        path = self.site.output / f"{name}.json"
        if path.exists():
            self.results[key] = json.loads(path.read_text(encoding="utf-8"))

    def keep(self, name: str) -> None:
        """Remember this moment: what the targets hold, and the site's directory."""
        self.moments[name] = self.targets.remember()
        shutil.copytree(self.site.directory, self.copies / name)

    def at(self, name: str, directory: Path) -> Site:
        """The lab and a copy of the site as they were at a moment."""
        self.targets.restore(self.moments[name])
        return self.copy(name, directory)

    def copy(self, name: str, directory: Path) -> Site:
        """A copy of the site at a moment; the lab is left alone."""
        shutil.copytree(self.copies / name, directory / "work")
        return Site(self.site.places, directory / "work", directory / "logs")


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabTargets]:
    """A lab of its own with all targets; skips with the reason where this machine cannot run it."""
    reason = why_not()
    if reason:
        pytest.skip(f"no network namespaces here: {reason}")
    for package in ("ciscoisesdk", "netmiko", "duckdb", "pyarrow", "asyncssh", "uvicorn"):
        pytest.importorskip(package, reason=f"the Python package {package} is not installed")
    base = tmp_path_factory.mktemp("lab")
    number = next((each for each in LAB_IDS if _unused(Places.of(each, base))), None)
    if number is None:
        pytest.skip(f"every lab instance of {LAB_IDS} is in use")
    with Lab.start({"ise", "switches", "net", "fw1"}, number, base) as lab:
        yield LabTargets(lab)


def _unused(places: Places) -> bool:
    return all(_free(each) for each in (places.control, places.ise, places.firewall, places.switch_control))


@pytest.fixture(scope="session")
def loop(targets: LabTargets, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """The whole loop, once: from captures and facts to verified enforcement."""
    work = tmp_path_factory.mktemp("loop")
    made = Loop(Site(targets.places, work / "work", work / "logs"), targets, work / "copies")
    made.site.create()
    made.step("collect")
    made.keep("collected")
    made.step("propose")
    made.site.commit("Learnt segments and rules, reviewed")
    made.step("validate")
    made.keep("learnt")
    made.step("plan")
    made.keep("planned")
    made.step("apply", "--check", "--diff", as_name="check")
    made.step("apply")
    made.keep("applied")
    assign_sessions(targets.places, made.site.policy)
    made.step("verify")
    made.keep("verified")
    return made


@pytest.fixture(scope="session")
def policies() -> Path:
    """The worked site of the repository."""
    return CHECKOUT / "policies"


@pytest.fixture
def at(loop: Loop, tmp_path: Path) -> Callable[[str], Site]:
    """Bring lab and site to a moment: ``site = at("applied")``."""
    return lambda name: loop.at(name, tmp_path)


def failure_of(run: Run) -> str:
    """What a failed run says, on one line."""
    return " ".join(run.output.split())
