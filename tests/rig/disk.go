package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk is a file system of its own, for what is to find its disk full while the host's
// is not. Its file has no name: nothing of it stays when it is no longer mounted.
type Disk struct{ at string }

// ballast is the file that fills a disk. No block of it is ever written, so that it
// takes nothing of the host's.
const ballast = "ballast"

// MountDisk makes a file system of so many bytes and mounts it at an empty folder.
func MountDisk(ctx context.Context, at string, bytes int64) (*Disk, error) {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of a disk: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(at), ".disk-*")
	if err != nil {
		return nil, fmt.Errorf("make the file of a disk: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := file.Truncate(bytes); err != nil {
		return nil, fmt.Errorf("make the file of a disk: %w", err)
	}
	for _, c := range []Command{
		{Path: "mkfs.ext4", Args: []string{"-q", "-m", "0", file.Name()}},
		{Path: "mount", Args: []string{"-o", "loop", file.Name(), at}},
	} {
		r, err := c.Run(ctx)
		if err != nil {
			return nil, err
		}
		if r.Code != 0 {
			return nil, errors.New(r.String())
		}
	}
	return &Disk{at: at}, os.RemoveAll(filepath.Join(at, "lost+found"))
}

// Fill takes all that is free.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(filepath.Join(d.at, ballast), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk at %s: %w", d.at, err)
	}
	defer file.Close()
	// How much that is nobody says exactly: the file system keeps books, too.
	var taken int64
	for piece := int64(1 << 30); piece >= 4096; {
		switch err := unix.Fallocate(int(file.Fd()), 0, taken, piece); {
		case err == nil:
			taken += piece
		case errors.Is(err, unix.ENOSPC):
			piece /= 2
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("fill the disk at %s: %w", d.at, err)
		}
	}
	return nil
}

// Free gives back what Fill took.
func (d *Disk) Free() error {
	if err := os.Remove(filepath.Join(d.at, ballast)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("free the disk at %s: %w", d.at, err)
	}
	return nil
}

// Unmount ends the disk, and all that is on it.
func (d *Disk) Unmount() error { return unmount(d.at) }

// unmount is none if nothing is mounted there.
func unmount(at string) error {
	err := unix.Unmount(at, 0)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("unmount %s: %w", at, err)
}
