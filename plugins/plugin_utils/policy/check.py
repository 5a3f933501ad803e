# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the numbered rules and judge a site by them.

A rule module is ``rules/rNN_topic.py`` with functions marked by ``ruling.rule``; it is found by its name. These rules are
part of the collection. A site's own (``site_rules.py``) are statements in ``rules/*.yml`` of its policy directory, or of a
directory beside it that is the same for many sites: never code, because everyone who may propose a policy could then run
it in the gate. They can add findings and never silence one.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, sorted_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import rules as rules_package
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.judged import Judged
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import LoadResult, load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, NumberedRule
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.site_rules import (
    apply_site_rules,
    read_rule_directories,
    site_rule_findings,
)

MODULE_NAME = re.compile(r"\Ar[0-9]{2}_[a-z_]+\Z")


@lru_cache(maxsize=1)
def numbered_rules() -> tuple[NumberedRule, ...]:
    """Return every rule of the collection by its number."""
    found: list[NumberedRule] = []
    for module in pkgutil.iter_modules(rules_package.__path__):
        if MODULE_NAME.match(module.name):
            loaded = importlib.import_module(f"{rules_package.__name__}.{module.name}")
            found.extend(item.numbered_rule for item in vars(loaded).values() if hasattr(item, "numbered_rule"))
    return tuple(sorted(found, key=lambda item: (item.number, item.description)))


def check_site(
    site: Site, today: date, more: Iterable[NumberedRule] = (), judged: Judged | None = None
) -> tuple[Finding, ...]:
    """Return what the numbered rules say about a site, errors first.

    ``today`` decides what has expired. ``more`` are rules of a site's own, from code on the controller. ``judged`` knows segments and locks
    of which rules that look at nothing else had nothing to say.
    """
    context = Context(today)
    rest = site if judged is None else judged.rest(site)
    skipped = judged is not None and judged.lock_is_silent()
    findings: list[Finding] = []
    alone: list[Finding] = []
    of_lock: list[Finding] = []
    for item in (*numbered_rules(), *more):
        if item.alone:
            alone += item.check(rest, context)
        elif not item.of_lock:
            findings += item.check(site, context)
        elif not skipped:
            of_lock += item.check(site, context)
    if judged is not None:
        judged.keep(site, alone)
        judged.keep_lock(of_lock)
        judged.save()
    return tuple(sorted_findings((*findings, *alone, *of_lock)))


def load_checked(
    directory: str | Path, today: date, rule_directories: Iterable[str | Path] = (), cache: str | Path | None = None
) -> LoadResult:
    """Return the site of a policy directory with the findings of schemas and rules.

    ``rule_directories`` hold more of the site's own rules, outside the policy directory; ``cache`` is a directory for what
    was read before (``cache.py``).

    Unlike ``load_site`` there is a site whenever the documents could be read, also where a rule finds an error: look at
    the findings before it is compiled.
    """
    loaded = load_site(directory, cache)
    more, faults = read_rule_directories(rule_directories)
    rules = (*loaded.rules, *more)
    faults = [*faults, *(site_rule_findings(rules) if more else ())]
    if loaded.site is None:
        return replace(loaded, findings=tuple(sorted_findings((*loaded.findings, *faults))))
    site = replace(loaded.site, as_of=today)
    judged = Judged(cache, loaded.digests, today) if cache is not None and loaded.digests is not None else None
    found = (*loaded.findings, *faults, *check_site(site, today, judged=judged), *apply_site_rules(site, rules))
    return replace(loaded, site=site, findings=tuple(sorted_findings(found)), rules=rules)
