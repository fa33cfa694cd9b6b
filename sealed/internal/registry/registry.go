// Package registry serves container images from a folder. It is the CNCF
// distribution registry over its filesystem driver, so images survive a
// restart and several nodes can read the same folder.
package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

// Handler returns the registry's HTTP API (/v2/) over dir, which is created if
// it does not exist. With readOnly every push is refused with 405. The registry
// stops its background work when ctx ends. It logs nothing unless Log was
// called. Errors: dir cannot be created, or the registry refuses its settings.
func Handler(ctx context.Context, dir string, readOnly bool) (h http.Handler, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("registry folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("create the registry folder: %w", err)
	}
	// The library reports bad settings by panicking.
	defer func() {
		if r := recover(); r != nil {
			h, err = nil, fmt.Errorf("start the registry over %s: %v", abs, r)
		}
	}()
	return handlers.NewApp(ctx, config(abs, readOnly)), nil
}

// Sweep removes from dir what no tag needs: images that lost their tag to a
// newer one, and their parts. Nobody may push meanwhile; reading goes on.
func Sweep(ctx context.Context, dir string) error {
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: 25})
	r, err := storage.NewRegistry(ctx, driver, storage.EnableDelete)
	if err != nil {
		return fmt.Errorf("open the registry folder %s: %w", dir, err)
	}
	if err := storage.MarkAndSweep(ctx, driver, r, storage.GCOpts{RemoveUntagged: true, Quiet: true}); err != nil {
		return fmt.Errorf("remove unused images from %s: %w", dir, err)
	}
	return nil
}

// Log sends the registry's log to w; the library has one log per process.
func Log(w io.Writer) { logrus.SetOutput(w) }

func init() { Log(io.Discard) }

func config(dir string, readOnly bool) *configuration.Configuration {
	c := &configuration.Configuration{
		Version: configuration.CurrentVersion,
		Storage: configuration.Storage{
			"filesystem": configuration.Parameters{"rootdirectory": dir},
			"cache":      configuration.Parameters{"blobdescriptor": "inmemory"},
			"delete":     configuration.Parameters{"enabled": !readOnly},
			"maintenance": configuration.Parameters{
				"uploadpurging": map[any]any{"enabled": false},
				"readonly":      map[any]any{"enabled": readOnly},
			},
		},
	}
	c.Log.AccessLog.Disabled = true
	c.Log.Level = "error"
	// Uploads of one process never continue in another.
	c.HTTP.Secret = "upload-state-of-one-process"
	return c
}
