// Package plugins puts Pulumi's provider plugins where the pulumi command finds
// them, and only those that are not installed.
package plugins

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Prefix is what a resource plugin's program name starts with.
const Prefix = "pulumi-resource-"

// Needed are the packages the platform's program uses, with the version of the
// plugin that its SDKs ask for.
var Needed = map[string]string{"docker": "4.10.0", "kubernetes": "4.23.0", "random": "4.18.0", "tls": "5.2.0"}

// Dir is the folder that belongs on PATH.
func Dir(cache string) string { return filepath.Join(cache, "tools", "plugins") }

// Link links the program of every needed plugin that is not installed, and
// removes the links of those that are: the engine takes what is on PATH, whatever
// its version. programs are the plugins by package; one need not exist yet. Link
// returns the packages whose plugins are linked, in order.
func Link(cache string, programs map[string]string) ([]string, error) {
	dir := Dir(cache)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the plugins: %w", err)
	}
	var linked []string
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(Needed)) {
		link := filepath.Join(dir, Prefix+name)
		there, err := installed(name, Needed[name])
		switch {
		case err != nil:
		case there:
			err = remove(link)
		case programs[name] == "":
			err = errors.New("it is not installed, and there is no program to link")
		default:
			if err = relink(programs[name], link); err == nil {
				linked = append(linked, name)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("plugin %s: %w", name, err))
		}
	}
	return linked, errors.Join(errs...)
}

// installed tells whether the plugin is in Pulumi's plugin folder in the version
// asked for, or a later one of the same major version, which the engine takes as
// well.
func installed(name, version string) (bool, error) {
	home := os.Getenv("PULUMI_HOME")
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return false, fmt.Errorf("finding Pulumi's home: %w", err)
		}
		home = filepath.Join(user, ".pulumi")
	}
	entries, err := os.ReadDir(filepath.Join(home, "plugins"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading Pulumi's plugins: %w", err)
	}
	for _, entry := range entries {
		found, ok := strings.CutPrefix(entry.Name(), "resource-"+name+"-v")
		if !ok || !entry.IsDir() || !satisfies(found, version) {
			continue
		}
		if _, err := os.Stat(filepath.Join(home, "plugins", entry.Name(), Prefix+name)); err == nil {
			return true, nil
		}
	}
	return false, nil
}

// satisfies tells whether a version is at least the wanted one, with the same
// major number. Folders of unfinished downloads have other endings and do not.
func satisfies(found, wanted string) bool {
	var f, w [3]int
	var rest string
	if n, _ := fmt.Sscanf(found, "%d.%d.%d%s", &f[0], &f[1], &f[2], &rest); n != 3 {
		return false
	}
	if n, _ := fmt.Sscanf(wanted, "%d.%d.%d", &w[0], &w[1], &w[2]); n != 3 {
		return false
	}
	if f[0] != w[0] {
		return false
	}
	return f[1] > w[1] || (f[1] == w[1] && f[2] >= w[2])
}

func remove(link string) error {
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// relink makes a link point to target, without a moment in which it is missing.
func relink(target, link string) error {
	if current, err := os.Readlink(link); err == nil && current == target {
		return nil
	}
	next := link + ".new"
	if err := remove(next); err != nil {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	return os.Rename(next, link)
}
