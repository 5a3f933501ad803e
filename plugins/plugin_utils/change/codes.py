# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the change room (SW4000 to SW4199)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NO_COMMIT = Code(
    "SW4001", "error", "the policy directory has no commit", "put the policy directory under git and commit it"
)
UNCOMMITTED = Code(
    "SW4002", "error", "policy documents are not committed", "commit them, so that what is applied is what was reviewed"
)
GIT_FAILED = Code(
    "SW4003", "error", "git cannot read the policy directory", "check that git is installed and the checkout is sound"
)
DIRTY_PLAN = Code(
    "SW4004", "error", "the plan was made from uncommitted documents", "commit the documents and plan again"
)

NO_CONNECTION = Code(
    "SW4010", "error", "a target of the policy has no connection", "add the host to the inventory or limit the run"
)
NOT_PLANNED = Code(
    "SW4011",
    "warning",
    "a target of the policy is left out of the plan",
    "plan without a limit before the change is complete",
)
PLAN_ALTERED = Code("SW4012", "error", "the plan file was altered", "plan again; a plan is never edited by hand")
COMMIT_MOVED = Code(
    "SW4013", "error", "the policy commit is not the one that was planned", "plan again from the present commit"
)
POLICY_MOVED = Code(
    "SW4014",
    "error",
    "the compiled policy is not the one that was planned",
    "plan again; documents or membership have changed",
)
LIVE_MOVED = Code(
    "SW4015", "error", "live state has changed since the plan", "find out who changed it, then plan again"
)
TARGET_FAILED = Code("SW4016", "error", "a target cannot be read", "check the connection to the target")
STOPPED = Code(
    "SW4017", "error", "the change stopped before its end", "plan and apply again to go on, or run rollback to go back"
)
NOT_CONFIRMED = Code(
    "SW4018", "error", "a target does not confirm the change", "see the finding of the target; run rollback to go back"
)

BLOCKED = Code(
    "SW4020",
    "error",
    "a removal would take others' objects with it",
    "remove what uses it first, or name its cells in the inventory (microseg_ise_cascade)",
)
JOURNAL_BROKEN = Code(
    "SW4030",
    "error",
    "the journal's hash chain is broken",
    "an entry was altered or removed; keep the file and find out by whom. docs/change/rollback.md says how to go back by what is whole",
)
JOURNAL_TORN = Code(
    "SW4031",
    "warning",
    "the last journal entry is incomplete",
    "a run was interrupted; the next run keeps the rest and goes on",
)
JOURNAL_TRUNCATED = Code(
    "SW4032", "error", "the journal is shorter than it was", "entries were removed from its end; restore a backup"
)
NOT_IN_JOURNAL = Code(
    "SW4033", "error", "the plan has no executed step in the journal", "give the id of a plan that was applied"
)
JOURNAL_UNWRITABLE = Code(
    "SW4034",
    "error",
    "the journal cannot be written",
    "nothing is changed without a record; make room, correct permissions, or name a copy of the folder elsewhere (microseg_state)",
)

BAD_STATE_REF = Code(
    "SW4044",
    "error",
    "the state is no directory and no git ref",
    "write git+https://host/repository.git#refs/segwright/state",
)
STATE_REF = Code(
    "SW4045",
    "error",
    "the state's git ref cannot be read or written",
    "check address, ref and credentials of microseg_state",
)
STATE_BY_COPY = Code(
    "SW4190", "warning", "the state's git ref was not reached; its copy is used", "run here again when it is reached"
)
STATE_MOVED = Code(
    "SW4046",
    "error",
    "another controller has written the state meanwhile",
    "wait until it has ended, then run again; nothing more is written to targets by this run",
)
LOCKED = Code("SW4040", "error", "another run holds the lock", "wait until it has ended")
STALE_LOCK = Code(
    "SW4041", "warning", "a lock of a run that has ended was taken over", "look into the journal for what that run did"
)
LOCK_LOST = Code(
    "SW4042",
    "error",
    "the lock of a target was lost while the plan was carried out",
    "another run took it, or it could not be renewed in time; look at what that run did, then plan and apply again",
)
LOCK_KEPT = Code(
    "SW4043", "warning", "the lock of a target could not be given back", "it runs out by itself after 15 minutes"
)

