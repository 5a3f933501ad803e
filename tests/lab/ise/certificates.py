# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the lab: an own CA and one server certificate, so that clients verify for real."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class ServerCertificate:
    """ca_file: PEM for clients. server_file: PEM with the private key and the chain, readable by the owner only."""

    ca_file: Path
    server_file: Path


def server_certificate(directory: Path, host: str) -> ServerCertificate:
    """Return the certificate of ``host`` in ``directory``; made on first use, found again later."""
    directory.mkdir(parents=True, exist_ok=True)
    made = ServerCertificate(directory / f"{host}-ca.pem", directory / f"{host}-server.pem")
    if not (made.ca_file.exists() and made.server_file.exists()):
        authority = trustme.CA(organization_name="Segwright lab")
        issued = authority.issue_cert(host, "localhost")
        authority.cert_pem.write_to_path(str(made.ca_file))
        descriptor = os.open(made.server_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(issued.private_key_and_cert_chain_pem.bytes())
    return made
