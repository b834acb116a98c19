# SPDX-License-Identifier: Apache-2.0
"""Which unmodified clients each peer serves: the same clients as in the end-to-end tests, run under each of them.

The machine is made up for this: a network namespace without a way out in which API is a server with a public address, a
name in DNS, and a certificate that the machine (its lists of roots, Java's, Chromium's and Node's variable) trusts.
Nothing is set for a client but what the peer itself sets for its child; proxies that have no child are set up by hand,
as their manuals say, and marked so. Every peer is told the credential in its own way. What counts is what arrived.
"""

import base64
import collections
import contextlib
import ctypes
import datetime
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, inet_aton, socket

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import identity as identities  # noqa: E402
import peers  # noqa: E402
import processes  # noqa: E402
from authority import Authority  # noqa: E402
from rig import API, BIN, SOURCE, Rig  # noqa: E402
from test_clients import CLIENTS  # noqa: E402
from test_runtimes import APT_CONFIGURATION, CARGO_MANIFEST, INSTALLED, SEEN, WORKS, answer_json  # noqa: E402
from test_runtimes import make_tar_gz, make_wheel  # noqa: E402
from upstream import RecordingUpstream, describe  # noqa: E402

ADDRESS = "11.22.33.44"       # public, so that no peer refuses to dial it; here it is local (see own_network)
DNS = "127.0.0.53"
CLONE_NEWNET = 0x40000000
SECONDS_MAX = 40              # for one client; a JVM under a slow sandbox needs ten
URL = f"https://{API}/describe"
GIT_ROWS = {"git": ["git", "ls-remote", f"https://{API}/demo.git"]}
PLACEHOLDER_ROWS = {"curl, sending the placeholder that it was given": [
    "sh", "-c", f'exec curl -fsS -H "Authorization: Bearer ${{API_TOKEN-none}}" {URL}']}
# Tools are called by their program's name; each fetches anew, whoever ran before.
DONE = "the tool is content"
TOOL_ROWS = {name: ["sh", "-ec", f"{script}\necho {DONE}"] for name, script in {
    "pip": f"/usr/bin/python3 -m pip download -q --no-cache-dir --no-deps -d $(mktemp -d -p .) "
           f"-i https://{API}/simple/ demo",
    "npm": f"npm view demo version --registry https://{API}/ --cache $(mktemp -d -p .) --fetch-retries 0",
    "cargo": "cd crate; rm -f Cargo.lock; export CARGO_HOME=$(mktemp -d -p $PWD); cargo fetch --quiet",
    "apt": "export APT_CONFIG=$PWD/apt.conf; rm -rf lists; mkdir -p lists/partial; "
           "apt-get -o APT::Update::Error-Mode=any update",
}.items()}
RUNTIMES = "./runtimes"       # in the workspace, which every peer shows
ROWS = {name: [word.replace(SEEN, RUNTIMES, 1) if word.startswith(SEEN) else word for word in command]
        for name, command in {**CLIENTS, **GIT_ROWS, **WORKS, **TOOL_ROWS, **PLACEHOLDER_ROWS}.items()}
INJECTED, PLAIN, FAILED = "injected", "without", "fails"
BY_HAND = ", set up by hand"

PROFILE = """\
schema = 1
[mission]
name = "clients"
agent = "bench"
purpose = "Fetch one page"
ttl = "5m"
[sandbox]
workspace = "."
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read"]
"""


# ---- a machine ------------------------------------------------------------------------------------------------------

