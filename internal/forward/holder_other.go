//go:build !linux

package forward

// holder is not known here.
func holder(int) string { return "another process" }
