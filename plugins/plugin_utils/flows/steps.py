# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions and lookups of flows return: imports, listening, an overview of the store, rows as plain values."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import (
    address,
    binding,
    codes,
    denied,
    ingest,
    store,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import hints_of, port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import listener, registry

PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
Engine = Callable[[dict[str, Any]], dict[str, Any]]


def _findings(engine: Engine) -> Engine:
    """Turn the database's own faults into findings."""

    @wraps(engine)
    def guarded_engine(values: dict[str, Any]) -> dict[str, Any]:
        try:
            return engine(values)
        except store.duckdb.Error as error:
            raise FindingError(codes.STORE_DAMAGED.at(f"{type(error).__name__}: {str(error)[:200]}")) from error

    return guarded_engine


@_findings
def run_flow_import(values: dict[str, Any]) -> dict[str, Any]:
    """Import captures; in check mode say what would be read."""
    if values["check_mode"]:
        hints_of(values.get("hints") or ())
        new, listed, findings = ingest.survey(
            values["paths"],
            values["data_dir"],
            kind=values["kind"],
            known=registry.kinds(values.get("source_plugins") or ()),
        )
        return _result(bool(new), listed, 0, 0, findings, {}, [])
    made = ingest.ingest(
        values["paths"],
        values["data_dir"],
        kind=values["kind"],
        exporter=values.get("exporter") or "",
        hints=values.get("hints"),
        partial=bool(values.get("partial")),
        known=registry.kinds(values.get("source_plugins") or ()),
        options=values.get("source_options"),
    )
    result = _result(made.changed, made.inputs, made.records, made.connections, made.findings, made.quality, made.days)
    if values.get("reorient"):
        turned, days = rebuild(values["data_dir"], values.get("hints"))
        result["reoriented"] = turned
        result["changed"] = result["changed"] or turned > 0
        result["days"] = sorted({*result["days"], *(each.isoformat() for each in days)})
    return result


@_findings
def run_flow_listen(values: dict[str, Any]) -> dict[str, Any]:
    """Listen for export datagrams and import what came; in check mode only check the arguments."""
    bounds = listener.Bounds(float(values.get("seconds") or 0), int(values.get("datagrams") or 0))
    bounds.check()
    try:
        allowed = listener.networks_of(values["sources"])
    except ValueError as error:
        raise FindingError(codes.LISTEN_LIMIT.at(str(error))) from error
    hints_of(values.get("hints") or ())
    if values["check_mode"]:
        return {
            **_result(True, [], 0, 0, [], {}, []),
            "received": {"datagrams": 0, "bytes": 0, "lost": 0, "sources": {}, "refused": {}},
        }
    spool = store.flows_dir(values["data_dir"]) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / f"listen-{os.getpid()}-{values['port']}.pcap"
    with listener.open_socket(values["address"], values["port"]) as sock:
        received = listener.listen(sock, path, allowed, bounds)
    if received.datagrams:
        made = ingest.ingest(
            [path],
            values["data_dir"],
            kind="export_pcap",
            exporter=values.get("exporter") or "",
            hints=values.get("hints"),
        )
        result = _result(
            made.changed,
            made.inputs,
            made.records,
            made.connections,
            [*received.findings, *made.findings],
            made.quality,
            made.days,
        )
    else:
        result = _result(False, [], 0, 0, received.findings, {}, [])
    path.unlink(missing_ok=True)
    result["received"] = {
        "datagrams": received.datagrams,
        "bytes": received.octets,
        "lost": received.lost,
        "sources": dict(sorted(received.sources.items())),
        "refused": dict(sorted(received.refused.items())),
    }
    return result


