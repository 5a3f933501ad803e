# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a fleet of IOS-XE switches as target: lists changed, nothing to change, facts; emulated latency 20 ms.

The same emulator serves the usual modules, cisco.ios.ios_acls and ios_config with rendered lines, where their environment was
built (tests/peers/cisco_ios.py), in the same run; else their figures are absent and said to be. The emulator runs in a process of
its own, on the same processor, and its CPU seconds are not ours.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_fleet import run_device_fleet
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ios_terminal
from tests.bench import at_least, at_most
from tests.lab.iosxe.session import HANDSHAKE
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.playbooks import program
from tests.peers import cisco_ios

ROOT = Path(__file__).resolve().parents[2]
LATENCY = 0.02
PORT = 2222
USER, PASSWORD, ENABLE = "netops", "pw-netops-1", "enable-netops-1"
CLIENT = "127.11.0.7"
# What device_policy_fleet takes where nothing is said.
WORKERS = 50
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{number}", vlan=10) for number in range(1, 9))
TICK = os.sysconf("SC_CLK_TCK")


def hosts_of(number: int) -> tuple[HostSpec, ...]:
    """Return the devices behind a switch, and the controller: no address stands on two switches, but the controller's."""
    high, low = divmod(number, 250)
    made = [
        HostSpec(f"02:00:{high:02x}:{low:02x}:09:0{n}", f"10.{100 + high}.{low}.{n}", f"GigabitEthernet1/0/{n}", 10)
        for n in range(1, 7)
    ]
    return (*made, HostSpec(f"02:00:{high:02x}:{low:02x}:09:07", CLIENT, "GigabitEthernet1/0/8", 10))


class Switches:
    """An emulated fleet in a process of its own."""

    def __init__(self, count: int, folder: Path) -> None:
        self.folder = folder
        self.addresses = {f"sw{n:04d}": f"127.11.{1 + n // 250}.{n % 250 + 1}" for n in range(count)}
        specs = [
            DeviceSpec(
                name, address, PORT, interfaces=PORTS, latency=LATENCY, controller=CLIENT, management_interface="Vlan10",
                hosts=hosts_of(number),
                initial_config=f"interface Vlan10\n ip address {address} 255.0.0.0\n",
            )
            for number, (name, address) in enumerate(self.addresses.items())
        ]  # fmt: skip
        data = {
            "devices": [spec.to_dict() for spec in specs], "users": {USER: PASSWORD}, "enable_secret": ENABLE,
            "host_key": str(folder / "key"), "known_hosts": str(folder / "known"),
        }  # fmt: skip
        (folder / "spec.json").write_text(json.dumps(data), encoding="utf-8")
        command = [sys.executable, "-m", "tests.lab.iosxe", "--spec", str(folder / "spec.json")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["devices"] == count

    def hostvars(self, wanted: list[dict[str, Any]], names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "microseg_platform": "ios", "ansible_host": self.addresses[name], "ansible_port": PORT,
                "ansible_user": USER, "ansible_password": PASSWORD, "ansible_become_password": ENABLE,
                "microseg_known_hosts_file": str(self.folder / "known"), "microseg_device_lists": wanted,
            }
            for name in names or self.addresses
        }  # fmt: skip

    def peak_mib(self) -> float:
        """The most memory that the emulator held so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)

    def cpu(self) -> float:
        """CPU seconds of the emulator so far."""
        return _cpu_of(self.process.pid)


@contextmanager
def emulated(number: int) -> Iterator[Switches]:
    with tempfile.TemporaryDirectory() as directory:
        made = Switches(number, Path(directory))
        try:
            yield made
        finally:
            made.process.terminate()
            made.process.wait(timeout=60)


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def aces(number: int, first: int = 1000) -> list[str]:
    """Return a list's lines; another ``first`` makes another list."""
    lines = [f"permit tcp any host 10.1.{n // 250}.{n % 250} eq {first + n}" for n in range(number - 1)]
    return [*lines, "deny ip any any"]


def wanted_list(number: int, first: int = 1000) -> list[dict[str, Any]]:
    return [{"name": "SW_hvac", "content": "\n".join(aces(number, first)), "interfaces": ["Gi1/0/1", "Gi1/0/2"]}]


