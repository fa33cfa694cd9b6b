"""Finds out whether the cluster enforces NetworkPolicies: one allows the pod it runs
in nothing but cluster DNS. If the API server can be reached all the same, it does
not. The verdict is left where Kubernetes shows it with the ended container ($VERDICT);
not to be enforced is a failure only if $REQUIRED is true."""

import os
import socket
import sys
import time

# A policy takes a moment to reach the node.
PATIENCE = float(os.environ["SECONDS"])
ENFORCED = "enforced"
OPEN = "not enforced"


def resolves(name):
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


def reaches(host, port):
    try:
        with socket.create_connection((host, port), timeout=1.5):
            return True
    except OSError:
        return False


def verdict(host, port, name, patience):
    """Is refused three times in a row, while cluster DNS answers: that is no accident."""
    deadline = time.monotonic() + patience
    refused = 0
    answered = False
    while time.monotonic() < deadline:
        refused = 0 if reaches(host, port) else refused + 1
        answered = answered or resolves(name)
        if refused >= 3 and answered:
            return ENFORCED
        time.sleep(0.5)
    if refused:
        return None
    return OPEN


def main():
    found = verdict(
        os.environ["KUBERNETES_SERVICE_HOST"],
        int(os.environ["KUBERNETES_SERVICE_PORT"]),
        os.environ["NAME"],
        PATIENCE,
    )
    if found is None:
        print("cannot tell: cluster DNS does not answer", file=sys.stderr)
        return 1
    with open(os.environ["VERDICT"], "w", encoding="utf-8") as file:
        file.write(found)
    print("NetworkPolicies are " + found, flush=True)
    if found == OPEN and os.environ["REQUIRED"] == "true":
        print("neuroscale:cluster.requireNetworkPolicy is true: use a network plugin that enforces them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
