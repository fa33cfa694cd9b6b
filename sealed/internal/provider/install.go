// Package provider puts the stand-ins for Pulumi's provider plugins where the
// pulumi command finds them, and only those that are needed.
package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/kubernetes"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/random"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/tls"
)

// PluginPrefix is what a resource plugin's program name starts with.
const PluginPrefix = "pulumi-resource-"

// Builders are the stand-ins by the name of the package they serve.
func Builders() map[string]func(*server.Host) server.Provider {
	return map[string]func(*server.Host) server.Provider{
		"kubernetes": func(h *server.Host) server.Provider { return kubernetes.New(h) },
		"tls":        tls.New,
		"random":     random.New,
	}
}

// PluginNames are the program names of the stand-ins, in order.
func PluginNames() []string {
	var names []string
	for name := range Builders() {
		names = append(names, PluginPrefix+name)
	}
	sort.Strings(names)
	return names
}

// Dir is the folder that belongs on PATH when stand-ins are in use.
func Dir(cache string) string { return filepath.Join(cache, "tools", "providers") }

// Install links the stand-in binary under the name of every plugin whose real
// version is not installed, and removes the links of those that are: a plugin on
// PATH goes before an installed one. It returns the names of the packages that
// the stand-in serves now.
func Install(cache, standinBinary string) ([]string, error) {
	binary, err := filepath.Abs(standinBinary)
	if err != nil {
		return nil, fmt.Errorf("stand-in binary %s: %w", standinBinary, err)
	}
	if info, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("stand-in binary: %w", err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("stand-in binary %s is not a program", binary)
	}
	dir := Dir(cache)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the stand-ins: %w", err)
	}
	var installed []string
	var errs []error
	for name, build := range Builders() {
		link := filepath.Join(dir, PluginPrefix+name)
		real, err := realPlugin(name, build(&server.Host{}).Version())
		switch {
		case err != nil:
		case real:
			err = remove(link)
		default:
			if err = relink(binary, link); err == nil {
				installed = append(installed, name)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("stand-in for plugin %s: %w", name, err))
		}
	}
	sort.Strings(installed)
	return installed, errors.Join(errs...)
}

// realPlugin tells whether the plugin is in Pulumi's plugin folder in the
// version asked for, or a later one of the same major version, which the engine
// takes as well.
func realPlugin(name, version string) (bool, error) {
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
		if _, err := os.Stat(filepath.Join(home, "plugins", entry.Name(), PluginPrefix+name)); err == nil {
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
