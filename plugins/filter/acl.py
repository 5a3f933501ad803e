# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import compare_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace


def _entries(value: Any, family: int) -> list[Ace]:
    if not isinstance(value, (list, tuple)):
        raise AnsibleFilterError("the input is not a list of entries")
    return [ace_from_dict(item, family) for item in value]


def _said(make: Callable[[], Any]) -> Any:
    """Return what the engine makes; its findings become a filter error."""
    try:
        return make()
    except FindingError as error:
        raise AnsibleFilterError("; ".join(str(finding) for finding in error.findings)) from error
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def to_dacl(value: Any, end: str = "deny") -> str:
    """Return the content of a downloadable ACL."""
    return _said(lambda: registry.render("dacl", "", _entries(value, 4), end=end))


def to_sgacl(value: Any, end: str = "deny") -> str:
    """Return the content of a security group ACL."""
    return _said(lambda: registry.render("sgacl", "", _entries(value, 0), end=end))


def to_acl(value: Any, name: str, platform: str = "ios", **options: Any) -> str:
    """Return the configuration of a list for a device."""
    family = 6 if platform == "ios_ipv6" else 4
    return _said(lambda: registry.render(platform, name, _entries(value, family), **options))


def acl_diff(
    value: str, other: str, platform: str = "ios", other_platform: str = "", name: str = "", other_name: str = ""
) -> dict[str, Any]:
    """Return how two texts differ in meaning."""
    first = {"platform": platform, "text": value, "name": name}
    second = {"platform": other_platform or platform, "text": other, "name": other_name or name}
    return _said(lambda: compare_result(first, second))


class FilterModule:
    """Filters on access lists."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"to_dacl": to_dacl, "to_sgacl": to_sgacl, "to_acl": to_acl, "acl_diff": acl_diff}
