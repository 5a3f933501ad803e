# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of what looks at sessions and switches after writing."""

from __future__ import annotations


class ModuleDocFragment:
    """Parts that modules name under ``extends_documentation_fragment``."""

    DOCUMENTATION = r"""
options:
  reauth_batch:
    description:
      - Sessions in one batch.
    type: int
    default: 5
  reauth_pause:
    description:
      - Seconds between two batches.
    type: float
    default: 30.0
  reauth_hold:
    description:
      - MACs, names of devices and names of segments that are not touched, for devices in use.
    type: list
    elements: str
  reauth_hold_criticality:
    description:
      - Criticalities of segments that are not touched.
    type: list
    elements: str
"""

    REREAD = r"""
options:
  reread:
    description:
      - How often, at most, the switches are read again where one shows another cell or list than the approved one. Hardware is programmed
        after the download that ISE reports as done. That they were read again is said (SW4228), and what still differs is an error.
      - 0 to 20.
    type: int
    default: 3
  reread_pause:
    description:
      - Seconds before each further reading, 0 to 60.
    type: float
    default: 2.0
"""
