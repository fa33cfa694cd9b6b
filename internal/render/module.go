package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// fetch makes the folders of modules available; the results are in the order
// of the modules.
type fetch func(ctx context.Context, modules []Module) ([]string, error)

// download is what `go mod download -json` prints for one module.
type download struct {
	Path, Version, Dir, Sum, Error string
}

// goModDownload asks the Go toolchain, so modules come from the user's own proxy
// and cache and are verified against the checksum database; on top of that their
// checksum has to be the pinned one.
func goModDownload(ctx context.Context, modules []Module) ([]string, error) {
	folder, err := os.MkdirTemp("", "neuroscale-render-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to run go in: %w", err)
	}
	defer os.RemoveAll(folder)
	args := []string{"mod", "download", "-json"}
	for _, m := range modules {
		args = append(args, m.Path+"@"+m.Version)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GO111MODULE=on")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	if errors.Is(runErr, exec.ErrNotFound) {
		return nil, errors.New("rendering reads upstream's manifests from Go modules, and there is no go on PATH: install Go 1.26 or newer")
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("download upstream modules: %w", err)
	}
	got, err := parseDownloads(&stdout)
	if err != nil {
		return nil, fmt.Errorf("read the output of go mod download: %w", err)
	}
	folders := make([]string, len(modules))
	var problems []error
	for i, m := range modules {
		d, ok := got[m.Path+"@"+m.Version]
		switch {
		case !ok || d.Error != "":
			said := cmpOr(d.Error, cmpOr(stderr.String(), fmt.Sprint(runErr)))
			problem, everyone := refusal(m, said)
			if everyone {
				return nil, problem
			}
			problems = append(problems, problem)
		default:
			problems = append(problems, m.verify(d.Sum))
			folders[i] = d.Dir
		}
	}
	return folders, errors.Join(problems...)
}

func parseDownloads(r io.Reader) (map[string]download, error) {
	got := map[string]download{}
	for d := json.NewDecoder(r); ; {
		var one download
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return got, nil
		} else if err != nil {
			return nil, err
		}
		got[one.Path+"@"+one.Version] = one
	}
}

// verify compares a module's checksum with the pinned one.
func (m Module) verify(sum string) error {
	if sum == m.Sum {
		return nil
	}
	return fmt.Errorf("module %s@%s has checksum %s, but gitops/%s pins %s: if the version was changed on purpose set its new checksum there, else do not trust this download",
		m.Path, m.Version, sum, UpstreamFile, m.Sum)
}

// refusal turns what go says into one sentence with what to do; everyone is true
// if it is the same for every module.
func refusal(m Module, said string) (problem error, everyone bool) {
	name, line := m.Path+"@"+m.Version, lastLine(said)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("checksum mismatch", "SECURITY ERROR"):
		return fmt.Errorf("module %s does not match the Go checksum database: do not trust this download, clear it with go clean -modcache and check the module proxy (%s)", name, line), false
	case has("dial tcp", "no such host", "connection refused", "i/o timeout", "network is unreachable", "TLS handshake timeout", "module lookup disabled"):
		return fmt.Errorf("module %s cannot be downloaded because the module proxy is not reachable: check the network or GOPROXY and try again (%s)", name, line), true
	case has("403", "404", "410", "unknown revision", "not found"):
		return fmt.Errorf("module %s is refused by the module proxy: set GOPROXY to one that has it (%s)", name, line), false
	}
	return fmt.Errorf("module %s cannot be downloaded: %s", name, line), false
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
