package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// push adds an endpoint the way people do, by a push to main, and waits for its
// first prediction; then it removes the folder and waits until all is gone.
func push(ctx context.Context, p *Platform) ([]float64, string, error) {
	repo, err := clone(ctx, p)
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(repo.dir)
	run := 0
	samples, _, err := repeat(3, func() (float64, error) {
		run++
		name := fmt.Sprintf("bench-iris-%d", run)
		took, err := repo.addEndpoint(ctx, p, name)
		return took, errors.Join(err, repo.removeEndpoint(ctx, p, name))
	})
	return samples, "from the start of `git push`", err
}

func (r *repository) addEndpoint(ctx context.Context, p *Platform, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := r.copyFolder(warmEndpoint, name); err != nil {
		return 0, err
	}
	if err := r.commit(ctx, "Add endpoint "+name); err != nil {
		return 0, err
	}
	host := predict.Host(name, p.Namespace, p.Domain)
	return timed(func() error {
		if err := r.git(ctx, "push", "-q", "origin", "HEAD:main"); err != nil {
			return err
		}
		return predict.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			_, err := predict.Do(ctx, p.HTTP, p.request(name, host))
			return err
		})
	})
}

func (r *repository) removeEndpoint(ctx context.Context, p *Platform, name string) error {
	// Also after ctrl-C: nothing may stay behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	folder := filepath.Join(r.dir, "repo", "apps", name)
	if _, err := os.Stat(folder); err != nil {
		return nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove endpoint %s: %w", name, err)
	}
	if err := r.commit(ctx, "Remove endpoint "+name); err != nil {
		return err
	}
	if err := r.git(ctx, "push", "-q", "origin", "HEAD:main"); err != nil {
		return err
	}
	return p.gone(ctx, name)
}

// repository is a clone of the endpoints repository in a temporary folder.
type repository struct{ dir string }

// clone gives git the forge's credentials in a file only this user can read, so
// that they are in no argument and no configuration.
func clone(ctx context.Context, p *Platform) (*repository, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errors.New("git is not in PATH: install it to measure pushes")
	}
	u, err := url.Parse(p.Repository)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the stack's output repository %q is not a URL", p.Repository)
	}
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for the clone: %w", err)
	}
	r := &repository{dir: dir}
	credentials := url.URL{Scheme: u.Scheme, Host: u.Host, User: url.UserPassword(p.ForgeUser, p.ForgePassword)}
	if err := os.WriteFile(filepath.Join(dir, "credentials"), []byte(credentials.String()+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the credentials file: %w", err), os.RemoveAll(dir))
	}
	if err := r.run(ctx, dir, "clone", "-q", "--branch", "main", p.Repository, "repo"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return r, nil
}

func (r *repository) copyFolder(from, to string) error {
	source, target := filepath.Join(r.dir, "repo", "apps", from), filepath.Join(r.dir, "repo", "apps", to)
	entries, err := os.ReadDir(source)
	if err != nil {
		return fmt.Errorf("the endpoints repository has no folder apps/%s to copy: %w", from, err)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make endpoint %s: %w", to, err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(source, e.Name()))
		if err != nil {
			return fmt.Errorf("make endpoint %s: %w", to, err)
		}
		raw = bytes.ReplaceAll(raw, []byte(from), []byte(to))
		if err := os.WriteFile(filepath.Join(target, e.Name()), raw, 0o644); err != nil {
			return fmt.Errorf("make endpoint %s: %w", to, err)
		}
	}
	return nil
}

func (r *repository) commit(ctx context.Context, message string) error {
	if err := r.git(ctx, "add", "--all"); err != nil {
		return err
	}
	return r.git(ctx, "-c", "user.name=neuroscale bench", "-c", "user.email=bench@neuroscale.test", "commit", "-q", "-m", message)
}

func (r *repository) git(ctx context.Context, args ...string) error {
	return r.run(ctx, filepath.Join(r.dir, "repo"), args...)
}

func (r *repository) run(ctx context.Context, dir string, args ...string) error {
	helper := "credential.helper=store --file=" + filepath.Join(r.dir, "credentials")
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "credential.helper=", "-c", helper}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"no_proxy=*", "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
