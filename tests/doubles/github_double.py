# SPDX-License-Identifier: Apache-2.0
"""GitHub: tokens of App installations and of users, narrowed at mint or afterwards, and the calls that end them.

One server is api.github.com and github.com at once; a little of the API answers to show what a token may do.
"""

import base64
import json
import re
import time

import jwts
from double_base import Double, Refusal, Token, random_text, words

INSTALLATION_SECONDS = 3600
USER_SECONDS = 8 * 3600
JWT_SECONDS_MAX = 600
SKEW_SECONDS = 60
STATELESS_LENGTH = 520
LEVELS = ["read", "write", "admin"]
LFS_DOWNLOADS, LFS_UPLOADS = "github-cloud.githubusercontent.com", "github-cloud.s3.amazonaws.com"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def refusal(status, message, headers=(), **more):
    return Refusal(status, {"message": message, "documentation_url": "https://docs.github.com/rest", **more}, headers,
                   error=message)


def exceeds(asked, granted):
    """Names of permissions that are asked for above what is granted."""
    return [name for name, level in asked.items()
            if level not in LEVELS or name not in granted or LEVELS.index(level) > LEVELS.index(granted[name])]


class GitHubDouble(Double):
    """`is_stateless`: installation tokens of the long form with dots, else of the old one."""

    name = "github"
    hosts = ("github.com", "api.github.com")

    def __init__(self, folder, authority, port=0, app_id=12345, client_id="Iv1.client", client_secret="gh-secret",
                 is_stateless=True):
        self.app_id, self.client_id, self.client_secret = app_id, client_id, client_secret
        self.is_stateless, self.app_key = is_stateless, None
        self.installations, self.devices = {}, {}
        self.lfs_secrets = []  # signatures and tokens of every batch's answer
        super().__init__(folder, authority, port)

    # ---- what there is ---------------------------------------------------------------------------------------------
    def app(self, public_key):
        """The key that the App's tokens are verified with."""
        self.app_key = public_key

    def installation(self, number, owner, repositories, permissions):
        self.installations[number] = {"owner": owner, "repositories": {name: 1000 + index for index, name in
                                                                       enumerate(repositories)},
                                      "permissions": permissions, "id": number}

    def user_token(self, user="octocat", has_refresh=True):
        """A token of a user who authorised the App, and its refresh token, as after a login; without one it does not
        run out, nor does what is narrowed from it."""
        return self._user_pair(None, user, has_refresh)

    def end_user_tokens(self):
        """Every user's own token has run out, with what was narrowed from it; refresh tokens live on."""
        with self._lock:
            for token in self.tokens.values():
                if token.kind in ("user_token", "scoped_token"):
                    token.expires_at = min(token.expires_at or time.time(), time.time())

    def approve_device(self, user_code, user="octocat"):
        self._device(user_code)["user"] = user

    def deny_device(self, user_code):
        self._device(user_code)["denied"] = True

    def _device(self, user_code):
        return next(each for each in self.devices.values() if each["user_code"] == user_code)

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                if request.path.startswith("/login/"):
                    return answer(self, request, *found.groups())
                if not request.header("user-agent"):
                    raise refusal(403, "Request forbidden by administrative rules. A User-Agent header is required.")
                return answer(self, request, *found.groups())
        raise refusal(404, "Not Found")

    # ---- App installations -----------------------------------------------------------------------------------------
    def _check_app(self, request):
        token = request.bearer() or ""
        claims = jwts.verify(token, self.app_key) if self.app_key else None
        if claims is None:
            raise refusal(401, "A JSON web token could not be decoded")
        now = time.time()
        if str(claims.get("iss")) not in (str(self.app_id), self.client_id):
            raise refusal(401, "'Issuer' claim ('iss') must be an Integer")
        if not isinstance(claims.get("iat"), int) or claims["iat"] > now + SKEW_SECONDS:
            raise refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion "
                               "was issued")
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time "
                               "at which the assertion expires")
        if claims["exp"] > now + JWT_SECONDS_MAX + SKEW_SECONDS:
            raise refusal(401, "'Expiration time' claim ('exp') is too far in the future")
        request.note["client"] = str(claims["iss"])

    def mint_installation(self, request, number):
        self._check_app(request)
        installation = self.installations.get(int(number))
        if not installation:
            raise refusal(404, "Not Found")
        asked = request.json()
        names = self._repositories(asked, installation)
        permissions = asked.get("permissions", installation["permissions"])
        request.note["asked"] = _scopes(asked.get("permissions", {}), asked.get("repositories"))
        if exceeds(permissions, installation["permissions"]):
            raise refusal(422, "The permissions requested are not granted to this installation.")
        if request.is_fault("wider"):
            permissions = {**permissions, **dict(each.split(":") for each in request.fault.get("scopes", []))}
            names = [*names, *request.fault.get("repositories", [])]
        request.note["returned"] = _scopes(permissions, names)
        token = self._installation_token(request, permissions, names, installation)
        body = {"token": token.value, "expires_at": _stamp(token.expires_at), "permissions": permissions,
                "repository_selection": "selected" if "repositories" in asked or "repository_ids" in asked else "all"}
        if body["repository_selection"] == "selected":
            body["repositories"] = [{"id": installation["repositories"][name], "name": name,
                                     "full_name": f"{installation['owner']}/{name}"} for name in names]
        return 201, body

    def _installation_token(self, request, permissions, names, installation):
        more = {"permissions": permissions, "repositories": names, "owner": installation["owner"]}
        stateless = request.header("x-github-stateless-s2s-token")
        if {"enabled": True, "disabled": False}.get(stateless, self.is_stateless):
            length = (request.fault or {}).get("length", STATELESS_LENGTH)
            head = f"ghs_{self.app_id}_{base64.urlsafe_b64encode(b'{}').decode()}."
            rest = max(length - len(head) - 44, 8)
            value = f"{head}{random_text(rest)}.{random_text(43)}"
            return self.mint(request, "installation_token", value=value, ttl=INSTALLATION_SECONDS, **more)
        return self.mint(request, "installation_token", "ghs_", ttl=INSTALLATION_SECONDS, **more)

    @staticmethod
    def _repositories(asked, installation):
        known = installation["repositories"]
        if "repository_ids" in asked:
            by_id = {number: name for name, number in known.items()}
            wanted = [by_id.get(number) for number in asked["repository_ids"]]
        else:
            wanted = asked.get("repositories", list(known))
        if len(wanted) > 500 or any(name not in known for name in wanted):
            raise refusal(422, "There is at least one repository that does not exist or is not accessible to the "
                               "parent installation.")
        return wanted

    def revoke_installation(self, request):
        token = self.live(request.bearer(), "installation_token")
        if not token:
            raise refusal(401, "Bad credentials")
        self.take_away(request, token)
        return 204, ""

    # ---- tokens of users -------------------------------------------------------------------------------------------
    def _check_client(self, request):
        expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.header("authorization") != f"Basic {expected}":
            raise refusal(401, "Requires authentication")
        request.note["client"] = self.client_id

    def _user_pair(self, request, user, has_refresh=True):
        parent = Token(f"grant:{random_text(20)}", "grant", more={"user": user})
        self.tokens[parent.value] = parent
        access = self.mint(request, "user_token", "ghu_", ttl=USER_SECONDS if has_refresh else None, parent=parent,
                           user=user)
        refresh = self.mint(request, "refresh_token", "ghr_", length=80, parent=parent, user=user) \
            if has_refresh else None
        return access.value, refresh.value if refresh else None

    def narrow_user_token(self, request, client_id):
        self._check_client(request)
        asked = request.json()
        base = self.live(asked.get("access_token"), "user_token")
        if not base or client_id != self.client_id:
            raise refusal(404, "Not Found")
        if "target" not in asked and "target_id" not in asked:
            raise refusal(422, "target or target_id is required")
        found = [each for each in self.installations.values()
                 if asked.get("target") == each["owner"] or asked.get("target_id") == each["id"]]
        if not found:
            raise refusal(404, "Not Found")
        names = self._repositories(asked, found[0])
        permissions = asked.get("permissions", found[0]["permissions"])
        request.note.update(asked=_scopes(permissions, names), user=base.more["user"])
        if exceeds(permissions, found[0]["permissions"]):
            raise refusal(422, "The permissions requested are not granted to this installation.")
        if request.is_fault("wider"):
            permissions = {**permissions, **dict(each.split(":") for each in request.fault["scopes"])}
        request.note["returned"] = _scopes(permissions, names)
        # A child: the user's own token lives on when it is deleted.
        child = self.mint(request, "scoped_token", "ghu_", ttl=USER_SECONDS if base.expires_at else None, parent=base,
                          user=base.more["user"], permissions=permissions, repositories=names,
                          owner=found[0]["owner"])
        return 200, {"id": 1, "token": child.value, "token_last_eight": child.value[-8:],
                     "expires_at": child.expires_at and _stamp(child.expires_at), "scopes": [],
                     "app": {"client_id": client_id},
                     "installation": {"permissions": permissions, "repository_selection": "selected",
                                      "account": {"login": found[0]["owner"]}}}

    def delete_token(self, request, client_id):
        self._check_client(request)
        token = self.live(request.json().get("access_token"), "user_token", "scoped_token")
        if not token or client_id != self.client_id:
            raise refusal(404, "Not Found")
        self.take_away(request, token)
        return 204, ""

    def delete_grant(self, request, client_id):
        self._check_client(request)
        token = self.live(request.json().get("access_token"), "user_token", "scoped_token")
        if not token or client_id != self.client_id:
            raise refusal(404, "Not Found")
        while token.parent:
            token = token.parent
        self.take_away(request, token)
        return 204, ""

    def check_token(self, request, client_id):
        self._check_client(request)
        token = self.live(request.json().get("access_token"), "user_token", "scoped_token")
        if not token or client_id != self.client_id:
            raise refusal(404, "Not Found")
        return 200, {"id": 1, "token": token.value, "expires_at": token.expires_at and _stamp(token.expires_at),
                     "user": token.more["user"]}

    def revoke_credentials(self, request):
        """Without authentication, and known or not: accepted."""
        if request.header("authorization"):
            raise refusal(403, "Forbidden")
        for value in request.json().get("credentials", []):
            token = self.live(value, "user_token", "scoped_token", "refresh_token")
            if token:
                self.take_away(request, token)
        return 202, {}

    # ---- github.com/login ------------------------------------------------------------------------------------------
    def device_code(self, request):
        asked = _fields(request)
        if asked.get("client_id") != self.client_id:
            raise Refusal(404, {"error": "Not Found"})
        code, user_code = random_text(40), f"{random_text(4)}-{random_text(4)}".upper()
        self.devices[code] = {"user_code": user_code, "user": None, "denied": False, "last": None,
                              "repository_id": asked.get("repository_id")}
        request.note.update(asked=words(asked.get("scope")), client=self.client_id)
        return 200, {"device_code": code, "user_code": user_code, "verification_uri": f"{self.url}login/device",
                     "expires_in": 900, "interval": 5}

    def access_token(self, request):
        """Errors come with status 200, as GitHub's do."""
        asked = _fields(request)
        request.note.update(grant=asked.get("grant_type"), client=asked.get("client_id"))

        def no(error):
            raise Refusal(200, {"error": error, "error_description": error.replace("_", " ")})
        if asked.get("client_id") != self.client_id:
            no("incorrect_client_credentials")
        if asked.get("grant_type") == DEVICE_GRANT:
            device = self.devices.get(asked.get("device_code")) or no("incorrect_device_code")
            if device["denied"]:
                no("access_denied")
            if not device["user"]:
                no("authorization_pending")
            del self.devices[asked["device_code"]]
            user = device["user"]
        elif asked.get("grant_type") == "refresh_token":
            if asked.get("client_secret") != self.client_secret:
                no("incorrect_client_credentials")
            old = self.live(asked.get("refresh_token"), "refresh_token") or no("bad_refresh_token")
            user = old.more["user"]
            self.take_away(request, old.parent)  # both old tokens at once
        else:
            no("unsupported_grant_type")
        request.note["user"] = user
        access, refresh = self._user_pair(request, user)
        return 200, {"access_token": access, "expires_in": USER_SECONDS, "refresh_token": refresh,
                     "refresh_token_expires_in": 15811200, "scope": "", "token_type": "bearer"}

    # ---- a little of the API ---------------------------------------------------------------------------------------
    def issues(self, request, owner, repository):
        needed = "read" if request.method == "GET" else "write"
        headers = [("X-Accepted-GitHub-Permissions", f"issues={needed}")]
        token = self.live(request.bearer(), "installation_token", "scoped_token", "user_token")
        if not token:
            raise refusal(401, "Bad credentials", headers)
        if token.kind != "user_token":
            if token.more["owner"] != owner or repository not in token.more["repositories"]:
                raise refusal(404, "Not Found", headers)
            if exceeds({"issues": needed}, token.more["permissions"]):
                raise refusal(403, "Resource not accessible by integration", headers)
        return (200, [], headers) if needed == "read" else (201, {"number": 1, **request.json()}, headers)


    # ---- git-lfs ---------------------------------------------------------------------------------------------------
    def lfs_batch(self, request, owner, repository):
        """https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, with the links and headers of GitHub."""
        kind, _, encoded = (request.header("authorization") or "").partition(" ")
        password = base64.b64decode(encoded).decode().partition(":")[2] if kind.lower() == "basic" else ""
        token = self.live(password, "installation_token")
        if not token:
            raise Refusal(401, {"message": "Credentials needed"}, [("LFS-Authenticate", 'Basic realm="Git LFS"')])
        asked = request.json()
        request.note["asked"] = [asked["operation"]]
        needed = "read" if asked["operation"] == "download" else "write"
        if token.more["owner"] != owner or repository not in token.more["repositories"]:
            raise refusal(404, "Not Found")
        if exceeds({"contents": needed}, token.more["permissions"]):
            raise refusal(403, "Resource not accessible by integration")
        answer = {"transfer": "basic", "objects": [
            {"oid": each["oid"], "size": each["size"], "authenticated": True,
             "actions": self._lfs_actions(asked["operation"], each["oid"])} for each in asked["objects"]]}
        return 200, json.dumps(answer), [("Content-Type", "application/vnd.git-lfs+json; charset=utf-8")]

    def _lfs_actions(self, operation, oid):
        self.lfs_secrets.append(random_text(64))
        place = f"alambic/media/1/{oid}?X-Amz-Credential=AKIA&X-Amz-Signature={self.lfs_secrets[-1]}"
        if operation == "download":
            return {"download": {"href": f"https://{LFS_DOWNLOADS}/{place}", "expires_in": 3600}}
        return {"upload": {"href": f"https://{LFS_UPLOADS}/{place}", "expires_in": 3600,
                           "header": {"Authorization": f"RemoteAuth {self.lfs_secrets[-1]}"}},
                "verify": {"href": f"https://lfs.github.com/verify?actor=1&token={self.lfs_secrets[-1]}",
                           "header": {"Authorization": f"RemoteAuth {self.lfs_secrets[-1]}"}}}


