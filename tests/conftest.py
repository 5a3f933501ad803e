"""Fixtures and marks that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Caches are sealed by this key and not by one in the home directory of whoever runs the tests.
os.environ["SEGWRIGHT_CACHE_KEY"] = "a key of the tests and of nothing else"


def corpora_directory() -> Path:
    """Return where other projects' public data is looked for: SEGWRIGHT_CORPORA, or ``../shared`` beside the checkout."""
    return Path(os.environ.get("SEGWRIGHT_CORPORA") or ROOT.parent / "shared").expanduser()


def full_run() -> bool:
    """Return whether the long suites were asked for (``make full``)."""
    return os.environ.get("SEGWRIGHT_FULL") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked ``full`` outside a full run."""
    if full_run():
        return
    skip = pytest.mark.skip(reason="long suite; make full runs it")
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def full() -> bool:
    """Return whether this is a full run, for tests that only change their sample size."""
    return full_run()


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of public corpora; skip the test where there is none."""
    directory = corpora_directory()
    if not directory.is_dir():
        pytest.skip(f"no corpora: {directory} is not a folder; SEGWRIGHT_CORPORA names another")
    return directory
