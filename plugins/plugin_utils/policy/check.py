# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the numbered rules and judge a site by them.

A rule module is ``rules/rNN_topic.py`` with functions marked by ``ruling.rule``; it is found by its name. Rules are part
of the collection. A folder ``rules/`` in a policy directory is not loaded: everyone who may propose a policy could run
code in the gate by it. A site that needs rules of its own passes them to ``check_site`` from code installed on the
controller.
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import LoadResult, load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, NumberedRule

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


def check_site(site: Site, today: date, more: Iterable[NumberedRule] = ()) -> tuple[Finding, ...]:
    """Return what the numbered rules say about a site, errors first.

    ``today`` decides what has expired. ``more`` are rules of a site's own, from code on the controller.
    """
    context = Context(today)
    findings = [finding for item in (*numbered_rules(), *more) for finding in item.check(site, context)]
    return tuple(sorted_findings(findings))


def load_checked(directory: str | Path, today: date) -> LoadResult:
    """Return the site of a policy directory with the findings of schemas and rules.

    Unlike ``load_site`` there is a site whenever the documents could be read, also where a rule finds an error: look at
    the findings before it is compiled.
    """
    loaded = load_site(directory)
    if loaded.site is None:
        return loaded
    site = replace(loaded.site, as_of=today)
    found = (*loaded.findings, *check_site(site, today))
    return LoadResult(site, tuple(sorted_findings(found)), loaded.classification)
