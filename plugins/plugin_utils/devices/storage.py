# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register's files: ``register.json`` for people and tools, ``addresses.parquet`` for joins (docs/formats/register.md)."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    read_document,
    write_atomic,
    write_parts_atomic,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import (
    FIRST,
    LAST,
    Interval,
    interval_table,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation, normal_mac
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import (
    Device,
    Fact,
    Host,
    Register,
    Word,
    merge,
    normal_address,
    observations_of,
)

parquet = guarded("pyarrow.parquet")

KIND, MAJOR, SCHEMA_VERSION = "register", 1, "1.1"
# Where the devices begin, each on a line of its own.
DEVICES = '"devices": ['
# Texts up to this length are kept once, however many devices have them.
SHARED = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")


def register_dir(data_dir: str | Path) -> Path:
    """Return the folder of the register in a data directory."""
    return Path(data_dir) / "register"


def moment_text(micros: int) -> str:
    """Return RFC 3339 text in UTC with microseconds."""
    return (EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def micros_of_text(text: str) -> int:
    """Return microseconds since 1970 UTC of such text; raises ValueError."""
    if not MOMENT.match(text):
        raise ValueError(f"{text[:40]!r} is not a moment")
    return (datetime.fromisoformat(text[:-1] + "+00:00") - EPOCH) // timedelta(microseconds=1)


def long_moment(text: str) -> str:
    """Return a moment with microseconds: ``2026-11-23T20:00:00Z`` is accepted too."""
    return text[:-1] + ".000000Z" if text.endswith("Z") and "." not in text else text


def as_document(register: Register, generated_at: str = "") -> dict[str, Any]:
    """Return the register as docs/formats/register.md has it."""
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at or iso_now(),
        "devices": [_device_value(register.devices[name]) for name in sorted(register.devices)],
        "hosts": _hosts_value(register),
        "conflicts": [each.as_dict() for each in register.conflicts],
    }


def write(register: Register, data_dir: str | Path) -> Path:
    """Write ``addresses.parquet`` and then ``register.json``, each atomically; returns the path of the latter.

    The JSON has one line for each device, so that a difference of two registers is readable and a large one is read line by line.
    """
    folder = register_dir(data_dir)
    buffer = io.BytesIO()
    parquet.write_table(interval_table(register.intervals()), buffer, compression="zstd", compression_level=1)
    write_atomic(folder / "addresses.parquet", buffer.getvalue())
    write_parts_atomic(folder / "register.json", _lines(register))
    return folder / "register.json"


def _lines(register: Register) -> Iterator[str]:
    """Yield the document of ``as_document`` in pieces, in the layout that ``_read_lines`` knows."""
    head = {"kind": KIND, "schema_version": SCHEMA_VERSION, "generated_at": iso_now()}
    yield f"{_json(head)[:-1]}, {DEVICES}"
    before = "\n"
    for name in sorted(register.devices):
        yield f"{before}{_json(_device_value(register.devices[name]))}"
        before = ",\n"
    rest = {"hosts": _hosts_value(register), "conflicts": [each.as_dict() for each in register.conflicts]}
    yield f"\n], {_json(rest)[1:]}\n"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def read(data_dir: str | Path) -> Register:
    """Return the register of a data directory, empty where there is none; raises FindingError SW1311 or SW0007."""
    path = register_dir(data_dir) / "register.json"
    if not path.exists():
        return Register()
    try:
        document = _read_lines(path) or read_document(path, KIND, MAJOR)
        devices = [each if isinstance(each, Device) else _device_of(each) for each in document["devices"]]
        conflicts = tuple(Finding(**each) for each in document.get("conflicts", ()))
        hosts = [_host_of(each) for each in document.get("hosts", ())]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FindingError(
            codes.REGISTER_DAMAGED.at(f"{type(error).__name__}: {error}", Location(str(path)))
        ) from error
    return Register({each.id: each for each in devices}, conflicts, {each.address: each for each in hosts})


def _read_lines(path: Path) -> dict[str, Any] | None:
    """Return the document with its devices made already, line by line; None where it is laid out otherwise or of another version."""
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
            if not first.endswith(f", {DEVICES}\n"):
                return None
            head = json.loads(first[: -len(f", {DEVICES}\n")] + "}")
            version = str(head.get("schema_version")).split(".", maxsplit=1)[0]
            if head.get("kind") != KIND or version != str(MAJOR):
                return None
            devices: list[Device] = []
            for line in file:
                if line.startswith("], "):
                    return {**head, **json.loads("{" + line[len("], ") :]), "devices": devices}
                devices.append(_device_of(json.loads(line.rstrip().removesuffix(","))))
    except (OSError, ValueError, RecursionError):
        return None
    return None


def update(data_dir: str | Path, observations: Iterable[Observation]) -> tuple[Register, bool]:
    """Merge observations into the register of a data directory; returns (register, whether it has changed). Written only then."""
    before = read(data_dir)
    after = merge(
        chain(observations_of(before), observations)
    )  # one by one: together they are larger than the register
    changed = after != before or not (register_dir(data_dir) / "register.json").exists()
    if changed:
        write(after, data_dir)
    return after, changed


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _kept(value: Any) -> Any:
    return tuple(str(each) for each in value) if isinstance(value, list) else value


def _hosts_value(register: Register) -> list[dict[str, Any]]:
    return [
        {"address": each.address, "devices": list(each.devices), "facts": _facts_value(each.facts)}
        for each in register.hosts.values()
    ]


def _word_value(word: Word | Fact) -> dict[str, Any]:
    return {
        "value": _plain(word.value),
        "source": word.source,
        "time": moment_text(word.time),
        "confidence": word.confidence,
    }


def _facts_value(facts: Mapping[str, Fact]) -> dict[str, Any]:
    made = {}
    for name, fact in facts.items():
        made[name] = {**_word_value(fact), "others": [_word_value(each) for each in fact.others]}
        if fact.earlier:
            made[name]["earlier"] = [_word_value(each) for each in fact.earlier]
    return made


def _device_value(device: Device) -> dict[str, Any]:
    facts = _facts_value(device.facts)
    addresses = []
    for each in device.addresses:
        made: dict[str, Any] = {
            "address": each.address,
            "from": None if each.from_us == FIRST else moment_text(each.from_us),
            "to": None if each.to_us == LAST else moment_text(each.to_us),
            "source": each.source,
            "confidence": each.confidence,
        }
        if each.contested:
            made["contested"] = True
        addresses.append(made)
    return {"id": device.id, "facts": facts, "addresses": addresses}


def _device_of(value: dict[str, Any]) -> Device:
    mac = normal_mac(value["id"])
    facts = _facts_of(value["facts"])
    addresses = []
    for each in value["addresses"]:
        start = FIRST if each["from"] is None else micros_of_text(each["from"])
        end = LAST if each["to"] is None else micros_of_text(each["to"])
        source, contested = str(each["source"]), bool(each.get("contested", False))
        addresses.append(
            Interval(normal_address(each["address"]), start, end, mac, source, float(each["confidence"]), contested)
        )
    return Device(mac, facts, tuple(sorted(addresses)))


def _facts_of(values: Mapping[str, Any]) -> dict[str, Fact]:
    facts = {}
    for name, fact in values.items():
        others, earlier = (tuple(_word(each) for each in fact.get(key, ())) for key in ("others", "earlier"))
        first = _word(fact)
        facts[str(name)] = Fact(first.value, first.source, first.time, first.confidence, others, earlier)
    return facts


def _host_of(value: dict[str, Any]) -> Host:
    devices = tuple(normal_mac(each) for each in value.get("devices", ()))
    return Host(normal_address(value["address"]), _facts_of(value["facts"]), devices)


def _word(value: dict[str, Any]) -> Word:
    said = _kept(value["value"])
    if isinstance(said, str) and len(said) <= SHARED:
        said = sys.intern(said)  # many devices have one profile, vendor or source
    return Word(sys.intern(str(value["source"])), said, micros_of_text(value["time"]), float(value["confidence"]))
