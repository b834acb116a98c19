# SPDX-License-Identifier: Apache-2.0
"""Is every credential accounted for? Three logs that know nothing of each other are compared: the provider's of what it
issued and took back, the upstream's of what was used, and the mission's record with the journal behind it."""

from collections.abc import Callable
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


def is_orphan(lease):
    """Stands for what was issued and whose answer nobody has."""
    return lease["state"] == "orphaned" and not lease["thumbprint"]


@dataclass
class Source:
    """What is the case at one source, beyond that each lease is for one token. Tokens are named by their SHA-256."""
    beside: frozenset = frozenset()  # kinds that come along with what a lease is for
    shared: frozenset = frozenset()  # kinds that the provider keeps and gives to others as well
    over: frozenset = frozenset()    # tokens that ended without being taken back: replaced, or with another
    kept: frozenset = frozenset()    # tokens that are in the store
    covers: Callable = is_orphan     # leases that stand for more than a token that is known


def check(entries, leases, used=None, source=Source(), told=""):
    """Compares `entries` of the provider's log with `leases` (lines of `sanctum leases --all --json`) of the same time.
    `used`: tokens that the upstream saw; None: the provider is the upstream as well, below /repos/. `told`: what stands
    on record besides. Raises AssertionError for a credential that nobody accounts for; returns what was compared."""
    issued = {token["sha256"]: token for entry in entries for token in entry["issued"]}
    revoked = [token["sha256"] for entry in entries for token in entry["revoked"] if token["kind"] != "unknown"]
    if used is None:
        used = {entry["credential"] for entry in entries
                if entry["path"].startswith("/repos/") and entry.get("credential")}
    known = [lease for lease in leases if lease["thumbprint"]]
    thumbprints = {lease["thumbprint"] for lease in known}
    orphans = [lease for lease in leases if is_orphan(lease)]
    told += " ".join(lease["detail"] for lease in leases)
    lost = [token for thumbprint, token in issued.items() if thumbprint not in thumbprints | source.kept
            and token["kind"] not in source.shared and thumbprint not in told]

    unfinished = [lease for lease in leases if lease["state"] in UNFINISHED]
    assert not unfinished, f"leases without an end: {unfinished}"
    assert len(revoked) == len(set(revoked)), "a credential was taken back twice"
    assert used <= thumbprints, f"{used - thumbprints} were used, and no lease knows them"
    own = [token for token in lost if token["kind"] not in source.beside]
    assert len(own) <= len(orphans), f"{own} were issued, and only {orphans} stand for them"
    for lease in known:
        assert lease["thumbprint"] in issued, f"{lease} is nothing that was issued"
        _check_end(lease, issued[lease["thumbprint"]], lease["thumbprint"] in {*revoked, *source.over})
    covering = [lease for lease in leases if source.covers(lease)]
    for token in lost:  # taken back all the same where only the journal could not be told
        is_over = token["kind"] in source.beside and token["sha256"] in {*revoked, *source.over}
        assert is_over or covering, f"{token} was issued, and nobody stands for it: {leases}"
        assert is_over or all(_lasts_as_long(each, token) for each in covering), f"{covering} end before {token}"
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


def check_receipt(receipt, over):
    """A receipt (its payload) confirms no end of a credential that may be alive. `over`: what has ended."""
    for lease in receipt["leases"]:
        is_true = not lease["confirmed"] or not lease["thumbprint"] or lease["thumbprint"] in over
        assert is_true, f"the receipt calls an end confirmed that the provider knows nothing of: {lease}"


def _check_end(lease, token, is_over):
    if is_over:
        assert lease["state"] in {"gone", *MAYBE_ALIVE}, f"{lease} was taken back"
        return
    assert lease["state"] in MAYBE_ALIVE, f"{token} is alive, and {lease} says otherwise"
    assert _lasts_as_long(lease, token), f"{lease} ends before {token}"


def _lasts_as_long(lease, token):
    """A lease without a known end lasts for ever, and so may a token."""
    if not lease["expires_unix_ms"]:
        return True
    return bool(token["expires_at"]) and lease["expires_unix_ms"] / 1000 + SLACK_SECONDS >= token["expires_at"]