@_findings
def run_flow_info(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the store holds: inputs, days, exporters, quality and the busiest conversations."""
    data_dir, top = values["data_dir"], int(values.get("top", 10))
    document = store.read_inputs(data_dir)
    table = store.rollup(data_dir, values.get("since") or None, values.get("until") or None)
    with store.connect() as connection:
        connection.register("daily", table)
        totals = connection.execute(
            "SELECT count(*), coalesce(sum(flows), 0)::BIGINT, coalesce(sum(answered_flows), 0)::BIGINT,"
            " coalesce(sum(weak_flows), 0)::BIGINT,"
            " coalesce(sum(packets), 0)::BIGINT, coalesce(sum(bytes), 0)::BIGINT, min(first_us), max(last_us) FROM daily"
        ).fetchone()
        classes = dict(
            connection.execute("SELECT class, sum(flows)::BIGINT FROM daily GROUP BY class ORDER BY class").fetchall()
        )
        methods = dict(
            connection.execute(
                "SELECT method, sum(flows)::BIGINT FROM daily GROUP BY method ORDER BY method"
            ).fetchall()
        )
        busiest = (
            connection.sql(
                "SELECT client_hi, client_lo, server_hi, server_lo, protocol, server_port, class, sum(flows)::BIGINT AS flows,"
                " sum(answered_flows)::BIGINT AS answered_flows, sum(packets)::BIGINT AS packets, sum(bytes)::BIGINT AS bytes,"
                " count(DISTINCT day) AS days, min(first_us) AS first_us, max(last_us) AS last_us, min(method) AS method,"
                " max(confidence) AS confidence FROM daily"
                " GROUP BY client_hi, client_lo, server_hi, server_lo, protocol, server_port, class"
                f" ORDER BY bytes DESC, client_hi, client_lo, server_hi, server_lo, protocol, server_port, class LIMIT {max(0, top)}"
            )
            .to_arrow_table()
            .to_pylist()
        )
        days = [{"day": day.isoformat(), "flows": flows, "conversations": rows} for day, flows, rows in connection.execute(
            "SELECT day, sum(flows)::BIGINT, count(*) FROM daily GROUP BY day ORDER BY day"
        ).fetchall()]  # fmt: skip
    return {
        "changed": False,
        "inputs": [document["inputs"][name] for name in sorted(document["inputs"])],
        "days": days,
        "exporters": _exporters(document),
        "counts": {
            "inputs": len(document["inputs"]),
            "records": sum(each["records"] for each in document["inputs"].values()),
            "connections": sum(each["connections"] for each in document["inputs"].values()),
            "rollup_rows": totals[0],
            "flows": totals[1],
            "answered_flows": totals[2],
            "weak_flows": totals[3],
            "packets": totals[4],
            "bytes": totals[5],
        },
        "first": iso_of_micros(totals[6]) if totals[6] is not None else "",
        "last": iso_of_micros(totals[7]) if totals[7] is not None else "",
        "classes": classes,
        "methods": {str(number): count for number, count in methods.items()},
        "top_talkers": [plain_row(row) for row in busiest],
        "denies": denied.summary(data_dir, values.get("since") or "", values.get("until") or ""),
    }


def flow_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    client: str = "",
    server: str = "",
    protocol: str = "",
    port: int = 0,
    bind: bool = False,
) -> list[dict[str, Any]]:
    """Return rollup rows as plain values, filtered by client and server (address or network), protocol and server port.

    With ``bind`` each row has the devices too. Raises FindingError and ValueError.
    """
    table = (
        binding.bound_rollup(data_dir, since or None, until or None)
        if bind
        else store.rollup(data_dir, since or None, until or None)
    )
    conditions = ["true"]
    if client:
        conditions.append(address.range_sql(client, "client"))
    if server:
        conditions.append(address.range_sql(server, "server"))
    if protocol:
        names = {name: number for number, name in PROTOCOL_NAMES.items()}
        conditions.append(f"protocol = {names[protocol] if protocol in names else int(protocol)}")
    if port:
        conditions.append(f"server_port = {int(port)}")
    order = "day, client_hi, client_lo, server_hi, server_lo, protocol, server_port, class"
    with store.connect() as connection:
        connection.register("daily", table)
        rows = (
            connection.sql(f"SELECT * FROM daily WHERE {' AND '.join(conditions)} ORDER BY {order}")
            .to_arrow_table()
            .to_pylist()
        )
    return [plain_row(row) for row in rows]


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


def _exporters(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return what is known of each exporter over all inputs: counters are summed, sampling is the largest."""
    made: dict[str, dict[str, int]] = {}
    for each in document["inputs"].values():
        for name, counters in each.get("quality", {}).get("exporters", {}).items():
            own = made.setdefault(name, {})
            for key, value in counters.items():
                if key in ("sampling", "last_us"):
                    own[key] = max(own.get(key, 0), value)
                elif key == "first_us":
                    own[key] = min(own.get(key, value), value)
                else:
                    own[key] = own.get(key, 0) + value
    return dict(sorted(made.items()))


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
        result.update(failed=True, msg=f"{errors[0]}" + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""))
    return result