def _stamp(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _scopes(permissions, repositories=None):
    return [f"{name}:{level}" for name, level in sorted(permissions.items())] + [f"repo={name}" for name in
                                                                                  repositories or []]


def _fields(request):
    if "json" in (request.header("content-type") or ""):
        return json.loads(request.body or b"{}")
    return request.form()


ROUTES = [
    ("POST", r"/app/installations/(\d+)/access_tokens", GitHubDouble.mint_installation),
    ("DELETE", r"/installation/token", GitHubDouble.revoke_installation),
    ("POST", r"/applications/([^/]+)/token/scoped", GitHubDouble.narrow_user_token),
    ("DELETE", r"/applications/([^/]+)/token", GitHubDouble.delete_token),
    ("POST", r"/applications/([^/]+)/token", GitHubDouble.check_token),
    ("DELETE", r"/applications/([^/]+)/grant", GitHubDouble.delete_grant),
    ("POST", r"/credentials/revoke", GitHubDouble.revoke_credentials),
    ("POST", r"/login/device/code", GitHubDouble.device_code),
    ("POST", r"/login/oauth/access_token", GitHubDouble.access_token),
    ("GET", r"/repos/([^/]+)/([^/]+)/issues", GitHubDouble.issues),
    ("POST", r"/repos/([^/]+)/([^/]+)/issues", GitHubDouble.issues),
    ("POST", r"/([^/]+)/([^/]+)\.git/info/lfs/objects/batch", GitHubDouble.lfs_batch),
]
