# SPDX-License-Identifier: Apache-2.0
"""Is every credential accounted for? Three logs that know nothing of each other are compared: the provider's of what it
issued and took back, the upstream's of what was used, and the mission's record with the journal behind it."""

from dataclasses import dataclass

UNFINISHED = {"wanted", "held", "retiring"}
MAYBE_ALIVE = {"parked", "orphaned"}
SLACK_SECONDS = 2  # a provider counts from when it answered, the vault from when it asked


@dataclass
class Count:
    """What was compared; a run in which nothing was issued shows nothing."""
    issued: int = 0
    used: int = 0
    revoked: int = 0
    orphans: int = 0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def check(entries, leases, uses="/repos/"):
    """Compares `entries` of the provider's log with `leases` (lines of `sanctum leases --all --json`) of the same time.
    The provider is the upstream as well, for paths that begin with `uses`. Raises AssertionError for a credential that
    nobody accounts for; returns what was compared."""
    issued = {token["sha256"]: token for entry in entries for token in entry["issued"]}
    revoked = [token["sha256"] for entry in entries for token in entry["revoked"]]
    used = {entry["credential"] for entry in entries if entry["path"].startswith(uses) and entry.get("credential")}
    known = {lease["thumbprint"]: lease for lease in leases if lease["thumbprint"]}
    orphans = [lease for lease in leases if lease["state"] == "orphaned" and not lease["thumbprint"]]
    lost = [token for thumbprint, token in issued.items() if thumbprint not in known]

    unfinished = [lease for lease in leases if lease["state"] in UNFINISHED]
    assert not unfinished, f"leases without an end: {unfinished}"
    assert len(revoked) == len(set(revoked)), "a credential was taken back twice"
    assert used <= set(known), f"{used - set(known)} were used, and no lease knows them"
    assert len(lost) <= len(orphans), f"{lost} were issued, and only {orphans} stand for them"
    for thumbprint, lease in known.items():
        assert thumbprint in issued, f"{lease} is nothing that was issued"
        _check_end(lease, issued[thumbprint], thumbprint in revoked)
    for token in lost:  # taken back all the same where only the journal could not be told
        assert all(_lasts_as_long(orphan, token) for orphan in orphans), f"{orphans} end before {token}"
    return Count(len(issued), len(used), len(revoked), len(orphans))


def check_record(records, leases):
    """The mission's record and the journal agree. What the one calls possibly alive, the other may know better: a later
    reaper, or a vault whose journal could not be written."""
    told = {record["lease"]: record["state"] for record in records if record["type"] == "lease.changed"}
    kept = {lease["lease"]: lease["state"] for lease in leases}
    for lease, state in told.items():
        is_careful = {state, kept[lease]} & MAYBE_ALIVE
        assert state == kept[lease] or is_careful, f"{lease} is {kept[lease]}, and on record as {state}: {records[-4:]}"
    never_asked = {lease for lease, state in kept.items() if state == "failed"}
    assert set(kept) - never_asked <= set(told), f"of {kept} only {told} is on record"


def _check_end(lease, token, is_revoked):
    if is_revoked:
        assert lease["state"] in {"gone", *MAYBE_ALIVE}, f"{lease} was taken back"
        return
    assert lease["state"] in MAYBE_ALIVE, f"{token} is alive, and {lease} says otherwise"
    assert _lasts_as_long(lease, token), f"{lease} ends before {token}"


def _lasts_as_long(lease, token):
    return lease["expires_unix_ms"] / 1000 + SLACK_SECONDS >= token["expires_at"]
