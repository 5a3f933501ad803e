# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the emulated ISE by itself: ``python -m tests.lab.ise --listen 127.10.77.10:9060 --seed seed.json``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.lab.ise.server import IseServer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.ise", description=__doc__)
    parser.add_argument("--listen", default="127.10.0.10:9060", help="loopback address and port; control is port + 1")
    parser.add_argument("--seed", type=Path, help="JSON file, see tests/lab/ise/seed.py")
    parser.add_argument("--certificates", type=Path, default=Path(".microseg/lab/ise"), help="directory for the CA")
    parser.add_argument("--username", default="ersadmin", help="its password: environment ISE_LAB_PASSWORD")
    parser.add_argument("--operator", default="ersoperator", help="its password: environment ISE_LAB_OPERATOR_PASSWORD")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.listen.rpartition(":")
    seed = json.loads(chosen.seed.read_text(encoding="utf-8")) if chosen.seed else {}
    server = IseServer(
        host,
        int(port),
        chosen.certificates,
        seed,
        chosen.username,
        os.environ.get("ISE_LAB_PASSWORD", "Lab-Admin-1"),
        chosen.operator,
        os.environ.get("ISE_LAB_OPERATOR_PASSWORD", "Lab-Operator-1"),
    )
    asyncio.run(_serve(server))
    return 0


async def _serve(server: IseServer) -> None:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    await server.start()
    ready = {"base_url": server.base_url, "control_url": server.control_url, "ca_file": server.ca_file}
    print(json.dumps(ready), flush=True)
    await ending.wait()
    await server.stop()


if __name__ == "__main__":
    sys.exit(main())
