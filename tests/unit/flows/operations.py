"""One small made-up store and every operation on it, for any engine: what the tests of engines compare."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import kept, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import learning
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import Engine
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import arrow_schema
from tests.bench import flow_data

COLUMNS = {"marks": learning.MARKS, "approved": learning.APPROVED, "kinds": learning.KINDS}
SMALL = flow_data.Shape(
    records=24_000,
    days=9,
    devices=400,
    groups=8,
    edges=1_600,
    outside=60,
    rules_per_group=12,
    lease_share=0.3,
    monthly=10,
)
NAMES = (
    "conversations", "distinct", "evidence", "scans", "degrees", "bindings", "denials", "denial_totals", "name_intervals",
)  # fmt: skip


def made(folder: Path, shape: flow_data.Shape = SMALL) -> flow_data.Site:
    """Write the store of a made-up site, rollup and all, and return the site."""
    site = flow_data.Site(shape)
    flow_data.write_store(site, folder)
    store.rollup_files(folder)
    write_beside(folder)
    return site


def write_beside(folder: Path) -> None:
    """Write denials, some of them in two inputs, and DNS answers beside the connections."""
    rng = random.Random(8)
    first = store.day_number(flow_data.FIRST_DAY) * flow_data.DAY_US
    sources = sorted(store.read_inputs(folder)["inputs"])[:2]
    for number, source in enumerate(sources):
        denies, names = [], []
        for _row in range(400):
            when = first + rng.randrange(3) * flow_data.DAY_US + rng.randrange(40) * 1_000_000
            target = None if rng.random() < 0.1 else flow_data.V4_LO + rng.randrange(5)
            denies.append({
                "time_us": when, "source_hi": flow_data.V4_HI, "source_lo": flow_data.V4_LO + rng.randrange(4),
                "source_port": -1, "target_hi": None if target is None else flow_data.V4_HI, "target_lo": target,
                "target_port": rng.choice((22, 502)), "protocol": 6, "packets": rng.randrange(1, 4), "point": rng.choice("ab"),
                "platform": "asa", "list": "in", "entry": "", "interface": "", "source_sgt": -1, "target_sgt": -1, "message": "denied",
                "input": "",
            })  # fmt: skip
            names.append({
                "time_us": when + rng.randrange(9) * 1_800_000_000, "address_hi": flow_data.V4_HI,
                "address_lo": flow_data.V4_LO + rng.randrange(3), "name": rng.choice(("a.example", "b.example")),
                "client_hi": None if number else flow_data.V4_HI, "client_lo": None if number else flow_data.V4_LO,
                "ttl": rng.choice((60, 7_200)), "via": rng.choice(("pcap", "zeek")), "exporter": "e", "input": "",
            })  # fmt: skip
        shared = [each for each in denies if each["source_lo"] == flow_data.V4_LO]
        kept.write(folder, "denies", source, [kept.table_of("denies", denies)])
        if number:
            kept.write(folder, "denies", source, [kept.table_of("denies", [*denies, *shared])])
        kept.write(folder, "names", source, [kept.table_of("names", names)])


def names_of(site: flow_data.Site) -> Any:
    """Return names that outside addresses had, two of them one after the other."""
    first = store.day_number(flow_data.FIRST_DAY) * flow_data.DAY_US
    rows = []
    for number in range(0, site.shape.outside, 2):
        address = flow_data.OUTSIDE + number + flow_data.V4_LO
        middle = first + 4 * flow_data.DAY_US
        rows += [
            (flow_data.V4_HI, address, f"host-{number}.example.net", first, middle),
            (flow_data.V4_HI, address, f"other-{number}.example.net", middle, first + 400 * flow_data.DAY_US),
        ]
    columns = ("address_hi", "address_lo", "name", "from_us", "to_us")
    return pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))


def watched_of(site: flow_data.Site) -> Any:
    """Return some addresses, with the device that had each of them first."""
    held = site.intervals().to_pylist()
    first: dict[tuple[int, int], str] = {}
    for row in sorted(held, key=lambda row: (row["from_us"], row["address_hi"], row["address_lo"], row["device"])):
        first.setdefault((row["address_hi"], row["address_lo"]), row["device"])
    chosen = sorted(first.items())[::7][:40]
    return pa.table(
        {
            "hi": [key[0] for key, _device in chosen],
            "lo": [key[1] for key, _device in chosen],
            "device": [device for _key, device in chosen],
        }
    )


def learning_of(site: flow_data.Site) -> dict[str, Any]:
    """Return what learning is told: marks on some conversations, kinds of devices, and an approval."""
    members = site.members()
    first = site.intervals().slice(0, 30).to_pylist()
    marks = [
        {"client_hi": one["address_hi"], "client_lo": one["address_lo"], "server_hi": two["address_hi"], "server_lo": two["address_lo"],
         "protocol": 17, "server_port": 53, "mark": "threat" if number % 2 else "related:ftp"}
        for number, (one, two) in enumerate(zip(first, first[1:], strict=False))
    ]  # fmt: skip
    segments = sorted(set(members.column("segment").to_pylist()))
    approved = [
        {"client_segment": segments[0], "server_segment": name, "protocol": protocol, "first_port": 1, "last_port": 600}
        for name in segments
        for protocol in (6, 17)
    ]
    kinds = [
        {"device": device, "kind": f"kind-{number % 3}"}
        for number, device in enumerate(members.column("device").to_pylist())
    ]
    tables = {"marks": marks, "approved": approved, "kinds": kinds}
    return {name: pa.Table.from_pylist(rows, schema=arrow_schema(COLUMNS[name])) for name, rows in tables.items()}


def middle_of(site: flow_data.Site) -> int:
    """Return a moment within the time of the site, in microseconds since 1970."""
    return (store.day_number(flow_data.FIRST_DAY) + site.shape.days // 2) * flow_data.DAY_US + 36_000_000_000


def answers(
    site: flow_data.Site, data_dir: Path, engine: str | Engine, chosen: Collection[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield each operation's name and answer; ``chosen`` narrows."""
    with FlowGate(data_dir, engine=engine) as gate:
        gate.bind(site.intervals(), site.members(), site.networks())
        rules = site.rule_table()
        first = store.day_number(flow_data.FIRST_DAY)
        asked: dict[str, Callable[[], Any]] = {name: getattr(gate, name) for name in NAMES}
        asked["unmatched"] = lambda: gate.unmatched(rules)
        asked["unused"] = lambda: gate.unused(rules)
        asked["appeared"] = lambda: gate.appeared(flow_data.FIRST_DAY + timedelta(days=site.shape.days - 2))
        asked["denials unanswered"] = lambda: gate.denials(unanswered=True)
        asked["talks"] = lambda: gate.talks(watched_of(site), middle_of(site))
        asked["activity"] = lambda: gate.activity(flow_data.EXPORTERS[:1])
        asked["named"] = lambda: gate.named(names_of(site))
        asked["services"] = lambda: gate.services(learning_of(site)["marks"].drop_columns("mark"))
        for number in (0, site.shape.days // 2):
            asked[f"daily {number}"] = lambda number=number: gate.daily_of(first + number)
        for name, question in asked.items():
            if chosen is None or name in chosen:
                yield name, question()
        if chosen is None or "learning" in chosen:
            members = site.members().to_pylist()
            held = {each["device"]: "held" for each in members[:3]}
            alone = {each["segment"] for each in members[:40]}
            likes = {each["device"]: members[-1]["segment"] for each in members[:3]}
            made = gate.learning(**learning_of(site), doubt=lambda _habits: (held, likes), alone=alone)
            for name, rows in made.items():
                if isinstance(rows, pa.Table):
                    yield f"learning {name}", rows
