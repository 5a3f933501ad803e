# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest fixtures around one emulated ISE and the real SDK. Use: ``pytest_plugins = ["tests.lab.ise.fixtures"]``.

The SDK costs seconds to import and a second to construct, so one object per method family serves a whole session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.ise.client import ControlClient
from tests.lab.ise.example import HOST, PORT, SEED
from tests.lab.ise.server import IseServer


@pytest.fixture(scope="session")
def _ise_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("ise-certificates")
    for port in range(PORT, PORT + 100, 2):  # another run on this machine may hold the first ports
        server = IseServer(HOST, port, directory, SEED)
        try:
            server.start_in_thread()
            break
        except OSError:
            continue
    else:
        raise RuntimeError(f"no free port on {HOST}")
    try:
        yield server, ControlClient(server.control_url).state()
    finally:
        server.stop_thread()


@pytest.fixture
def ise(_ise_process: tuple[IseServer, dict[str, Any]]) -> IseServer:
    """The emulated ISE in its seeded state, without faults, counters at zero."""
    server, state = _ise_process
    ControlClient(server.control_url).fresh(state)
    return server


@pytest.fixture
def ise_control(ise: IseServer) -> ControlClient:
    return ControlClient(ise.control_url)


@pytest.fixture(scope="session")
def make_sdk(_ise_process: tuple[IseServer, dict[str, Any]]) -> Callable[..., Any]:
    """Returns a function that makes an IdentityServicesEngineAPI for the emulated ISE; keyword arguments go through."""
    api_class = pytest.importorskip("ciscoisesdk").IdentityServicesEngineAPI
    server = _ise_process[0]

    def make(version: str = "3.5.0", **other: Any) -> Any:
        given: dict[str, Any] = {
            "username": server.username,
            "password": server.password,
            "base_url": server.base_url,
            "uses_api_gateway": True,
            "version": version,
            "verify": server.ca_file,
            "wait_on_rate_limit": False,
            "single_request_timeout": 5,
        }
        return api_class(**{**given, **other})

    return make


@pytest.fixture(scope="session")
def sdk35(make_sdk: Callable[..., Any]) -> Any:
    return make_sdk("3.5.0")


@pytest.fixture(scope="session")
def sdk33(make_sdk: Callable[..., Any]) -> Any:
    return make_sdk("3.3_patch_1")
