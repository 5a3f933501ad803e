# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory variables to the specifications from which targets are connected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError

NETWORK_OS = {
    "ios": "ios", "cisco.ios.ios": "ios", "cisco_xe": "ios", "nxos": "nxos", "cisco.nxos.nxos": "nxos",
    "asa": "asa", "cisco.asa.asa": "asa", "cisco_asa": "asa", "nftables": "nftables", "ise": "ise",
}  # fmt: skip
DEFAULT_PORTS = {"ise": 443, "ios": 22, "nxos": 22, "asa": 22, "nftables": 22}


def platform_of(variables: Mapping[str, Any]) -> str:
    """Return ``microseg_platform``, else what ``ansible_network_os`` stands for, else empty text."""
    named = variables.get("microseg_platform") or variables.get("ansible_network_os") or ""
    return NETWORK_OS.get(str(named), str(named))


def target_specs(hostvars: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """Return one connection specification per named host, from its inventory variables.

    Honours ansible_host, ansible_port, ansible_user, ansible_password, ansible_become_password,
    ansible_ssh_private_key_file and ansible_network_os. Raises FindingError for a host without a known platform.
    """
    specs = []
    for name in names:
        variables = hostvars[name]
        platform = platform_of(variables)
        if platform not in DEFAULT_PORTS:
            text = f"host {name} has no microseg_platform (ise, ios, nxos, asa or nftables) and no known ansible_network_os"
            raise FindingError(base_codes.FORMAT_KIND.at(text, hint="set microseg_platform in the inventory"))
        specs.append(_spec(name, platform, variables))
    return specs


def addresses_of(hostvars: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return where the inventory has each named host, as host:port or URL; hosts without a known platform are left out."""
    found = {}
    for name in names:
        variables = hostvars[name]
        platform = platform_of(variables)
        if platform in DEFAULT_PORTS:
            host, port = _place(name, platform, variables)
            urls = _listed(variables.get("microseg_ise_url")) if platform == "ise" else []
            found[name] = urls[0] if urls else f"{host}:{port}"
    return found


def _place(name: str, platform: str, variables: Mapping[str, Any]) -> tuple[str, int]:
    return str(variables.get("ansible_host") or name), int(variables.get("ansible_port") or DEFAULT_PORTS[platform])


def _spec(name: str, platform: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    host, port = _place(name, platform, variables)
    spec: dict[str, Any] = {
        "name": name,
        "platform": platform,
        "host": host,
        "port": port,
        "username": str(variables.get("ansible_user") or ""),
        "password": str(variables.get("ansible_password") or variables.get("ansible_ssh_pass") or ""),
        "enable_password": str(variables.get("ansible_become_password") or ""),
        "private_key_file": str(variables.get("ansible_ssh_private_key_file") or ""),
        "known_hosts_file": str(variables.get("microseg_known_hosts_file") or ""),
        "block_lines": variables.get("microseg_block_lines"),
        "revert_seconds": variables.get("microseg_revert_seconds"),
        "facts_transport": str(
            variables.get("microseg_facts_transport") or variables.get("microseg_transport") or _transport(variables)
        ),
        "transport": "libssh" if _legacy(variables) else str(variables.get("microseg_transport") or "netmiko"),
        "ssh_legacy": _legacy(variables),
    }
    if platform == "asa":
        spec["context"] = str(variables.get("microseg_asa_context") or "")
    if platform == "ise":
        urls = _listed(variables.get("microseg_ise_url")) or [f"https://{host}:{port}"]
        spec["base_url"], spec["other_urls"] = urls[0], urls[1:]
        spec["ca_file"] = str(variables.get("microseg_ca_file") or "")
        spec["version"] = str(variables.get("microseg_ise_version") or "3.3_patch_1")
        spec["rate"] = variables.get("microseg_ise_rate")
        spec["client_certificate"] = str(variables.get("microseg_ise_client_certificate") or "")
        spec["client_key"] = str(variables.get("microseg_ise_client_key") or "")
        spec["proxy"] = str(variables.get("microseg_ise_proxy") or "")
        spec["adopt_names"] = _listed(variables.get("microseg_ise_adopt"))
        spec["cascade"] = _listed(variables.get("microseg_ise_cascade"))
        spec["delete"] = _listed(variables.get("microseg_ise_delete"))
        spec["assignment_pause"] = variables.get("microseg_ise_assignment_pause")
    return spec


def _listed(value: Any) -> list[str]:
    """Return a text, a text with commas or a list as a list of texts."""
    parts = value if isinstance(value, (list, tuple)) else str(value or "").split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _legacy(variables: Mapping[str, Any]) -> bool:
    return str(variables.get("microseg_ssh_legacy") or "").lower() in ("true", "yes", "1")


def _transport(variables: Mapping[str, Any]) -> str:
    """Return libssh for hosts whose connection is network_cli over libssh or that speak old SSH only, else netmiko."""
    if _legacy(variables):
        return "libssh"
    if str(variables.get("ansible_connection", "")).endswith("network_cli"):
        if str(variables.get("ansible_network_cli_ssh_type", "libssh")) == "libssh":
            return "libssh"
    return "netmiko"
