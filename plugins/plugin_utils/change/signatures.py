# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed what: commits by git and detached files by ssh-keygen, against keys that the controller trusts.

The trusted keys never come from the checkout: what is judged must not bring its own judge. SSH keys stand in an
allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS), GPG keys in a keyring of public keys.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.git import run_git
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes

TIMEOUT_SECONDS = 60
APPROVAL_NAMESPACE = "segwright-approval"
REVIEW_NAMESPACE = "segwright-review"
PRINCIPAL = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._+@-]{0,254}\Z")
_COMMIT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MAIL = re.compile(r"<([^<>\s]+)>\s*\Z")
# principals (quoted where they hold blanks), options, type of key, key (ssh-keygen(1), ALLOWED SIGNERS)
_ENTRY = re.compile(
    r'\s*(?:"(?P<quoted>[^"]*)"|(?P<names>[^\s"#][^\s"]*))\s+'
    r'(?P<options>(?:[A-Za-z-]+(?:="[^"]*"|=[^\s,"]*)?(?:,[A-Za-z-]+(?:="[^"]*"|=[^\s,"]*)?)*\s+)?)'
    r"(?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+\s+[A-Za-z0-9+/=]+"
)
_VALID = re.compile(r'(valid-before|valid-after)="?([0-9Zz]*)', re.IGNORECASE)
_SHAPES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_SIGNED_WITH = re.compile(r" key (SHA256:[A-Za-z0-9+/]+)\s*\Z")
_FIELDS = ("%H", "%T", "%P", "%ae", "%ce", "%G?", "%GS", "%GF", "%(trailers:key=Approved-by,valueonly,separator=%x1f)")
_FAULTS = {
    "N": "is not signed",
    "B": "has a signature that does not fit its content",
    "E": "has a signature that cannot be checked with the trusted keys",
    "X": "has a signature that has expired",
    "Y": "is signed with a key that had expired",
    "R": "is signed with a key that was revoked",
}


@dataclass(frozen=True)
class TrustedKeys:
    """Where the keys of people lie: an allowed-signers file for SSH, a file of exported public keys for GPG, or both."""

    allowed_signers: str = ""
    gpg_keys: str = ""


@dataclass(frozen=True)
class SignedCommit:
    """A commit and who signed it. ``signer`` is a principal (SSH) or mail address (GPG), empty where ``fault`` says why not."""

    commit: str
    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    signer: str
    fingerprint: str
    fault: str
    approved_by: tuple[str, ...] = ()


def signed_commits(checkout: str | Path, revisions: Sequence[str], keys: TrustedKeys) -> list[SignedCommit]:
    """Return the commits of a revision range (words for ``git log``), newest first, each with its signature checked.

    An SSH signature counts only where its key has a principal in the allowed-signers file, valid at the commit's time (git log(1), ``%G?``)
    and today: whoever signs says the commit's time. A GPG signature counts where its key is in the given file and neither expired nor
    revoked. Raises FindingError SW4071 where a file of keys cannot be read, SW4003 where git fails.
    """
    place = Location(str(checkout))
    with _gpg_home(keys) as home:
        signers = Path(home, "segwright_allowed_signers")
        signers.write_text("".join(_trusted_lines(keys.allowed_signers)), encoding="utf-8")
        settings = {"gpg.ssh.allowedSignersFile": str(signers)}
        words = ["log", "-z", f"--format={'%x1e'.join(_FIELDS)}", *revisions, "--"]
        done = run_git(checkout, words, codes.GIT_FAILED, settings, {"GNUPGHOME": home}, seconds=300)
    if done.returncode != 0:
        raise FindingError(codes.GIT_FAILED.at(done.stderr.strip()[:300] or "git log failed", place))
    return [_signed(record.split("\x1e")) for record in done.stdout.split("\0") if record.strip()]