DRIFT = Code(
    "SW4050", "error", "live state differs in meaning from the policy", "plan and apply, or find out who changed it"
)
LEFTOVER = Code(
    "SW4051",
    "warning",
    "an object of ours is not in the policy any more",
    "plan with prune to remove it, or to give back what was taken over",
)

UNDO_REFUSED = Code(
    "SW4060", "error", "an object was changed after the plan and is not touched", "decide by hand what it should hold"
)
UNDO_FAILED = Code(
    "SW4061", "error", "a step cannot be undone", "see the finding; run rollback again when the target can be reached"
)
UNDO_SKIPPED = Code(
    "SW4062",
    "warning",
    "a step is not undone because its target failed before",
    "run rollback again when the target can be reached",
)

NOT_APPROVED = Code(
    "SW4070", "error", "the change lacks an approval", "have the people named approve the commit or plan, then apply"
)
NO_KEYS = Code(
    "SW4071", "error", "signatures cannot be checked", "name a readable file of trusted keys outside the checkout"
)
BAD_SIGNATURE = Code(
    "SW4072", "error", "a file is not signed by whom it names", "sign it anew with the approver's own key"
)
UNSIGNED_COMMIT = Code(
    "SW4073",
    "error",
    "a commit is not signed by a known person",
    "commit it again, signed with a key that is trusted here",
)
NOT_PROTECTED = Code(
    "SW4074", "error", "the commit is not on the protected branch", "merge it first; only merged policy is applied"
)
OWN_APPROVAL = Code(
    "SW4075", "warning", "an approval by an author of the change does not count", "let somebody else approve"
)
STALE_APPROVAL = Code(
    "SW4076",
    "warning",
    "an approval is for another plan or other content",
    "a new plan or a changed commit has to be approved anew",
)
FORGED_MERGE = Code(
    "SW4077",
    "error",
    "a merge by the forge holds what neither side had",
    "the forge's key is trusted for plain merges only; merge anew without edits",
)
NO_APPROVAL_POLICY = Code(
    "SW4078", "info", "nothing says who has to approve", "write approvers.yml, so that apply checks who approved what"
)
UNKNOWN_TEAM = Code(
    "SW4079", "error", "an owner has no people who could approve", "give the team its people in approvers.yml"
)
BAD_APPROVAL = Code("SW4080", "error", "an approval cannot be read", "see docs/change/approval.md for what it holds")
FIRST_APPROVAL = Code(
    "SW4081", "info", "no approved commit came before", "the approval covers the whole policy; look at all of it"
)

OUTSIDE_WINDOW = Code("SW4090", "error", "no change window is open", "apply within the window; rollback needs none")
WINDOW_CLOSED = Code(
    "SW4091",
    "error",
    "the change window closed before the change was complete",
    "every mix of old and new that was reached is safe; apply again in the next window to go on",
)
CLOCK_BACK = Code(
    "SW4092", "error", "the controller's clock is behind the journal", "set the clock: windows and expiry depend on it"
)

SESSIONS_OLD = Code(
    "SW4093",
    "warning",
    "sessions still carry the old downloadable ACL",
    "they take the new one when they authenticate again by themselves, or run apply with reauthenticate",
)
SESSION_DIFFERS = Code(
    "SW4094",
    "error",
    "a switch enforces another list than the approved one",
    "compare the list on the switch with the one in ISE; somebody may have changed it there",
)
SESSIONS_WITHOUT = Code(
    "SW4095",
    "warning",
    "sessions of a segment carry none of its lists",
    "let an authorization rule hand out the segment's profile; see the sessions named",
)
SESSION_UNAUTHORIZED = Code(
    "SW4096", "warning", "a session is not authorized", "look at the authentication in ISE's live log"
)
SESSION_UNREAD = Code(
    "SW4097", "warning", "what a session enforces could not be read", "look at the list on the switch by hand"
)
HELD_BY_ISE_ONLY = Code(
    "SW4098",
    "warning",
    "ISE holds it; nothing shows what switches hold",
    "add the switches to the inventory, so that verify can ask them",
)
REAUTH_REFUSED = Code(
    "SW4099", "error", "a re-authentication was refused", "the session keeps its old list; check CoA on the switch"
)
REAUTH_NOT_BACK = Code(
    "SW4100",
    "error",
    "a device did not come back after its re-authentication",
    "look at the device now; relax its segment or roll back, a silent device may need to be woken",
)
REAUTH_UNAUTHORIZED = Code(
    "SW4101",
    "error",
    "a device came back without authorization",
    "look at the authentication in ISE's live log now; relax its segment or roll back",
)
REAUTH_OTHER_ADDRESS = Code(
    "SW4102", "error", "a device came back with another address", "look at DHCP and at what depends on the old address"
)
REAUTH_WITHOUT_LIST = Code(
    "SW4103",
    "error",
    "a device came back without the approved list",
    "look at the download of the list on the switch; roll back where it enforces nothing",
)
REAUTH_STOPPED = Code(
    "SW4104",
    "error",
    "re-authentication stopped",
    "mend the devices named and apply again to go on, relax the segment, or run rollback to go back",
)
REAUTH_HELD = Code("SW4105", "info", "devices are held", "run apply again without holding them")
CELL_DIFFERS = Code(
    "SW4106",
    "error",
    "a switch enforces another cell than the approved one",
    "apply the same plan again to push it, or look at what the switch says about the download",
)
CELL_ABSENT = Code(
    "SW4107",
    "warning",
    "a switch with a cell's destination group does not hold the cell",
    "push again; a switch downloads only the columns of groups it knows",
)
SWITCH_UNREAD = Code("SW4108", "warning", "a switch could not be asked what it enforces", "check the connection to it")

