# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of what reads or writes the directories of the loop."""

from __future__ import annotations


class ModuleDocFragment:
    """Parts that modules name under ``extends_documentation_fragment``."""

    POLICY = r"""
options:
  policy_dir:
    description:
      - Directory with the policy documents.
    type: path
    default: policies
"""

    DATA = r"""
options:
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
"""

    OUTPUT = r"""
options:
  output_dir:
    description:
      - Directory for reports. V(out) below O(data_dir) where not given.
    type: path
"""

    STATE = r"""
options:
  state_dir:
    description:
      - Directory for plan, journal and lock. V(state) below O(data_dir) where not given.
    type: path
"""

    TARGETS = r"""
options:
  targets:
    description:
      - Inventory names of the targets. The hosts of the play where not given.
    type: list
    elements: str
"""

    TODAY = r"""
options:
  today:
    description:
      - The date, as V(YYYY-MM-DD), at which expiry is judged. Today where not given.
    type: str
"""

    RULES = r"""
options:
  rules_dirs:
    description:
      - Directories with more checks of your own, C(*.yml) with the schema of C(rules/*.yml), outside the policy directory.
        They can add findings and silence none. Playbooks take them from the variable C(microseg_rules_dirs).
    type: list
    elements: path
"""

    ENGINE = r"""
options:
  engine:
    description:
      - What sums the recorded flows, V(duckdb) in this process where not given, V(spark-local) or V(spark://HOST:PORT).
      - Playbooks take it from the variable C(microseg_flow_engine).
    type: str
"""