def own_network():
    """A namespace in which ADDRESS is here although no interface has it: some peers refuse addresses of interfaces."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace of its own")
    for line in ("link set lo up", f"route add local {ADDRESS}/32 dev lo"):
        subprocess.run(["ip", *line.split()], check=True)


def answer_dns():
    """API is at ADDRESS; whatever else is asked has no answer."""
    server = socket(AF_INET, SOCK_DGRAM)
    server.bind((DNS, 53))

    def serve():
        while True:
            query, client = server.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            labels, wants_a = query[12:end - 4], query[end - 4:end - 2] == b"\0\1"
            known = labels.lower() == b"".join(bytes([len(part)]) + part for part in API.encode().split(b".")) + b"\0"
            answers = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + inet_aton(ADDRESS) if known and wants_a else b""
            flags = b"\x81\x80" if known else b"\x81\x83"
            counts = b"\0\1" + (b"\0\1" if answers else b"\0\0") + bytes(4)
            server.sendto(query[:2] + flags + counts + query[12:end] + answers, client)
    threading.Thread(target=serve, daemon=True).start()


def trust(rig, authority):
    """The machine trusts the authority, as it would trust a public one."""
    certificates = rig.folder / "certs"
    shutil.copytree("/etc/ssl/certs", certificates, symlinks=True)
    pem = authority.ca_file.read_text()
    bundle = certificates / "ca-certificates.crt"
    bundle.write_text(bundle.read_text() + pem)
    (certificates / "bench.pem").write_text(pem)
    subprocess.run(["openssl", "rehash", certificates], check=True, stderr=subprocess.DEVNULL)
    java = certificates / "java" / "cacerts"
    if java.exists() and shutil.which("keytool"):
        subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "bench", "-file", authority.ca_file,
                        "-keystore", java, "-storepass", "changeit"], check=True, capture_output=True)
    peers.mount_over(certificates, "/etc/ssl/certs")
    if Path("/etc/chromium").exists():
        settings = rig.folder / "chromium"
        shutil.copytree("/etc/chromium", settings)
        (settings / "policies" / "managed").mkdir(parents=True, exist_ok=True)
        text = "".join(pem.split("-----")[2].split())
        assert base64.b64decode(text)
        (settings / "policies" / "managed" / "bench.json").write_text('{"CACertificates": ["%s"]}' % text)
        peers.mount_over(settings, "/etc/chromium")


def git_listing(exchange):
    """What `git ls-remote` wants to hear of a repository with one branch."""
    def line(text):
        return f"{len(text) + 4:04x}{text}"
    exchange.read_body()
    body = line("# service=git-upload-pack\n") + "0000" + line(f"{'1' * 40} refs/heads/main\0agent=bench\n") + "0000"
    exchange.respond(200, body, [("Content-Type", "application/x-git-upload-pack-advertisement")])


def packages():
    """What a registry of each kind says of one package: path → route."""
    def text(body):
        return lambda exchange: exchange.respond(200, body, [("Content-Type", "text/html")])

    def told(value):
        return lambda exchange: answer_json(exchange, value)
    crate = make_tar_gz({"demo-1.0.0/Cargo.toml": b'[package]\nname = "demo"\nversion = "1.0.0"\n',
                         "demo-1.0.0/src/lib.rs": b""})
    line = {"name": "demo", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
            "cksum": hashlib.sha256(crate).hexdigest()}
    wheel = "demo-1.0-py3-none-any.whl"
    return {"/simple/demo/": text(f'<a href="/files/{wheel}">{wheel}</a>'), f"/files/{wheel}": text(make_wheel()),
            "/demo": told({"name": "demo", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {
                "name": "demo", "version": "1.0.0", "dist": {"tarball": f"https://{API}/demo/-/demo-1.0.0.tgz"}}}}),
            "/index/config.json": told({"dl": f"https://{API}/crates"}), "/index/de/mo/demo": told(line),
            "/crates/demo/1.0.0/download": text(crate),
            "/debian/dists/stable/main/binary-amd64/Packages": text("Package: demo\nVersion: 1.0\nArchitecture: all\n")}


def write_for_tools(rig):
    """What cargo and apt are told by files of the workspace."""
    rig.write(rig.make("home/work/crate/src") / "main.rs", "fn main() {}\n")
    rig.write(rig.work / "crate" / "Cargo.toml", CARGO_MANIFEST)
    rig.write(rig.make("home/work/crate/.cargo") / "config.toml",
              f'[registries.named]\nindex = "sparse+https://{API}/index/"\n')
    rig.write(rig.work / "apt.conf", APT_CONFIGURATION.replace("@", str(rig.work)))
    rig.write(rig.work / "sources.list", f"deb [trusted=yes] https://{API}/debian stable main\n")
    rig.write(rig.work / "status", "")


def describe_and_close(exchange):
    """Some clients read until the connection ends, and say so; the recording server does not listen to that."""
    describe(exchange)
    exchange.close = True


def build_go_client(rig):
    environment = {"PATH": "/usr/local/go/bin:/usr/bin:/bin", "HOME": str(rig.folder), "CGO_ENABLED": "0",
                   "GOCACHE": str(SOURCE / "build" / "go-cache"), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    if shutil.which("go", path=environment["PATH"]) is None:
        return
    program = rig.folder / "go_client"
    subprocess.run(["go", "build", "-o", program, SOURCE / "tests/e2e/client.go"], check=True, env=environment,
                   cwd=rig.folder)
    rig.write(rig.work / "go_client", program.read_bytes(), 0o755)


class World:
    def __init__(self):
        own_network()
        self.rig = Rig(identities.identity_of("user"))
        self.rig.folder.chmod(0o755)
        self.authority = Authority(self.rig.folder / "authority")
        self.upstream = RecordingUpstream(*self.authority.issue(API), at=(ADDRESS, 443), routes={
            "/describe": describe_and_close, "/demo.git/info/refs": git_listing, **packages()})
        answer_dns()
        trust(self.rig, self.authority)
        peers.furnish_machine(self.rig, f"127.0.0.1 localhost\n{ADDRESS} {API}\n")
        (self.rig.folder / "resolv.conf").write_text(f"nameserver {DNS}\n")
        peers.mount_over(self.rig.folder / "resolv.conf", "/etc/resolv.conf")
        self.rig.host(API, self.upstream, self.authority.ca_file)
        self.rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"',
                         secret=peers.TOKEN)
        self.rig.configure()
        self.profile = self.rig.profile(PROFILE)
        build_go_client(self.rig)
        write_for_tools(self.rig)
        self.rig.write(self.rig.work / "static_client", (BIN / "static_client").read_bytes(), 0o755)
        self.rig.write(self.rig.work / "Client.java", (SOURCE / "tests/e2e/Client.java").read_text())
        if INSTALLED.exists():
            shutil.copytree(INSTALLED, self.rig.work / RUNTIMES)
        # Node has its roots built in: this variable is how a machine's owner adds one.
        self.environment = dict(self.rig.environment, NODE_EXTRA_CA_CERTS=str(self.authority.ca_file))
        self.servers = []

    def close(self):
        for server in self.servers:
            server.stop()
        self.upstream.stop()
        self.rig.remove()


# ---- ways to run a client -------------------------------------------------------------------------------------------

class Way:
    """How a peer runs a command, and what is around it: `prefix` is put in front, `variables` are what the person who
    sets the peer up gives it (or, for a proxy without a child, the client)."""

    def __init__(self, prefix=(), variables=None, as_text=False):
        self.prefix, self.variables, self.as_text = list(map(str, prefix)), variables or {}, as_text

    def command(self, command):
        """Some take the command as a line of shell, and would put words together without quotes."""
        return [*self.prefix, shlex.join(command)] if self.as_text else [*self.prefix, *command]


def by_hand(world, port, ca_file):
    """Variables as manuals of proxies have them. The client's machine knows the proxy's authority by variables only."""
    bundle = world.rig.write(world.rig.folder / f"roots-{port}.pem",
                             Path("/etc/ssl/certs/ca-certificates.crt").read_text() + Path(ca_file).read_text())
    proxy = f"http://127.0.0.1:{port}"
    variables = {name: proxy for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    variables |= {name: str(bundle) for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
                                                 "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")}
    return Way((), variables)


def with_mitmproxy(world):
    folder = world.rig.make("mitmproxy")
    port = peers.free_port()
    world.servers.append(peers.mitmproxy(folder, "regular", port, world.authority.issue(API), "--set",
                                         f"ssl_verify_upstream_trusted_ca={world.authority.ca_file}"))
    return by_hand(world, port, folder / "mitmproxy-ca-cert.pem")


def with_squid(world):
    """Its authority is one that the machine does not know yet."""
    folder = world.rig.make("squid", 0o777)
    authority = Authority(folder / "authority", "Squid's authority")
    port = peers.free_port()
    more = f"tls_outgoing_options cafile={world.authority.ca_file}"
    world.servers.append(peers.squid(folder, authority, more, f"{ADDRESS} {API}\n", asked=port))
    return by_hand(world, port, authority.ca_file)


def with_sandbox_runtime(world):
    """Its interception is on and the credential is masked: what it calls so is a placeholder that it replaces."""
    settings = peers.sandbox_runtime_that_masks(world.rig)
    return Way([*settings, "-c"], {"API_TOKEN": peers.TOKEN}, as_text=True)


def with_sandlock(world):
    """Its manual has a way for Node as well: its authority as a file, and a variable that it sets for the child."""
    file = "/tmp/sandlock-authority.pem"
    return Way(peers.sandlock(world.rig, None, *peers.sandlock_injection(world.rig), "--http-ca-out", file, "--env",
                              f"NODE_EXTRA_CA_CERTS={file}"))


def with_nono(world):
    """It refuses to show /tmp, where this home lies: temporary files go into the workspace."""
    return Way(peers.nono(world.rig, None, *peers.nono_injection(world.rig)), {"TMPDIR": str(world.rig.work)})


def ways(world, present):
    """Name of a column → Way. Those that cannot be told a credential are run with what they have."""
    made = {"nothing": Way(), "Sanctum": Way([BIN / "sanctum-run", "--profile", world.profile, "--"])}
    makers = {"sandlock": with_sandlock, "nono": with_nono, "sandbox-runtime": with_sandbox_runtime,
              "mitmproxy": with_mitmproxy, "squid": with_squid}
    for name in ("sandlock", "nono", "sandbox-runtime", "mitmproxy", "squid"):
        if name in present:
            made[name + (BY_HAND if name in peers.PROXIES else "")] = makers[name](world)
    if "codex" in present:
        made["codex"] = Way(peers.codex(world.rig, None, proxy=True))
    if "firejail" in present:
        # With its own /etc it would take neither the machine's roots nor its names along.
        without = ("--net=none", "--private-etc")
        made["firejail"] = Way([part for part in peers.firejail(world.rig, None) if not part.startswith(without)])
    return made


# ---- a table --------------------------------------------------------------------------------------------------------

# The first line that matches the first of these says why; nothing is learnt from the others.
TELLING = [re.compile(text, re.IGNORECASE) for text in (
    r"certificate|CERT_|PKIX", r"refused|denied|resolve|unreachable|not permitted|EPERM|ENETUNREACH|403",
    r"error|fail")]
NO_REASON = re.compile(r"^Picked up|crashpad|unexpected operator|^\s*at ")
CHANGES = re.compile(r"^\[[\d:/.]+:(FATAL|ERROR):|^\d{4}/\d\d/\d\d [\d:]+ ")  # times and process ids


def reason_of(text):
    """The line of the output that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not NO_REASON.search(line)]
    for telling in TELLING:
        for line in lines:
            if telling.search(line):
                return CHANGES.sub("", line)[:160]
    return (lines or [""])[-1][:160]


