# SPDX-License-Identifier: Apache-2.0
"""Says whether the quickstart's mission did what was promised, from its record and from the server's repository.

    check_quickstart.py BASE MISSION REPOSITORY MAIN_BEFORE   (the password on standard input)
"""

import json
import subprocess
import sys
from pathlib import Path


def git(repository, *arguments):
    done = subprocess.run(["git", f"--git-dir={repository}", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def claims(records, receipt, repository, main_before):
    """(what, whether it is so), each from outside the script that ran."""
    intents = {record["exchange"]: record for record in records if record["type"] == "exchange.intent"}
    complete = [intents[record["exchange"]] for record in records
                if record["type"] == "exchange.outcome" and record["outcome"] == "complete" and record["status"] == 200]
    refused = [record for record in records if record["type"] == "exchange.refused"]
    leases = [record for record in records if record["type"] == "lease.changed"]
    ended = [record for record in records if record["type"] == "mission.ended"]

    def did(operation, **wanted):
        return any(intent["operation"] == operation and all(intent[key] == value for key, value in wanted.items())
                   for intent in complete)

    def was_refused(reason, host=None):
        return any(record["reason"] == reason and (host is None or record["host"] == host) for record in refused)

    head = git(repository, "rev-parse", "refs/heads/agent/x")
    pages = {intent["path"] for intent in complete if intent["host"] == "www.quickstart.test"}
    return [
        ("cloned and fetched over https with an injected credential", did("git.fetch", lease="l1")),
        ("pushed agent/x, and the record names the ref",
         did("git.push", resources={"repo": ["demo.git"], "ref": ["refs/heads/agent/x"]})),
        ("the server has the new commit on agent/x", bool(head) and head != main_before
         and git(repository, "rev-parse", "refs/heads/agent/x^") == main_before),
        ("curl and python3 fetched their pages", {"/index.html", "/facts.json"} <= pages),
        ("another host was refused", was_refused("host_unknown", "example.com")),
        ("a raw address was refused", was_refused("address_without_name")),
        ("the push to main was refused", was_refused("resource_outside", "git.quickstart.test")),
        ("the server's main is what it was", git(repository, "rev-parse", "refs/heads/main") == main_before),
        ("a lease was held and every lease has its end",
         any(lease["state"] == "held" for lease in leases)
         and set({lease["lease"]: lease["state"] for lease in leases}.values()) <= {"gone", "expired"}),
        ("the mission ended by itself", len(ended) == 1 and ended[0]["reason"] == "exit" and ended[0]["code"] == 0),
        ("the receipt is signed", bool(receipt.get("signatures"))),
    ]


def holds_password(folder, password):
    """Files that hold the password in the clear; the sealed store is among those searched."""
    return [str(path) for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and password.encode() in path.read_bytes()]


def main():
    base, mission, repository, main_before = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    password = sys.stdin.read().strip()
    folder = base / "state" / "sanctum" / "missions" / mission
    records = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    receipt = json.loads((folder / "receipt.json").read_text())
    told = claims(records, receipt, repository, main_before)
    told.append(("the password is in no file of the workspace, the state or the store in the clear",
                 bool(password) and not holds_password(base, password)))
    verifier = Path(__file__).with_name("verify_ledger.py")
    done = subprocess.run([sys.executable, verifier, folder, "--key", base / "data/sanctum/ledger.pub"],
                          capture_output=True, text=True, check=False)
    told.append(("a second, independent verifier accepts the record", done.returncode == 0))
    for what, is_so in told:
        print(f"  {'yes' if is_so else 'NO '}  {what}")
    return 0 if all(is_so for _, is_so in told) else 1


if __name__ == "__main__":
    sys.exit(main())
