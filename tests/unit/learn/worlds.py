"""Small made-up sites for learning: documents, a register and a store, written as files that the step reads."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.address import columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, arrow_schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.propose import run_propose

MONDAY = date(2026, 11, 2)
DAY_US = 86_400_000_000
SITE = """\
# yaml-language-server: $schema=schemas/site.schema.json
name: ward
time_zone: UTC
zones:
  clinical:
    subnets: [10.1.0.0/16]
    security_level: 3
    owner: clinical-engineering
  data_center:
    subnets: [10.2.0.0/16]
    security_level: 3
    owner: server-operations
conduits:
  - id: clinical-to-data_center
    client: clinical
    server: data_center
    owner: clinical-engineering
learning:
  minimum_days: 3
  minimum_flows: 3
"""
SERVICES = """\
services:
  dicom:
    match:
      - {protocol: tcp, ports: [104]}
  dns:
    match:
      - {protocol: udp, ports: [53]}
  https:
    match:
      - {protocol: tcp, ports: [443]}
  mqtt:
    match:
      - {protocol: tcp, ports: [1883]}
  smb:
    match:
      - {protocol: tcp, ports: [445]}
"""
SEGMENTS = {
    "cameras": ("clinical", "low"), "monitors": ("clinical", "life_support"), "pumps": ("clinical", "life_support"),
    "archive": ("data_center", "high"), "gateways": ("data_center", "high"), "names": ("data_center", "high"),
}  # fmt: skip
NETS = {name: number for number, name in enumerate(SEGMENTS, 1)}
PORTS = {"dicom": (6, 104), "dns": (17, 53), "https": (6, 443), "mqtt": (6, 1883), "smb": (6, 445)}


def classification() -> str:
    """Return a classification that puts each profile into the segment of its name."""
    rules = [
        f"  - name: {name}\n    when:\n      fact: endpoint_profile\n      equals: {name}\n    zone: {zone}\n    owner: owner-of-{name}\n"
        f"    criticality: {criticality}\n"
        for name, (zone, criticality) in SEGMENTS.items()
    ]
    return "rules:\n" + "".join(rules)


def address(segment: str, number: int) -> str:
    """Return the address of a segment's device."""
    return f"10.{1 if SEGMENTS[segment][0] == 'clinical' else 2}.{NETS[segment]}.{number + 1}"


def mac(segment: str, number: int) -> str:
    """Return the MAC of a segment's device."""
    return f"02:00:00:00:{NETS[segment]:02x}:{number:02x}"