PROMOTION_REFUSED = Code(
    "SW4109",
    "error",
    "a segment or cell may not go to the next stage yet",
    "each check that does not hold says what is missing; going back is always allowed",
)
PROMOTED = Code(
    "SW4110",
    "info",
    "a change of stage is proposed",
    "commit the change of enforcement.yml, have it reviewed, then plan and apply as usual",
)
NOT_ASSIGNED = Code(
    "SW4111", "error", "a segment has no stage", "name a segment that enforcement.yml has under segments"
)
CELL_NOT_FOUND = Code("SW4186", "error", "a cell is in no matrix", "name two segments that are at one sgacl point")
STAGE_NOT_FOUND = Code(
    "SW4112",
    "error",
    "the stage of a segment or cell cannot be changed in its file",
    "change it in enforcement.yml by hand",
)

REAUTH_COST = Code(
    "SW4113",
    "info",
    "sessions keep the old downloadable ACL until they authenticate again",
    "they do so by themselves, or apply with reauthenticate in batches",
)
OLD_UNKNOWN = Code(
    "SW4114",
    "warning",
    "nothing says which sessions still carry what was rolled back",
    "the policy documents do not load, so its devices are not known; run verify when they do",
)

OTHER_PLAN = Code(
    "SW4120", "error", "the plan is not the one that was approved", "apply the approved plan, or have this one approved"
)
PLAN_MOVED = Code(
    "SW4121",
    "error",
    "the plan made anew is not the approved one",
    "plan again and have the new plan approved; a state directory that both jobs share keeps the approved plan itself",
)
PLAN_MADE_ANEW = Code(
    "SW4122", "info", "the approved plan was made anew, and is the same", "nothing to do; its file was not at hand"
)

RING_UNDONE = Code(
    "SW4130",
    "error",
    "a ring was rolled back",
    "find out why, correct the policy, and plan anew; this commit does not go on, unless a person names the ring",
)
RING_SOAKS = Code("SW4131", "info", "a ring is being watched", "run apply again afterwards, by a schedule for example")
RING_UNHEALTHY = Code(
    "SW4132",
    "error",
    "devices of a ring do not talk as before",
    "the ring was rolled back; look at the conversations named, correct the policy, and plan anew",
)
RING_UNSEEN = Code(
    "SW4133",
    "warning",
    "nothing shows how the devices of a ring do",
    "collect flows that see them; until then the rollout does not go on by itself",
)
NO_RING = Code("SW4134", "error", "the plan has no such ring", "name a ring of enforcement.yml that has steps, or next")
PLAN_UNDONE = Code(
    "SW4135", "error", "no schedule repeats what was rolled back", "find out why and plan anew, or apply it by hand"
)
PERHAPS_PULLED = Code(
    "SW4140",
    "warning",
    "no journal says what is pulled, and live state is that of a posture",
    "name the posture in postures to keep it; an empty list releases it",
)