def _signed(values: Sequence[str]) -> SignedCommit:
    if len(values) != len(_FIELDS):  # only a name that holds the separator itself makes more of them
        commit, tree, parents = (value.strip() for value in values[:3])
        fault = "names its author or signer with control characters"
        return SignedCommit(commit, tree, tuple(parents.split()), "", "", "", "", fault)
    commit, tree, parents, author, committer, status, signer, fingerprint, trailers = (
        value.strip() for value in values
    )
    ssh = fingerprint.startswith("SHA256:")
    fault = _FAULTS.get(status, "" if status in ("G", "U") else "has no signature that git can judge")
    if not fault and (not signer or (ssh and status != "G")):
        fault = "is signed with a key that nobody here is known by"
    principal = "" if fault else signer if ssh else _mail_of(signer)
    if not fault and not principal.isascii():  # other letters may look like these, or become them in lower case
        fault, principal = "is signed with a key whose name has other letters than those of ASCII", ""
    if not fault and not principal:
        fault = "is signed with a key without a mail address"
    approvers = tuple(_mail_of(name) or name.strip() for name in trailers.split("\x1f") if name.strip())
    people = (author.lower(), committer.lower(), principal.lower())
    return SignedCommit(
        commit, tree, tuple(parents.split()), *people, fingerprint, fault, tuple(a.lower() for a in approvers)
    )


def _mail_of(name: str) -> str:
    found = _MAIL.search(name)
    return found.group(1) if found else ""


def _trusted_lines(path: str, principal: str = "") -> Iterator[str]:
    """Yield the lines of an allowed-signers file (none where none is named) that speak for people today; for ``principal`` where given.

    An entry for a pattern of names (``*@hospital.example``) would let its key sign as each of them, so it counts only for certificates,
    which name their person. FindingError SW4071 where the file cannot be read.
    """
    name = _key_file(path)
    try:
        lines = Path(name).read_text(encoding="utf-8-sig").split("\n") if name else []
    except (OSError, UnicodeDecodeError) as error:
        text = "the file of trusted keys is no text that can be read"
        raise FindingError(codes.NO_KEYS.at(text, Location(path))) from error
    for line in lines:
        found = _ENTRY.match(line)
        if found is None or any(_is_over(*word) for word in _VALID.findall(found["options"])):
            continue
        names = (found["quoted"] or found["names"]).split(",")
        of_people = not any(mark in one for one in names for mark in "*?")
        if "cert-authority" in found["options"].lower() or (of_people and (not principal or principal in names)):
            yield line.rstrip("\r") + "\n"


def _is_over(which: str, text: str) -> bool:
    """Return whether valid-before has passed, or valid-after has not, now: YYYYMMDD[HHMM[SS]][Z], local time without the Z."""
    digits = text.rstrip("Zz")
    try:
        moment = datetime.strptime(digits, _SHAPES[len(digits)])
    except (KeyError, ValueError):
        return True  # ssh-keygen takes no such entry
    moment = moment.replace(tzinfo=UTC) if text[-1] in "Zz" else moment.astimezone(UTC)
    return moment <= utc_now() if which.lower() == "valid-before" else moment > utc_now()


def _key_file(path: str) -> str:
    """Return the absolute path of a readable file of keys, empty where none is named; FindingError SW4071 otherwise."""
    if not path:
        return ""
    place = Path(path).expanduser()
    if not place.is_file() or not os.access(place, os.R_OK):
        raise FindingError(codes.NO_KEYS.at("the file of trusted keys is absent or not readable", Location(path)))
    return str(place.resolve())


@contextmanager
def _gpg_home(keys: TrustedKeys) -> Iterator[str]:
    """Give a GPG home that holds the trusted keys and nothing else, so that no key of this account is taken for one."""
    with tempfile.TemporaryDirectory(prefix="segwright-keys-") as home:
        source = _key_file(keys.gpg_keys)
        # A file that a job always gets, empty where the site has no such keys, trusts nobody.
        if source and os.path.getsize(source):
            command = ["gpg", "--batch", "--no-tty", "--quiet", "--homedir", home, "--no-autostart", "--import", source]
            done = _run(command, b"", source)
            if done.returncode != 0:
                raise FindingError(codes.NO_KEYS.at("gpg cannot import the trusted keys", Location(keys.gpg_keys)))
        yield home


def verified_file(path: str | Path, principal: str, namespace: str, keys: TrustedKeys) -> bytes:
    """As ``verified_with_key``, the content alone."""
    return verified_with_key(path, principal, namespace, keys)[0]


