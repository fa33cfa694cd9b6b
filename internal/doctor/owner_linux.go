package doctor

import (
	"os"
	"syscall"
)

// ownerOf is the user whose process a folder of /proc is about.
func ownerOf(folder string) (uint32, bool) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return s.Uid, true
}
