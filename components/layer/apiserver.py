"""Asks the API server as the account whose token and authority are in $ACCOUNT."""

import json
import os
import ssl
import urllib.request

ACCOUNT = os.environ["ACCOUNT"]
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
SERVER = "https://%s:%s/" % ("[%s]" % HOST if ":" in HOST else HOST, os.environ["KUBERNETES_SERVICE_PORT"])
CONTEXT = ssl.create_default_context(cafile=os.path.join(ACCOUNT, "ca.crt"))


def token():
    """Returns the token, which is replaced now and then."""
    with open(os.path.join(ACCOUNT, "token"), encoding="utf-8") as file:
        return file.read().strip()


def ask(method, path, body=None, headers=None):
    """Returns the open answer; a refusal is a urllib.error.HTTPError, anything else an
    OSError."""
    request = urllib.request.Request(
        SERVER + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + token(), **(headers or {})},
        method=method,
    )
    return urllib.request.urlopen(request, context=CONTEXT, timeout=15)
