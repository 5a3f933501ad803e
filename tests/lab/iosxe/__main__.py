# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.lab.iosxe --spec spec.json: run a fleet until interrupted.

The file: {"devices": [...], "users": {"name": ["password", 1]}, "enable_secret": "...", "control": ["127.0.0.1", 9990],
"host_key": "path", "known_hosts": "path", "provider_url": "http://127.0.0.1:9000/switches"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path

from tests.lab.iosxe.fleet import Fleet
from tests.lab.iosxe.provider import HttpProvider, StaticProvider
from tests.lab.iosxe.spec import device_from_dict


async def _serve(fleet: Fleet) -> None:
    started = time.monotonic()
    await fleet.start()
    print(
        json.dumps(
            {
                "devices": len(fleet.devices),
                "seconds": round(time.monotonic() - started, 3),
                "control_port": fleet.control_port,
            }
        ),
        flush=True,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await fleet.stop()


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.iosxe", description=__doc__)
    parser.add_argument("--spec", required=True, help="JSON file that describes the fleet")
    options = parser.parse_args(arguments)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a client that hangs up is no news
    data = json.loads(Path(options.spec).read_text(encoding="utf-8"))
    url = data.get("provider_url")
    provider = HttpProvider(url) if url else StaticProvider()
    users = {
        name: value if isinstance(value, str) else (value[0], int(value[1])) for name, value in data["users"].items()
    }
    control = data.get("control", ["127.0.0.1", 0])
    fleet = Fleet(
        [device_from_dict(each) for each in data["devices"]],
        data.get("host_key"),
        users,
        (control[0], int(control[1])),
        known_hosts_path=data.get("known_hosts"),
        enable_secret=data.get("enable_secret", "enable"),
        provider=provider,
    )
    if isinstance(provider, HttpProvider):
        provider.start()
    try:
        asyncio.run(_serve(fleet))
    finally:
        if isinstance(provider, HttpProvider):
            provider.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
