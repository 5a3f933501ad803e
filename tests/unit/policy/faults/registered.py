# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every class of faults; importing this registers them."""

from tests.unit.policy.faults import access, identity, names, shape
from tests.unit.policy.faults.base import FAULTS

__all__ = ["FAULTS", "access", "identity", "names", "shape"]
