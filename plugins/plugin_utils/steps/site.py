# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy directory to a sound, compiled site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


@dataclass(frozen=True)
class SoundSite:
    """A site without errors, what it compiles to, and the warnings on the way."""

    site: Site
    compiled: Compiled
    findings: tuple[Finding, ...]


def sound_site(paths: Paths, today: date, cached: bool = True) -> SoundSite:
    """Return the compiled site of a policy directory; FindingError with every error where it is not sound.

    ``cached`` False reads the documents themselves, whatever the data directory holds of them: apply does.
    """
    loaded = load_checked(paths.policy, today, cache=paths.policy_cache if cached else None)
    errors = errors_of(loaded.findings)
    if errors or loaded.site is None:
        raise FindingError(*errors)
    compiled = compile_site(loaded.site)
    errors = errors_of(compiled.findings)
    if errors:
        raise FindingError(*errors)
    return SoundSite(loaded.site, compiled, (*loaded.findings, *compiled.findings))
