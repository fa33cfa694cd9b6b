"""Asks OpenCost ($OPENCOST) what the pods of $NAMESPACE cost in the last minutes,
until they cost something or $SECONDS have passed: only then is measured ($INTERVAL
seconds apart), priced and answered."""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

INTERVAL = int(os.environ["INTERVAL"])


def window(now):
    """The last minutes, off the grid of resolutions: on it Prometheus leaves one out."""
    end = int(now)
    start = (end - 600) // 60 * 60 - 1
    return ",".join(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t)) for t in (start, end))


def ask(opencost, namespace, now):
    """Returns what the namespace costs, and why nothing is known."""
    query = urllib.parse.urlencode(
        {"window": window(now), "aggregate": "namespace", "accumulate": "true", "resolution": "%ds" % min(INTERVAL, 10)}
    )
    try:
        with urllib.request.urlopen(opencost + "/allocation/summary?" + query, timeout=15) as answer:
            sets = (json.load(answer).get("data") or {}).get("sets") or []
    except urllib.error.HTTPError as error:
        return 0, "%d %s" % (error.code, error.read().decode(errors="replace")[:200])
    except (OSError, ValueError) as error:
        return 0, str(error)
    known = [s["allocations"][namespace] for s in sets if namespace in (s.get("allocations") or {})]
    cost = sum((a.get(part) or 0) for a in known for part in ("cpuCost", "ramCost"))
    return cost, "nothing is known of namespace " + namespace


def main():
    deadline = time.monotonic() + float(os.environ["SECONDS"])
    said = None
    while True:
        cost, why = ask(os.environ["OPENCOST"], os.environ["NAMESPACE"], time.time())
        if cost > 0:
            print("namespace %s has cost %.9f" % (os.environ["NAMESPACE"], cost), flush=True)
            return 0
        if why != said:
            print(why, flush=True)
            said = why
        if time.monotonic() >= deadline:
            print("OpenCost has no cost of namespace %s" % os.environ["NAMESPACE"], file=sys.stderr)
            return 1
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
