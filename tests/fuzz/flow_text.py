"""Seeds of the text kinds for the fuzzing of the flow sources (tests/fuzz/flows.py): made rows of every kind, plain and packed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.unit.flows import test_denies, test_names, test_text_sources

Seed = tuple[str, bytes, dict[str, Any]]


def text_seeds(folder: Path) -> Iterator[Seed]:
    """Yield a file of each text kind; the mapping files that explain the tables are written into ``folder``."""
    zeek = test_text_sources.ZEEK + "".join(
        test_text_sources.zeek_line(op=1000 + i, history=history, state=state)
        for i in range(8)
        for history, state in (("ShADadFf", "SF"), ("^hr", "RSTRH"), ("-", "OTH"))
    )
    line = '{"ts": 1700000000.25, "id.orig_h": "10.0.0.1", "id.orig_p": 5, "id.resp_h": "fe80::1%e", "id.resp_p": 80, "proto": "tcp",'
    names = test_names.ZEEK + "".join(test_names.zeek(1_700_000_000 + i, "a.b,1.2.3.4,::1", "5,6,7") for i in range(20))
    eve = "\n".join([test_text_sources.eve_flow()] * 6 + [
        '{"timestamp": "2024-03-01T10:00:05.0+0100", "event_type": "dns", "src_ip": "10.0.0.1", "src_port": 5, "dest_ip": "10.0.0.2",'
        ' "dns": {"type": "answer", "rrname": "a.b", "answers": [{"rdata": "1.2.3.4", "ttl": 5}]}}'
    ] * 6)  # fmt: skip
    argus = (
        test_text_sources.ARGUS
        + "2018/12/18 14:00:00.5,0.5,tcp,10.2.0.1,0x20,   ->,10.2.0.2,5,FSPA_SR,0,0,10,1000,600,6,x\n" * 20
    )
    for kind, content in (
        ("zeek_conn", zeek),
        ("zeek_conn", (line + ' "conn_state": "SF", "history": "ShA"}\n') * 20),
        ("zeek_dns", names),
        ("eve", eve),
        ("argus", argus),
        ("deny_log", test_denies.LOG),
    ):
        yield kind, content.encode(), {}
        yield kind, gzip.compress(content.encode(), mtime=0), {}
    mapping = folder / "table.yml"
    mapping.write_text(test_text_sources.MAPPING, encoding="utf-8")
    yield "mapped", test_text_sources.TABLE.encode() * 3, {"mapping": str(mapping)}
    for form in ("json_lines", "parquet"):
        other = folder / f"{form}.yml"
        other.write_text(
            f'kind: flow-mapping\nschema_version: "1.0"\nformat: {form}\ncolumns: {{start: t, source: a, target: b,'
            " protocol: p, bytes: n/m}\n"
            "time: {unit: ms}\n",
            encoding="utf-8",
        )
        content = '{"t": 1700000000123, "a": "10.0.0.1", "b": "::1", "p": 6, "n": {"m": 3}}\n' * 20
        yield "mapped", content.encode() if form == "json_lines" else parquet_seed(folder), {"mapping": str(other)}


def parquet_seed(folder: Path) -> bytes:
    """Return a small Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"t": 1_700_000_000_123, "a": "10.0.0.1", "b": "2001:db8::1", "p": 6, "n/m": 3}
    pq.write_table(pa.Table.from_pylist([row] * 50), folder / "seed.parquet")
    return (folder / "seed.parquet").read_bytes()
