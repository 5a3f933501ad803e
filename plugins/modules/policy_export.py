#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: policy_export
short_description: Export a segment's rules as a MUD file
version_added: 1.0.0
description:
  - Writes a manufacturer usage description (RFC 8520) of what the segment's devices may open and what may be opened to them, for their
    maker or for another site. Exceptions and rules that hold only at times are left out, with a finding.
  - Imported again with RV(bindings), the file gives the same rules. Where a MUD file cannot say who opens a conversation, a
    finding names the rule.
  - The file is left alone where it says the same already, whatever its date.
options:
  segment:
    description:
      - Segment to export.
    type: str
    required: true
  dest:
    description:
      - File to write.
    type: path
    required: true
  mud_url:
    description:
      - MUD URL of the file, V(https://host/path). Its host is the manufacturer.
    type: str
    required: true
  bindings:
    description:
      - Roles that the site's segments and network sets play, as for M(segwright.microseg.policy_import). A segment without one
        becomes a controller class below the host of O(mud_url).
    type: dict
  origins:
    description:
      - Origins of the rules that are exported.
    type: list
    elements: str
    default: [learned, manual, mud, template]
    choices: [learned, manual, mud, template]
  systeminfo:
    description:
      - What the device is, at most 60 characters. The segment's description where not given.
    type: str
  manufacturer:
    description:
      - Name of the maker.
    type: str
  model:
    description:
      - Name of the model.
    type: str
  last_update:
    description:
      - Date and time of the file (RFC 3339). The present time where not given.
    type: str
extends_documentation_fragment:
  - segwright.microseg.loop.policy
attributes:
  check_mode:
    support: full
    description: Says whether the file would change and writes nothing.
  diff_mode:
    support: full
    description: Shows the file.
requirements:
  - pyyaml
  - ruamel.yaml
  - jsonschema
author:
  - Segwright contributors (@segwright)
"""

EXAMPLES = r"""
- name: Tell the maker what the pumps really need
  segwright.microseg.policy_export:
    segment: infusion_pumps
    dest: infusion_pumps.mud.json
    mud_url: https://pump.example/infusion
    bindings:
      my-controller: [pump_gateway]
  register: exported
"""

RETURN = r"""
bindings:
  description: All roles in which the file names segments and network sets; an import with them gives the same rules.
  returned: success
  type: dict
dest:
  description: The file.
  returned: success
  type: str
evidence:
  description: For each exported rule its origin, the bands of its evidence, and the counts of evidence/SEGMENT.json.
  returned: success
  type: dict
findings:
  description: Rules that are not in the file, or not with the same meaning.
  returned: success
  type: list
  elements: dict
rules:
  description: Ids of the exported rules.
  returned: success
  type: list
  elements: str
summary:
  description: One sentence.
  returned: success
  type: str
"""
