# SPDX-License-Identifier: Apache-2.0
"""Every runtime's own HTTP client, and tools that bring one, work inside a mission without configuration; what cannot
work says why. README's table of runtimes is TABLE."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import zipfile

import pytest

import identity as identities
from rig import API, PLAIN, SOURCE

URL = f"https://{API}/describe"
HERE = SOURCE / "tests" / "e2e"
INSTALLED = SOURCE / "build" / "runtimes" / "bin"   # by scripts/setup runtimes; seen inside as SEEN
SEEN = "/runtimes"

# name → command line; each prints the body of URL, a JSON text
WORKS = {
    "Go net/http (static)": ["./go_client", URL],
    "Java HttpClient": ["java", "Client.java", URL],
    "Ruby net/http": ["ruby", "-rnet/http", "-e", f"puts Net::HTTP.get(URI('{URL}'))"],
    "PHP streams": ["php", "-r", f"echo file_get_contents('{URL}');"],
    "PHP curl": ["php", "-r", f"$c = curl_init('{URL}'); curl_setopt($c, CURLOPT_RETURNTRANSFER, true); "
                 "echo curl_exec($c) ?: curl_error($c);"],
    "Perl HTTP::Tiny": ["perl", "-MHTTP::Tiny", "-e",
                        f"print HTTP::Tiny->new(verify_SSL => 1)->get('{URL}')->{{content}};"],
    ".NET HttpClient": [f"{SEEN}/dotnet/dotnet", f"{SEEN}/client.dll", URL],
    "Deno fetch": [f"{SEEN}/deno", "eval", f"console.log(await (await fetch('{URL}')).text())"],
    "Rust reqwest, roots of the system": [f"{SEEN}/reqwest_client", "system", URL],
    "Chromium, headless": ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", URL],
}

# README's table: row → result, how, and the test here that shows it
WORKING = "test_runtime_reaches_the_upstream_and_the_credential_is_injected"
TABLE = {
    "Go net/http (static)": ("works", "reads the bundle", WORKING),
    "Java HttpClient": ("works", "each JVM's list of roots is replaced by one made for the mission, without a JVM",
                        WORKING),
    "Ruby net/http": ("works", "reads the bundle", WORKING),
    "PHP streams": ("works", "reads the bundle", WORKING),
    "PHP curl": ("works", "reads the bundle", WORKING),
    "Perl HTTP::Tiny": ("works", "reads the bundle", WORKING),
    ".NET HttpClient": ("works", "reads the bundle (.NET 8)", WORKING),
    "Mono HttpClient": ("fails",
                        "has a list of roots of its own, which its own tool fills: `CERTIFICATE_VERIFY_FAILED`",
                        "test_mono_does_not_know_the_issuer"),
    "Deno fetch": ("works", "its own list of roots, and the authority from `DENO_CERT`", WORKING),
    "Rust reqwest, roots of the system": ("works", "reads the bundle", WORKING),
    "Rust reqwest, bundled roots": (
        "fails", "whom it trusts is compiled in: `invalid peer certificate: UnknownIssuer`; no request is made, on "
        "record is `certificate_not_trusted`",
        "test_a_rust_program_with_bundled_roots_says_that_it_does_not_know_the_issuer"),
    "Chromium, headless": ("works", "the authority is a managed setting (`CACertificates`); its own sandbox has to be "
                           "off (`--no-sandbox`)", WORKING),
    "gh": ("works", "a placeholder in `GH_TOKEN`", "test_gh_reads_issues_with_a_placeholder_for_a_token"),
    "pip": ("works", "from an index that the profile names",
            "test_pip_installs_from_an_index_that_the_profile_names"),
    "npm": ("works", "from a registry that the profile names; `.npmrc` needs no token",
            "test_npm_installs_from_a_registry_with_the_credential_injected"),
    "cargo": ("works", "from a sparse registry that the profile names; it needs no token",
              "test_cargo_builds_with_a_crate_from_a_registry_with_the_credential_injected"),
    "apt": ("works", "from a source that the profile names",
            "test_apt_updates_and_downloads_from_a_source_that_the_profile_names"),
    "gRPC": ("refused", "it speaks HTTP/2 alone: the TLS handshake ends with `no_application_protocol`",
             "test_a_grpc_client_gets_a_clear_refusal_and_leaves_nothing_upstream"),
}


@pytest.fixture(scope="session")
def go_client(tmp_path_factory):
    """Built outside, as it would come from somewhere else: no library, no resolver of the C library."""
    program = tmp_path_factory.mktemp("go") / "go_client"
    environment = {"PATH": "/usr/local/go/bin:/usr/bin:/bin", "HOME": str(program.parent), "CGO_ENABLED": "0",
                   "GOCACHE": str(SOURCE / "build" / "go-cache"), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    identities.require(shutil.which("go", path=environment["PATH"]), "go is not installed (scripts/setup test)")
    subprocess.run(["go", "build", "-o", program, HERE / "client.go"], check=True, env=environment, cwd=program.parent)
    return program.read_bytes()


def prepared(rig, request, command):
    """Puts what the command needs into the workspace, or says what the machine lacks; returns what `rig.run` takes."""
    options = []
    if command[0] == "./go_client":
        rig.write(rig.work / "go_client", request.getfixturevalue("go_client"), 0o755)
    elif command[0].startswith(SEEN):
        identities.require((INSTALLED / command[0].removeprefix(f"{SEEN}/")).exists(),
                           f"{command[0]} is not installed (scripts/setup runtimes)")
        options = ["--mount", f"{INSTALLED}:{SEEN}:ro"]
    else:
        identities.require_program(command[0])
    if "Client.java" in command:
        rig.write(rig.work / "Client.java", (HERE / "Client.java").read_text())
    return command, {"options": options}


@pytest.mark.parametrize("runtime", WORKS)
def test_runtime_reaches_the_upstream_and_the_credential_is_injected(rig, service, upstream, request, runtime):
    command, run = prepared(rig, request, WORKS[runtime])

    outcome = rig.run(*command, profile=service, **run)

    assert outcome.code == 0, outcome
    told = json.loads(re.search(r'\{"method".*?\}', outcome.text).group(0))
    assert told["method"] == "GET" and told["has_authorization"], outcome
    assert upstream.wait_for(1, "/describe")[0].header("authorization") == f"Bearer {rig.secrets['api']}"


@pytest.mark.parametrize("runtime", WORKS)
def test_runtime_is_told_why_another_host_is_refused(rig, service, upstream, request, runtime):
    command, run = prepared(rig, request, WORKS[runtime])

    outcome = rig.run(*(part.replace(API, "elsewhere.example.com") for part in command), profile=service, **run)

    assert ("host_unknown", "elsewhere.example.com", "/describe") in outcome.refused, outcome
    assert upstream.exchanges == []


@pytest.mark.parametrize("runtime", ["Java HttpClient", "Chromium, headless"])
def test_a_list_of_roots_of_its_own_holds_the_authority_of_this_mission_only(rig, service, upstream, request, runtime):
    """Two missions one after the other have different authorities; each client trusts the one that it meets."""
    command, _ = prepared(rig, request, WORKS[runtime])
    first, second = rig.run(*command, profile=service), rig.run(*command, profile=service)

    assert first.code == 0 and second.code == 0, (first, second)
    places = "/run/sanctum/java-cacerts /etc/chromium/policies/managed/sanctum.json"
    sums = [rig.run("sh", "-c", f"cat {places} | sha256sum", profile=service).text for _ in range(2)]
    assert sums[0] != sums[1]


def test_a_rust_program_with_bundled_roots_says_that_it_does_not_know_the_issuer(rig, service, upstream, request):
    """Nothing outside the program can change whom it trusts. It ends before it sends a request: the record has who
    connected to what, and no exchange. The same program with the roots of the system is a row of WORKS."""
    command, run = prepared(rig, request, [f"{SEEN}/reqwest_client", "bundled", URL])

    outcome = rig.run(*command, profile=service, **run)

    assert outcome.code == 1 and "invalid peer certificate: UnknownIssuer" in outcome.errors, outcome
    opened = [(record["name"], record["process"]["exe"]) for record in outcome.of_type("connection.opened")]
    assert opened == [(API, command[0])]
    assert outcome.of_type("exchange.intent") == [] and outcome.refused == []
    assert [record["reason"] for record in outcome.of_type("connection.refused")] == ["certificate_not_trusted"]
    assert upstream.connections == 0


def test_mono_does_not_know_the_issuer(rig, service, upstream, request):
    """Its own store of roots is filled by its own tool; it gets as far as the handshake."""
    _, run = prepared(rig, request, WORKS[".NET HttpClient"])
    identities.require_program("mono")

    told = rig.run("mono", f"{SEEN}/client.dll", URL, profile=service, **run)

    assert told.code == 1 and "CERTIFICATE_VERIFY_FAILED" in told.errors, told
    assert [record["name"] for record in told.of_type("connection.opened")] == [API]
    assert [record["reason"] for record in told.of_type("connection.refused")] == ["tls_handshake"], "it sends no alert"
    assert told.of_type("exchange.intent") == [] and upstream.connections == 0


# ---- tools ----------------------------------------------------------------------------------------------------------

def test_gh_reads_issues_with_a_placeholder_for_a_token(rig, upstream, authority):
    identities.require_program("gh")
    name = "api.github.com"
    upstream_of(rig, upstream, authority, name)
    upstream.routes["/repos/acme/api/issues"] = lambda exchange: answer_json(exchange, [{"title": "an issue"}])
    rig.account("me", 'catalog = "github"\nsource = "local"\nitem = "me"')
    rig.configure()
    profile = rig.profile(GITHUB_PROFILE, "gh")

    outcome = rig.run("sh", "-c", 'gh api repos/acme/api/issues --jq ".[0].title"; gh api repos/acme/other/issues',
                      profile=profile)

    assert outcome.text.startswith("an issue\n"), outcome
    sent = upstream.wait_for(1, "/repos/acme/api/issues")[0]
    assert sent.header("authorization") == f"Bearer {rig.secrets['me']}"
    assert ("resource_outside", name, "/repos/acme/other/issues") in outcome.refused
    assert len(upstream.exchanges) == 1


def test_pip_installs_from_an_index_that_the_profile_names(rig, service, upstream):
    wheel = make_wheel()
    upstream.routes["/simple/demo/"] = lambda exchange: exchange.respond(
        200, '<a href="/files/demo-1.0-py3-none-any.whl">demo-1.0-py3-none-any.whl</a>',
        [("Content-Type", "text/html")])
    upstream.routes["/files/demo-1.0-py3-none-any.whl"] = lambda exchange: exchange.respond(200, wheel)
    install = "/usr/bin/python3 -m pip install -q --no-cache-dir --target lib --index-url"

    outcome = rig.run("sh", "-c", f"{install} https://{PLAIN}/simple/ demo && PYTHONPATH=lib python3 -c 'import demo'",
                      profile=service)
    refused = rig.run("sh", "-c", f"{install} https://elsewhere.example.com/simple/ demo", profile=service)

    assert outcome.code == 0, outcome
    assert refused.code != 0 and "host_unknown" in [reason for reason, _, _ in refused.refused], refused


def test_npm_installs_from_a_registry_with_the_credential_injected(rig, service, upstream):
    """Its configuration names the registry, as it would anywhere, and holds no token."""
    identities.require_program("npm")
    archive = make_tar_gz({"package/package.json": b'{"name": "demo", "version": "1.0.0"}',
                           "package/index.js": b"module.exports = 'from the registry'\n"})
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    package = {"name": "demo", "version": "1.0.0", "dist": {"tarball": f"https://{API}/demo/-/demo-1.0.0.tgz",
                                                            "integrity": f"sha512-{digest}"}}
    upstream.routes["/demo"] = lambda exchange: answer_json(
        exchange, {"name": "demo", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}})
    upstream.routes["/demo/-/demo-1.0.0.tgz"] = lambda exchange: exchange.respond(200, archive)
    rig.write(rig.work / "package.json", '{"private": true}')
    rig.write(rig.work / ".npmrc", f"registry=https://{API}/\n")

    outcome = rig.run("sh", "-ec", "npm install demo && node -p 'require(\"demo\")'", profile=service)
    assert outcome.code == 0 and "from the registry" in outcome.text, outcome
    sent = upstream.wait_for(1, "/demo") + upstream.wait_for(1, "/demo/-/demo-1.0.0.tgz")
    upstream.exchanges.clear()
    rig.write(rig.work / ".npmrc", "registry=https://elsewhere.example.com/\n")
    refused = rig.run("npm", "install", "other", profile=service)

    assert {exchange.header("authorization") for exchange in sent} == {f"Bearer {rig.secrets['api']}"}
    assert refused.code != 0 and ("host_unknown", "elsewhere.example.com", "/other") in refused.refused, refused
    assert "Sanctum refused this: This host is not part of the mission" in refused.errors, refused
    assert upstream.exchanges == []


def test_cargo_builds_with_a_crate_from_a_registry_with_the_credential_injected(rig, service, upstream):
    """A sparse index, which is what cargo uses by itself; nothing says that it wants a token, and cargo has none."""
    identities.require_program("cargo")
    crate = make_tar_gz({"demo-1.0.0/Cargo.toml": b'[package]\nname = "demo"\nversion = "1.0.0"\nedition = "2021"\n',
                         "demo-1.0.0/src/lib.rs": b'pub const TEXT: &str = "from the registry";\n'})
    line = {"name": "demo", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
            "cksum": hashlib.sha256(crate).hexdigest()}
    upstream.routes["/index/config.json"] = lambda exchange: answer_json(exchange, {"dl": f"https://{API}/crates"})
    upstream.routes["/index/de/mo/demo"] = lambda exchange: answer_json(exchange, line)
    upstream.routes["/crates/demo/1.0.0/download"] = lambda exchange: exchange.respond(200, crate)
    rig.write(rig.make("home/work/src") / "main.rs", 'fn main() { println!("{}", demo::TEXT); }\n')
    rig.write(rig.work / "Cargo.toml", CARGO_MANIFEST)
    configuration = rig.make("home/work/.cargo") / "config.toml"
    rig.write(configuration, f'[registries.named]\nindex = "sparse+https://{API}/index/"\n')

    outcome = rig.run("cargo", "run", "--quiet", profile=service)
    assert outcome.code == 0 and outcome.text == "from the registry\n", outcome
    sent = [upstream.wait_for(1, path)[0] for path in (
        "/index/config.json", "/index/de/mo/demo", "/crates/demo/1.0.0/download")]
    upstream.exchanges.clear()
    rig.write(configuration, '[registries.named]\nindex = "sparse+https://elsewhere.example.com/index/"\n')
    refused = rig.run("cargo", "fetch", profile=service)

    assert {exchange.header("authorization") for exchange in sent} == {f"Bearer {rig.secrets['api']}"}
    assert refused.code != 0 and "host_unknown" in refused.errors, refused
    assert "host_unknown" in [reason for reason, _, _ in refused.refused], refused
    assert upstream.exchanges == []


def test_apt_updates_and_downloads_from_a_source_that_the_profile_names(rig, service, upstream):
    package = b"not a real archive, but the right bytes"
    index = (f"Package: demo\nVersion: 1.0\nArchitecture: all\nFilename: pool/demo.deb\nSize: {len(package)}\n"
             f"SHA256: {hashlib.sha256(package).hexdigest()}\nDescription: demo\n").encode()
    upstream.routes["/debian/dists/stable/main/binary-amd64/Packages"] = lambda exchange: exchange.respond(200, index)
    upstream.routes["/debian/pool/demo.deb"] = lambda exchange: exchange.respond(200, package)
    rig.write(rig.work / "apt.conf", APT_CONFIGURATION.replace("@", str(rig.work)))
    for host, listed in ((PLAIN, "sources.list"), ("elsewhere.example.com", "other.list")):
        rig.write(rig.work / listed, f"deb [trusted=yes] https://{host}/debian stable main\n")
    script = ("mkdir -p lists/partial cache/archives/partial && : > status && export APT_CONFIG=$PWD/apt.conf && "
              "apt-get update && apt-get download demo && cat demo*.deb")

    outcome = rig.run("sh", "-ec", script, profile=service)
    refused = rig.run("sh", "-ec", "export APT_CONFIG=$PWD/apt.conf; "
                      "apt-get -o Dir::Etc::sourcelist=$PWD/other.list -o APT::Update::Error-Mode=any update",
                      profile=service)

    assert outcome.code == 0 and package.decode() in outcome.text, outcome
    assert refused.code != 0 and "host_unknown" in [reason for reason, _, _ in refused.refused], refused


def test_a_grpc_client_gets_a_clear_refusal_and_leaves_nothing_upstream(rig, service, upstream):
    """gRPC offers HTTP/2 alone. The handshake is refused with the alert that says so (RFC 7301 section 3.2)."""
    script = ("import grpc\n"
              f"channel = grpc.secure_channel('{API}:443', grpc.ssl_channel_credentials(open("
              "'/etc/ssl/certs/ca-certificates.crt', 'rb').read()))\n"
              "try:\n"
              "    channel.unary_unary('/demo.Service/Call')(b'', timeout=10)\n"
              "except grpc.RpcError as error:\n"
              "    print(error.code().name, error.details())\n")
    identities.require(subprocess.run(["/usr/bin/python3", "-c", "import grpc"], check=False,
                                      stderr=subprocess.DEVNULL).returncode == 0, "python3-grpcio (scripts/setup test)")

    outcome = rig.run("/usr/bin/python3", "-c", script, profile=service)

    assert outcome.code == 0 and outcome.text.startswith("UNAVAILABLE"), outcome
    assert "no application protocol" in outcome.text, "the client is told why"
    assert [record["name"] for record in outcome.of_type("connection.opened")] == [API]
    assert "tls_handshake" in [record["reason"] for record in outcome.of_type("connection.refused")]
    assert outcome.of_type("exchange.intent") == [] and upstream.connections == 0


def test_readme_has_the_table_that_these_tests_show():
    unshown = [row for row, (result, _, shown_by) in TABLE.items()
               if shown_by not in globals() or (shown_by == WORKING) != (row in WORKS)]
    assert not unshown, f"no test here shows {unshown}"
    table = "".join(f"| {row} | {result} | {how} |\n" for row, (result, how, _) in TABLE.items())
    assert f"| --- | --- | --- |\n{table}\n" in (SOURCE / "README.md").read_text(), f"README lacks this table:\n{table}"


# ---- what the tests use ---------------------------------------------------------------------------------------------

GITHUB_PROFILE = """\
schema = 1
[mission]
name = "gh"
agent = "test"
purpose = "Read issues"
ttl = "2m"
[sandbox]
workspace = "."
[[service]]
name = "github"
catalog = "github"
account = "me"
grant = ["issues:read"]
resources = { repo = ["acme/api"] }
present = { GH_TOKEN = true }
"""

CARGO_MANIFEST = """\
[package]
name = "uses-demo"
version = "0.0.0"
edition = "2021"
[dependencies]
demo = { version = "1.0.0", registry = "named" }
"""

APT_CONFIGURATION = """\
Dir::Etc::sourcelist "@/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "@";
Dir::State::lists "@/lists";
Dir::State::status "@/status";
Dir::Cache "@/cache";
Acquire::Languages "none";
APT::Architecture "amd64";
"""


def upstream_of(rig, upstream, authority, name):
    """Serves `name` with a certificate of its own on the same recording upstream."""
    context = upstream._context
    context.load_cert_chain(*authority.issue(name))
    rig.host(name, upstream, authority.ca_file)


def answer_json(exchange, value):
    exchange.read_body()
    exchange.respond(200, json.dumps(value), [("Content-Type", "application/json")])


def make_wheel():
    """A wheel with one empty module."""
    info = "demo-1.0.dist-info"
    files = {"demo/__init__.py": b"", f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
             f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}

    def line(name, data):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return f"{name},sha256={digest},{len(data)}\n"
    record = "".join(line(name, data) for name, data in files.items()) + f"{info}/RECORD,,\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return made.getvalue()


def make_tar_gz(files):
    """What npm and cargo call a package: a compressed archive of one folder."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()
