"""Tries to connect to each address in $TARGETS, NAME=HOST:PORT with blanks between,
and leaves what it reached in $VERDICT, with whether cluster DNS, $CONTROL, was.

A network plugin learns of a new pod when it has an address, so what is reached is
tried again for $SECONDS; how long it took to close is said, too."""

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor


def reaches(address, seconds):
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return True
    except OSError:
        return False


def eventually(address, seconds):
    """A new pod may have to wait for its rules; until they stand it reaches nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reaches(address, 1):
            return True
        time.sleep(0.1)
    return False


def main():
    targets = [pair.split("=", 1) for pair in os.environ["TARGETS"].split()]
    begin = time.monotonic()
    deadline = begin + float(os.environ["SECONDS"])
    control = eventually(os.environ["CONTROL"], 5)
    reached = targets
    early = {}
    with ThreadPoolExecutor(max_workers=64) as pool:
        while True:
            answers = pool.map(lambda target: reaches(target[1], 1.5), reached)
            reached = [target for target, answer in zip(reached, answers) if answer]
            if not reached or time.monotonic() > deadline:
                break
            for name, _ in reached:
                early[name] = round(time.monotonic() - begin, 1)
            time.sleep(0.2)
    with open(os.environ["VERDICT"], "w", encoding="utf-8") as file:
        # Kubernetes keeps no more than 4096 bytes.
        json.dump(
            {
                "control": control,
                "tried": len(targets),
                "reached": [name for name, _ in reached[:20]],
                "closedAfter": max(early.values(), default=0),
                "early": sorted(early)[:20],
            },
            file,
        )


if __name__ == "__main__":
    main()
