#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent verifier of Sanctum's ledgers: only the files, the public key, and python3-cryptography.

It shares no code with Sanctum on purpose: a mistake in one of the two shows as a disagreement. What it checks is what
the public formats promise: chain, sequence, signed heads, the receipt's DSSE signature, every number and scope of the
receipt computed again from the ledger, and the machine's chain of receipts.

    verify_ledger.py MISSION_FOLDER --key ledger.pub [--receipts receipts.jsonl] [--json]

Exit: 0 sealed or open, 3 unsealed or broken, 1 cannot read.
"""
import argparse
import base64
import binascii
import fcntl
import hashlib
import json
import os
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

ZEROS = "0" * 64
PAYLOAD_TYPE = "application/vnd.sanctum.receipt+json"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
HEX = re.compile(r"[0-9a-f]{64}\Z")
TYPES = {"mission.started", "connection.opened", "connection.refused", "exchange.intent", "exchange.refused",
         "exchange.outcome", "lease.changed", "approval.changed", "head.signed", "mission.ended", "child.started",
         "child.refused", "child.ended"}
SCHEMAS = ("sanctum.receipt/1", "sanctum.receipt/2")
OF_SECOND_SCHEMA = ("first_used", "last_used", "confirmed", "detail")  # members of a lease's row
DETAIL_MAX = 512
ROWS_MAX = 4096
OPEN_MAX = 65536


class Bad(Exception):
    """The first thing that cannot stand; `record` is its number or None."""

    def __init__(self, record, why):
        super().__init__(why)
        self.record, self.why = record, why


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def shortened(detail):
    """As a row of the receipt has it: no more bytes than it may have, and no half character."""
    whole = detail.encode()
    return detail if len(whole) <= DETAIL_MAX else whole[:DETAIL_MAX].decode(errors="ignore") + "…"


class Key:
    def __init__(self, pem):
        self.key = load_pem_public_key(pem)
        if not isinstance(self.key, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        raw = self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = "ed25519:" + hashlib.sha256(raw).hexdigest()[:16]

    def signed(self, message, signature):
        try:
            raw = base64.b64decode(signature, validate=True)
            if base64.b64encode(raw).decode() != signature:
                return False
            self.key.verify(raw, message)
            return True
        except (InvalidSignature, binascii.Error, ValueError):
            return False


def strict_object(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a repeated member")
    return out


def no_fraction(text):
    raise ValueError("a number that is not an integer: " + text)


def parse(data):
    return json.loads(data.decode("utf-8"), object_pairs_hook=strict_object, parse_float=no_fraction,
                      parse_constant=no_fraction)


def records_of(data, mission, key):
    """Every record with its hash, or Bad; the unterminated rest comes back as well."""
    out, previous, ended, after_end, heads = [], ZEROS, False, 0, 0
    lines = data.split(b"\n")
    torn = lines.pop()
    for number, line in enumerate(lines):
        try:
            record = parse(line)
        except (ValueError, RecursionError) as error:
            raise Bad(number, f"not a record: {error}") from None
        if not isinstance(record, dict):
            raise Bad(number, "not an object")
        if record.get("v") != 1:
            raise Bad(number, "of another version")
        if record.get("seq") != number or isinstance(record.get("seq"), bool):
            raise Bad(number, f"says it is record {record.get('seq')}")
        if record.get("mission") != mission:
            raise Bad(number, "belongs to another mission")
        if record.get("type") not in TYPES:
            raise Bad(number, "of an unknown type")
        if not isinstance(record.get("t"), str) or not TIME.match(record["t"]):
            raise Bad(number, "without a time")
        if record.get("prev") != previous:
            raise Bad(number, "does not name the record before it")
        if (record["type"] == "mission.started") != (number == 0):
            raise Bad(number, "mission.started is not the first, or not only the first")
        if ended:
            after_end += 1
            if record["type"] != "head.signed" or after_end > 1:
                raise Bad(number, "stands behind the end")
        if record["type"] == "mission.started" and record.get("key") != key.id:
            raise Bad(number, "names another key")
        if record["type"] == "head.signed":
            message = f"sanctum-ledger-head-1\n{mission}\n{number - 1}\n{previous}\n".encode()
            if record.get("head_seq") != number - 1 or record.get("head") != previous:
                raise Bad(number, "its head is not the record before it")
            if not key.signed(message, record.get("signature", "")):
                raise Bad(number, "its signature does not hold")
            heads += 1
        if record["type"] == "mission.ended" and "witness" in record and not is_count(record["witness"], heads):
            raise Bad(number, "its witness does not count the signed heads before it")
        ended = ended or record["type"] == "mission.ended"
        previous = sha256(line)
        out.append(record)
    return out, previous, torn


def is_count(witness, heads):
    """Whether `witness` counts `heads` heads of which at most all were told."""
    return (isinstance(witness, dict) and set(witness) == {"told", "of"} and witness["of"] == heads
            and isinstance(witness["told"], int) and 0 <= witness["told"] <= heads)


def counts_last_head(ended, receipt):
    """A receipt may count one head more than mission.ended: the one behind it."""
    return bool(ended) and is_count(receipt, ended["of"] + 1) and receipt["told"] >= ended["told"]


def status_of_landlock(abi):
    return "not" if abi == 0 else "partly" if abi < 6 else "fully"


class Sums:
    """The receipt's content, computed from the records."""

    def __init__(self):
        self.counts = {"connections": 0, "connections_refused": {}, "verdicts": {}, "refused": {}, "outcomes": {},
                       "sent": 0, "received": 0, "scrubbed": 0}
        self.services, self.hosts, self.leases, self.approvals, self.open = {}, {}, {}, {}, {}
        self.children, self.children_refused, self.has_children = {}, {}, False
        self.uses = {}  # lease: (number, first, last), by the records of exchanges
        self.more_rows = 0

    @staticmethod
    def count(counts, word, by=1):
        word = "other" if len(counts) >= ROWS_MAX and word not in counts else word
        counts[word] = counts.get(word, 0) + by

    def service(self, name):
        return self.services.setdefault(name, {"granted": [], "received": None, "needed": set(), "used": {}})

    def row(self, rows, name):
        if name not in rows and len(rows) >= ROWS_MAX:
            self.more_rows += 1
            return {}
        return rows.setdefault(name, {})

    def add(self, record):
        getattr(self, record["type"].replace(".", "_"))(record)

    def mission_started(self, record):
        self.started = record
        for name, scopes in record["granted"].items():
            self.service(name)["granted"] = scopes

    def connection_opened(self, record):
        self.counts["connections"] += 1

    def connection_refused(self, record):
        self.count(self.counts["connections_refused"], record["reason"], record.get("repeated", 1))

    def exchange_intent(self, record):
        self.count(self.counts["verdicts"], record["verdict"])
        name, used = record["service"] or "", []
        if name in self.services:
            service = self.services[name]
            for scope in (scope for group in record["needed"] for scope in group):
                if len(service["needed"]) < ROWS_MAX:
                    service["needed"].add(scope)
            covered = [group for group in record["needed"] if set(group) <= set(service["granted"])]
            used = (covered or record["needed"] or [[]])[0]
        else:
            self.count(self.hosts, name)
        self.open[number_of(record["exchange"])] = (name, used, record["t"], record.get("lease") or "")
        if len(self.open) > OPEN_MAX:
            self.end(min(self.open), "unknown")

    def exchange_refused(self, record):
        self.count(self.counts["refused"], record["reason"], record.get("repeated", 1))
        if record["status"] == 403:
            self.count(self.counts["verdicts"], "deny", record.get("repeated", 1))
        self.open.pop(number_of(record["exchange"]), None)

    def exchange_outcome(self, record):
        for name in ("sent", "received", "scrubbed"):
            self.counts[name] += record[name]
        self.end(number_of(record["exchange"]), record["outcome"])

    def end(self, exchange, outcome):
        self.count(self.counts["outcomes"], outcome)
        if exchange in self.open:
            self.use(*self.open.pop(exchange))

    def use(self, name, scopes, time, lease):
        if lease and (lease in self.uses or len(self.uses) < ROWS_MAX):
            number, first, last = self.uses.get(lease, (0, time, time))
            self.uses[lease] = (number + 1, min(first, time), max(last, time))
        for scope in scopes if name in self.services else []:
            used = self.services[name]["used"]
            if len(used) >= ROWS_MAX and scope not in used:
                continue
            row = used.setdefault(scope, {"scope": scope, "exchanges": 0, "first": time, "last": time})
            row["exchanges"] += 1
            row["first"], row["last"] = min(row["first"], time), max(row["last"], time)

    def lease_changed(self, record):
        held = record["state"] == "held"
        if record["received"] is not None:
            service = self.service(record["service"])
            service["received"] = service["received"] or set()
            service["received"].update(record["received"])
        row = self.row(self.leases, record["lease"])
        since = row.get("held") or record["t"]
        row.update({name: record[name] for name in ("lease", "service", "account", "state", "asked", "received",
                                                    "narrowed_by", "retire")})
        row.update({"thumbprint": record["thumbprint"] or "", "expires": record["expires"] or "", "held": since,
                    "ended": "" if held else record["t"], "uses": 0 if held else record["uses"],
                    "first_used": (not held and record["first_used"]) or "",
                    "last_used": (not held and record["last_used"]) or "",
                    "confirmed": record["state"] in ("gone", "expired"),
                    "detail": shortened(record.get("detail") or "")})

    def approval_changed(self, record):
        self.row(self.approvals, record["approval"]).update(
            {"approval": record["approval"], "exchange": record["exchange"] or "e0", "digest": record["digest"],
             "state": record["state"], "by": record["by"] or "", "channel": record["channel"] or ""})

    def head_signed(self, record):
        pass

    def child_started(self, record):
        self.has_children = True
        self.row(self.children, record["child"]).update(
            {"mission": record["child"], "name": record["name"], "profile_sha256": record["profile_sha256"],
             "started": record["t"], "ended": "", "reason": "", "code": 0, "receipt": ""})

    def child_refused(self, record):
        self.count(self.children_refused, record["reason"])

    def child_ended(self, record):
        if record["child"] in self.children:
            self.children[record["child"]].update(
                {"ended": record["t"], "reason": record["reason"], "code": record["code"],
                 "receipt": record["receipt"] or ""})

    def mission_ended(self, record):
        self.ended = record

    def leases_in(self, schema):
        left_out = OF_SECOND_SCHEMA if schema == SCHEMAS[0] else ()
        rows = [dict(row) for row in self.leases.values()]
        for row in rows if schema == SCHEMAS[1] else []:
            number, first, last = self.uses.get(row["lease"], (0, "", ""))
            if number > row["uses"]:
                row["uses"] = number
                row["first_used"] = min(row["first_used"] or first, first)
                row["last_used"] = max(row["last_used"], last)
            row["confirmed"] = row["confirmed"] and row["retire"] != "none"
        return [{name: value for name, value in row.items() if name not in left_out} for row in rows]

    def receipt(self, schema, head_seq, head, previous):
        started, ended = self.started, self.ended
        for name, scopes, time, lease in self.open.values():
            self.count(self.counts["outcomes"], "unknown")
            self.use(name, scopes, time, lease)
        enforced = started["enforced"]
        missing = enforced.get("limits_missing", [])
        limits = "not" if enforced["limits"] == "none" else "partly" if missing else "fully"
        services = [{"name": name, "granted": sums["granted"],
                     "received": None if sums["received"] is None else sorted(sums["received"]),
                     "needed": sorted(sums["needed"]), "used": [sums["used"][scope] for scope in sorted(sums["used"])]}
                    for name, sums in sorted(self.services.items())]
        out = {"schema": schema, "mission": started["mission"]}
        out.update({name: started[name] for name in ("name", "agent", "purpose", "profile_sha256", "overrides",
                                                     "command", "key")})
        out.update({
            "started": started["t"], "ended": ended["t"], "end": {"reason": ended["reason"], "code": ended["code"]},
            "enforced": {"namespaces": "fully", "filter": "fully", "limits": limits,
                         "landlock": status_of_landlock(enforced["landlock_abi"]),
                         "watch": "fully" if enforced["watch"] else "not", "landlock_abi": enforced["landlock_abi"],
                         "limits_by": enforced["limits"], "limits_missing": missing},
            "counts": self.counts, "services": services, "hosts": self.hosts, "leases": self.leases_in(schema),
            "lease_ends": ended["leases"], "approvals": list(self.approvals.values()), "more_rows": self.more_rows,
            "held_files": ended["held_files"], "repaired": ended["repaired"],
            "records_lost": ended.get("records_lost", 0), "head": {"seq": head_seq, "hash": head},
            "previous": previous})
        if "held_sha256" in ended:
            out["held_sha256"] = ended["held_sha256"]
        if "witness" in ended:
            out["witness"] = ended["witness"]
        if "parent" in started:
            out["parent"] = started["parent"]
        if self.has_children:
            out["children"] = list(self.children.values())
        if self.children_refused:
            out["children_refused"] = self.children_refused
        return out


