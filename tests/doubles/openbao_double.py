# SPDX-License-Identifier: Apache-2.0
"""OpenBao and HashiCorp Vault: child tokens, accessors, leases of a dynamic engine, response wrapping, KV version 2."""

import re
import time

from double_base import Double, Refusal, random_text

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LEASE_SECONDS = 3600
TTL_SECONDS = 32 * 86400


def refusal(status, *messages):
    return Refusal(status, {"errors": list(messages)}, error=messages[0] if messages else "")


def seconds_of(value):
    """A duration as the API takes it: a number, or "10m"."""
    if value in (None, ""):
        return 0
    text = str(value)
    found = re.fullmatch(r"(\d+)([smhd]?)", text)
    if not found:
        raise refusal(400, f"time: invalid duration {text!r}")
    return int(found.group(1)) * SECONDS[found.group(2) or "s"]


def no_handler(path):
    return refusal(404, f'no handler for route "{path}". route entry not found.')


# What the servers' own `default` lets every token do, as far as there is something of it here.
DEFAULT_POLICY = ["auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self", "sys/leases/lookup",
                  "sys/leases/renew", "sys/wrapping/", "sys/capabilities-self", "cubbyhole/"]


class OpenBaoDouble(Double):
    """`root` is a token that may do everything; a policy names path prefixes that its tokens may use."""

    name = "openbao"
    hosts = ("bao.test",)

    def __init__(self, folder, authority, port=0):
        self.policies, self.secrets, self.roles, self.leases = {"default": DEFAULT_POLICY}, {}, {}, {}
        self.logins, self.secret_ids, self.sudo, self.identity = {}, {}, {}, []
        self.namespace, self.is_sealed, self.engine_is_down = "", False, False
        super().__init__(folder, authority, port)
        self.root = self._mint(None, ["root"], 0, 0, 0, None, {}).value

    # ---- what there is ---------------------------------------------------------------------------------------------
    def policy(self, name, *prefixes, sudo=()):
        self.policies[name] = list(prefixes)
        self.sudo[name] = list(sudo)

    def app_role(self, name, *policies, ttl=3600, mount="approle"):
        """A role that logs in; its role_id. Its tokens have `default` as well."""
        role_id = f"{name}-{random_text(12)}"
        self.logins[mount, role_id] = {"name": name, "mount": mount, "policies": [*policies, "default"], "ttl": ttl}
        return role_id

    def secret_id(self, role_id, uses=0, mount="approle"):
        """A secret id of a role, good for that many logins (0: any number)."""
        value = random_text(36)
        self.secret_ids[value] = {"login": (mount, role_id), "left": uses or -1}
        return value

    def wrap(self, path, answer, ttl=600):
        """A wrapping token around an answer, as an orchestrator hands it over."""
        return self.mint(None, "wrapping_token", "hvs.", 95, ttl=ttl, answer=answer, path=path).value

    def wrapped_secret_id(self, role_id, **secret_id):
        login = self.logins["approle", role_id]
        return self.wrap(f"auth/approle/role/{login['name']}/secret-id",
                         {"data": {"secret_id": self.secret_id(role_id, **secret_id)}, "auth": None})

    def token(self, *policies, ttl=3600, num_uses=0):
        """A token as somebody logged in would have it."""
        return self._mint(None, list(policies), ttl, 0, num_uses, None, {}).value

    def secret(self, path, **data):
        """A secret of the KV engine at secret/."""
        self.secrets[path] = data

    def role(self, path, ttl=LEASE_SECONDS, prefix="v-", needs=()):
        """A role of a dynamic engine: `GET /v1/{path}`, as database/creds/readonly, gives a credential with a lease.
        With `needs` it is a POST that names these, as kubernetes/creds/NAME wants its namespace."""
        self.roles[path] = {"ttl": ttl, "prefix": prefix, "needs": list(needs)}

    def accessor_is_alive(self, accessor):
        return self._by_accessor(accessor) is not None

    def _mint(self, request, policies, ttl, explicit_max, num_uses, parent, more):
        token = self.mint(request, "token", "hvs.", 95, ttl=ttl or None, parent=parent)
        token.more = {"policies": policies, "accessor": random_text(24), "num_uses": num_uses,
                      "explicit_max_ttl": explicit_max, "creation_ttl": ttl, **more}
        return token

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        if not request.path.startswith("/v1/"):
            raise refusal(404)
        path = request.path[len("/v1/"):]
        if path == "sys/health":
            return (503 if self.is_sealed else 200), {"initialized": True, "sealed": self.is_sealed, "standby": False}
        if self.is_sealed:
            raise refusal(503, "Vault is sealed")
        if (request.header("x-vault-namespace") or "").strip("/") != self.namespace:
            raise no_handler(path)
        # These ask for no token of the caller's.
        if path == "sys/wrapping/unwrap":
            return self.unwrap(request)
        if path == "sys/wrapping/lookup":
            return self.lookup_wrapping(request)
        login = re.fullmatch(r"auth/([^/]+)/login", path)
        if login:
            return self.log_in(request, login.group(1))
        token = self._use(request, path)
        method = "POST" if request.method == "PUT" else request.method
        for wanted, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == wanted:
                return self._wrapped(request, answer(self, request, token, *found.groups()))
        if path in self.roles and method == ("POST" if self.roles[path]["needs"] else "GET"):
            return self._wrapped(request, self.generate(request, token, path))
        raise no_handler(path)

    def _use(self, request, path):
        """The caller's token, one use of it spent."""
        value = request.header("x-vault-token") or request.bearer()
        token = self.live(value, "token")
        if not token:
            raise refusal(403, "permission denied", "invalid token")
        request.note["client"] = token.more["accessor"]
        policies = [*token.more["policies"], *token.more.get("identity", [])]

        def is_allowed(kind):
            return "root" in policies or any(path.startswith(prefix) for name in policies
                                             for prefix in kind.get(name, []))
        needs_sudo = path.startswith("sys/leases/revoke-prefix/")
        if not is_allowed(self.policies) or (needs_sudo and not is_allowed(self.sudo)):
            raise refusal(403, "1 error occurred:\n\t* permission denied\n\n")
        if token.more["num_uses"]:
            token.more["num_uses"] -= 1
            if not token.more["num_uses"]:
                token.more["num_uses"] = -1
                self._end(request, token)
        return token

    def _end(self, request, token):
        """Revokes a token, its children, and the leases of all of them."""
        self.take_away(request, token)

    def _end_lease(self, request, lease):
        """While the engine's own server is down, the lease ends only in the server's list of things to do."""
        if self.engine_is_down:
            return
        self.leases.pop(lease["id"], None)
        self.take_away(request, lease["credential"])

    def log_in(self, request, mount):
        asked = request.json()
        login = self.logins.get((mount, asked.get("role_id")))
        if not any(key[0] == mount for key in self.logins):
            raise no_handler(f"auth/{mount}/login")
        secret_id = self.secret_ids.get(asked.get("secret_id"))
        if not login or not secret_id or secret_id["login"] != (mount, asked["role_id"]) or not secret_id["left"]:
            raise refusal(400, "invalid role or secret ID")
        secret_id["left"] -= 1
        token = self._mint(request, login["policies"], login["ttl"], 0, 0, None, {"meta": {"role_name": login["name"]}})
        request.note.update(user=login["name"], returned=login["policies"])
        return self._wrapped(request, (200, self._auth(token)))

    def take_away(self, request, token):
        super().take_away(request, token)
        for lease in [*self.leases.values()]:
            if lease["token"] is token:
                self._end_lease(request, lease)

    # ---- tokens ----------------------------------------------------------------------------------------------------
    def create(self, request, parent):
        asked = request.json()
        policies = list(asked.get("policies") or parent.more["policies"])
        if not asked.get("no_default_policy") and "root" not in policies and "default" not in policies:
            policies.append("default")
        mine = parent.more["policies"]
        if "root" not in mine and not set(policies) - {"default"} <= set(mine):
            raise refusal(400, "child policies must be subset of parent")
        request.note.update(asked=asked.get("policies"))
        explicit = seconds_of(asked.get("explicit_max_ttl"))
        ttl = seconds_of(asked.get("ttl")) or TTL_SECONDS
        if explicit:
            ttl = min(ttl, explicit)
        policies = request.changed(policies)
        if asked.get("num_uses"):
            request.note["uses"] = asked["num_uses"]
        orphan = asked.get("no_parent") and "root" in mine
        more = {"meta": asked.get("meta"), "renewable": asked.get("renewable", True),
                "display_name": asked.get("display_name", "token"), "identity": self.identity}
        child = self._mint(request, policies, ttl, explicit, int(asked.get("num_uses") or 0),
                           None if orphan else parent, more)
        request.note["returned"] = policies
        return 200, self._auth(child, orphan)

    @staticmethod
    def _auth(token, orphan=False):
        more = token.more
        return {"request_id": random_text(36), "lease_id": "", "renewable": False, "lease_duration": 0, "data": None,
                "wrap_info": None, "warnings": None, "auth": {
                    "client_token": token.value, "accessor": more["accessor"],
                    "policies": sorted({*more["policies"], *more.get("identity", [])}),
                    "token_policies": sorted(more["policies"]), "identity_policies": more.get("identity", []),
                    "metadata": more.get("meta"),
                    "lease_duration": more["creation_ttl"], "renewable": bool(more.get("renewable")),
                    "entity_id": "", "token_type": "service", "orphan": bool(orphan), "num_uses": more["num_uses"]}}

    def _by_accessor(self, accessor):
        return next((each for each in self.tokens.values()
                     if each.kind == "token" and each.is_alive and each.more["accessor"] == accessor), None)

    def _shown(self, token, with_id=True):
        more = token.more
        left = int(token.expires_at - time.time()) if token.expires_at else 0
        return {"data": {"id": token.value if with_id else "", "accessor": more["accessor"], "ttl": left,
                         "policies": more["policies"], "explicit_max_ttl": more["explicit_max_ttl"],
                         "num_uses": more["num_uses"], "meta": more.get("meta"),
                         "display_name": more.get("display_name", "token"),
                         "creation_ttl": more["creation_ttl"], "renewable": bool(more.get("renewable"))}}

    def lookup_self(self, request, token):
        return 200, self._shown(token)

    def lookup(self, request, _):
        found = self.live(request.json().get("token"), "token")
        if not found:
            raise refusal(403, "bad token")
        return 200, self._shown(found)

    def lookup_accessor(self, request, _):
        found = self._by_accessor(request.json().get("accessor"))
        if not found:
            raise refusal(403, "invalid accessor")
        return 200, self._shown(found, with_id=False)

    def revoke_self(self, request, token):
        self._end(request, token)
        return 204, ""

    def revoke_token(self, request, _):
        found = self.live(request.json().get("token"), "token")
        if found:
            self._end(request, found)
        return 204, ""

    def revoke_accessor(self, request, _):
        found = self._by_accessor(request.json().get("accessor"))
        if not found:
            raise refusal(400, "invalid accessor")
        self._end(request, found)
        return 204, ""

    # ---- leases ----------------------------------------------------------------------------------------------------
    def generate_for(self, token, path):
        """What somebody else's token got of a role; the credential."""
        credential = self.mint(None, "credential", self.roles[path]["prefix"], 40, ttl=self.roles[path]["ttl"])
        lease = f"{path}/{random_text(24)}"
        self.leases[lease] = {"id": lease, "token": self.tokens[token], "credential": credential}
        return credential.value

    def generate(self, request, token, path):
        role = self.roles[path]
        for name in role["needs"]:
            if not request.json().get(name):
                raise refusal(400, f"'{name}' is required")
        lease = f"{path}/{random_text(24)}"
        credential = self.mint(request, "credential", role["prefix"], 40, ttl=role["ttl"])
        if not token.is_alive:
            self.take_away(request, credential)
            raise refusal(400, "Secret cannot be returned; token had one use left, so leased credentials were "
                               "immediately revoked.")
        self.leases[lease] = {"id": lease, "token": token, "credential": credential}
        request.note.update(asked=[path], returned=[path], lease=lease)
        return 200, {"request_id": random_text(36), "lease_id": lease, "lease_duration": role["ttl"], "renewable": True,
                     "data": {"username": f"u-{random_text(8)}", "password": credential.value}, "wrap_info": None,
                     "warnings": None, "auth": None}

    def _lease(self, request):
        lease = self.leases.get(request.json().get("lease_id"))
        if not lease or not lease["credential"].is_alive:
            raise refusal(400, "invalid lease")
        return lease

    def lookup_lease(self, request, _):
        lease = self._lease(request)
        left = int(lease["credential"].expires_at - time.time())
        return 200, {"data": {"id": lease["id"], "ttl": left, "renewable": True}}

    def revoke_lease(self, request, _):
        """Without `sync` it is accepted and done; a lease that is not there is no error."""
        lease = self.leases.get(request.json().get("lease_id"))
        if lease and self.engine_is_down and request.json().get("sync"):
            raise refusal(500, "failed to revoke entry: the engine's server cannot be reached")
        if lease:
            self._end_lease(request, lease)
        return (204 if request.json().get("sync") else 202), ""

    def revoke_prefix(self, request, _, prefix):
        for lease in [*self.leases.values()]:
            if lease["id"].startswith(prefix):
                self._end_lease(request, lease)
        return (204 if request.json().get("sync") else 202), ""

    # ---- wrapping --------------------------------------------------------------------------------------------------
    def _wrapped(self, request, answer):
        wanted = request.header("x-vault-wrap-ttl")
        if not wanted or answer[0] != 200:
            return answer
        ttl = seconds_of(wanted)
        wrapping = self.mint(request, "wrapping_token", "hvs.", 95, ttl=ttl, answer=answer[1], path=request.path[4:])
        inner = answer[1].get("auth") or {}
        told = {"token": wrapping.value, "accessor": random_text(24), "ttl": ttl, "creation_path": request.path[4:],
                "creation_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if inner.get("accessor"):
            told["wrapped_accessor"] = inner["accessor"]
        return 200, {"request_id": random_text(36), "lease_id": "", "renewable": False, "lease_duration": 0,
                     "data": None, "warnings": None, "auth": None, "wrap_info": told}

    def _wrapping(self, request):
        value = request.json().get("token") or request.header("x-vault-token") or request.bearer()
        wrapping = self.live(value, "wrapping_token")
        if not wrapping:
            raise refusal(400, "wrapping token is not valid or does not exist")
        return wrapping

    def unwrap(self, request):
        wrapping = self._wrapping(request)
        self.take_away(request, wrapping)
        return 200, wrapping.more["answer"]

    def lookup_wrapping(self, request):
        wrapping = self._wrapping(request)
        return 200, {"data": {"creation_path": wrapping.more["path"],
                              "creation_ttl": int(wrapping.expires_at - time.time())}}

    def read_secret(self, request, _, path):
        if path not in self.secrets:
            raise refusal(404)
        return 200, {"data": {"data": self.secrets[path], "metadata": {"version": 1, "destroyed": False}}}


ROUTES = [
    ("POST", r"auth/token/create", OpenBaoDouble.create),
    ("GET", r"auth/token/lookup-self", OpenBaoDouble.lookup_self),
    ("POST", r"auth/token/lookup", OpenBaoDouble.lookup),
    ("POST", r"auth/token/lookup-accessor", OpenBaoDouble.lookup_accessor),
    ("POST", r"auth/token/revoke-self", OpenBaoDouble.revoke_self),
    ("POST", r"auth/token/revoke", OpenBaoDouble.revoke_token),
    ("POST", r"auth/token/revoke-accessor", OpenBaoDouble.revoke_accessor),
    ("POST", r"sys/leases/lookup", OpenBaoDouble.lookup_lease),
    ("POST", r"sys/leases/revoke", OpenBaoDouble.revoke_lease),
    ("POST", r"sys/leases/revoke-prefix/(.+)", OpenBaoDouble.revoke_prefix),
    ("GET", r"secret/data/(.+)", OpenBaoDouble.read_secret),
]
