# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register at size: fuse, write, read again, add a day's sessions, and classify 200,000 devices (a twentieth of it in a quick run).

Each device is seen by seven sources, as a hospital's are: ISE's endpoint and session, the switch's session and MAC table, a DHCP lease with
what the client says, the asset list, and traffic. Two sizes, each in a process of its own, say how time and memory grow.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.decide import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.rules import shipped
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge

KINDS = (
    # profile, record, vendor, vendor class, ports served
    ("Alaris-Infusion-Pump", "Infusion pump", "CareFusion", "", ()),
    ("Patient-Monitor", "Patient monitor", "Nihon Kohden Corporation", "", ("tcp/6464",)),
    ("Windows10-Workstation", "Workstation", "Dell Inc.", "MSFT 5.0", ("tcp/445", "tcp/3389")),
    ("Axis-Device", "Camera", "Axis Communications AB", "AXIS,Network Camera", ("tcp/554", "tcp/80")),
    ("Cisco-IP-Phone-8841", "IP phone", "Cisco Systems, Inc", "Cisco Systems, Inc. IP Phone CP-8841", ()),
    ("Unknown", "", "Beckhoff Automation GmbH", "", ("tcp/502", "tcp/48898")),
    ("CT-Scanner", "CT scanner", "Dell Inc.", "MSFT 5.0", ("tcp/104", "tcp/445", "tcp/3389")),
    ("HP-LaserJet", "Printer", "Hewlett Packard", "Hewlett-Packard JetDirect", ("tcp/9100", "tcp/631")),
)
TYPES = (
    "infusion_pump",
    "patient_monitor",
    "workstation",
    "camera",
    "voip_phone",
    "unknown",
    "imaging_modality",
    "printer",
)
NOW, DAY = 1_795_651_200_000_000, 86_400_000_000
SPLIT = 16_000  # a quarter of it, too, has each kind equally often


def observations(devices: int, seed: int = 6, day: int = 0) -> list[Observation]:
    """Return what seven sources say about so many devices on a day."""
    chance = random.Random(seed)
    made = []
    for number in range(devices):
        mac = f"00:1b:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        profile, record, vendor, vendor_class, ports = KINDS[number % len(KINDS)]
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        seen = NOW + day * DAY + chance.randrange(DAY)
        switch, port = f"acc{number // 40}", f"GigabitEthernet1/0/{number % 40 + 1}"
        lease = AddressClaim(address, seen, seen + DAY // 3)
        made += [
            Observation(
                mac, {"endpoint_profile": profile, "endpoint_group": "Profiled"}, (), "ise:endpoint", seen, 0.9
            ),
            Observation(
                mac, {"switch": switch, "interface": port, "sgt": 10 + number % 8}, (lease,), "ise:session", seen, 0.9
            ),
            Observation(
                mac, {"switch": switch, "interface": port, "vlan": 10}, (address,), f"{switch}:session", seen, 0.95
            ),
            Observation(mac, {"switch": switch, "interface": port}, (), f"{switch}:mac-table", seen, 0.7),
            Observation(mac, {}, (lease,), "dhcp1:lease", seen, 0.9),
            Observation(mac, {"hostname": f"h{number}", "dhcp_class": vendor_class}, (), "dhcp1:dhcp", seen, 0.7),
            Observation(mac, {"asset_type": record, "owner": "x"}, (), "assets", NOW, 0.9),
            Observation(mac, {"oui_vendor": vendor}, (), "oui", seen, 0.9),
            Observation(mac, {"served_ports": ports}, (), "flows", seen, 0.8),
        ]
    return made


def _timed(result: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    began = time.process_time()
    made = work()
    result[f"{name}_cpu_seconds"] = round(time.process_time() - began, 2)
    return made


def measured(devices: int) -> dict[str, Any]:
    """Return the figures of one size, and check what comes out."""
    result: dict[str, Any] = {"devices": devices}
    with tempfile.TemporaryDirectory(prefix="segwright-bench-") as folder:
        said = [observations(devices)]
        result["observations"] = len(said[0])
        register = _timed(result, "fuse", lambda: merge(said.pop()))
        assert len(register.devices) == devices
        assert not register.conflicts, register.conflicts[:2]
        _timed(result, "write", partial(storage.write, register, folder))
        result["register_mib"] = round((Path(folder) / "register" / "register.json").stat().st_size / 2**20, 1)
        del register
        register = _timed(result, "read", lambda: storage.read(folder))
        classifier = Classifier(shipped())
        types: dict[str, int] = {}
        began = time.process_time()
        for device in register.devices.values():
            made = classifier.of(device)
            types[made.type] = types.get(made.type, 0) + 1
        result["classify_cpu_seconds"] = round(time.process_time() - began, 2)
        assert types == {name: devices // len(KINDS) for name in TYPES}, types
        result["types"] = types
        del register
        _timed(result, "next_day_with_read_and_write", lambda: storage.update(folder, observations(devices, 7, 1)))
    result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def _child(devices: int, connection: Any) -> None:
    connection.send(json.dumps(measured(devices)))


def _apart(devices: int) -> dict[str, Any]:
    """Measure in a process of its own, whose peak is this size's alone."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(devices, theirs))
    child.start()
    theirs.close()
    try:
        made: dict[str, Any] = json.loads(ours.recv())
    finally:
        child.join()
    return made


def run(full: bool) -> dict[str, Any]:
    """Return figures of two sizes and how they grow from one to the other."""
    large = 200_000 if full else SPLIT
    small = large // 4
    sizes = {str(number): _apart(number) for number in (small, large)}
    one, two = sizes[str(small)], sizes[str(large)]
    growth = {name: round(two[name] / one[name], 2) for name in one if name.endswith("_cpu_seconds") and one[name] > 0}
    limit = 1.4 * large / small
    targets = [
        {
            "figure": f"{name}, growth from {small} to {large}",
            "measured": value,
            "at_most": limit,
            "met": value <= limit,
        }
        for name, value in growth.items()
    ]
    return {"sizes": sizes, "growth": growth, "targets": targets}