# -- ours


def change(
    switches: Switches,
    wanted: list[dict[str, Any]],
    names: Sequence[str] = (),
    workers: int = WORKERS,
    own: Callable[[int], list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Change the lists of the fleet in this process; wall and CPU seconds by device, and the lines typed.

    ``own``: the lists of a switch by its number, where no two switches hold the same.
    """
    hostvars = switches.hostvars(wanted, names)
    for number, each in enumerate(hostvars.values()):
        each["microseg_device_lists"] = own(number) if own else wanted
    values = {
        "state": "merged", "workers": workers, "data_dir": str(switches.folder / "data"), "check_mode": False, "diff_mode": False,
    }  # fmt: skip
    emulator, start, cpu = switches.cpu(), time.monotonic(), time.process_time()
    made = run_device_fleet(values, {"hostvars": hostvars, "ansible_play_batch": list(hostvars)})
    wall, cpu = time.monotonic() - start, time.process_time() - cpu
    return {
        "devices": len(hostvars), "workers": workers, "counts": made["counts"], "lines": made["lines"],
        "seconds": round(wall, 2), "cpu_seconds": round(cpu, 2), "emulator_cpu_seconds": round(switches.cpu() - emulator, 2),
        "ms_per_device": round(1000 * wall / len(hostvars), 2), "cpu_ms_per_device": round(1000 * cpu / len(hostvars), 2),
        "peak_mib": round(peak_mib(), 1), "warnings": made["warnings"][:3],
    }  # fmt: skip


def peak_mib() -> float:
    """The most memory that this process held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def round_trips(switches: Switches, wanted: list[dict[str, Any]]) -> dict[str, Any]:
    """Count on one device, alone, how often something is sent and waited for, logins included.

    Each of them waits for the latency once: with windows of lines, two logins (the change, and the proof from a new connection),
    reading before and after, no order among them can be dropped.
    """
    plain, sent = ios_terminal.Terminal._send, [0]

    def counted(terminal: Any, text: str) -> None:
        sent[0] += 1
        plain(terminal, text)

    ios_terminal.Terminal._send = counted  # type: ignore[method-assign,assignment]
    try:
        made = change(switches, wanted, [next(iter(switches.addresses))], 1)
    finally:
        ios_terminal.Terminal._send = plain  # type: ignore[method-assign]
    logins = 2
    trips = sent[0] + logins * HANDSHAKE
    return {"sends": sent[0], "logins": logins, "round_trips": trips, "seconds": trips * LATENCY, "alone": made}


def expect(made: dict[str, Any], status: str) -> dict[str, Any]:
    """Return what was measured where every device came to that end."""
    assert made["counts"][status] == made["devices"], (made["counts"], made["warnings"])
    return made


# -- facts, with Ansible


def facts(switches: Switches, workers: int) -> dict[str, Any]:
    """Read facts of all switches by ansible-playbook, start of Ansible, inventory and register included."""
    folder = switches.folder
    hosts = switches.hostvars([])
    inventory = {"all": {"hosts": hosts}}
    tasks = [
        {
            "name": "Facts", "segwright.microseg.device_facts": {"workers": workers, "data_dir": str(folder / "facts")},
            "run_once": True, "register": "made",
        },
        {
            "name": "Kept", "run_once": True, "delegate_to": "localhost",
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "ansible.builtin.copy": {
                "content": "{{ {'failed': made.failed_hosts, 'summary': made.summary} | to_json }}", "dest": str(folder / "facts.json"),
            },
        },
    ]  # fmt: skip
    (folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    (folder / "facts.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8"
    )
    environment = {**os.environ, "HOME": str(folder), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(program("ansible-playbook")), "-i", str(folder / "inventory.json"), str(folder / "facts.yml")]
    before, emulator, start = resource.getrusage(resource.RUSAGE_CHILDREN), switches.cpu(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    made = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    assert not made["failed"], made
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "devices": len(hosts), "workers": workers, "seconds": round(wall, 2), "cpu_seconds": round(cpu, 2),
        "emulator_cpu_seconds": round(switches.cpu() - emulator, 2), "ms_per_device": round(1000 * wall / len(hosts), 2),
        "cpu_ms_per_device": round(1000 * cpu / len(hosts), 2), "summary": made["summary"],
    }  # fmt: skip


# -- the usual modules


def peers(switches: Switches, number: int, entries: int, forks: int) -> dict[str, Any] | None:
    """Write a list by each of the usual modules to some of the switches; None where they are not here."""
    peer = cisco_ios.found(cisco_ios.default_directory())
    if peer is None:
        return None
    hosts = {
        name: {
            "ansible_host": address, "ansible_port": PORT, "ansible_user": USER, "ansible_password": PASSWORD,
            "ansible_become_password": ENABLE,
        }
        for name, address in list(switches.addresses.items())[:number]
    }  # fmt: skip
    made: dict[str, Any] = {"versions": cisco_ios.versions(peer), "forks": forks}
    for module in ("ios_acls", "ios_config"):
        made[module] = cisco_ios.push(peer, hosts, f"PEER_{module}", aces(entries), module=module, forks=forks)
        made[module]["emulator_cpu_seconds_in_all"] = round(switches.cpu(), 2)
    return made


def run(full: bool) -> dict[str, Any]:
    """Return the figures of a fleet, with the sizes of the issue where ``full``."""
    number, entries, large, compared = (1000, 100, 100, 20) if full else (60, 100, 10, 4)
    made: dict[str, Any] = {"latency_ms": LATENCY * 1000}
    rows = []
    with emulated(number) as switches:
        made["facts"] = facts(switches, 64)
        made["new"] = expect(change(switches, wanted_list(entries)), "changed")
        made["changed"] = expect(change(switches, wanted_list(entries, 3000)), "changed")
        made["nothing"] = expect(change(switches, wanted_list(entries, 3000)), "unchanged")
        made["round_trips"] = round_trips(switches, wanted_list(entries, 5000))
        made["emulator_peak_mib"] = switches.peak_mib()
    if full:  # with few switches it is the start of Ansible that is measured
        rows.append(at_most("seconds of facts from all switches, with Ansible", made["facts"]["seconds"], 90.0))
    rows += [
        at_most("configuration lines with nothing to change", made["nothing"]["lines"], 0.0),
        at_most(
            "seconds of a changed list, of its round trips over workers",
            made["changed"]["seconds"] / (made["round_trips"]["seconds"] * number / min(WORKERS, number)),
            3.0,
        ),
    ]
    with emulated(large) as switches:
        made["large_new"] = expect(change(switches, wanted_list(500), workers=large), "changed")
        made["large_changed"] = expect(change(switches, wanted_list(500, 3000), workers=large), "changed")
    # No two switches hold the same list, so nothing that was compared for one is known for the next.
    with emulated(large) as switches:
        made["own_new"] = expect(change(switches, [], own=lambda n: wanted_list(entries, 1000 + 7 * n)), "changed")
        made["own_changed"] = expect(change(switches, [], own=lambda n: wanted_list(entries, 9000 + 7 * n)), "changed")
    with emulated(1) as switches:
        expect(change(switches, wanted_list(500)), "changed")
        made["one_of_500"] = expect(change(switches, wanted_list(500, 3000)), "changed")
    # As many of ours as of theirs, beside each other, on switches that hold nothing else.
    with emulated(compared) as switches:
        expect(change(switches, wanted_list(entries)), "changed")
        made["beside"] = expect(change(switches, wanted_list(entries, 3000), workers=compared), "changed")
    with emulated(compared) as switches:
        made["peer"] = peers(switches, compared, entries, forks=min(10, compared))
    if made["peer"] is not None:
        for module, least in (("ios_acls", 40.0), ("ios_config", 10.0)):
            theirs = made["peer"][module]
            assert not theirs["failed"], theirs["tail"]
            for what, key, ours in (
                ("wall", "seconds", "ms_per_device"),
                ("CPU", "cpu_seconds", "cpu_ms_per_device"),
            ):
                each = 1000 * theirs[key] / compared
                theirs[f"{what}_times_ours_of_all_switches"] = round(each / made["changed"][ours], 1)
                rows.append(at_least(f"{what} of {module} a device, times ours", each / made["beside"][ours], least))
    return {**made, "targets": rows}


if __name__ == "__main__":
    print(json.dumps(run("--full" in sys.argv), indent=1))
