package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder of a tenant's repository whose folders are its endpoints.
const Folder = "apps"

// Write makes the folder of an endpoint in a checkout of a tenant's repository and
// returns its path. A folder that is there already is left alone.
func (f Files) Write(checkout, name string) (string, error) {
	if info, err := os.Stat(checkout); err != nil || !info.IsDir() {
		return "", fmt.Errorf("there is no folder %s: name a checkout of the tenant's repository", checkout)
	}
	dir := filepath.Join(checkout, Folder, name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the endpoint: %w", err)
	}
	switch err := os.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		return "", fmt.Errorf("%s is there already: write another NAME, or change what is in it", dir)
	case err != nil:
		return "", fmt.Errorf("make the folder of the endpoint: %w", err)
	}
	for file, text := range f {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return "", errors.Join(fmt.Errorf("write the endpoint: %w", err), os.RemoveAll(dir))
		}
	}
	return dir, nil
}
