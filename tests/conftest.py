"""Fixtures and marks that all tests share."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

try:
    import hypothesis
except ImportError:  # the environment of Spark
    pass
else:  # how long an example takes says how busy the machine is
    hypothesis.settings.register_profile(
        "segwright",
        parent=hypothesis.settings(),
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("segwright")

ROOT = Path(__file__).resolve().parent.parent
# Caches are sealed by this key and not by one in the home directory of whoever runs the tests.
os.environ["SEGWRIGHT_CACHE_KEY"] = "a key of the tests and of nothing else"


def corpora_directory() -> Path:
    """Return where other projects' public data is looked for: SEGWRIGHT_CORPORA, or ``../shared`` beside the checkout."""
    return Path(os.environ.get("SEGWRIGHT_CORPORA") or ROOT.parent / "shared").expanduser()


def full_run() -> bool:
    """Return whether the long suites were asked for (``make full``)."""
    return os.environ.get("SEGWRIGHT_FULL") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--first-of-each-file", type=int, default=0, metavar="N", help="run only the first N tests of each file"
    )


def only_the_first(config: pytest.Config, items: list[pytest.Item], number: int) -> None:
    """Leave the first tests of each file that are chosen and are not skipped by a mark."""
    seen: Counter[Path] = Counter()
    kept, left = [], []
    for item in items:
        counts = not item.get_closest_marker("skip")
        (kept if not counts or seen[item.path] < number else left).append(item)
        seen[item.path] += counts
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.hookimpl(trylast=True)  # after what -m leaves out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked ``full`` outside a full run; leave the first of each file where only those are asked for."""
    skip_what_is_long(items)
    if number := config.getoption("--first-of-each-file"):
        only_the_first(config, items, number)


def skip_what_is_long(items: list[pytest.Item]) -> None:
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
