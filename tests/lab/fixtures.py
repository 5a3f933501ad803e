# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests that need a lab of their own. Use: ``from tests.lab.fixtures import lab, net_lab  # noqa: F401``.

Each test run takes a free instance from 60 upwards, so that it never meets a lab somebody has running.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .net.features import why_not
from .places import Places
from .supervisor import Lab

TEST_IDS = range(60, 79)


def free_lab_id(base: Path) -> int:
    """The first instance for tests whose addresses nobody uses; raises RuntimeError when all are taken."""
    for number in TEST_IDS:
        places = Places.of(number, base)
        if all(_free(each) for each in (places.control, places.ise, places.firewall, places.switch_control)):
            return number
    raise RuntimeError("every lab instance for tests is in use")


def _free(address: tuple[str, int]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The whole lab but the hospital's programs: emulated ISE and switches everywhere, fw1 where namespaces are permitted."""
    base = tmp_path_factory.mktemp("lab")
    with Lab.start({"ise", "switches", "net", "fw1"}, free_lab_id(base), base) as running:
        yield running


@pytest.fixture(scope="session")
def net_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Only namespaces and fw1; skips with the reason where the machine does not permit them."""
    reason = why_not()
    if reason:
        pytest.skip(f"no namespaces here: {reason}")
    base = tmp_path_factory.mktemp("net-lab")
    with Lab.start({"net", "fw1"}, free_lab_id(base), base) as running:
        yield running