def end_what_is_left(children):
    """Ends what a client left running and we adopted: a browser that lost its parent keeps a processor busy."""
    for pid in set(processes.children_of(os.getpid())) - children:
        for each in [*processes.descendants_of(pid), pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        processes.reap([pid])


def run_client(world, way, command):
    """(INJECTED | PLAIN | FAILED, reason)."""
    before = len(world.upstream.exchanges)
    children = set(processes.children_of(os.getpid()))
    try:
        done = subprocess.run(way.command(command), cwd=world.rig.work, env={**world.environment, **way.variables},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS_MAX, check=False, **world.rig.identity.popen)
    except subprocess.TimeoutExpired:
        return FAILED, f"no answer in {SECONDS_MAX} s"
    finally:
        end_what_is_left(children)
    text = done.stdout.decode(errors="replace")
    arrived = world.upstream.exchanges[before:]
    if not any(sign in text for sign in ('"has_authorization"', "refs/heads/main", DONE)) or not arrived:
        why = reason_of(done.stderr.decode(errors="replace") + "\n" + text)
        return FAILED, why or f"exit {done.returncode} without a word"
    injected = arrived[-1].header("authorization") == f"Bearer {peers.TOKEN}"
    return (INJECTED if injected else PLAIN), ""


def absent_programs(rig):
    """Rows whose client is not on this machine."""
    return {name for name, command in ROWS.items()
            if not (shutil.which(name if name in TOOL_ROWS else command[0]) or (rig.work / command[0]).exists())}


def measure(present, whole):
    cells = whole["clients"] = collections.defaultdict(dict)
    whole["failed"] = {}
    whole["day"] = datetime.date.today().isoformat()
    identities.adopt_orphans()
    world = World()
    try:
        skipped = absent_programs(world.rig)
        for column, way in ways(world, present).items():
            for name, command in ROWS.items():
                if name not in skipped:
                    result, why = run_client(world, way, command)
                    cells[name][column] = {"result": result, "why": why}
            served = [row[column]["result"] for row in cells.values()]
            print(f"  {column:<28} injected {served.count(INJECTED)}, without {served.count(PLAIN)}, "
                  f"fails {served.count(FAILED)} of {len(served)}", flush=True)
        for name in skipped:
            print(f"  {name}: not installed (scripts/setup test runtimes)")
        for name, why in whole["absent"].items():
            print(f"  not compared with {name}: {why}")
    finally:
        world.close()


WORDS = {INJECTED: "**injected**", PLAIN: "works, no credential", FAILED: "fails"}


def table(whole):
    """The page: a table of clients and peers, and why what fails fails."""
    cells = whole["clients"]
    columns = list(next(iter(cells.values())))
    notes = {}
    lines = [HEAD.format(day=whole["day"], **whole["machine"]), "| client | " + " | ".join(columns) + " |",
             "| --- " * (len(columns) + 1) + "|"]
    for name, row in cells.items():
        told = []
        for column in columns:
            cell = row[column]
            mark = f" [{notes.setdefault(cell['why'], len(notes) + 1)}]" if cell["why"] else ""
            told.append(WORDS[cell["result"]] + mark)
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    lines += ["", "| note | the client's or the peer's own words |", "| --- | --- |"]
    lines += [f"| {number} | `{why.replace('|', '/').replace('`', chr(39))}` |" for why, number in notes.items()]
    if whole["absent"]:
        lines += ["", "Not compared:", ""]
        lines += [f"- {name}: {why}" for name, why in whole["absent"].items()]
    lines += ["", "Versions: " + "; ".join(whole["versions"].values()) + "."]
    return "\n".join(lines) + "\n"


HEAD = """\
# Unmodified clients under Sanctum and its peers

Made by `scripts/bench --clients --json bench/results/clients.json` on {day} ({system}, kernel {kernel}).
Every client is the same command that the end-to-end tests run, against one server with TLS that wants a bearer token.
Nothing is set for it but what the peer sets for its child by itself; proxies without a child are set up by hand with
the usual variables (`HTTPS_PROXY`, `SSL_CERT_FILE`, ...). Proxies that serve one address (nginx, haproxy) and
bubblewrap without a network have no column. sandlock and nono are given what their manuals name for injecting, and may
read what the others may.

**injected**: the page came and the right token arrived at the server. *works, no credential*: the page came, but the
token did not arrive. *fails*: the page did not come. `nothing` shows that each client works on this machine by itself.
"""