def verified_with_key(path: str | Path, principal: str, namespace: str, keys: TrustedKeys) -> tuple[bytes, str]:
    """Return the content of a file whose detached SSH signature (``PATH.sig``) is the principal's, and the fingerprint of the key.

    The bytes that were verified are those that are returned. Raises FindingError SW4072 where there is no such signature
    (ssh-keygen(1), ``-Y verify``), SW4071 where there is no allowed-signers file.
    """
    place = Location(str(path))
    if not keys.allowed_signers:
        raise FindingError(codes.NO_KEYS.at("no allowed-signers file is set", place))
    if not PRINCIPAL.match(principal):
        raise FindingError(
            codes.BAD_SIGNATURE.at("the approver is not named by a principal such as a mail address", place)
        )
    try:
        content = Path(path).read_bytes()
        signature = Path(f"{path}.sig").read_bytes()
    except OSError as error:
        raise FindingError(codes.BAD_SIGNATURE.at(f"{error.strerror}: the file or its .sig", place)) from error
    with tempfile.TemporaryDirectory(prefix="segwright-sig-") as folder:
        signers, copy = Path(folder, "allowed_signers"), Path(folder, "signature")
        signers.write_text("".join(_trusted_lines(keys.allowed_signers, principal)), encoding="utf-8")
        copy.write_bytes(signature)
        command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", principal, "-n", namespace, "-s", str(copy)]
        done = _run(command, content, str(path))
    if done.returncode != 0:
        raise FindingError(codes.BAD_SIGNATURE.at(f"it is not signed by {principal} for {namespace}", place))
    found = _SIGNED_WITH.search(done.stdout.decode("utf-8", "replace"))
    return content, found[1] if found else ""


def signed_file(path: str | Path, namespace: str, keys: TrustedKeys) -> tuple[bytes, str]:
    """Return the content of a file and who signed it (``PATH.sig``): a principal that the allowed-signers file trusts with the namespace.

    Raises FindingError SW4072 where there is no such signature (ssh-keygen(1), ``-Y find-principals``, ``-Y verify``), SW4071 where
    there is no allowed-signers file.
    """
    place = Location(str(path))
    signers = _key_file(keys.allowed_signers)
    if not signers:
        raise FindingError(codes.NO_KEYS.at("no allowed-signers file is set", place))
    signature = Path(f"{path}.sig")
    if not signature.is_file():
        raise FindingError(codes.BAD_SIGNATURE.at("there is no .sig beside it", place))
    done = _run(["ssh-keygen", "-Y", "find-principals", "-s", str(signature), "-f", signers], b"", str(path))
    for principal in done.stdout.decode("utf-8", "replace").split():
        try:
            return verified_file(path, principal, namespace, keys), principal
        except FindingError as error:
            if any(finding.code != codes.BAD_SIGNATURE.number for finding in error.findings):
                raise
    raise FindingError(codes.BAD_SIGNATURE.at(f"it is not signed for {namespace} by anyone who is trusted", place))


def _run(
    command: Sequence[str], given: bytes, about: str, failure: Code = codes.NO_KEYS, signs: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that judges signatures or, with ``signs``, makes one: by the SSH agent's key too, and without asking anybody."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GNUPG", "SSH_"))}
    environment |= {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    if signs and (socket := os.environ.get("SSH_AUTH_SOCK")):
        environment["SSH_AUTH_SOCK"] = socket
    try:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=environment,
            start_new_session=signs,  # no terminal, so no question for a passphrase
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        text = f"{command[0]}: {type(error).__name__}"
        raise FindingError(failure.at(text, Location(about), "install openssh-client or gnupg")) from error


def signature_of(content: bytes, key: str | Path, namespace: str) -> bytes:
    """Return the detached SSH signature of a text (ssh-keygen(1), ``-Y sign``).

    ``key`` is a private key without passphrase, or a public key whose private one the SSH agent of this process holds. Nothing is asked
    for. Raises FindingError SW4188 where there is no such key or it does not sign; what ssh-keygen says names files, never a key.
    """
    place = Location(str(key))
    path = Path(key).expanduser()
    if not path.is_file():
        raise FindingError(codes.NOT_SIGNED.at("the key is not there", place))
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(path)]
    done = _run(command, content, str(key), codes.NOT_SIGNED, signs=True)
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no signature"]
        raise FindingError(codes.NOT_SIGNED.at(said[-1][:200], place))
    return done.stdout