def number_of(identifier):
    return int(identifier[1:]) if identifier else 0


def open_envelope(line, key):
    """The receipt in a DSSE envelope, its signature checked over the pre-authentication encoding."""
    try:
        envelope = parse(line)
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Bad(None, f"not an envelope: {error}") from None
    canonical = json.dumps(envelope, separators=(",", ":")).encode()
    if canonical != line or set(envelope) != {"payloadType", "payload", "signatures"}:
        raise Bad(None, "the envelope is not in its one form")
    if base64.b64encode(payload).decode() != envelope["payload"]:
        raise Bad(None, "the payload is not in its one base64 form")
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    if kind != PAYLOAD_TYPE or set(signature) != {"keyid", "sig"} or signature["keyid"] != key.id:
        raise Bad(None, "the receipt is of another type or key")
    if not key.signed(message, signature["sig"]):
        raise Bad(None, "the receipt's signature does not hold")
    return parse(payload)


def is_locked(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


def verify_receipts(path, key):
    """The machine's chain: mission → its envelope's bytes."""
    out, previous = {}, ZEROS
    if not os.path.exists(path):
        return out
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            receipt = open_envelope(line, key)
        except Bad as bad:
            raise Bad(None, f"receipts line {number}: {bad.why}") from None
        if receipt["previous"] != previous:
            raise Bad(None, f"receipts line {number}: does not name the receipt before it")
        previous = sha256(line)
        out[receipt["mission"]] = line
    return out


def verify(folder, key, receipts_path=None):
    """(state, number of records, why): state is open, sealed or unsealed; Bad when something was changed."""
    mission = os.path.basename(os.path.normpath(folder))
    ledger = os.path.join(folder, "ledger.jsonl")
    alive = is_locked(ledger)
    published = verify_receipts(receipts_path, key) if receipts_path else {}
    with open(ledger, "rb") as file:
        records, head, torn = records_of(file.read(), mission, key)
    receipt_path = os.path.join(folder, "receipt.json")
    if not os.path.exists(receipt_path):
        if mission in published:
            raise Bad(None, "receipt.json is missing, but the machine's chain has the receipt")
        return ("open" if alive else "unsealed"), len(records), "torn tail" if torn else "no receipt"
    with open(receipt_path, "rb") as file:
        content = file.read()
    if not content.endswith(b"\n") or content.count(b"\n") != 1:
        raise Bad(None, "receipt.json is not one line")
    receipt = open_envelope(content[:-1], key)
    if mission in published and published[mission] != content[:-1]:
        raise Bad(None, "receipt.json is not the receipt in the machine's chain")
    missing = receipt["head"]["seq"] + 1 - len(records)
    if missing > 0:
        raise Bad(len(records), f"{missing} record(s) at the end are missing")
    if missing < 0 or torn:
        raise Bad(len(records), "something stands behind the receipt's head")
    if receipt["head"]["hash"] != head:
        raise Bad(len(records) - 1, "the last record is not the one the receipt names")
    sums = Sums()
    for record in records:
        sums.add(record)
    if receipt["schema"] not in SCHEMAS:
        raise Bad(None, f"the receipt has schema {receipt['schema']}")
    expected = sums.receipt(receipt["schema"], len(records) - 1, head, receipt["previous"])
    if counts_last_head(expected.get("witness"), receipt.get("witness")):
        expected["witness"] = receipt["witness"]
    for name in sorted(set(expected) | set(receipt)):
        if expected.get(name) != receipt.get(name):
            raise Bad(None, f"the receipt's {name} is not what the ledger gives")
    return "sealed", len(records), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", help="missions/ID")
    parser.add_argument("--key", required=True, help="ledger.pub")
    parser.add_argument("--receipts", help="receipts.jsonl of the machine, checked as well")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    answer = {"schema": "sanctum.verify-ledger/1", "record": None}
    try:
        with open(arguments.key, "rb") as file:
            key = Key(file.read())
        state, records, why = verify(arguments.folder, key, arguments.receipts)
        answer.update(state=state, records=records, why=why)
    except Bad as bad:
        answer.update(state="broken", record=bad.record, why=bad.why)
    except (OSError, ValueError) as error:
        print(f"verify_ledger: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(answer))
    else:
        where = "" if answer["record"] is None else f" at record {answer['record']}"
        print(answer["state"] + where + (f": {answer['why']}" if answer["why"] else ""))
    return 0 if answer["state"] in ("sealed", "open") else 3


if __name__ == "__main__":
    sys.exit(main())
