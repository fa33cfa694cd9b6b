package process

import "golang.org/x/sys/unix"

// room is how much a disk has free, at least, for a process to be able to run on it:
// that of etcd's next file.
const room = 64 << 20

// full is whether a folder's disk has too little room for a process to run. One that
// cannot be looked at is not.
func full(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Bavail*uint64(s.Bsize) < room
}
