"""Count entry lines of access lists with plain splits: what the parsers of the collection must account for, line by line."""

from __future__ import annotations


def entry_lines(text: str, dialect: str) -> set[int]:
    """Return the numbers of the lines (from 1) that are entries of an access list of the platform."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {number for number, line in enumerate(lines, 1) if COUNTERS[dialect](line.split())}


def ios(words: list[str]) -> bool:
    """Return whether the words of a line are an entry of IOS: ``[10] permit``, ``sequence 10 permit``, ``access-list 1 permit``."""
    words = [word.lower() for word in words]
    if words[:1] == ["access-list"]:
        return any(word in ("permit", "deny") for word in words[2:4])
    if words[:1] == ["sequence"]:
        words = words[2:]
    elif words and words[0].isdigit():
        words = words[1:]
    return words[:1] == ["permit"] or words[:1] == ["deny"]


COUNTERS = {"ios": ios, "ios_ipv6": ios, "sgacl": ios}
