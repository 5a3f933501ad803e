# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every report says first while a posture is pulled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.emergency import (
    Pulled,
    pulled_state,
    shouts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import iter_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_postures
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


def postures_of(values: Mapping[str, Any], paths: Paths) -> tuple[str, ...]:
    """Return the postures of a run: those of the argument, else those that the journal says are pulled. An empty list releases them."""
    given = values.get("postures")
    return pulled_postures(paths.journal) if given is None else tuple(str(name) for name in given)


def pulled_now(paths: Paths) -> tuple[Pulled, ...]:
    """Return what the journal says is pulled, with who, why and since when."""
    return pulled_state(tuple(iter_entries(paths.journal))) if paths.journal.exists() else ()


def shouted(paths: Paths, site: Site | None) -> list[Finding]:
    """Return a warning for each posture that is pulled, each relaxation that asks, and each emergency that nobody approved in time."""
    after = {name: posture.ask_after_minutes for name, posture in site.postures.items()} if site else {}
    return shouts(pulled_now(paths), after, utc_now())
