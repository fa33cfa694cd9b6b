package git

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Remote is a repository and who may read and write it.
type Remote struct {
	URL, Username, Password string
	// Authority signed the certificate of its server, in PEM form; empty means one
	// that this machine trusts.
	Authority string
}

// Author of commits.
type Author struct{ Name, Email string }

// Checkout is a clone of main.
type Checkout struct {
	// Dir is its folder.
	Dir      string
	settings []string
}

// Clone clones main of a repository into the folder clone of dir. The password is
// in a file beside it that only this user can read, which git's credential helper
// is told of: never in an argument, a URL or the clone's configuration.
func Clone(ctx context.Context, r Remote, a Author, dir string) (*Checkout, error) {
	credentials, err := r.keep(dir)
	if err != nil {
		return nil, err
	}
	c := &Checkout{Dir: filepath.Join(dir, "clone"), settings: append(credentials, "-c", "user.name="+a.Name, "-c", "user.email="+a.Email)}
	_, err = Run(ctx, dir, slices.Concat(c.settings, []string{"clone", "--quiet", "--branch", "main", r.URL, c.Dir})...)
	return c, err
}

// Contents writes everything that a repository holds, of every branch, tag and pull
// request, to w: a line about each object, then the object. It clones into dir, in
// the way Clone does.
func Contents(ctx context.Context, r Remote, dir string, w io.Writer) error {
	credentials, err := r.keep(dir)
	if err != nil {
		return err
	}
	clone := filepath.Join(dir, "clone")
	if _, err := Run(ctx, dir, slices.Concat(credentials, []string{"clone", "--quiet", "--mirror", r.URL, clone})...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return stream(ctx, clone, own(), nil, w, []string{"cat-file", "--batch-all-objects", "--batch"})
}

// keep writes the credentials and the authority into files in dir and returns git's settings for them.
func (r Remote) keep(dir string) ([]string, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("clone %q: it is not a URL", r.URL)
	}
	file := filepath.Join(dir, "credentials")
	line := (&url.URL{Scheme: u.Scheme, User: url.UserPassword(r.Username, r.Password), Host: u.Host}).String() + "\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		return nil, fmt.Errorf("clone %s: keep the credentials: %w", r.URL, err)
	}
	// The first ends the list of helpers that the system may have.
	settings := []string{"-c", "credential.helper=", "-c", "credential.helper=store --file=" + quoted(file)}
	if r.Authority != "" {
		file := filepath.Join(dir, "authority")
		if err := os.WriteFile(file, []byte(r.Authority), 0o600); err != nil {
			return nil, fmt.Errorf("clone %s: keep the authority: %w", r.URL, err)
		}
		settings = append(settings, "-c", "http.sslCAInfo="+file)
	}
	return settings, nil
}

// quoted is text as one word of the shell, which runs credential helpers.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Git runs git in the checkout and returns its output.
func (c *Checkout) Git(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, c.Dir, slices.Concat(c.settings, args)...)
}

// Commit commits everything that changed.
func (c *Checkout) Commit(ctx context.Context, message string) error {
	if _, err := c.Git(ctx, "add", "--all"); err != nil {
		return err
	}
	_, err := c.Git(ctx, "commit", "--quiet", "--message", message)
	return err
}

// Proposal is what a push for review says.
type Proposal struct {
	// Topic tells the proposals of an account apart.
	Topic string
	// Title and Text of the pull request that is made of it.
	Title, Text string
}

// Propose pushes for review, to main: the forge makes a pull request of it, or changes
// the one that it has of the topic.
func (c *Checkout) Propose(ctx context.Context, p Proposal) error {
	_, err := c.Git(ctx, "push", "--quiet",
		"--push-option=topic="+p.Topic, "--push-option=title="+p.Title,
		// An option has one line.
		"--push-option=description={base64}"+base64.StdEncoding.EncodeToString([]byte(p.Text)),
		"--push-option=force-push=true",
		"origin", "HEAD:refs/for/main")
	return err
}

// Push pushes main. It returns when the push has ended.
func (c *Checkout) Push(ctx context.Context) error {
	_, err := c.Git(ctx, "push", "--quiet", "origin", "HEAD:main")
	return err
}
