# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy directory to a sound, compiled site."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ALL_OPEN, NORMAL, Site, Situation
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.windows import situation_at, windowed
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import prove_pulled
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.capacity import figures_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths


@dataclass(frozen=True)
class SoundSite:
    """A site without errors, what it compiles to in a situation, and the warnings on the way."""

    site: Site
    compiled: Compiled
    findings: tuple[Finding, ...]
    situation: Situation = NORMAL

    @property
    def in_force(self) -> Site:
        """The site as its lists have it: only the rules that hold in the situation."""
        return effective_site(self.site, self.situation)


def present_situation(site: Site, moment: datetime | None, postures: Iterable[str] = ()) -> Situation:
    """Return what lists are compiled for at a moment: the windows that are open then (without a moment all), and the pulled postures.

    The day stays that of the site (``as_of``), for which the gate proved it. Lists with some windows closed hold no line that the proved
    ones with all of them open do not hold, and all that the proved ones with all of them closed do. Where several postures are pulled the
    order of their names is their precedence. FindingError for a posture that the site does not have.
    """
    pulled = tuple(sorted(set(postures)))
    unknown = [name for name in pulled if name not in site.postures]
    if unknown:
        text = f"postures: {unknown[0][:40]!a} is not defined in postures.yml"
        raise FindingError(codes.BAD_ARGUMENT.at(text, hint=f"known are: {', '.join(site.postures) or 'none'}"))
    open_windows = situation_at(site, moment).open_windows if moment is not None and windowed(site) else ALL_OPEN
    return Situation(open_windows=open_windows, postures=pulled)


def sound_site(
    paths: Paths, today: date, moment: datetime | None = None, cached: bool = True, postures: Iterable[str] = ()
) -> SoundSite:
    """Return the compiled site of a policy directory; FindingError with every error where it is not sound.

    ``moment`` decides which time windows are open; without it all are. ``postures`` are pulled. ``cached`` False reads the documents
    themselves, whatever the data directory holds of them: apply does.
    """
    loaded = load_checked(paths.policy, today, paths.rules, paths.policy_cache if cached else None)
    errors = errors_of(loaded.findings)
    if errors or loaded.site is None:
        raise FindingError(*errors)
    situation = present_situation(loaded.site, moment, postures)
    figures = figures_of(paths, loaded.site)
    compiled = compile_site(loaded.site, situation, measured=figures.measured)
    errors = errors_of(compiled.findings)
    if errors:
        raise FindingError(*errors)
    return SoundSite(loaded.site, compiled, (*loaded.findings, *compiled.findings, *figures.findings), situation)


def proved_with_postures(site: Site, situation: Situation, compiled: Compiled) -> list[Finding]:
    """Return the remarks of a situation with pulled postures, proved as it is: text, workflows, rules, guardrails.

    Nothing without a posture. FindingError with every error: such lists are not written.
    """
    if not situation.postures:
        return []
    _proofs, found = prove_rendering(compiled.lists)
    found += prove_pulled(site, situation, compiled.lists, site.as_of)
    if errors := errors_of(found):
        raise FindingError(*errors)
    return found
