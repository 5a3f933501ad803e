# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions and lookups of flows return: imports, listening, an overview of the store, rows as plain values."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import (
    address,
    codes,
    denied,
    ingest,
    store,
    threats,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import queries
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.gate import FlowGate
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import hints_of, port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.quality import (
    ceiling_of,
    noted_by_exporter,
    noted_by_interface,
    observed,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.retention import Expiry, due, expire
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.search import (
    ORDERS,
    Search,
    check_devices,
    members_of,
    search,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import collector, listener, registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.spool import SpoolImporter, recover

PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
# What a question to the rollup may name, beside order and limit.
ASKED = (
    "client", "server", "address", "protocol", "service", "device", "client_device", "server_device", "segment", "client_segment",
    "server_segment", "binding",
)  # fmt: skip
Engine = Callable[[dict[str, Any]], dict[str, Any]]


def _findings(engine: Engine) -> Engine:
    """Turn the database's own faults into findings."""

    @wraps(engine)
    def guarded_engine(values: dict[str, Any]) -> dict[str, Any]:
        try:
            return engine(values)
        except store.duckdb.Error as error:
            raise store.fault(error, f"{type(error).__name__}: {str(error)[:200]}") from error

    return guarded_engine


@_findings
def run_flow_import(values: dict[str, Any]) -> dict[str, Any]:
    """Import captures; in check mode say what would be read."""
    if values["check_mode"]:
        hints_of(values.get("hints") or ())
        known = registry.kinds(values.get("source_plugins") or ())
        options = values.get("source_options")
        new, listed, findings = ingest.survey(
            values.get("paths") or (),
            values["data_dir"],
            kind=values["kind"],
            known=known,
            options=options,
            settle=_settle(values),
        )
        # Options that cannot be used, and a mapping file with a fault, are told here as well.
        ingest.opened_sources(new, Opening(values.get("exporter") or "", options=options or {}), known)
        waiting, remarks = _waiting(values)
        result = _result(bool(new or waiting), [*listed, *waiting], 0, 0, [*findings, *remarks], {}, [])
        if values.get("threat_lists"):
            count, lists, found, changes = threats.would_import(values["data_dir"], values["threat_lists"])
            result["threats"] = {"indicators": count, "lists": lists}
            result["changed"] = result["changed"] or changes
            result["warnings_found"] += [each.as_dict() for each in found]
        gone = due(values["data_dir"], int(values.get("retention_days") or 0))
        return {**result, "changed": result["changed"] or bool(gone.files or gone.beside), "expired": _expired(gone)}
    pulled, found = _pulled(values)
    made = ingest.ingest(
        [*(values.get("paths") or ()), *(path for _collector, paths in pulled for path in paths)],
        values["data_dir"],
        kind=values["kind"],
        exporter=values.get("exporter") or "",
        hints=values.get("hints"),
        partial=bool(values.get("partial")),
        known=registry.kinds(values.get("source_plugins") or ()),
        options=values.get("source_options"),
        settle=_settle(values),
    )
    failed = {each["path"] for each in made.inputs if each["status"] == "failed"}
    spool = store.flows_dir(values["data_dir"]) / "collectors"
    for host, paths in pulled:
        collector.settled(host, spool, [path for path in paths if str(path) not in failed])
    found = [*made.findings, *found]
    result = _result(made.changed, made.inputs, made.records, made.connections, found, made.quality, made.days)
    if values.get("threat_lists"):
        before = threats.known_threats(values["data_dir"])
        count, lists, found = threats.import_threats(values["data_dir"], values["threat_lists"])
        result["threats"] = {"indicators": count, "lists": lists}
        result["changed"] = result["changed"] or before != threats.known_threats(values["data_dir"])
        result["warnings_found"] += [each.as_dict() for each in found]
    if values.get("reorient"):
        turned, days = rebuild(values["data_dir"], values.get("hints"))
        result["reoriented"] = turned
        result["changed"] = result["changed"] or turned > 0
        result["days"] = sorted({*result["days"], *(each.isoformat() for each in days)})
    gone = expire(values["data_dir"], int(values.get("retention_days") or 0))
    return {**result, "changed": result["changed"] or bool(gone.files or gone.beside), "expired": _expired(gone)}


def _settle(values: dict[str, Any]) -> int:
    seconds = int(values.get("settle") or 0)
    if not 0 <= seconds <= 86_400:
        raise FindingError(codes.RETENTION_INVALID.at(f"settle is {seconds} seconds, not 0 to 86400"))
    return seconds


def _waiting(values: dict[str, Any]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return what would be fetched of each collector, as inputs, and findings."""
    asked, found = _of_collectors(values, collector.waiting)
    return [
        {"path": f"{host.host}:{host.path.rstrip('/')}/{each.name}", "bytes": each.size, "status": "new"}
        for host, files in asked
        for each in files
    ], found


def _pulled(values: dict[str, Any]) -> tuple[list[tuple[collector.Collector, list[Path]]], list[Finding]]:
    """Fetch what is new on each collector."""
    return _of_collectors(values, collector.pull)


def _of_collectors(
    values: dict[str, Any], ask: Callable[[collector.Collector, Path], tuple[list[Any], list[Finding]]]
) -> tuple[list[tuple[collector.Collector, list[Any]]], list[Finding]]:
    """Return what each collector is asked for; one that cannot be read is a finding and does not stop the others."""
    spool = store.flows_dir(values["data_dir"]) / "collectors"
    made: list[tuple[collector.Collector, list[Any]]] = []
    found: list[Finding] = []
    for host in [collector.collector_of(each) for each in values.get("collectors") or ()]:
        try:
            files, remarks = ask(host, spool)
        except FindingError as error:
            found.extend(error.findings)
            continue
        made.append((host, files))
        found.extend(remarks)
    return made, found


@_findings
def run_flow_listen(values: dict[str, Any]) -> dict[str, Any]:
    """Listen for export datagrams and import what came; in check mode only check the arguments."""
    bounds = listener.Bounds(float(values.get("seconds") or 0), int(values.get("datagrams") or 0))
    bounds.check()
    try:
        allowed = listener.networks_of(values["sources"])
    except ValueError as error:
        raise FindingError(codes.LISTEN_SOURCES.at(str(error))) from error
    hints_of(values.get("hints") or ())
    if not 1 <= int(values["port"]) <= 65_535:
        raise FindingError(codes.LISTEN_BIND.at(f"port {values['port']} is not between 1 and 65535"))
    if values["check_mode"]:
        return {
            **_result(True, [], 0, 0, [], {}, []),
            "received": {"datagrams": 0, "bytes": 0, "lost": 0, "discarded": 0, "sources": {}, "refused": {}},
        }
    spool = store.flows_dir(values["data_dir"]) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    recovered = recover(spool, values)
    path = spool / f"listen-{os.getpid()}-{values['port']}.pcap"
    importer = SpoolImporter(values)
    with listener.open_socket(values["address"], values["port"]) as sock:
        received = listener.listen(sock, path, allowed, bounds, hand_over=importer)
    if received.datagrams:
        importer.take(received.files[-1], received.files[-1].stat().st_size)
    else:
        received.files[-1].unlink(missing_ok=True)
    made = [*recovered, *importer.finish()]
    result = _result(
        any(each.changed for each in made),
        [row for each in made for row in each.inputs],
        sum(each.records for each in made),
        sum(each.connections for each in made),
        [*received.findings, *(finding for each in made for finding in each.findings)],
        {name: quality for each in made for name, quality in each.quality.items()},
        sorted({day for each in made for day in each.days}),
    )
    result["received"] = {
        "datagrams": received.datagrams,
        "bytes": received.octets,
        "lost": received.lost,
        "discarded": received.discarded,
        "sources": dict(sorted(received.sources.items())),
        "refused": dict(sorted(received.refused.items())),
    }
    return result


@_findings
def run_flow_info(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the store holds: inputs, days, exporters, quality and the busiest conversations."""
    data_dir, top = values["data_dir"], int(values.get("top", 10))
    document = store.read_inputs(data_dir)
    fields: dict[str, Any] = {name: values.get(name) or "" for name in ASKED}
    asked = Search(**fields)
    asked = replace(asked, order=values.get("order") or "time", limit=int(values.get("limit") or 0))
    members = None
    try:
        since, until = store.window_of(values.get("since") or "", values.get("until") or "")
        condition = asked.condition()
        check_devices(data_dir, asked)
        if values.get("bindings") or asked.who:
            members = members_of(values.get("policy_dir") or "", asked.segments)
    except ValueError as error:
        raise FindingError(codes.QUESTION_INVALID.at(str(error))) from error
    with FlowGate(data_dir, since, until, values.get("engine") or "") as gate:
        gate.daily()
        totals = gate.ask(queries.totals()).to_pylist()[0]
        classes = {row["class"]: row["flows"] for row in gate.ask(queries.flows_by("class")).to_pylist()}
        methods = {row["method"]: row["flows"] for row in gate.ask(queries.flows_by("method")).to_pylist()}
        busiest = gate.ask(queries.busiest(), top).to_pylist() if top > 0 else []
        days = [
            {"day": row["day"].isoformat(), "flows": row["flows"], "conversations": row["rollup_rows"]}
            for row in gate.ask(queries.flows_by("day")).to_pylist()
        ]
        rows: list[dict[str, Any]] = []
        bindings: list[dict[str, Any]] = []
        if values.get("bindings") or asked.who:
            gate.bind(members=members)
        if values.get("bindings"):
            bindings = [{**row, "day": row["day"].isoformat()} for row in gate.bindings().to_pylist()]
        if asked.limit:
            found = gate.search(condition, who=asked.who, order=ORDERS[asked.order], limit=asked.limit)
            rows = [plain_row(row) for row in found.to_pylist()]
    seen = observed(store.observers(data_dir, since, until).to_pylist())
    exporters = noted_by_exporter(document)
    for name in sorted({*exporters, *seen}):
        noted, own = exporters.get(name, {}), seen.get(name, {})
        exporters[name] = {**noted, **own, **ceiling_of(name, noted, own).as_dict()}
    exporters = dict(sorted(exporters.items()))
    interfaces = {
        name: {**noted, **ceiling_of(name, noted, {}).as_dict()} for name, noted in noted_by_interface(document).items()
    }
    return {
        "changed": False,
        "inputs": [document["inputs"][name] for name in sorted(document["inputs"])],
        "days": days,
        "exporters": exporters,
        "interfaces": interfaces,
        "rows": rows,
        "bindings": bindings,
        "expired_days": sorted(document.get("expired_days", [])),
        "counts": {
            "inputs": len(document["inputs"]),
            "records": sum(each["records"] for each in document["inputs"].values()),
            "connections": sum(each["connections"] for each in document["inputs"].values()),
            **{name: totals[name] for name in queries.COUNTS if not name.endswith("_us")},
        },
        "first": iso_of_micros(totals["first_us"]) if totals["first_us"] is not None else "",
        "last": iso_of_micros(totals["last_us"]) if totals["last_us"] is not None else "",
        "classes": classes,
        "methods": {str(number): count for number, count in methods.items()},
        "top_talkers": [plain_row(row) for row in busiest],
        "denies": denied.summary(
            data_dir, values.get("since") or "", values.get("until") or "", values.get("engine") or ""
        ),
    }


def flow_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    bind: bool = False,
    policy_dir: str = "",
    engine: str = "",
    limit: int = 0,
    **asked: Any,
) -> list[dict[str, Any]]:
    """Return rollup rows as plain values; ``asked`` are fields of ``search.Search``.

    With ``bind``, or where a device or segment is asked for, each row has devices, bindings and segments too. Raises FindingError and
    ValueError.
    """
    found = search(
        data_dir,
        Search(**asked, limit=limit),
        *store.window_of(since, until),
        policy_dir=policy_dir,
        who=bind,
        engine=engine,
    )
    return [plain_row(row) for row in found.to_pylist()]


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a rollup row with addresses, times, protocol and port as people write them."""
    made: dict[str, Any] = {
        "client": address.text_of(row["client_hi"], row["client_lo"]),
        "server": address.text_of(row["server_hi"], row["server_lo"]),
        "protocol": PROTOCOL_NAMES.get(row["protocol"], str(row["protocol"])),
        "service": port_name(row["protocol"], row["server_port"]),
        "first": iso_of_micros(row["first_us"]),
        "last": iso_of_micros(row["last_us"]),
        "confidence": round(float(row["confidence"]), 3),
    }
    left_out = {"client_hi", "client_lo", "server_hi", "server_lo", "first_us", "last_us", "protocol", "confidence"}
    for name, value in row.items():
        if name not in left_out:
            made[name] = value.isoformat() if isinstance(value, date) else value
    return made


def _expired(gone: Expiry) -> dict[str, Any]:
    return {
        "days": [each.isoformat() for each in gone.days],
        "files": len(gone.files) + len(gone.beside),
        "bytes": gone.bytes,
    }


def _result(
    changed: bool,
    inputs: list[dict[str, Any]],
    records: int,
    connections: int,
    findings: list[Finding],
    quality: dict[str, Any],
    days: list[date],
) -> dict[str, Any]:
    errors = errors_of(findings)
    result: dict[str, Any] = {
        "changed": changed,
        "inputs": inputs,
        "records": records,
        "connections": connections,
        "days": [each.isoformat() for each in days],
        "quality": quality,
        "errors": [each.as_dict() for each in errors],
        "warnings_found": [each.as_dict() for each in findings if each.severity != "error"],
    }
    if errors:
        hint = f" [{errors[0].hint}]" if errors[0].hint else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        result.update(failed=True, msg=f"{errors[0]}{hint}{more}")
    return result