@dataclass
class World:
    """A site below ``folder``; ``day`` and its kin add what is seen, ``write`` makes the files, ``propose`` runs the step."""

    folder: Path
    sizes: dict[str, int] = field(
        default_factory=lambda: {"cameras": 6, "monitors": 6, "pumps": 6, "archive": 1, "gateways": 2, "names": 1}
    )
    rows: list[dict[str, Any]] = field(default_factory=list)
    more: list[Observation] = field(default_factory=list)
    profiles: dict[str, str] = field(default_factory=dict)

    @property
    def policy(self) -> Path:
        return self.folder / "policies"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def flow(
        self,
        day: int,
        client: str,
        server: str,
        service: str | tuple[int, int],
        hour: int = 9,
        minute: int = 0,
        **more: Any,
    ) -> None:
        """Add one connection between addresses."""
        protocol, port = PORTS[service] if isinstance(service, str) else service
        start = (
            (MONDAY + timedelta(days=day) - date(1970, 1, 1)).days * DAY_US
            + hour * 3_600_000_000
            + minute * 60_000_000
            + len(self.rows)
        )
        answered = bool(more.get("answered", True))
        hi, lo = columns_of(client)
        to_hi, to_lo = columns_of(server)
        self.rows.append({
            "start_us": start, "end_us": start + 900_000, "client_hi": hi, "client_lo": lo, "server_hi": to_hi, "server_lo": to_lo,
            "protocol": protocol, "client_port": 40_000 + len(self.rows) % 20_000, "server_port": port, "packets_out": 6,
            "bytes_out": 3_000 if answered else 360, "packets_in": 6 if answered else 0,
            "bytes_in": int(more.get("bytes", 3_000)) if answered else 0,
            "answered": answered, "method": int(more.get("method", 1)), "confidence": float(more.get("confidence", 1.0)),
            "class": "unicast", "exporter": "192.0.2.1", "sampling": 1, "source": "0000000000000001",
        })  # fmt: skip

    def usual(self, days: range) -> None:
        """Add what goes on every day: pumps to gateways, monitors and pumps to the archive, all to the name server."""
        for day in days:
            for number in range(self.sizes["pumps"]):
                self.flow(day, address("pumps", number), address("gateways", number % 2), "mqtt", 6 + number)
            for segment in ("monitors", "cameras", "pumps"):
                for number in range(self.sizes[segment]):
                    self.flow(day, address(segment, number), address("names", 0), "dns", 1 + number)
            for number in range(self.sizes["monitors"]):
                self.flow(day, address("monitors", number), address("archive", 0), "dicom", 8 + number)

    def write(self, documents: bool = True) -> World:
        """Write store and register anew, and the documents unless they are to stay."""
        seen = (MONDAY + timedelta(days=40) - date(1970, 1, 1)).days * DAY_US
        observations = [
            Observation(
                mac(s, n),
                {"endpoint_profile": self.profiles.get(mac(s, n), s), "hostname": f"{s}-{n}"},
                (address(s, n),),
                "ise",
                seen,
                0.9,
            )
            for s, count in self.sizes.items()
            for n in range(count)
        ]
        storage.write(merge([*observations, *self.more]), self.data)
        self.write_store()
        if documents:
            self.policy.mkdir(parents=True, exist_ok=True)
            for name, text in (
                ("site.yml", SITE),
                ("services.yml", SERVICES),
                ("classification.yml", classification()),
            ):
                (self.policy / name).write_text(text, encoding="utf-8")
        return self

    def write_store(self) -> None:
        """Write the connections by day."""
        by_day: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows:
            by_day.setdefault(row["start_us"] // DAY_US, []).append(row)
        document = store.read_inputs(self.data)
        for number, rows in sorted(by_day.items()):
            day = date(1970, 1, 1) + timedelta(days=number)
            table = pa.Table.from_pylist(
                sorted(rows, key=lambda row: row["start_us"]), schema=arrow_schema(CONNECTIONS)
            )
            store.write_table(
                table, store.day_folder(self.data, "connections", day) / "0000000000000001.parquet", "connections"
            )
            if day.isoformat() not in document["stale_days"]:
                document["stale_days"].append(day.isoformat())
        document["inputs"]["0000000000000001"] = {
            "sha256": "1" * 64, "name": "made", "bytes": 0, "kind": "made", "imported_at": "", "records": len(self.rows),
            "connections": len(self.rows), "quality": {},
        }  # fmt: skip
        store.write_inputs(self.data, document)

    def propose(self, **more: Any) -> dict[str, Any]:
        """Run the step and return the whole result."""
        from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json

        values = {
            "policy_dir": str(self.policy),
            "data_dir": str(self.data),
            "check_mode": False,
            "diff_mode": False,
            "today": "2026-12-15",
            **more,
        }
        answer = run_propose(values)
        path = self.data / "out" / "propose.json"
        return {**(read_json(path) if path.exists() and not values["check_mode"] else {}), "answer": answer}

    def files(self) -> dict[str, str]:
        """Return the policy directory's texts by relative path."""
        return {
            str(path.relative_to(self.policy)): path.read_text(encoding="utf-8")
            for path in sorted(self.policy.rglob("*"))
            if path.is_file() and ".git" not in path.parts
        }

    def git(self, *words: str) -> str:
        """Run git on the policy directory."""
        identity = ["-c", "user.name=A. Huber", "-c", "user.email=a.huber@example.org"]
        done = subprocess.run(["git", *identity, *words], cwd=self.policy, capture_output=True, text=True, check=True)
        return done.stdout


def rule_ids(made: dict[str, Any]) -> set[str]:
    """Return the ids of proposed rules."""
    return {rule["id"] for rule in made["rules"]}


def waiting(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the review items of a kind."""
    return [item for item in made["review"] if item["kind"] == kind]
