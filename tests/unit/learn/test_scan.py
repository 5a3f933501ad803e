# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who scanned: a wide and a deep scan are found, polling and a busy client are not."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.scan import Opened, find_scans

MINUTE = 60_000_000
CLIENT, OTHER = (4, 1), (4, 2)


def opened(
    client: tuple[int, int],
    server: int,
    port: int,
    answered: bool = False,
    size: int = 60,
    at: int = 0,
    protocol: int = 6,
) -> Opened:
    return Opened(at, client, (4, server), protocol, port, answered, 4, 4 * size)


def test_a_wide_scan_is_found_with_its_numbers() -> None:
    report = find_scans([opened(CLIENT, 100 + n, 22) for n in range(30)])
    assert [(s.client, s.pairs, s.servers, s.unanswered) for s in report.scans] == [(CLIENT, 30, 30, 30)]
    assert len(report.conversations) == 30


def test_a_deep_scan_of_one_server_is_found() -> None:
    report = find_scans([opened(CLIENT, 100, port) for port in range(1, 16)])
    assert len(report.scans) == 1 and report.scans[0].pairs == 15


def test_fewer_than_the_threshold_is_no_scan() -> None:
    assert find_scans([opened(CLIENT, 100 + n, 22) for n in range(24)]).scans == ()


def test_a_poller_whose_servers_answer_with_data_is_no_scan() -> None:
    report = find_scans([opened(CLIENT, 100 + n, 502, answered=True, size=120) for n in range(200)])
    assert report.scans == () and not report.conversations


def test_what_the_scanner_does_besides_stays_its_own_traffic() -> None:
    upload = opened(CLIENT, 7, 443, answered=True, size=900)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), upload])
    assert (CLIENT, (4, 7), 6, 443) not in report.conversations


def test_an_open_port_that_the_scan_met_belongs_to_the_scan() -> None:
    met = opened(CLIENT, 9, 2575, answered=True, size=52)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), met])
    assert (CLIENT, (4, 9), 6, 2575) in report.conversations


def test_a_conversation_that_also_happens_without_the_scan_is_kept() -> None:
    later = opened(CLIENT, 100, 22, answered=True, size=300, at=60 * MINUTE)
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), later])
    assert (CLIENT, (4, 100), 6, 22) not in report.conversations


def test_small_datagrams_are_data_and_clients_are_judged_apart() -> None:
    queries = [opened(OTHER, 50, 53, answered=True, size=60, protocol=17, at=n) for n in range(60)]
    report = find_scans([*(opened(CLIENT, 100 + n, 22) for n in range(30)), *queries])
    assert {scan.client for scan in report.scans} == {CLIENT}
    assert (OTHER, (4, 50), 17, 53) not in report.conversations


def test_a_slow_scan_over_hours_is_not_claimed_to_be_found() -> None:
    assert find_scans([opened(CLIENT, 100 + n, 22, at=n * 10 * MINUTE) for n in range(30)]).scans == ()


def test_declared_scanners_are_left_alone() -> None:
    probes = [opened(CLIENT, 100 + n, 22) for n in range(30)]
    assert find_scans(probes, frozenset({CLIENT})).scans == ()
