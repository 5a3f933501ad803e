"""A slice of the fuzzing of the flow sources, always the same; the long version is `python -m tests.fuzz.flows`."""

from __future__ import annotations

import pytest

from tests.fuzz import flows


@pytest.mark.one_python
def test_damaged_datagrams_and_files_raise_nothing(full: bool) -> None:
    report = flows.run(seconds=600, seed=7, most=3_000 if full else 250)
    assert not report.failures, report.failures[0][:2]
    assert {"datagrams", "export_pcap", "pcap", "nfcapd"} <= set(report.cases)
    assert report.rows > 10_000
