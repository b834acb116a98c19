# SPDX-License-Identifier: Apache-2.0
"""The rig of the end-to-end tests: one operator's machine in a folder, and missions run on it with the real programs.

A `Rig` is a home, a configuration, a sealed store with canary secrets and a workspace, all in a temporary folder. Its
`run` starts `sanctum-run` as one identity and returns what came out: code, output, ledger, receipt. When a test ends,
the rig checks what must hold after every mission: both verifiers accept the ledger, no process is left, and no
canary is to be found anywhere but in the store.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import identity as identities
import processes

SOURCE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SANCTUM_BIN", SOURCE / "build" / "dev" / "bin"))
SUPPORT = SOURCE / "tests" / "support"
RUN_SECONDS = 90       # no test's mission lasts longer
API = "api.sanctum.test"
PLAIN = "www.sanctum.test"
LEASE_ENDS = {"gone", "expired", "parked", "orphaned", "failed"}


def mission_head(name):
    """How most tests' profiles begin; services and hosts follow."""
    return f'''schema = 1

[mission]
name = "{name}"
agent = "test"
purpose = "Show one claim"
ttl = "2m"

[sandbox]
workspace = "."

'''


@dataclass(repr=False)
class Outcome:
    """What one mission left: its exit code, its output and its record."""
    code: int
    stdout: bytes
    stderr: bytes
    status: list                       # lines of --status-fd
    folder: Path = None                # missions/ID, None when nothing was started
    records: list = field(default_factory=list)
    receipt: dict = None

    @property
    def text(self):
        return self.stdout.decode(errors="replace")

    @property
    def errors(self):
        return self.stderr.decode(errors="replace")

    def of_type(self, kind):
        return [record for record in self.records if record["type"] == kind]

    @property
    def refused(self):
        """(reason, host, path) of each refused exchange."""
        return [(record["reason"], record["host"], record["path"]) for record in self.of_type("exchange.refused")]

    @property
    def ended(self):
        found = self.of_type("mission.ended")
        return found[-1] if found else None

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.text}\n--- stderr\n{self.errors}\n--- status {self.status}"

    __repr__ = __str__


