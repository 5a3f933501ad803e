"""People with keys and a repository of theirs, made with git, ssh-keygen and gpg for one test."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GNUPG", "SSH_"))}
APPROVERS = """\
teams:
  clinical-engineering: [anna@hospital.example, ben@hospital.example]
  server-operations: [carl@hospital.example, dora@hospital.example]
  network-security: [nina@hospital.example, otto@hospital.example]
site: network-security
least:
  life_support: 2
forges: [forge@hospital.example]
exporters: [exporter@hospital.example]
"""


def run(command: list[str], cwd: Path, given: str = "", **more: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, input=given, capture_output=True, text=True, check=False, env={**ENVIRONMENT, **more}
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout.strip()


@dataclass
class Signers:
    """A folder of keys, an allowed-signers file and a checkout."""

    folder: Path
    people: set[str] = field(default_factory=set)

    @property
    def allowed(self) -> Path:
        return self.folder / "allowed_signers"

    @property
    def checkout(self) -> Path:
        return self.folder / "site"

    @property
    def policies(self) -> Path:
        return self.checkout / "policies"

    def key(self, person: str, trusted: bool = True) -> Path:
        """Return the private key of a person, made on first use; ``person`` is the part before the @."""
        path = self.folder / f"key-{person}"
        if not path.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(path)], self.folder)
            if trusted:
                public = path.with_suffix(".pub").read_text().split()
                with self.allowed.open("a") as stream:
                    stream.write(f"{mail(person)} {public[0]} {public[1]}\n")
        return path

    def git(self, *words: str, person: str = "", sign: bool = True, author: str = "") -> str:
        """Run git in the checkout as a person, who signs what is made."""
        settings = {"user.name": person or "nobody", "user.email": mail(person or "nobody"), "gpg.format": "ssh"}
        if person and sign:
            settings |= {"user.signingKey": str(self.key(person)), "commit.gpgSign": "true"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        more = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": mail(author)} if author else {}
        return run(["git", *options, *words], self.checkout, **more)

    def start(self, files: dict[str, str], person: str = "otto") -> str:
        """Make the checkout with a first commit and return it."""
        self.allowed.touch()
        self.checkout.mkdir()
        self.git("init", "-q", "-b", "main")
        return self.commit(files, person, "start")

    def commit(self, files: dict[str, str | None], person: str, message: str = "change", **more: Any) -> str:
        """Commit files of the policy directory (None: removed); none at all makes an empty commit."""
        for name, text in files.items():
            path = self.policies / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message, person=person, **more)
        return self.git("rev-parse", "HEAD")

    def approve(self, person: str, name: str = "") -> str:
        """Make an empty commit with which a person (or somebody who names another) approves what there is."""
        return self.commit({}, person, f"Approve\n\nApproved-by: {name or person} <{mail(name or person)}>")

    def merge(self, branch: str, person: str, trailer: str = "", **more: Any) -> str:
        """Merge a branch into main as a person and return the merge."""
        self.git("checkout", "-q", "main")
        message = f"Merge {branch}" + (f"\n\nApproved-by: {trailer} <{mail(trailer)}>" if trailer else "")
        self.git("merge", "-q", "--no-ff", "-m", message, branch, person=person, **more)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        self.git("checkout", "-q", "-b", name, "main")

    def sign_file(self, path: Path, person: str, namespace: str) -> None:
        run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.key(person)), "-n", namespace, str(path)], self.folder)

    def signed_json(self, path: Path, value: dict[str, Any], person: str, namespace: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        self.sign_file(path, person, namespace)
        return path


def mail(person: str) -> str:
    return f"{person}@hospital.example"
