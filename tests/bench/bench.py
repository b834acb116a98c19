# SPDX-License-Identifier: Apache-2.0
"""Measures Sanctum beside its peers in one run: rounds are interleaved, medians are compared (see scripts/bench).

The same load generator does the same work several ways: straight to the upstream, through each proxy of peers.py (TLS
in, TLS out, static header, one worker), from inside sandbox-runtime through its proxy, and from inside a mission
through the interceptor. Sandboxes are compared on how long they take to start and end. Nothing here asserts a time.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import clients  # noqa: E402
import identity as identities  # noqa: E402
import peers  # noqa: E402
from authority import Authority  # noqa: E402
from rig import API, BIN, Rig  # noqa: E402
from upstream import RecordingUpstream  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
STARTS_AT_ONCE = 4       # of one way before the next one's turn: what else the machine does meets all ways alike
SLOW_STARTS_AT_ONCE = 1  # of a way that takes longer than SLOW_MS: some take half a second
SLOW_MS = 100

# ratio key → (goal, better is, in words)
GOALS = {
    "startup_vs_exec_ms_added": (8.0, "below", "ms that `sanctum-run -- true` adds to plain exec, p50"),
    "startup_vs_bubblewrap": (1.0, "below", "times bubblewrap with equivalent mounts"),
    "connect_vs_native": (1.7, "below", "times a native connect, watch on"),
    "system_calls_vs_native": (1.01, "below", "times the time of a million reads and writes outside"),
    "revocation_ms": (100.0, "below", "ms from the start of `sanctum revoke` to the first refused request, p50"),
    "h1_keepalive_rps_vs_nginx": (1.0, "above", "times nginx, requests/s over 16 kept connections"),
    "h1_keepalive_rps_vs_mitmproxy": (25.0, "above", "times mitmproxy, requests/s over 16 kept connections"),
    "h1_keepalive_rps_vs_sandbox-runtime": (10.0, "above",
                                            "times sandbox-runtime, requests/s over 16 kept connections"),
    "h1_new_connections_vs_nginx": (1.0, "above", "times nginx, new TLS connections/s"),
    "body_10mib_vs_nginx": (0.9, "above", "times nginx, 10 MiB bodies"),
    "latency_added_p50_ms": (0.3, "below", "ms over direct, 32 connections below saturation, p50"),
    "latency_added_p99_ms": (1.0, "below", "ms over direct, 32 connections below saturation, p99"),
    "pss_idle_mb": (25.0, "below", "MB of all our processes together, idle"),
    "pss_256_streams_mb": (40.0, "below", "MB of all our processes together, 256 open streams"),
    "matcher_decisions_per_s": (1_000_000, "above", "classify + decide per second, one core"),
}
# The same for figures that are not ratios: row name → goal
ROW_GOALS = {
    "CPU per request vs nginx": (1.0, "below"), "CPU per new connection vs nginx": (1.2, "below"),
    "connect without the watch vs native": (1.1, "below"), "latency added, one connection, p50 us": (80.0, "below"),
}

PROFILE = f"""\
schema = 1
[mission]
name = "bench"
agent = "bench"
purpose = "Measure"
ttl = "30m"
[sandbox]
workspace = "."
attribute = %s
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read"]
"""

# Prints "served" after the first answer, and when it was refused.
ASK_UNTIL_REFUSED = """
import http.client, sys, time
connection, status, served = None, 200, False
while status != 403:
    try:
        connection = connection or http.client.HTTPSConnection(sys.argv[1])
        connection.request("GET", "/1k")
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        connection = None  # what is under way is cut
        continue
    if not served:
        print("served", flush=True)
        served = True
