# SPDX-License-Identifier: Apache-2.0
"""Every runtime's own HTTP client, and tools that bring one, work inside a mission without configuration; what cannot
work says why. README's table of runtimes has one row per entry of WORKS and REFUSED."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import zipfile

import pytest

import identity as identities
from rig import API, PLAIN, SOURCE

URL = f"https://{API}/describe"
HERE = SOURCE / "tests" / "e2e"

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
    "Chromium, headless": ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", URL],
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
    """Puts what the command needs into the workspace, or says what the machine lacks."""
    if command[0] == "./go_client":
        rig.write(rig.work / "go_client", request.getfixturevalue("go_client"), 0o755)
    else:
        identities.require_program(command[0])
    if "Client.java" in command:
        rig.write(rig.work / "Client.java", (HERE / "Client.java").read_text())
    return command


@pytest.mark.parametrize("runtime", WORKS)
def test_runtime_reaches_the_upstream_and_the_credential_is_injected(rig, service, upstream, request, runtime):
    outcome = rig.run(*prepared(rig, request, WORKS[runtime]), profile=service)

    assert outcome.code == 0, outcome
    told = json.loads(re.search(r'\{"method".*?\}', outcome.text).group(0))
    assert told["method"] == "GET" and told["has_authorization"], outcome
    assert upstream.wait_for(1, "/describe")[0].header("authorization") == f"Bearer {rig.secrets['api']}"


@pytest.mark.parametrize("runtime", WORKS)
def test_runtime_is_told_why_another_host_is_refused(rig, service, upstream, request, runtime):
    command = [part.replace(API, "elsewhere.example.com") for part in prepared(rig, request, WORKS[runtime])]

    outcome = rig.run(*command, profile=service)

    assert ("host_unknown", "elsewhere.example.com", "/describe") in outcome.refused, outcome
    assert upstream.exchanges == []


@pytest.mark.parametrize("runtime", ["Java HttpClient", "Chromium, headless"])
def test_a_list_of_roots_of_its_own_holds_the_authority_of_this_mission_only(rig, service, upstream, request, runtime):
    """Two missions one after the other have different authorities; each client trusts the one that it meets."""
    command = prepared(rig, request, WORKS[runtime])
    first, second = rig.run(*command, profile=service), rig.run(*command, profile=service)

    assert first.code == 0 and second.code == 0, (first, second)
    places = "/run/sanctum/java-cacerts /etc/chromium/policies/managed/sanctum.json"
    sums = [rig.run("sh", "-c", f"cat {places} | sha256sum", profile=service).text for _ in range(2)]
    assert sums[0] != sums[1]


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
              "    print(error.code().name)\n")
    identities.require(subprocess.run(["/usr/bin/python3", "-c", "import grpc"], check=False,
                                      stderr=subprocess.DEVNULL).returncode == 0, "python3-grpcio (scripts/setup test)")

    outcome = rig.run("/usr/bin/python3", "-c", script, profile=service)

    assert outcome.code == 0 and "UNAVAILABLE" in outcome.text, outcome
    assert upstream.connections == 0


def test_readme_has_the_table_that_these_tests_show():
    told = (SOURCE / "README.md").read_text()
    missing = [runtime for runtime in WORKS if f"| {runtime} | works |" not in told]
    assert not missing, f"README's table of runtimes lacks {missing}"


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
