"""Writes the folder of a running forge to standard output as a tar archive that is
consistent in itself: the database as it is at one moment, then repositories that have
at least what the database knows of."""

import os
import sqlite3
import sys
import tarfile
import tempfile

DATABASE = "data/gitea.db"
# Made anew by the server, or of the server that runs now.
LEFT_OUT = {DATABASE, DATABASE + "-wal", DATABASE + "-shm", "data/indexers", "data/queues", "data/sessions", "data/tmp", "log", "tmp"}


def names(root, inside):
    """Names in a folder, in the order to read them: a repository's references before
    its objects, and of both the loose ones before those that are packed. So what a
    reference names, and what is packed meanwhile, is always still to come."""
    last = {"packed-refs": 1, "objects": 2, "info": 1, "pack": 2}
    try:
        return sorted(os.listdir(os.path.join(root, inside)), key=lambda name: (last.get(name, 0), name))
    except FileNotFoundError:
        return []


def add(archive, root, inside):
    path = os.path.join(root, inside)
    if os.path.islink(path):
        return
    if os.path.isdir(path):
        try:
            archive.addfile(archive.gettarinfo(path, inside))
        except FileNotFoundError:
            return  # empty, and deleted since the folder above was read
        for name in names(root, inside):
            below = os.path.join(inside, name)
            if below not in LEFT_OUT:
                add(archive, root, below)
        return
    try:
        with open(path, "rb") as file:
            archive.addfile(archive.gettarinfo(fileobj=file, arcname=inside), file)
    except FileNotFoundError:
        pass  # deleted since the folder was read


def main():
    root = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        copy = os.path.join(scratch, "database")
        source = sqlite3.connect(os.path.join(root, DATABASE), timeout=30)
        target = sqlite3.connect(copy)
        source.backup(target)
        target.close()
        source.close()
        archive.add(copy, DATABASE)
        for name in names(root, ""):
            if name not in LEFT_OUT and name != "lost+found":
                add(archive, root, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
