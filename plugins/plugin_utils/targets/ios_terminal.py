# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal of one IOS session: commands and blocks of lines, each line checked by its echo, its answer and the prompt after it.

netmiko opens the connection; its own typing waits for the echo of each line, looks for no error unless told to, and takes 11 ms
of CPU a line (facts/devices.md section 5.4). Here several lines are on their way at a time, never more than ``WINDOW``.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

# Lines and characters on their way at a time: a terminal line keeps some input while it works on the line before.
WINDOW, WINDOW_CHARACTERS = 16, 1200
# After so many seconds of silence a prompt that a log message was printed behind is taken as the end.
QUIET_SECONDS = 1.0
# Silence ends a wait; these bound one on a device that never falls silent (debugging, a loop of log messages): seconds and characters.
LONGEST_SECONDS, LARGEST_ANSWER = 900.0, 64 << 20
_FIRST_PROMPT = re.compile(r"(?:^|[\r\n])([A-Za-z0-9][\w.:/-]{0,62})[>#] ?\Z")
# %FACILITY-SEVERITY-MNEMONIC: with an optional sequence number and time before it.
_LOG = re.compile(r"\A(?:\d{1,9}: )?[*.]?(?:[A-Z][a-z]{2} .{3,40}?: )?%[A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:")
_TIMED_LOG = re.compile(
    r"\A[*.]?(?:[A-Z][a-z]{2}\s+\d{1,2} )?[\d:.]{8,16}(?: [A-Z]{3,4})?: %[A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:"
)


@dataclass(frozen=True)
class Answer:
    """What came back for one line: the text between echo and prompt, and the mode in the prompt (empty in exec mode)."""

    line: str
    text: str
    mode: str