print(time.monotonic(), flush=True)
"""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss_mb(pids):
    total = 0
    for pid in pids:
        total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE).group(1))
    return total / 1024


def parse_wrk(text):
    """Requests/s, bytes/s, p50 and p99 latency (us) of one wrk run; errors make the run invalid."""
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"the load generator met errors:\n{text}")
    units = {"us": 1, "ms": 1e3, "s": 1e6}

    def latency(which):
        found = re.search(rf"{which}%\s+([\d.]+)(us|ms|s)", text)
        return float(found.group(1)) * units[found.group(2)]
    size, unit = re.search(r"Transfer/sec:\s+([\d.]+)(\w?B)", text).groups()
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
            "requests": int(re.search(r"(\d+) requests in", text).group(1)),
            "mb_per_s": float(size) * {"B": 1e-6, "KB": 1024e-6, "MB": 1.048576, "GB": 1073.741824}[unit],
            "p50": latency(50), "p99": latency(99)}


class Mission:
    """A mission that runs load generators one after another on command."""

    def __init__(self, rig, profile):
        self.running = rig.start("sh", "-c", peers.SHELL_LOOP, profile=profile).wait_until_started()
        roles = self.running.roles()
        self.pids = [roles[role] for role in ("launcher", "interceptor", "dialler", "vault")]

    def run(self, command):
        self.running.send(command + "\n")
        lines = []
        while not (line := self.running.read_line()).startswith("=== "):
            lines.append(line)
        text = "\n".join(lines)
        if line != "=== 0":
            raise RuntimeError(f"{command}: {line}\n{text}")
        return text

    def end(self):
        self.running.process.stdin.close()
        self.running.process.stdin = None
        return self.running.finish()


class Bench:
    def __init__(self, quick, present):
        self.rounds, self.seconds, self.starts = (3, 2, 40) if quick else (5, 6, 300)
        self.ratios, self.rows, self.against, self.failed = {}, [], {}, {}
        self.sandboxes = [name for name in peers.SANDBOXES if name in present]
        self.rig = Rig(identities.identity_of("user"))
        self.rig.folder.chmod(0o755)
        authority = Authority(self.rig.folder / "authority")
        certificate = authority.issue(API, "127.0.0.1")  # mitmproxy verifies the address that it was given
        www = self.rig.folder / "www"
        www.mkdir()
        (www / "1k").write_bytes(b"x" * 1024)
        (www / "10m").write_bytes(os.urandom(1 << 20) * 10)
        self.rig.write(self.rig.work / "pause.lua", "function delay() return math.random(10, 40) end\n")
        self.origin = peers.nginx(self.rig.folder / "origin", peers.NGINX_ORIGIN, certificate, www=www)
        self.proxies = {}
        for name in [name for name in peers.PROXIES if name in present]:
            with self.optional(name, "start of the proxy"):
                self.proxies[name] = peers.start_proxy(name, self.rig.folder / name, self.origin.port, authority,
                                                       certificate)
        self.rooms = {}  # proxies that only their own sandbox reaches
        if "sandbox-runtime" in present and os.geteuid() == 0:
            with self.optional("sandbox-runtime", "start of its proxy"):
                self.rooms["sandbox-runtime"] = peers.Room(self.rig, authority, certificate, www)
        self.holder = RecordingUpstream(*certificate, routes={"/hold": hold})
        self.rig.host(API, f"127.0.0.1:{self.origin.port}", authority.ca_file)
        self.rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"')
        self.rig.configure()
        self.profile = self.rig.profile(PROFILE % "true")
        self.unwatched = self.rig.profile(PROFILE % "false", "unwatched")

    def close(self):
        for proxy in (*self.proxies.values(), *self.rooms.values()):
            proxy.stop()
        self.origin.stop()
        self.holder.stop()
        self.rig.remove()

    def row(self, name, value, unit, **more):
        self.rows.append({"name": name, "value": round(value, 4), "unit": unit, **more})

    def compare(self, figure, ours, theirs):
        """Ratios of ours to each peer's."""
        self.against[figure] = {name: round(ours / value, 4) for name, value in theirs.items()}

    @contextlib.contextmanager
    def optional(self, name, what):
        """A peer that fails is left out and named; the figures of the others stay."""
        try:
            yield
        except Exception as error:
            if name in peers.REQUIRED:
                raise
            self.failed[f"{what}, {name}"] = str(error)[:2000]

    # ---- start-up ----------------------------------------------------------------------------------------------
    def timed_spawns(self, *command, count):
        done = subprocess.run([BIN / "spawn_timer", str(count), *command], cwd=self.rig.work, check=True, text=True,
                              env=self.rig.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, **self.rig.identity.popen)
        return [float(line) for line in done.stdout.split()]

    def ways_to_start(self):
        """Command lines, each of which has started once (and warmed what it keeps)."""
        ours = [str(BIN / "sanctum-run"), "--profile", str(self.profile), "--"]
        ways = {"plain exec": [], "sanctum-run": ours}
        peers.furnish_machine(self.rig, f"127.0.0.1 localhost {API}\n")
        for name in self.sandboxes:
            with self.optional(name, "start-up"):
                for way, command in peers.ways_to_start(name, self.rig, self.profile).items():
                    self.timed_spawns(*command, "/usr/bin/true", count=1)
                    ways[way] = command
        return ways

    def startup(self):
        ways = self.ways_to_start()
        times = {way: [] for way in ways}
        counts = dict.fromkeys(ways, STARTS_AT_ONCE)
        for _ in range(self.starts // STARTS_AT_ONCE):
            for way, command in ways.items():
                times[way] += self.timed_spawns(*command, "/usr/bin/true", count=counts[way])
                counts[way] = SLOW_STARTS_AT_ONCE if times[way][-1] > SLOW_MS * 1000 else STARTS_AT_ONCE
        middle = {way: statistics.median(values) / 1000 for way, values in times.items()}
        for way, value in middle.items():
            self.row(f"start-up, {way}, p50", value, "ms")
        self.ratios["startup_vs_exec_ms_added"] = middle["sanctum-run"] - middle["plain exec"]
        self.ratios["startup_vs_bubblewrap"] = middle["sanctum-run"] / middle["bubblewrap"]
        self.compare("start-up", middle["sanctum-run"], {way: value for way, value in middle.items()
                                                        if way not in ("plain exec", "sanctum-run")})

    # ---- connect -----------------------------------------------------------------------------------------------
    def connect(self):
        count = self.starts * 5
        self.rig.write(self.rig.work / "connect_timer", (BIN / "connect_timer").read_bytes(), 0o755)
        inside, bare, native = [], [], []
        for _ in range(self.rounds):
            done = subprocess.run([BIN / "connect_timer", str(count), "-", "0"], check=True, stdout=subprocess.PIPE,
                                  text=True)
            native.append(statistics.median(map(float, done.stdout.split())))
            for profile, into in ((self.profile, inside), (self.unwatched, bare)):
                outcome = self.rig.run("./connect_timer", str(count), API, "443", profile=profile)
                assert outcome.code == 0, outcome
                into.append(statistics.median(map(float, outcome.text.split())))
        values = [statistics.median(part) for part in (native, inside, bare)]
        for name, value in zip(("native", "inside, watch on", "inside, watch off"), values):
            self.row(f"connect, {name}, p50", value, "us")
        self.ratios["connect_vs_native"] = values[1] / values[0]
        self.row("connect without the watch vs native", values[2] / values[0], "x")

    # ---- other calls, and the end of a permission ---------------------------------------------------------------
    def system_calls(self):
        """dd(1) says how long its reads and writes of one byte took."""
        command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=500000"]
        native, inside = [], []
        for _ in range(self.rounds):
            done = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True,
                                  env=dict(os.environ, LC_ALL="C"))
            outcome = self.rig.run(*command, profile=self.profile, environment={"LC_ALL": "C"},
                                   options=["-e", "LC_ALL"])
            for text, into in ((done.stderr, native), (outcome.errors, inside)):
                into.append(float(re.search(r"copied, ([\d.]+) s", text).group(1)))
        self.row("a million reads and writes, outside", statistics.median(native) * 1000, "ms")
        self.row("a million reads and writes, inside", statistics.median(inside) * 1000, "ms")
        self.ratios["system_calls_vs_native"] = statistics.median(inside) / statistics.median(native)

    def revocation(self):
        """Both sides read the same clock; the client asks again as soon as it was answered."""
        times = []
        for _ in range(self.rounds):
            running = self.rig.start("/usr/bin/python3", "-c", ASK_UNTIL_REFUSED, API,
                                     profile=self.profile).wait_until_started()
            assert running.read_line() == "served"
            before = time.monotonic()
            done = self.rig.sanctum("revoke", running.mission, "--service", "api")
            assert done.returncode == 0, done.stderr
            times.append((float(running.read_line()) - before) * 1000)
            running.finish()
        self.ratios["revocation_ms"] = statistics.median(times)

    # ---- requests ----------------------------------------------------------------------------------------------
    def load(self, name, options, path):
        """The same load all ways, interleaved; medians per way of each figure, and CPU per request."""
        ports = {"direct": self.origin.port, **{way: proxy.port for way, proxy in self.proxies.items()}}
        rooms = dict(self.rooms)
        results = {way: [] for way in (*ports, *rooms, "sanctum")}
        mission = Mission(self.rig, self.profile)
        base = f"wrk -t1 -d{self.seconds}s --latency {options}"
        for _ in range(self.rounds):
            for way, port in list(ports.items()):
                pids = self.proxies[way].pids if way in self.proxies else []
                before = cpu_seconds(pids)
                done = subprocess.run(f"{base} -H 'Host: {API}' https://127.0.0.1:{port}{path}", shell=True, check=True,
                                      stdout=subprocess.PIPE, text=True, cwd=self.rig.work)
                spent = cpu_seconds(pids) - before
                with self.optional(way, name):
                    results[way].append(dict(parse_wrk(done.stdout), cpu=spent))
                if len(results[way]) == 0:  # it failed: its turns would only take time
                    del results[way], ports[way]
            for way, room in list(rooms.items()):
                before = room.cpu_ticks()
                with self.optional(way, name):
                    text = room.load(base, path)
                    results[way].append(dict(parse_wrk(text), cpu=(room.cpu_ticks() - before) / TICKS))
                if len(results[way]) == 0:
                    del results[way], rooms[way]
            before = cpu_seconds(mission.pids)
            text = mission.run(f"{base} https://{API}{path}")
            results["sanctum"].append(dict(parse_wrk(text), cpu=cpu_seconds(mission.pids) - before))
        outcome = mission.end()
        assert outcome.code == 0, outcome
        middle = {}
        for way, runs in results.items():
            middle[way] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            middle[way]["cpu_us"] = statistics.median(run["cpu"] / run["requests"] * 1e6 for run in runs)
        return middle

    def compare_loads(self, figure, result, key):
        self.compare(figure, result["sanctum"][key],
                     {way: values[key] for way, values in result.items() if way in {**self.proxies, **self.rooms}})

    def requests(self):
        names = ("keep-alive, 16 connections", "new connections")
        kept = self.load(names[0], "-c16", "/1k")
        fresh = self.load(names[1], "-c16 -H 'Connection: close'", "/1k")
        for name, result in zip(names, (kept, fresh)):
            for way, values in result.items():
                self.row(f"{name}, {way}", values["rps"], "requests/s")
                if way != "direct":
                    self.row(f"{name}, {way}, CPU", values["cpu_us"], "us/request")
            self.compare_loads(f"{name}, requests/s", result, "rps")
            self.compare_loads(f"{name}, CPU per request", result, "cpu_us")
        for peer in {"nginx", "mitmproxy", "sandbox-runtime"} & set(kept):
            self.ratios[f"h1_keepalive_rps_vs_{peer}"] = kept["sanctum"]["rps"] / kept[peer]["rps"]
        self.ratios["h1_new_connections_vs_nginx"] = fresh["sanctum"]["rps"] / fresh["nginx"]["rps"]
        self.row("CPU per request vs nginx", kept["sanctum"]["cpu_us"] / kept["nginx"]["cpu_us"], "x")
        self.row("CPU per new connection vs nginx", fresh["sanctum"]["cpu_us"] / fresh["nginx"]["cpu_us"], "x")

    def bodies(self):
        result = self.load("10 MiB bodies", "-c4", "/10m")
        for way, values in result.items():
            self.row(f"10 MiB bodies, {way}", values["mb_per_s"], "MB/s")
        self.compare_loads("10 MiB bodies, MB/s", result, "mb_per_s")
        self.ratios["body_10mib_vs_nginx"] = result["sanctum"]["mb_per_s"] / result["nginx"]["mb_per_s"]

    def latency(self):
        one = self.load("latency, one connection", "-c1", "/1k")
        many = self.load("latency, 32 connections", "-c32 -s pause.lua", "/1k")
        for way in [way for way in one if way != "direct"]:
            self.row(f"latency added, one connection, p50 us{'' if way == 'sanctum' else f', {way}'}",
                     one[way]["p50"] - one["direct"]["p50"], "us")
        for way in [way for way in many if way != "direct"]:
            for point in ("p50", "p99"):
                added = many[way][point] - many["direct"][point]
                self.row(f"latency added, 32 connections, {point}, {way}", added, "us")
        self.compare_loads("latency, one connection, p50 (not only what is added)", one, "p50")
        self.compare_loads("latency, 32 connections, p99 (not only what is added)", many, "p99")
        self.ratios["latency_added_p50_ms"] = (many["sanctum"]["p50"] - many["direct"]["p50"]) / 1000
        self.ratios["latency_added_p99_ms"] = (many["sanctum"]["p99"] - many["direct"]["p99"]) / 1000

    # ---- memory ------------------------------------------------------------------------------------------------
    def memory(self):
        if os.geteuid() != 0:
            print("bench: memory needs root (our processes cannot be looked into by others); left out", file=sys.stderr)
            return
        mission = Mission(self.rig, self.profile)
        mission.run(f"curl -fsS -o /dev/null https://{API}/1k")
        self.ratios["pss_idle_mb"] = pss_mb(mission.pids)
        mission.end()
        served = {name: pss_mb(proxy.pids) for name, proxy in self.proxies.items()}
        for name, value in served.items():
            self.row(f"memory after its loads, {name}", value, "MB")
        self.rig.host(API, self.holder).configure()
        self.rig.write(self.rig.work / "streams.py", STREAMS)
        held = Mission(self.rig, self.profile)
        held.running.send(f"/usr/bin/python3 streams.py {API} 256\n")
        assert held.running.read_line() == "open"
        self.ratios["pss_256_streams_mb"] = pss_mb(held.pids)
        held.running.send("\n")
        held.end()

    def decisions(self):
        done = subprocess.run([BIN / "decide_bench"], check=True, stdout=subprocess.PIPE, text=True)
        self.ratios["matcher_decisions_per_s"] = float(done.stdout.split()[0])


