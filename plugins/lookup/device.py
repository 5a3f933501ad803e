# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: device
author:
  - Segwright contributors (@segwright)
version_added: 1.0.0
short_description: Devices of the register
description:
  - Returns devices by MAC address, or by the address that they hold at a moment. Nothing is returned for what the register does not know.
options:
  _terms:
    description:
      - MAC addresses or IP addresses.
    type: list
    elements: str
    required: true
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
  policy_dir:
    description:
      - Directory with the policy documents, of which C(classification.yml) is read.
    type: path
    default: policies
  at:
    description:
      - When the address is held, as V(2026-11-23T20:00:00Z). Now where empty.
    type: str
    default: ""
  fact:
    description:
      - Return the value of this fact in place of the whole device.
    type: str
    default: ""
requirements:
  - pyarrow
"""

EXAMPLES = r"""
- name: What ISE takes this device for
  ansible.builtin.debug:
    msg: "{{ lookup('segwright.microseg.device', '192.0.2.11', fact='endpoint_profile') }}"

- name: Why this device is what it is
  ansible.builtin.debug:
    msg: "{{ lookup('segwright.microseg.device', '192.0.2.11').classification.evidence }}"
"""

RETURN = r"""
_raw:
  description: Devices with id, facts, addresses and classification, or values of the fact asked for.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.register_info import device_value


class LookupModule(LookupBase):
    """Devices of the register."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the devices, or the fact asked for, of the terms that are known."""
        self.set_options(var_options=variables, direct=kwargs)
        options = [self.get_option(name) for name in ("data_dir", "at", "fact", "policy_dir")]
        try:
            found = [device_value(options[0], term, *options[1:]) for term in terms]
        except (FindingError, ValueError) as error:
            raise AnsibleError(f"device: {error}") from error
        return [each for each in found if each is not None]