class Terminal:
    """A logged-in terminal. ``channel`` has recv, sendall and settimeout; not shared between threads."""

    def __init__(self, channel: Any, name: str, *, window: int = WINDOW) -> None:
        self.channel, self.name, self.window = channel, name, window
        self.mode, self.level = "", ">"
        self.silent = False  # it gave no answer once: nothing more is asked of it
        self._prompt = self._end = re.compile("")

    def begin(self, seconds: float) -> None:
        """Wait for the first prompt, then turn off paging and wrapping; FindingError SW4208 where no prompt comes."""
        text, deadline, asked = "", time.monotonic() + seconds, False
        while (found := _FIRST_PROMPT.search(text[-200:])) is None:
            part = self._receive(min(2.0, seconds))
            text += part or ""
            if time.monotonic() > deadline:
                raise FindingError(codes.NO_ANSWER.at(f"{self.name}: no prompt after the login"))
            if part is None and not asked:
                asked = True
                self._send("\n")
        # IOS cuts the host name in configuration prompts at 20 characters.
        host = re.escape(found[1][:16])
        self._prompt = re.compile(rf"(?:^|\n){host}[^\s>#()]{{0,60}}(?:\(([^)\n]{{1,50}})\))?([>#]) ?")
        self._end = re.compile(self._prompt.pattern + r"\Z")
        self.level = text.rstrip()[-1]
        self.type(["terminal width 511", "terminal length 0"], seconds)

    # -- bytes

    def _send(self, text: str) -> None:
        try:
            self.channel.sendall(text.encode("utf-8"))
        except (OSError, EOFError) as error:
            raise FindingError(codes.SESSION_LOST.at(f"{self.name}: while sending ({type(error).__name__})")) from None

    def _receive(self, seconds: float) -> str | None:
        """Return what has come, waiting for it; None where nothing does. FindingError where the session has ended."""
        self.channel.settimeout(max(seconds, 0.01))
        try:
            data = self.channel.recv(65536)
        except TimeoutError:
            return None
        except (OSError, EOFError) as error:
            raise FindingError(codes.SESSION_LOST.at(f"{self.name}: {type(error).__name__}")) from None
        if not data:
            raise FindingError(codes.SESSION_LOST.at(f"{self.name}: the device ended the session"))
        return str(data.decode("utf-8", "replace")).replace("\r", "")

    # -- commands

    def ask(self, command: str, seconds: float, until: re.Pattern[str] | None = None) -> str:
        """Return a command's output; FindingError SW4261 where the session is lost, silent, or did not take the whole line.

        ``until``: another end than the prompt (a question).
        """
        self._send(command + "\n")
        text, last = "", time.monotonic()
        began = last
        while True:
            part = self._receive(QUIET_SECONDS)
            if part is not None:
                self._bounded(command, began, seconds, len(text))
                text, last = text + part, time.monotonic()
                if until is not None and until.search(text[-200:]):
                    return text
                if (found := self._end.search(text[-200:])) is not None and "\n" in text:
                    return self._output(command, text, found)
            elif (found := self._before_logs(text)) is not None:
                return self._output(command, text[: found.end()], found)
            elif time.monotonic() - last > seconds:
                self.silent = True
                raise FindingError(codes.SESSION_LOST.at(f"{self.name}: no answer to {command[:60]!r}"))

    def secret(self, text: str, seconds: float, until: re.Pattern[str]) -> str:
        """Answer a question that does not echo and return what comes after it."""
        self._send(text + "\n")
        answer, last = "", time.monotonic()
        while not until.search(answer[-200:]):
            part = self._receive(QUIET_SECONDS)
            self._bounded("a question", last, seconds, len(answer))
            if part is None and time.monotonic() - last > seconds:
                raise FindingError(codes.SESSION_LOST.at(f"{self.name}: no answer to a question"))
            answer += part or ""
        return answer

    def _bounded(self, what: str, began: float, seconds: float, size: int) -> None:
        """FindingError SW4261 where one answer takes longer than ``LONGEST_SECONDS`` (or four silences), or is larger than any is."""
        longest = max(LONGEST_SECONDS, 4 * seconds)
        if time.monotonic() - began <= longest and size <= LARGEST_ANSWER:
            return
        self.silent = True  # as good as silent: nothing more is asked of it
        raise FindingError(codes.SESSION_LOST.at(f"{self.name}: no end of the answer to {what[:60]!r}"))

    def _output(self, command: str, text: str, found: re.Match[str]) -> str:
        self.mode, self.level = found[1] or "", found[2]
        echo, _newline, rest = text.partition("\n")
        if echo.strip() != command.strip():
            raise FindingError(codes.SESSION_LOST.at(f"{self.name}: the echo of {command[:60]!r} is not whole"))
        return rest[: max(0, len(rest) - len(found[0]))]

    def _before_logs(self, text: str) -> re.Match[str] | None:
        """Return the prompt behind which nothing but log messages were printed."""
        found = next(iter(list(self._prompt.finditer(text))[-1:]), None)
        if found is None or text.find("\n") > found.start() + 1:
            return None
        rest = [line for line in text[found.end() :].split("\n") if line.strip()]
        return found if rest and all(is_log(line) for line in rest) else None

    def type(self, lines: Sequence[str], seconds: float) -> list[Answer]:
        """Type lines of one mode, several on their way at a time, and return their answers.

        FindingError SW4260 for the first line that is refused, after the answers of those already sent; SW4261 where the
        session is lost or an echo is not whole. Lines before a refused one are in force.
        """
        waiting, sent, answers = deque(lines), deque[str](), list[Answer]()
        buffer, last, refused = "", time.monotonic(), ""
        answered = last
        while sent or (waiting and not refused):
            batch = []
            while waiting and not refused and self._room(sent, waiting[0]):
                batch.append(waiting.popleft())
                sent.append(batch[-1])
            if batch:
                self._send("".join(f"{line}\n" for line in batch))
            part = self._receive(QUIET_SECONDS)
            if part is None:
                if time.monotonic() - last > seconds:
                    self.silent = True
                    raise FindingError(codes.SESSION_LOST.at(f"{self.name}: no answer to {sent[0][:80]!r}"))
                continue
            buffer, last = buffer + part, time.monotonic()
            self._bounded(sent[0], answered, seconds, len(buffer))
            # The prompt that ends an answer stands behind the end of the echo.
            while sent and (end := buffer.find("\n")) >= 0 and (found := self._prompt.search(buffer, end)):
                answer = self._taken(sent.popleft(), buffer[: found.start()] + "\n", found)
                buffer = buffer[found.end() :]
                answers.append(answer)
                answered = last
                refused = refused or refusal(answer)
        if refused:
            raise FindingError(codes.CLI_ERROR.at(f"{self.name}: {refused[:300]}"))
        return answers

    def _room(self, sent: deque[str], line: str) -> bool:
        return not sent or (
            len(sent) < self.window and sum(len(each) + 1 for each in sent) + len(line) < WINDOW_CHARACTERS
        )

    def _taken(self, line: str, text: str, found: re.Match[str]) -> Answer:
        self.mode, self.level = found[1] or "", found[2]
        echo, _newline, rest = text.partition("\n")
        if echo.strip() != line.strip():
            raise FindingError(
                codes.ECHO_LOST.at(f"{self.name}: sent {line[:80]!r}, the device took {echo.strip()[:80]!r}")
            )
        return Answer(line, rest.strip("\n"), self.mode)


def is_log(line: str) -> bool:
    """Return whether a line is a log message, printed into the session."""
    text = line.strip()
    return bool(_LOG.match(text) or _TIMED_LOG.match(text))


def refusal(answer: Answer) -> str:
    """Return why a configuration line was refused, empty where it was taken.

    A line that is taken is answered by nothing. Whatever else comes, log messages and what they wrap into apart, counts as a
    refusal: there is no list of all error texts.
    """
    told: list[str] = []
    after_log = False
    for raw in answer.text.split("\n"):
        line = raw.strip()
        if not line:
            continue
        if is_log(line):
            after_log = True
        elif line.startswith("%") or not after_log:
            told.append(line)
    if not told or _harmless(told):
        return ""
    return f"{answer.line.strip()}: {' '.join(text for text in told if text != '^')}".rstrip(": ")


def _harmless(told: Sequence[str]) -> bool:
    """Return whether an answer only tells that configuration mode was entered, or that a new list is being made."""
    return all(
        re.match(r"\AEnter configuration commands, one per line|\ARollback Confirmed Change: Backing up", text)
        for text in told
    )