EMERGENCY_UNSAID = Code(
    "SW4141",
    "error",
    "an emergency is not explained",
    "say reason and person; both stand in the journal and in every report",
)
EMERGENCY_OTHER = Code(
    "SW4142",
    "error",
    "an emergency pulls what is prepared in the policy that is in force, and nothing else",
    "check out the commit that was applied last, or have the other changes approved and applied first",
)
POSTURE_PULLED = Code(
    "SW4143", "warning", "a posture is pulled", "release it with playbooks/posture.yml when the emergency is over"
)
RELAXATION_ASKS = Code(
    "SW4144",
    "warning",
    "a relaxation asks whether it is still needed",
    "release it, or pull it again with the reason why it is needed; it does not end without an answer",
)
EMERGENCY_OVER = Code(
    "SW4145",
    "warning",
    "an emergency stands longer than it may without approval",
    "have a plan that holds the posture approved and apply it, or release the posture",
)
EMERGENCY_UNAPPROVED = Code(
    "SW4146",
    "error",
    "nothing goes forward while an emergency stands without approval past its time",
    "approve this very plan (playbooks/approve.yml), or release the posture; the way back is free",
)
DRIFT_LEFT = Code(
    "SW4147",
    "warning",
    "live state differs where the posture changes nothing; it was left alone",
    "plan and apply the policy when the emergency is over",
)
POSTURE_LAPSES = Code(
    "SW4148",
    "error",
    "the plan would end a posture that was pulled after it was made",
    "make the plan anew: it keeps what is pulled; or release the posture with playbooks/posture.yml first",
)

PACK_BROKEN = Code(
    "SW4150", "error", "an evidence pack does not hold", "have the pack made anew from the state directory"
)
PACK_UNSIGNED = Code(
    "SW4151",
    "error",
    "the journal names an approval that no signature in the pack bears out",
    "ask for the signed file, or for the approver's key at that time",
)
PACK_UNJUDGED = Code(
    "SW4152", "warning", "signatures were not judged", "name a file of keys that you trust (microseg_allowed_signers)"
)
PACK_WITHOUT_PLAN = Code(
    "SW4153", "warning", "a plan that was carried out is not in the pack", "its steps stand in the journal all the same"
)

