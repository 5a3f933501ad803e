# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the exec modes that are not show commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.lab.iosxe import modes
from tests.lab.iosxe.grammar import CliError, Handler

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

USER, EXEC = modes.GRAMMARS[modes.USER], modes.GRAMMARS[modes.EXEC]
BANNER = "Enter configuration commands, one per line.  End with CNTL/Z.\n"


def _both(*patterns: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        USER.command(*patterns)(handler)
        EXEC.command(*patterns)(handler)
        return handler

    return register


# -- the session itself ----------------------------------------------------------------------------------------------


@_both("enable", "enable <int:1-15>")
async def enable(cli: Cli, level: int = 15) -> str:
    if cli.privilege >= level:
        return ""
    for _attempt in range(3):
        answer = await cli.ask("Password: ", False)
        if answer is None:
            return ""
        if answer == cli.device.enable_secret and cli.device.faults.strike("wrong_enable") is None:
            cli.privilege, cli.mode = 15, modes.EXEC
            return ""
    return "% Bad secrets\n\n"


@_both("disable")
def disable(cli: Cli) -> str:
    cli.privilege, cli.mode = 1, modes.USER
    return ""


@_both("exit", "logout", "quit")
def leave(cli: Cli) -> str:
    cli.closed = True
    return ""


@_both("terminal length <int:0-512>")
def terminal_length(cli: Cli, lines: int) -> str:
    cli.length = lines
    return ""


@_both("terminal width <int:0-512>")
def terminal_width(cli: Cli, columns: int) -> str:
    cli.width = columns
    return ""


@_both("terminal no length")
def terminal_no_length(cli: Cli) -> str:
    cli.length = 24
    return ""


@_both("terminal monitor")
def terminal_monitor(cli: Cli) -> str:
    cli.monitor = True
    return ""


@_both("terminal no monitor", "no terminal monitor")
def terminal_no_monitor(cli: Cli) -> str:
    cli.monitor = False
    return ""


@_both("terminal exec prompt timestamp")
def prompt_timestamp(cli: Cli) -> str:
    cli.timestamps = True
    return ""


@_both("terminal no exec prompt timestamp")
def no_prompt_timestamp(cli: Cli) -> str:
    cli.timestamps = False
    return ""


# -- configuration mode ----------------------------------------------------------------------------------------------


def _locked(cli: Cli) -> bool:
    return any(header.startswith("configuration mode exclusive") for header in cli.device.config.blocks)


def _enter(cli: Cli, *, lock: bool = False) -> str:
    device = cli.device
    owner = device.lock_owner
    if owner is not None and owner is not cli and not owner.closed:
        raise CliError(
            f"Configuration mode locked exclusively by user '{owner.user}' process '3{owner.tty}' from terminal "
            f"'{owner.tty}'. Please try later."
        )
    manual = "configuration mode exclusive manual" in device.config.blocks
    if lock and not _locked(cli):
        raise CliError("% Configuration mode exclusive is not enabled")
    if lock or (_locked(cli) and not manual):
        device.lock_owner = cli
    cli.config, cli.mode, cli.target = device.config, modes.CONFIG, None
    return BANNER


@EXEC.command("configure terminal", "configure")
async def configure(cli: Cli) -> str:
    return _enter(cli)


@EXEC.command("configure terminal lock")
def configure_lock(cli: Cli) -> str:
    return _enter(cli, lock=True)


@EXEC.command("configure terminal revert timer <int:1-120>")
def configure_revert(cli: Cli, minutes: int) -> str:
    if cli.device.config.archive_path is None:
        raise CliError("% Archive path is not configured: configuration rollback cannot be scheduled")
    if cli.device.revert is not None:
        raise CliError("% Rollback Confirmed Change is already in progress")
    banner = _enter(cli)
    name = cli.device.arm_revert(minutes, cli.user)
    return f"Rollback Confirmed Change: Backing up current running config to {name}\n\n{banner}"


@EXEC.command("configure confirm")
def configure_confirm(cli: Cli) -> str:
    if not cli.device.confirm_revert(cli.user):
        raise CliError("% No Rollback Confirmed Change pending")
    return ""


@EXEC.command("configure revert now")
def configure_revert_now(cli: Cli) -> str:
    if cli.device.revert is None:
        raise CliError("% No Rollback Confirmed Change pending")
    cli.device.revert_now()
    return "Rollback Confirmed Change: rolling back\n\nTotal number of passes: 1\nRollback Done\n\n"


@EXEC.command("configure revert timer <int:1-120>")
def configure_revert_timer(cli: Cli, minutes: int) -> str:
    if cli.device.revert is None:
        raise CliError("% No Rollback Confirmed Change pending")
    cli.device.arm_revert(minutes, cli.user, keep=True)
    return ""


@EXEC.command("configure replace <word>", "configure replace <word> force")
async def configure_replace(cli: Cli, name: str) -> str:
    text = cli.device.startup if name in ("nvram:startup-config", "startup-config") else cli.device.files.get(name)
    if text is None:
        raise CliError(f"%Error opening {name} (No such file or directory)")
    cli.device.last_change = (cli.device.clock(), cli.user)
    cli.device.replace_config(text)
    return "Total number of passes: 1\nRollback Done\n\n"


@EXEC.command("archive config")
def archive_config(cli: Cli) -> str:
    if cli.device.config.archive_path is None:
        raise CliError("% Archive path is not configured")
    cli.device.archive_file()
    return ""


# -- saving, reloading, clearing -------------------------------------------------------------------------------------


def _save(cli: Cli) -> str:
    if cli.device.faults.strike("drop_before_write") is not None:
        cli.closed = cli.saving = True
        return ""
    cli.device.save(cli.user)
    return "Building configuration...\n[OK]\n"


@EXEC.command("write", "write memory")
def write(cli: Cli) -> str:
    return _save(cli)


@EXEC.command("copy running-config startup-config")
async def copy_running(cli: Cli) -> str:
    answer = await cli.ask("Destination filename [startup-config]? ", True)
    if answer is None:
        return ""
    if answer.strip() not in ("", "startup-config"):
        raise CliError("%Error copying: only startup-config is supported here")
    return _save(cli)


@EXEC.command("copy running-config <word>")
async def copy_running_file(cli: Cli, name: str) -> str:
    answer = await cli.ask(f"Destination filename [{name.rsplit(':', maxsplit=1)[-1]}]? ", True)
    if answer is None:
        return ""
    body = cli.device.config.body()
    cli.device.files[name] = body
    return f"{len(body)} bytes copied in 0.321 secs ({len(body) * 3} bytes/sec)\n"


async def _may_reload(cli: Cli) -> bool:
    if cli.device.modified:
        answer = await cli.ask("\nSystem configuration has been modified. Save? [yes/no]: ", True)
        if answer is None:
            return False
        if answer.strip().lower() in ("y", "yes"):
            cli.device.save(cli.user)
    answer = await cli.ask("Proceed with reload? [confirm]", True)
    return answer is not None and answer.strip().lower() in ("", "y", "yes")


@EXEC.command("reload")
async def reload(cli: Cli) -> str:
    if await _may_reload(cli):
        cli.device.reload()
    return ""


@EXEC.command("reload in <int:1-999>")
async def reload_in(cli: Cli, minutes: int) -> str:
    if not await _may_reload(cli):
        return ""
    cli.device.schedule_reload(minutes, cli.user)
    timer = cli.device.reload_timer
    when = cli.device.stamp(timer.deadline if timer else None)
    return f"\nReload scheduled for {when} (in {minutes} minutes) by {cli.user} on vty{cli.tty - 2} ({cli.peer})\n"


@EXEC.command("reload cancel")
def reload_cancel(cli: Cli) -> str:
    if not cli.device.cancel_reload():
        raise CliError("%No reload is scheduled.")
    return "\n\n***\n*** --- SHUTDOWN ABORTED ---\n***\n\n"


@EXEC.command("clear ip access-list counters", "clear access-list counters", "clear ipv6 access-list")
def clear_all_counters(cli: Cli) -> str:
    clear_counters(cli, None)
    return ""


@EXEC.command(
    "clear ip access-list counters <name>", "clear access-list counters <name>", "clear ipv6 access-list <name>"
)
def clear_counters(cli: Cli, name: str | None) -> str:
    for space in (cli.device.config.lists, cli.device.config.lists6):
        for each in space.values():
            if name in (None, each.name):
                for entry in each.entries:
                    entry.matches = 0
    for hits in (cli.device.dacl_hits, cli.device.sgacl_hits):
        for key in [key for key in hits if name in (None, key)]:
            del hits[key]
    return ""


@EXEC.command("clear cts role-based counters")
def clear_cell_counters(cli: Cli) -> str:
    cli.device.cell_hits.clear()
    return ""


@EXEC.command("clear access-session mac <word>", "clear access-session interface <if>", "clear authentication sessions",
              "clear authentication sessions interface <if>", "clear authentication sessions mac <word>")  # fmt: skip
def clear_session(cli: Cli, _what: str = "") -> str:
    """Sessions come back by themselves: the policy server's emulator owns them."""
    return ""


@EXEC.command("cts refresh policy", "cts refresh environment-data")
def refresh(cli: Cli) -> str:
    cli.device._provider_revision = None
    return ""


@EXEC.command("cts refresh policy sgt", "cts refresh policy sgt <int:0-65519>")
def refresh_one(cli: Cli, _tag: int = 0) -> str:
    refresh(cli)
    return ""