STREAMS = """\
import http.client, ssl, sys
context = ssl.create_default_context()
streams = []
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPSConnection(sys.argv[1], context=context)
    connection.request('GET', '/hold')
    streams.append((connection, connection.getresponse()))
print('open', flush=True)
input()
"""


def hold(exchange):
    """An event stream that says hello and then nothing, until the client goes away."""
    exchange.start_chunked(200, [("Content-Type", "text/event-stream")])
    exchange.send_chunk(b"data: hello\n\n")
    try:
        exchange.stream.recv(1)
    finally:
        exchange.close = True


def machine():
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    return {"cpu": model.group(1) if model else platform.machine(), "cpus": os.cpu_count(), "memory_mb": memory // 1024,
            "kernel": platform.release(), "system": Path("/etc/os-release").read_text().split('"')[1]}


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().split("\n")[0]


def judged(goals, name, value):
    """'', or how far the goal was missed."""
    if name not in goals:
        return ""
    goal, better = goals[name][:2]
    return "" if (value <= goal if better == "below" else value >= goal) else f"MISSED (goal: {better} {goal:g})"


def report_peers(bench, whole):
    """Figures against peers: rows are figures, columns peers; ours divided by theirs."""
    for figure, ratios in bench.against.items():
        told = "  ".join(f"{name} {value:.2f}" for name, value in ratios.items())
        print(f"  ours / theirs  {figure}: {told}")
    for name, why in whole["absent"].items():
        print(f"  not compared with {name}: {why}")


