# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session to a Nexus switch that is in use: opened when needed, anew where it has ended, replaced by the one that confirms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, nxos_way_back
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import ManagementPath
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import NxosState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_guard import management_path
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_session import NxosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import await_typing, refusal


class Link:
    """One session at a time, and a second one only to confirm. Not for use from several threads at once."""

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], NxosSession]) -> None:
        self.name, self.spec = spec.name, spec
        self._open = open_session
        self._session: NxosSession | None = None
        self._path: tuple[Any, ManagementPath] | None = None
        self._claim = ""

    def session(self) -> NxosSession:
        """Return the session in use, opened where there is none."""
        if self._session is None:
            self._session = self.opened()
        return self._session

    def opened(self) -> NxosSession:
        """Return a new session, from a login of its own."""
        session = self._open(self.spec)
        session.claim = self._claim
        return session

    def claiming(self, name: str) -> None:
        """Note the name of the claim that this run types, empty where it holds none any more."""
        self._claim = name
        if self._session is not None:
            self._session.claim = name

    def answering(self) -> NxosSession | None:
        """Return the session in use where there is one that was not lost; none is opened."""
        return self._session if self._session is not None and not self._session.silent else None

    def replace(self, session: NxosSession) -> None:
        """Go on with another session and close the one in use."""
        session.lines += self._session.lines if self._session is not None else 0
        self.close()
        self._session = session

    def close(self) -> None:
        """Close the session; never raises."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def state(self) -> NxosState:
        """Return the configuration, from a new session where the old one has ended meanwhile."""
        if self._session is not None:
            try:
                return self._session.state()
            except FindingError as error:
                if all(finding.code != codes.SESSION_LOST.number for finding in error.findings):
                    raise
                self.replace(self.opened())
        return self.session().state()

    def state_to_write(self) -> NxosState:
        """Return the configuration; FindingError SW4476 where another run is at work. What dead ones left goes with our claim."""
        state = self.state()
        if not state.claimed and await_typing(self.name, nxos_way_back.standing(self.session(), state)):
            state = self.state()
        if others := nxos_way_back.in_the_way(self.session(), state, nxos_way_back.own_names()):
            raise FindingError(*refusal(self.name, others))
        return state

    def managed_by(self, state: NxosState) -> ManagementPath:
        """Return how the switch is managed, asked once for what its configuration says of it."""
        said = (state.servers, state.services, state.routed, state.interfaces)
        if self._path is None or self._path[0] != said:
            self._path = said, management_path(self.session(), state)
        return self._path[1]
