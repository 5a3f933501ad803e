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
    """ca_file: PEM for clients. server_file: PEM with the private key and the chain, readable by the owner only.

    client_file: the same for a client, its common name the user name.
    """

    ca_file: Path
    server_file: Path
    client_file: Path


def server_certificate(directory: Path, host: str, user: str = "ersadmin") -> ServerCertificate:
    """Return the certificate of ``host`` in ``directory``; made on first use, found again later."""
    directory.mkdir(parents=True, exist_ok=True)
    made = ServerCertificate(
        directory / f"{host}-ca.pem", directory / f"{host}-server.pem", directory / f"{host}-{user}.pem"
    )
    if not all(path.exists() for path in (made.ca_file, made.server_file, made.client_file)):
        authority = trustme.CA(organization_name="Segwright lab")
        issued = authority.issue_cert(host, "localhost")
        authority.cert_pem.write_to_path(str(made.ca_file))
        client = authority.issue_cert(f"{user}@lab.invalid", common_name=user)
        for path, each in ((made.server_file, issued), (made.client_file, client)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(each.private_key_and_cert_chain_pem.bytes())
    return made
