# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated ISE: an HTTPS server that a real ciscoisesdk talks to. It imports nothing from plugins/."""

from __future__ import annotations

from tests.lab.ise.server import IseServer

__all__ = ["IseServer"]
