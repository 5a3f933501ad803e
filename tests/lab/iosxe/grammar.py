# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small command grammar with the manners of an IOS parser: abbreviations, incomplete, ambiguous, a caret."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tests.lab.iosxe.interfaces import full_name

INVALID, INCOMPLETE, AMBIGUOUS = "invalid", "incomplete", "ambiguous"

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)
Token = tuple[str, int]  # a word and its offset in the line


class SyntaxFault(Exception):
    """The parser gave up. kind: invalid, incomplete or ambiguous; position: offset of the word that it stopped at."""

    def __init__(self, kind: str, position: int = 0) -> None:
        super().__init__(kind, position)
        self.kind, self.position = kind, position


class CliError(Exception):
    """A command that parsed and was refused; the text is what the device prints (usually starting with a percent)."""


def tokens(text: str) -> list[Token]:
    """Return the words of a line with their offsets."""
    return [(found.group(), found.start()) for found in re.finditer(r"\S+", text)]


def pick(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that the word is or abbreviates, None if there is none; raises ValueError when ambiguous."""
    lower = word.lower()
    found = []
    for choice in choices:
        if choice == lower:
            return choice
        if choice.startswith(lower):
            found.append(choice)
    if len(found) > 1:
        raise ValueError(word)
    return found[0] if found else None


class Param:
    """One variable of a pattern: takes words from the line and returns (value, words used), or None."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        if kind == "int":
            low, high = detail.split("-")
            self.low, self.high = int(low), int(high)
        self.choices = tuple(detail.split("|")) if kind == "choice" else ()

    def take(self, words: list[Token], at: int, text: str) -> tuple[Any, int] | None:
        word, position = words[at]
        if self.kind == "word":
            return word, 1
        if self.kind == "int":
            return (int(word), 1) if word.isdigit() and self.low <= int(word) <= self.high else None
        if self.kind == "choice":
            try:
                found = pick(word, self.choices)
            except ValueError:
                raise SyntaxFault(AMBIGUOUS, position) from None
            return (found, 1) if found else None
        if self.kind == "rest":
            return text[position:].rstrip(), len(words) - at
        if self.kind == "ip":
            try:
                return str(ipaddress.IPv4Address(word)), 1
            except ValueError:
                return None
        if self.kind == "name":
            return (word, 1) if re.fullmatch(r"[^\s\"'?|]{1,64}", word) else None
        if self.kind == "if":
            name = full_name(word)
            if name is not None:
                return name, 1
            if at + 1 < len(words):
                name = full_name(word + words[at + 1][0])
                if name is not None:
                    return name, 2
            elif word.isalpha() and full_name(word + "1") is not None:
                raise SyntaxFault(INCOMPLETE, position)
            return None
        raise AssertionError(self.kind)


class Node:
    """One place in the tree of a mode's commands."""

    __slots__ = ("handler", "keywords", "params")

    def __init__(self) -> None:
        self.keywords: dict[str, Node] = {}
        self.params: list[tuple[Param, Node]] = []
        self.handler: Handler | None = None


class Grammar:
    """The commands of one mode."""

    def __init__(self) -> None:
        self.root = Node()

    def add(self, pattern: str, handler: Handler) -> None:
        """Add one command; in the pattern, <kind> or <kind:detail> is a variable and every other word a keyword."""
        node = self.root
        for part in pattern.split():
            if part.startswith("<"):
                kind, _, detail = part[1:-1].partition(":")
                for param, child in node.params:
                    if (param.kind, param.detail) == (kind, detail):
                        node = child
                        break
                else:
                    child = Node()
                    node.params.append((Param(kind, detail), child))
                    node = child
            else:
                node = node.keywords.setdefault(part, Node())
        node.handler = handler

    def command(self, *patterns: str) -> Callable[[H], H]:
        """Decorator: add the function under one or more patterns."""

        def register(handler: H) -> H:
            for pattern in patterns:
                self.add(pattern, handler)
            return handler

        return register

    def match(self, text: str) -> tuple[Handler, list[Any]]:
        """Return the handler and the values of the variables; raises SyntaxFault."""
        words = tokens(text)
        node, at, values = self.root, 0, []
        while at < len(words):
            word, position = words[at]
            try:
                keyword = pick(word, node.keywords)
            except ValueError:
                raise SyntaxFault(AMBIGUOUS, position) from None
            if keyword is not None:
                node, at = node.keywords[keyword], at + 1
                continue
            for param, child in node.params:
                taken = param.take(words, at, text)
                if taken is not None:
                    values.append(taken[0])
                    node, at = child, at + taken[1]
                    break
            else:
                raise SyntaxFault(INVALID, position)
        if node.handler is None:
            raise SyntaxFault(INCOMPLETE, len(text))
        return node.handler, values

    def help(self, text: str) -> list[str]:
        """Return the keywords that may follow the text (for the question mark)."""
        words = tokens(text)
        partial = "" if not text or text.endswith(" ") or not words else words.pop()[0]
        node, at = self.root, 0
        while at < len(words):
            try:
                keyword = pick(words[at][0], node.keywords)
            except ValueError:
                return []
            if keyword is not None:
                node, at = node.keywords[keyword], at + 1
                continue
            for param, child in node.params:
                try:
                    taken = param.take(words, at, text)
                except SyntaxFault:
                    taken = None
                if taken is not None:
                    node, at = child, at + taken[1]
                    break
            else:
                return []
        return sorted(word for word in node.keywords if word.startswith(partial.lower()))
