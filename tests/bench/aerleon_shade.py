"""The pairwise shade check of Aerleon on a list of terms: the other tool for dead entries. Run as a program of its own.

Reads JSON terms from standard input, each with ``name``, ``action``, ``protocol`` (name or ""), ``source`` and ``destination``
(prefixes, [] for any), ``ports`` ((low, high) pairs), ``established``. Writes JSON: CPU seconds with and without the check, and the
names of the terms that it calls shaded.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
import time
from typing import Any


def policy_of(terms: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a policy and its definitions as Aerleon's plain dictionaries."""
    networks: dict[str, Any] = {}
    services: dict[str, Any] = {}
    listed = []
    for term in terms:
        made: dict[str, Any] = {"name": term["name"], "action": term["action"]}
        if term["protocol"]:
            made["protocol"] = term["protocol"]
        for side in ("source", "destination"):
            if term[side]:
                name = "N" + re.sub(r"[^0-9]", "_", "_".join(term[side]))
                networks[name] = {"values": [{"address": prefix} for prefix in term[side]]}
                made[f"{side}-address"] = name
        if term["ports"]:
            name = f"S{term['protocol']}" + "_".join(f"{low}_{high}" for low, high in term["ports"])
            services[name] = [
                {"protocol": term["protocol"], "port": str(low) if low == high else f"{low}-{high}"}
                for low, high in term["ports"]
            ]
            made["destination-port"] = name
        if term["established"]:
            made["option"] = "tcp-established"
        listed.append(made)
    header = {"targets": {"cisco": "bench extended"}}
    policy = {"filename": "bench", "filters": [{"header": header, "terms": listed}]}
    return policy, {"networks": networks, "services": services}


def main() -> int:
    # Not one of the project's packages: it lives in the environment of the interpreter that runs this (SEGWRIGHT_AERLEON).
    naming, policy, builder = (
        importlib.import_module(f"aerleon.lib.{name}") for name in ("naming", "policy", "policy_builder")
    )
    shaded: list[str] = []

    class Caught(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = re.match(r"(\S+) is shaded by ", record.getMessage())
            if found:
                shaded.append(found[1])

    logging.getLogger().addHandler(Caught())
    for handler in list(logging.getLogger().handlers):
        if not isinstance(handler, Caught):
            logging.getLogger().removeHandler(handler)
    raw, names = policy_of(json.load(sys.stdin))
    definitions = naming.Naming()
    definitions.ParseDefinitionsObject(names, "bench")
    spent = {}
    for check in (False, True):
        begun = time.process_time()
        policy.FromBuilder(builder.PolicyBuilder(json.loads(json.dumps(raw)), definitions, False, check))
        spent[check] = time.process_time() - begun
    json.dump({"read": spent[False], "read_and_check": spent[True], "shaded": sorted(set(shaded))}, sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
