package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/git"
)

// maxAnswer bounds what is read of the forge's answer, in bytes.
const maxAnswer = 1 << 20

// Proposal is an endpoint that a tenant's members are asked to merge.
type Proposal struct {
	Name  string
	Files Files
	// Text of the pull request, beside its title.
	Text string
}

// branch is where a proposal is pushed to.
func (p Proposal) branch() string { return "endpoint/" + p.Name }

func (p Proposal) title() string { return "Add " + p.Name }

// Propose pushes a branch with the endpoint's folder to the repository, as the
// account in remote, opens a pull request for it and returns its URL. What did not
// become one leaves no branch.
func Propose(ctx context.Context, client *http.Client, remote git.Remote, p Proposal) (string, error) {
	pulls, err := pullsOf(remote.URL)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "neuroscale-new-")
	if err != nil {
		return "", fmt.Errorf("make a folder to clone into: %w", err)
	}
	defer os.RemoveAll(dir)
	clone, err := git.Clone(ctx, remote, git.Author{Name: remote.Username, Email: remote.Username + "@forge.invalid"}, dir)
	if err != nil {
		return "", err
	}
	if there, err := clone.Git(ctx, "ls-remote", "--heads", "origin", "refs/heads/"+p.branch()); err != nil {
		return "", err
	} else if there != "" {
		return "", fmt.Errorf("%s has a branch %s already: merge or close its pull request and delete the branch, or write another NAME", remote.URL, p.branch())
	}
	if _, err := p.Files.Write(clone.Dir, p.Name); err != nil {
		return "", errors.New(strings.ReplaceAll(err.Error(), clone.Dir, remote.URL))
	}
	if err := clone.Commit(ctx, p.title()); err != nil {
		return "", err
	}
	if _, err := clone.Git(ctx, "push", "--quiet", "origin", "HEAD:refs/heads/"+p.branch()); err != nil {
		return "", err
	}
	page, err := p.open(ctx, client, pulls, remote)
	if err == nil {
		return page, nil
	}
	// Also when the reason is that ctx has ended.
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if _, left := clone.Git(tidy, "push", "--quiet", "origin", ":refs/heads/"+p.branch()); left != nil {
		err = fmt.Errorf("%w; the branch %s is still there: delete it", err, p.branch())
	}
	return "", err
}

// pullsOf is where Gitea's API takes pull requests for a repository, which is
// cloned from FORGE/OWNER/NAME.git.
func pullsOf(repository string) (string, error) {
	u, err := url.Parse(repository)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the repository %q has no URL of a forge", repository)
	}
	parts := strings.Split(strings.TrimSuffix(u.Path, ".git"), "/")
	if len(parts) < 3 {
		return "", fmt.Errorf("the repository %q has no URL of a forge: it does not end in /OWNER/NAME.git", repository)
	}
	before, at := parts[:len(parts)-2], parts[len(parts)-2:]
	return u.Scheme + "://" + u.Host + strings.Join(before, "/") + "/api/v1/repos/" + strings.Join(at, "/") + "/pulls", nil
}

// open opens the pull request and returns the URL of its page.
func (p Proposal) open(ctx context.Context, client *http.Client, pulls string, by git.Remote) (string, error) {
	body, err := json.Marshal(map[string]string{"title": p.title(), "head": p.branch(), "base": "main", "body": p.Text})
	if err != nil {
		return "", fmt.Errorf("open a pull request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, pulls, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("open a pull request: %w", err)
	}
	request.SetBasicAuth(by.Username, by.Password)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("open a pull request: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("open a pull request: read the forge's answer: %w", err)
	}
	var answer struct {
		Page    string `json:"html_url"`
		Message string `json:"message"`
	}
	wrong := json.Unmarshal(text, &answer)
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("open a pull request: the forge answers %s to %s: %s", response.Status, by.Username, oneLine(answer.Message))
	}
	if u, err := url.Parse(answer.Page); wrong != nil || err != nil || u.Host == "" {
		return "", errors.New("open a pull request: the forge opened one, but its answer has no URL of it")
	}
	return answer.Page, nil
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "it does not say why"
	}
	return text
}
