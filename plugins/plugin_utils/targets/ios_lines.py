# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session in use on one IOS switch, over which a change is typed (``ios_work.py``), with what is known of the switch."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_claim import Claim
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec


class Lines:
    """The session that is in use, opened when first needed; the state that was read last; the number of lines sent."""

    def __init__(self, spec: TargetSpec, open_session: Callable[[TargetSpec], IosSession]) -> None:
        self.spec, self._open = spec, open_session
        self._session: IosSession | None = None
        self._sent = 0
        self._opened = set[str]()
        self._known: IosState | None = None
        self.claim = Claim()

    @property
    def count(self) -> int:
        """Return the configuration lines sent in all sessions."""
        return self._sent + (self._session.lines if self._session is not None else 0)

    @property
    def opened(self) -> set[str]:
        """Return the lines sent in all sessions that open a mode, such as the headers of lists."""
        return self._opened | (self._session.opened if self._session is not None else set())

    @property
    def answering(self) -> IosSession | None:
        """Return the session in use where there is one that has not fallen silent; none is opened."""
        return self._session if self._session is not None and not self._session.silent else None

    def session(self) -> IosSession:
        """Return the session in use."""
        if self._session is None:
            self._session = self._open(self.spec)
        return self._session

    def login(self) -> IosSession:
        """Return a second session; the first one stays in use."""
        return self._open(self.spec)

    def use(self, session: IosSession, known: IosState | None = None) -> None:
        """Put another session in the place of the one in use; ``known`` is what was read in it."""
        self.close()
        self._session = session
        self._known = self.claim.without(known) if known is not None else self._known

    def renew(self, always: bool) -> None:
        """Come from a new login where ``always``, or where there is no session."""
        if always or self._session is None:
            self.use(self.login())

    def state(self, *, hurried: bool = False) -> IosState:
        """Return the configuration without our own claim, from a new session where the old one has ended meanwhile.

        ``hurried``: the switch may be cut off, so the old session gets no longer than a line may take.
        """
        if self._session is not None and self._session.silent:
            self.close()
        if self._session is not None:
            try:
                read = self._session.state(self._session.patience()) if hurried else self._session.state()
                self._known = self.claim.without(read)
                return self._known
            except FindingError as error:
                if not lost(error):
                    raise
                self.use(self.login())
        self._known = self.claim.without(self.session().state())
        return self._known

    def known(self) -> IosState:
        """Return the configuration as it was read last."""
        return self._known if self._known is not None else self.state()

    def close(self) -> None:
        """Close the session; never raises."""
        if self._session is not None:
            self._sent += self._session.lines
            self._opened |= self._session.opened
            self._session.close()
            self._session = None


def lost(error: FindingError) -> bool:
    """Return whether an error is that of a session that has ended."""
    gone = {code.number for code in (codes.SESSION_LOST, codes.ECHO_LOST)}
    return any(finding.code in gone for finding in error.findings)