RING_WAITS = Code(
    "SW4154",
    "warning",
    "what a ring names goes with a later ring, since it cannot be changed for some devices alone",
    "let the ring name whole segments or targets, or set shared_lists for a downloadable list",
)
RING_BEYOND = Code(
    "SW4155",
    "warning",
    "a ring may reach devices that it does not name",
    "devices of later rings that authenticate by themselves take the new list too; without shared_lists it waits for the last of its rings",
)
RING_NEEDS_SESSIONS = Code(
    "SW4156",
    "error",
    "a ring of sessions changes nothing while they are not re-authenticated",
    "run with microseg_reauthenticate=true",
)
COUNTERS_STILL = Code(
    "SW4157",
    "info",
    "lists count nothing although devices talk, so that their counters tell nothing of a ring's health",
    "some hardware does not count what it filters; flows, logs and sessions are judged all the same",
)
NOT_IN_FORCE = Code(
    "SW4160",
    "error",
    "the journal does not say that the commit was in force",
    "name a commit that was applied to its end and not rolled back since; any other one is planned and applied",
)
NOT_REACHED = Code(
    "SW4161",
    "error",
    "the journal does not lead back to that state",
    "roll back plan by plan as far as it goes, or plan and apply the wanted commit",
)
OTHER_POSTURES = Code(
    "SW4162",
    "error",
    "the commit was in force with other postures than are pulled now",
    "release or pull them with playbooks/posture.yml, which asks for a reason and a person; then go back",
)
FOREIGN_CORRECTED = Code(
    "SW4163",
    "warning",
    "an object was changed by somebody in between, and a later plan corrected that",
    "what they did is not brought back; find out whether it is still needed",
)
NOT_BACK = Code(
    "SW4164",
    "error",
    "an object would not be brought back",
    "it holds neither what the plan left nor what was there before; decide by hand what it should hold",
)
BACK_UNPROVED = Code(
    "SW4165",
    "warning",
    "what the rollback passes through is not proved",
    "the way back is free all the same; look at the objects it names",
)
BACK_UNSAFE = Code(
    "SW4166",
    "warning",
    "the state that results, or a mix on the way there, does not hold what the policy asks",
    "the way back is free all the same; go on to a state that holds it soon: correct the policy, plan and apply",
)
POSTURE_STAYS = Code(
    "SW4167",
    "warning",
    "a posture that is pulled is taken back only in part",
    "the journal has it pulled still: the next plan puts it back; release it with playbooks/posture.yml",
)
NO_DEVICE = Code(
    "SW4168", "error", "nothing was carried out on the device", "name a target of the plan as the inventory does"
)
RELEASE_UNSAID = Code(
    "SW4169",
    "error",
    "a plan would release a posture, and nobody says why",
    "plan with microseg_reason and microseg_person, or release it with playbooks/posture.yml",
)
MOVE_CUTS_WORKFLOW = Code(
    "SW4170",
    "error",
    "a workflow would be cut while some of its devices have moved to other lists or tags and others have not",
    "permit both ways in a commit before, move the devices, and take back what is not needed any more in a third",
)
MOVE_CUTS_ALWAYS = Code(
    "SW4171",
    "error",
    "a must-always would be cut while some devices have moved to other lists or tags and others have not",
    "permit both ways in a commit before, move the devices, and take back what is not needed any more in a third",
)
MOVE_CUTS = Code(
    "SW4172",
    "warning",
    "what works before and after would be cut while some devices have moved to other lists or tags and others have not",
    "permit both ways in a commit before, move the devices, and take back what is not needed any more in a third",
)
MOVE_OPENS = Code(
    "SW4173",
    "error",
    "a must-never would be open while some devices have moved to other lists or tags and others have not",
    "first refuse it between the old and the new segments as well, in a commit before; then move the devices",
)
RING_ORDER = Code(
    "SW4174",
    "error",
    "a plan that moves devices is proved in the order of its rings only",
    "run with microseg_ring=next, which takes them in their order, and with microseg_reauthenticate=true where they have to follow",
)
MOVED_OPEN = Code(
    "SW4175",
    "error",
    "devices that were moved do not carry their new list and tag yet",
    "mend or release those that are named and run the same ring again; have their switches in the play, which show who has no session",
)
RETIRED_BEFORE = Code(
    "SW4176",
    "info",
    "conversations had ended before a ring was changed, so that it is not judged by them",
    "nothing, where they were retired; where they are needed again one day, look whether the policy has them",
)
NEWER_KEPT = Code(
    "SW4177",
    "info",
    "a posture writes objects that rings of another commit have put in force already, as that commit has them",
    "nothing: an emergency takes no ring back; the rollout goes on when the posture is released",
)
NEWER_LOST = Code(
    "SW4178",
    "warning",
    "a posture writes objects that rings of another commit have put in force already, as the older documents have them",
    "that commit cannot be read, or does not know the posture; after the release plan and apply what the rings had put in force",
)
OTHER_TOOLS = Code(
    "SW4180",
    "warning",
    "the plan was made by other versions of the tools than carry it out",
    "nothing, where the versions were changed on purpose: the documents compile to what was planned; plan anew to have it bound to these",
)
OTHER_ADDRESS = Code(
    "SW4181",
    "error",
    "a target has another address than the one it was planned for",
    "see whether this is the inventory that the plan is for; where the target has moved, plan anew",
)
TARGET_VOID = Code(
    "SW4182",
    "warning",
    "the plan is void for a target that this ring does not write to",
    "find out who changed it, then plan anew; rings that write to it are refused until then",
)
MEMBERS_MOVED = Code(
    "SW4183",
    "error",
    "devices have been put into other segments since the plan",
    "plan anew from the present commit; rings whose steps touch none of these segments may be taken by name",
)
RING_TOO_LONG = Code(
    "SW4184",
    "error",
    "a ring would not be done before its change window closes",
    "it begins in the next window that is long enough; make the window longer, or the ring smaller",
)
BAD_EXPORT = Code(
    "SW4185",
    "error",
    "an export of reviews cannot be used",
    "export the reviews of the pull or merge request, or approval and plan's job of AWX; docs/change/approval.md says how",
)
FORGE_FAILED = Code(
    "SW4187", "error", "the forge does not say who reviewed", "docs/change/approval.md says what the job needs"
)
NOT_SIGNED = Code(
    "SW4188", "error", "a record of reviews is not signed", "name a key without passphrase, or one of an SSH agent"
)
UNSAFE_BESIDE = Code(
    "SW4189", "error", "a ring is not safe beside a foreign change", "put that back, or plan anew; rollback is free"
)
BACK_NOT_TAKEN = Code(
    "SW4179",
    "error",
    "a rollback is not done: sessions carry the list that was taken back",
    "run rollback with that microseg_plan_id again, with microseg_reauthenticate=true or once they have authenticated by themselves",
)
