"""Gives Python 3.11.2's tarfile the "data" filter of 3.11.4 (PEP 706), which
the storage initializer asks for: members may not leave the destination."""
import os
import tarfile


def _within(root, path):
    root = os.path.realpath(root)
    return os.path.commonpath([root, os.path.realpath(os.path.join(root, path))]) == root


def data_filter(member, path):
    name = member.name.lstrip("/" + os.sep)
    if not _within(path, name):
        raise tarfile.TarError(f"{member.name!r} would be extracted outside {path!r}")
    if not (member.isfile() or member.isdir() or member.islnk() or member.issym()):
        raise tarfile.TarError(f"{member.name!r} is a special file")
    if member.islnk() or member.issym():
        base = os.path.dirname(name) if member.issym() else ""
        if os.path.isabs(member.linkname) or not _within(path, os.path.join(base, member.linkname)):
            raise tarfile.TarError(f"{member.name!r} links outside {path!r}")
    member.name = name
    member.mode = 0o755 if member.isdir() else (member.mode | 0o600) & 0o755
    member.uid = member.gid = None
    member.uname = member.gname = None
    return member


def _extractall(self, path=".", members=None, *, numeric_owner=False, filter=None):
    if filter is None:
        return _unfiltered(self, path, members, numeric_owner=numeric_owner)
    check = data_filter if filter == "data" else filter
    for member in members or self:
        member = check(member, path)
        # Owners stay those of the running user.
        self.extract(member, path, set_attrs=False)
        if member.isfile() or member.isdir():
            os.chmod(os.path.join(path, member.name), member.mode)


if not hasattr(tarfile, "data_filter"):
    tarfile.data_filter = data_filter
    _unfiltered = tarfile.TarFile.extractall
    tarfile.TarFile.extractall = _extractall
