# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the steps room (SW4600 to SW4699)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

BAD_ARGUMENT = Code("SW4601", "error", "an argument cannot be used", "correct the argument named in the message")
NO_REGISTER = Code("SW4602", "error", "there is no register of devices", "run the collect playbook first")
NO_TARGET = Code(
    "SW4603",
    "error",
    "the policy needs a target that the play does not reach",
    "add the host to the inventory or to the play's hosts",
)
GATE_CLOSED = Code(
    "SW4604", "error", "the policy does not pass its gate", "run the validate playbook and correct what it names"
)
END_UNKNOWN = Code(
    "SW4605",
    "error",
    "an end of the conversation cannot be resolved",
    "use an address, a device id or name of the membership, or a segment",
)
NO_SUCH_COMMIT = Code(
    "SW4610", "error", "a commit cannot be found", "name a commit, branch or tag of the policy's checkout"
)
COMMIT_UNREADABLE = Code(
    "SW4611", "error", "git cannot read a commit", "look at git's message; a shallow clone lacks commits"
)
COMMIT_UNSOUND = Code(
    "SW4612",
    "warning",
    "the documents of the commit to compare with have errors",
    "compare with a commit that passed the gate",
)
