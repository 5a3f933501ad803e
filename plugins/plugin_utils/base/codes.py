# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the base room: files, formats and missing packages (SW0001 to SW0099)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

MISSING_DEPENDENCY = Code("SW0001", "error", "a Python package is missing", "install the package named in the message")
FILE_UNREADABLE = Code("SW0002", "error", "a file cannot be read", "check the path and its permissions")
YAML_SYNTAX = Code("SW0003", "error", "a YAML document cannot be parsed", "correct the syntax at the line named")
YAML_LIMIT = Code(
    "SW0004", "error", "a document is too large or too deep", "split the document; anchors and aliases are not accepted"
)
YAML_DUPLICATE_KEY = Code("SW0005", "error", "a key stands twice in one mapping", "remove one of the two keys")
JSON_SYNTAX = Code(
    "SW0006", "error", "a JSON document cannot be parsed", "the file is damaged or not JSON; write it anew"
)
FORMAT_VERSION = Code("SW0007", "error", "a file has a newer format than this version reads", "upgrade the collection")
FORMAT_KIND = Code("SW0008", "error", "a file is not of the expected kind", "give the file that the step before wrote")
UNSAFE_NAME = Code(
    "SW0009",
    "error",
    "a name has characters that are not allowed",
    "use letters, digits, '_' and '-' and begin with a letter",
)
FILE_UNUSABLE = Code(
    "SW0010", "error", "a file or folder cannot be written or read", "make room, or correct its path and permissions"
)
INTERNAL = Code(
    "SW0099", "error", "an unexpected fault", "please report it with the message and the version of the collection"
)
