package rig

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Clone is a working copy of a repository, as a person has it.
type Clone struct {
	Dir         string
	credentials string
}

// CloneRepository clones a repository below dir. User and password are kept in a
// file for git's credential helper, never in an argument or a URL.
func CloneRepository(ctx context.Context, repository, user, password, dir string) (*Clone, error) {
	u, err := url.Parse(repository)
	if err != nil {
		return nil, fmt.Errorf("repository %q is not a URL: %w", repository, err)
	}
	c := &Clone{Dir: filepath.Join(dir, "clone"), credentials: filepath.Join(dir, "credentials")}
	line := (&url.URL{Scheme: u.Scheme, User: url.UserPassword(user, password), Host: u.Host}).String() + "\n"
	if err := os.WriteFile(c.credentials, []byte(line), 0o600); err != nil {
		return nil, fmt.Errorf("keep the credentials: %w", err)
	}
	_, err = c.run(ctx, dir, "clone", "--quiet", "--branch", "main", repository, c.Dir)
	return c, err
}

// Git runs git in the clone and returns its trimmed output.
func (c *Clone) Git(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, c.Dir, args...)
}

// Publish commits everything that changed and pushes main. It returns when the
// push has ended.
func (c *Clone) Publish(ctx context.Context, message string) error {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", message}, {"push", "--quiet", "origin", "HEAD:main"}} {
		if _, err := c.Git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (c *Clone) run(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	settings := []string{
		"-c", "credential.helper=", "-c", "credential.helper=store --file=" + c.credentials,
		"-c", "http.proxy=", "-c", "user.name=A Data Scientist", "-c", "user.email=scientist@example.com",
	}
	r, err := Command{
		Path: "git", Args: append(settings, args...), Dir: dir,
		Env: append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0"),
	}.Run(ctx)
	if err != nil {
		return "", err
	}
	if r.Code != 0 {
		return "", fmt.Errorf("git %s: exit %d: %s", strings.Join(args, " "), r.Code, strings.TrimSpace(r.Stderr))
	}
	return strings.TrimSpace(r.Stdout), nil
}
