#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_codeowners
short_description: Write CODEOWNERS from the owners in the policy
version_added: 1.0.0
description:
  - Makes the CODEOWNERS file of GitHub, GitLab and Gitea from C(approvers.yml) and the owners of zones and segments, so that
    the forge asks the same people as M(segwright.microseg.policy_apply) does.
author:
  - Segwright contributors (@segwright)
options:
  path:
    description:
      - Where to write it, such as C(.github/CODEOWNERS).
    type: path
    default: CODEOWNERS
  prefix:
    description:
      - Path of the policy directory in its repository. Found by looking at the checkout where not given.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.policy
  - segwright.microseg.loop.today
attributes:
  check_mode:
    support: full
    description: Writes nothing in check mode.
  diff_mode:
    support: full
    description: Shows the difference where there is one.
requirements:
  - pyyaml
  - jsonschema
"""

EXAMPLES = r"""
- name: Keep CODEOWNERS as the policy says
  segwright.microseg.policy_codeowners:
    policy_dir: policies
    path: .github/CODEOWNERS
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
content:
  description: Its content.
  returned: always
  type: str
"""
