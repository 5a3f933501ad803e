# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of the lab. They open nothing but the lab's own loopback services."""

from __future__ import annotations

ISE_USER, ISE_PASSWORD = "segwright", "lab-ise-password"
ISE_OPERATOR, ISE_OPERATOR_PASSWORD = "auditor", "lab-auditor-password"
SWITCH_USER, SWITCH_PASSWORD, SWITCH_ENABLE = "netops", "lab-switch-password", "lab-enable-secret"
FIREWALL_USER = "root"
