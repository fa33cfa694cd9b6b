"""Asks the API server, without changing anything (server-side dry run), to create
each probe in the file named by $PROBES, until every answer is the expected one
or $SECONDS have passed. "deny" holds only when the named admission webhook, or policy
of the API server, itself said no: a webhook that cannot be called refuses everything
too."""

import json
import os
import sys
import time
import urllib.error

import apiserver


def create(probe):
    """Returns the status code and message of a dry-run creation."""
    item = probe["object"]
    version = item["apiVersion"]
    path = "%s/%s/namespaces/%s/%s?dryRun=All&fieldManager=neuroscale-probe" % (
        "apis" if "/" in version else "api",
        version,
        item["metadata"]["namespace"],
        probe["resource"],
    )
    try:
        with apiserver.ask("POST", path, item, {"Content-Type": "application/json"}) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        body = error.read().decode(errors="replace")
        try:
            return error.code, json.loads(body).get("message", body)
        except ValueError:
            return error.code, body
    except OSError as error:
        return 0, str(error)


def denials(by):
    """Returns how a webhook and how a policy of this name say no."""
    return (
        'admission webhook "%s" denied' % by,
        "ValidatingAdmissionPolicy '%s' with binding '%s' denied request" % (by, by),
    )


def holds(probe, code, message):
    if probe["expect"] == "admit":
        return code in (200, 201)
    return 400 <= code < 500 and any(denial in message for denial in denials(probe["by"]))


def main():
    with open(os.environ["PROBES"], encoding="utf-8") as file:
        waiting = json.load(file)
    deadline = time.monotonic() + float(os.environ["SECONDS"])
    last = {}
    while True:
        unmet = []
        for probe in waiting:
            item = probe["object"]
            name = "%s %s" % (item["kind"], item["metadata"]["name"])
            code, message = create(probe)
            line = "%s, expected %s: %s %s" % (name, probe["expect"], code, message)
            if last.get(name) != line:
                print(line, flush=True)
                last[name] = line
            if not holds(probe, code, message):
                unmet.append(probe)
        if not unmet:
            return 0
        if time.monotonic() >= deadline:
            print("%d of the probes were not answered as expected" % len(unmet), file=sys.stderr)
            return 1
        waiting = unmet
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