class Running:
    """A mission that still runs."""

    def __init__(self, rig, process, status_read):
        self.rig, self.process, self.pid = rig, process, process.pid
        self._status = os.fdopen(status_read, "r")
        self.status = []
        self.mission = None

    def wait_until_started(self):
        """Waits for the `started` line: from here on the command runs."""
        line = self._status.readline()
        if not line:
            raise AssertionError(f"the mission never started:\n{self.finish()}")
        self.status.append(json.loads(line))
        self.mission = self.status[0]["mission"]
        return self

    def read_line(self):
        """One line of the command's output; the way a test waits for the command to be somewhere."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the command wrote nothing more: {self.finish()}")
        return line.decode().rstrip("\n")

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def roles(self):
        """Process ids by role as `sanctum show --json` tells them."""
        shown = json.loads(self.rig.sanctum("show", self.mission, "--json").stdout)
        return shown["processes"]

    def finish(self):
        try:
            stdout, stderr = self.process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"the mission did not end; output so far:\n{stdout!r}\n{stderr!r}") from None
        self.status += [json.loads(line) for line in self._status if line.strip()]
        self._status.close()
        return self.rig.collect(self.process.returncode, stdout, stderr, self.status)


class Rig:
    """One operator's machine in a folder."""

    def __init__(self, identity):
        self.identity = identity
        self.folder = Path(identities.make_folder(identity, "sanctum-e2e-"))
        self.home = self.make("home")
        self.work = self.make("home/work")
        self.configuration = self.make("config/sanctum")
        self.data = self.make("data/sanctum", 0o700)
        self.state = self.make("state/sanctum", 0o700)
        self.runtime = self.make("run", 0o700)
        self.key_file = self.folder / "store.key"
        self.secrets, self._stored = {}, set()
        self.outcomes = []
        self._known = set()
        self._hosts, self._accounts, self._ca_files, self._extra, self._pins = {}, [], [], "", {}
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "dumb",
            "XDG_CONFIG_HOME": str(self.folder / "config"), "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_STATE_HOME": str(self.folder / "state"), "XDG_RUNTIME_DIR": str(self.runtime)}
        if "ASAN_OPTIONS" in os.environ:
            self.environment["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]

    # ---- files -------------------------------------------------------------------------------------------------
    def make(self, name, mode=0o755):
        path = self.folder
        for part in Path(name).parts:
            path = path / part
            if not path.exists():
                path.mkdir()
                self.identity.own(path)
        path.chmod(mode)
        return path

    def write(self, path, text, mode=0o644):
        path = Path(path)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        self.identity.own(path)
        return path

    # ---- the operator's side -----------------------------------------------------------------------------------
    def host(self, name, upstream, ca_file=None, pinned=None):
        """Lets `name` resolve to a test server. `ca_file` joins the roots; `pinned` is the host's only one."""
        self._hosts[name] = upstream if isinstance(upstream, str) else upstream.address
        if pinned:
            self._pins[name] = self.write(self.configuration / f"{name}.pem", Path(pinned).read_bytes())
        if ca_file:
            self._ca_files.append(Path(ca_file))
        return self

    def account(self, name, text, secret=None, item=None):
        """An account (TOML lines without name) and the secret its item holds; the default is a fresh canary."""
        self._accounts.append(f'[[account]]\nname = "{name}"\n{text}\n')
        self.secrets[item or name] = secret or f"canary-{secrets.token_hex(20)}"
        return self.secrets[item or name]

    def extra(self, toml):
        self._extra += toml + "\n"
        return self

    def configure(self):
        """Writes the operator's configuration and the sealed store."""
        lines = ["schema = 1", "[store]", f'unlock = "key-file:{self.key_file}"', *self._accounts]
        lines += [self._extra, "[upstream]"]
        if self._ca_files:
            bundle = self.write(self.folder / "roots.pem", b"".join(path.read_bytes() for path in self._ca_files))
            lines.append(f'ca_file = "{bundle}"')
        for name, address in self._hosts.items():
            lines += [f'[upstream.host."{name}"]', f'address = "{address}"']
            if name in self._pins:
                lines.append(f'ca_file = "{self._pins[name]}"')
        self.write(self.configuration / "config.toml", "\n".join(lines) + "\n", 0o600)
        if self.secrets and not (self.data / "store.sealed").exists():
            self.expect_ok(self.sanctum("vault", "init", "--key-file", str(self.key_file)))
        for item, value in self.secrets.items():
            if item not in self._stored:
                self.expect_ok(self.sanctum("vault", "add", item, input=value.encode()))
        self._stored = set(self.secrets)
        return self

    @staticmethod
    def expect_ok(done):
        assert done.returncode == 0, f"{done.args}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
        return done

    def sanctum(self, *arguments, input=None, environment=None, timeout=RUN_SECONDS):
        return subprocess.run([BIN / "sanctum", *arguments], cwd=self.work, input=input, capture_output=True,
                              env=dict(self.environment, **(environment or {})), timeout=timeout,
                              **self.identity.popen)

    def profile(self, toml, name="mission"):
        """A profile in the operator's own folder, so that it is trusted without a word."""
        folder = self.make("config/sanctum/profiles")
        return self.write(folder / f"{name}.toml", toml)

    # ---- missions ----------------------------------------------------------------------------------------------
    def command_line(self, profile, options, command):
        return [str(BIN / "sanctum-run"), *(["--profile", str(profile)] if profile else []), *options, "--", *command]

    def start(self, *command, profile=None, options=(), environment=None, cwd=None, stdin=subprocess.PIPE, wrap=(),
              pass_fds_too=(), **popen):
        """Starts a mission; `wrap` is a command line put in front of sanctum-run, `popen` wins over the identity."""
        status_read, status_write = os.pipe()
        arguments = self.command_line(profile, ["--status-fd", str(status_write), *options], command)
        process = subprocess.Popen(
            [*wrap, *arguments], cwd=cwd or self.work, env=dict(self.environment, **(environment or {})), stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(status_write, *pass_fds_too),
            **dict(self.identity.popen, **popen))
        os.close(status_write)
        self._known.add(process.pid)
        return Running(self, process, status_read)

    def run(self, *command, input=None, **start):
        """Runs a mission to its end."""
        running = self.start(*command, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL, **start)
        if input is not None:
            running.send(input)
        return running.finish()

    def collect(self, code, stdout, stderr, status):
        outcome = Outcome(code, stdout, stderr, status)
        started = [line for line in status if line.get("event") == "started"]
        if started:
            outcome.folder = self.state / "missions" / started[0]["mission"]
            outcome.records = self.records_of(outcome.folder)
            receipt = outcome.folder / "receipt.json"
            outcome.receipt = json.loads(receipt.read_text()) if receipt.exists() else None
        self.outcomes.append(outcome)
        return outcome

    @staticmethod
    def records_of(folder):
        return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]

    # ---- what must hold afterwards -----------------------------------------------------------------------------
    def check_everything(self):
        self.check_no_process_is_left()
        self.check_ledgers()
        self.check_no_leak()

    def check_no_process_is_left(self):
        left = processes.left_behind(self._known)
        assert not left, f"processes outlived their mission: {left}"

    def check_ledgers(self):
        missions = self.state / "missions"
        for folder in sorted(missions.iterdir()) if missions.exists() else []:
            if not (folder / "ledger.jsonl").exists():
                continue
            done = self.sanctum("audit", "verify", folder.name)
            assert done.returncode == 0, f"audit verify {folder.name}: {done.stdout!r} {done.stderr!r}"
            self.check_with_independent_verifier(folder)
            self.check_history(self.records_of(folder))

    def check_with_independent_verifier(self, folder):
        done = subprocess.run([sys.executable, SUPPORT / "verify_ledger.py", folder, "--key", self.data / "ledger.pub"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"verify_ledger.py {folder.name}: {done.stdout}{done.stderr}"

    @staticmethod
    def check_history(records):
        """Each intent has exactly one outcome; each lease has an end; the last word is mission.ended."""
        intents = [record["exchange"] for record in records if record["type"] == "exchange.intent"]
        outcomes = [record["exchange"] for record in records if record["type"] == "exchange.outcome"]
        assert sorted(intents) == sorted(set(outcomes)) == sorted(outcomes), f"{intents} but {outcomes}"
        leases = {}
        for record in records:
            if record["type"] == "lease.changed":
                leases[record["lease"]] = record["state"]
        open_leases = {lease: state for lease, state in leases.items() if state not in LEASE_ENDS}
        assert not open_leases, f"leases without an end: {open_leases}"
        assert [record["type"] for record in records].count("mission.ended") == 1

    def check_no_leak(self):
        """No canary, in any coding, in anything but the sealed store."""
        import leak_sweep
        for outcome in self.outcomes:
            for name, data in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
                for secret in self.secrets.values():
                    found = leak_sweep.find_in_bytes(data, secret.encode())
                    assert not found, f"{name} holds the secret: {found}"
        for path in self.folder.rglob("*"):
            if path.is_symlink() or not path.is_file() or path.name in ("store.sealed", "store.key"):
                continue
            data = path.read_bytes()
            for secret in self.secrets.values():
                found = leak_sweep.find_in_bytes(data, secret.encode())
                assert not found, f"{path} holds the secret: {found}"

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def head_digest(method, origin, target, headers):
    """`head` of formats 6: what was decided, over the end-to-end headers as forwarded, without the credential."""
    text = f"sanctum-head-1\n{method}\n{origin}\n{target}\n" + "".join(f"{name}:{value}\n" for name, value in headers)
    return hashlib.sha256(text.encode("latin-1")).hexdigest()


def body_digest(salt_hex, body):
    return hashlib.sha256(bytes.fromhex(salt_hex) + body).hexdigest()