def report(bench, whole):
    if whole["machine"]["load_before"] > 0.5:
        print(f"  The machine was busy ({whole['machine']['load_before']:.1f}): only the ratios mean something.")
    for row in bench.rows:
        missed = judged(ROW_GOALS, row["name"], row["value"])
        print(f"  {row['value']:>12,.2f} {row['unit']:<11} {row['name']}  {missed}")
    print()
    report_peers(bench, whole)
    print()
    for key, value in bench.ratios.items():
        print(f"  {value:>14,.3f}  {key:<30} {GOALS[key][2]}  {judged(GOALS, key, value)}")
    absent = [key for key in GOALS if key not in bench.ratios]
    if absent:
        print(f"  not measured: {', '.join(absent)}")
    for what, why in whole["failed"].items():
        print(f"  FAILED: {what}: {why}")


def versions(present):
    return {"sanctum": first_line(BIN / "sanctum", "version"), "wrk": first_line("wrk", "-v"),
            **{name: peer.first_line() for name, peer in present.items()}}


def measure(quick, present, whole):
    bench = Bench(quick, present)
    whole.update({"ratios": bench.ratios, "against": bench.against, "rows": bench.rows, "failed": bench.failed})
    try:
        for part in (bench.startup, bench.connect, bench.system_calls, bench.revocation, bench.requests, bench.bodies,
                     bench.latency, bench.memory, bench.decisions):
            try:
                part()
            except Exception as error:  # one part that fails must not lose the others' figures
                bench.failed[part.__name__] = str(error)[:2000]
    finally:
        bench.close()
        whole["machine"]["load_after"] = os.getloadavg()[0]  # the bench itself is about 2
    report(bench, whole)
    bench.ratios.update({key: round(value, 4) for key, value in bench.ratios.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clients", action="store_true")
    parser.add_argument("--peers", type=lambda text: text.split(","))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    unknown = set(arguments.peers or ()) - set(peers.ALL) - {"none"}
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))} (none, or some of {', '.join(peers.ALL)})")
    identities.leave_mount_namespace()
    wanted = [name for name in arguments.peers if name != "none"] if arguments.peers else None
    present, absent = peers.chosen(wanted)
    if not set(peers.REQUIRED) <= set(present):
        parser.error("; ".join(f"{name}: {why}" for name, why in absent.items() if name in peers.REQUIRED))
    whole = {"machine": dict(machine(), load_before=os.getloadavg()[0]), "versions": versions(present),
             "absent": absent}
    if arguments.clients:
        clients.measure(present, whole)
    else:
        measure(arguments.quick, present, whole)
    if arguments.json:
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n")
        if arguments.clients:
            arguments.json.with_suffix(".md").write_text(clients.table(whole))
    return 1 if whole["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
