# SPDX-License-Identifier: Apache-2.0
"""Doubles of identity providers for tests; what each speaks and how faults are scripted is in README.md.

    with auth0_double(folder, authority) as double:
        double.client("cid", secret="s", grants=[VAULT_GRANT])
        double.connection("google-oauth2", prefix="ya29.")
        double.connect("auth0|u1", "google-oauth2", ["calendar.readonly"])
        subject = double.refresh_token("cid", "auth0|u1")
        double.fail("lost", path="/oauth/token")
        double.url, double.log(), double.issued()
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from auth0_double import (CIBA_GRANT, DEVICE_GRANT, EXCHANGE_GRANT, FEDERATED_TOKEN, HERE,  # noqa: E402,F401
                          INSTALLED, TOKEN_TYPE, VAULT_GRANT, WORKER_TOKEN, Auth0Double, is_installed, node, public_jwk)
from aws_double import AwsDouble  # noqa: E402
from github_double import GitHubDouble  # noqa: E402
from google_double import GoogleDouble  # noqa: E402
from kubernetes_double import KubernetesDouble  # noqa: E402
from login_double import CLAUDE, CODEX, LoginDouble  # noqa: E402,F401
from openbao_double import OpenBaoDouble  # noqa: E402

auth0_double, aws_double, github_double = Auth0Double, AwsDouble, GitHubDouble
google_double, kubernetes_double, openbao_double = GoogleDouble, KubernetesDouble, OpenBaoDouble
