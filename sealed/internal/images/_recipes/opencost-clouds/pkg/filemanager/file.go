// Package filemanager exports nothing to a cloud's bucket.
package filemanager

import (
	"context"
	"errors"
	"os"
)

// ErrNotFound is a file that is not there.
var ErrNotFound = errors.New("not found")

// FileManager is of a file elsewhere.
type FileManager interface {
	Download(context.Context, *os.File) error
	Upload(context.Context, *os.File) error
}
