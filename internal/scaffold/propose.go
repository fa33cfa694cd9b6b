package scaffold

import (
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
const maxAnswer = 8 << 20

// Proposal is an endpoint that a tenant's members are asked to merge.
type Proposal struct {
	Name  string
	Files Files
	// Text of the pull request, beside its title.
	Text string
	// Merge has the forge merge it as soon as everything that main demands is there.
	Merge bool
}

// topic is what tells a person's proposals apart.
func (p Proposal) topic() string { return "endpoint/" + p.Name }

func (p Proposal) title() string { return "Add " + p.Name }

// Propose pushes the endpoint's folder for review, as the account in remote, which
// needs no right to write, and returns the URL of the pull request that the forge
// makes of it. To propose again what is still open changes that pull request.
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
	if _, err := p.Files.Write(clone.Dir, p.Name); err != nil {
		return "", errors.New(strings.ReplaceAll(err.Error(), clone.Dir, remote.URL))
	}
	if err := clone.Commit(ctx, p.title()); err != nil {
		return "", err
	}
	if err := clone.Propose(ctx, git.Proposal{Topic: p.topic(), Title: p.title(), Text: p.Text}); err != nil {
		return "", err
	}
	commit, err := clone.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	found, err := find(ctx, client, pulls, remote, commit)
	if err != nil || !p.Merge {
		return found.Page, err
	}
	return found.Page, found.mergeWhenPassed(ctx, client, pulls, remote)
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

// perPage is how many pull requests the forge is asked for at once.
const perPage = 50

// find looks for the pull request of a commit among those that are open, newest first.
func find(ctx context.Context, client *http.Client, pulls string, by git.Remote, commit string) (pull, error) {
	for page := 1; ; page++ {
		list, err := openPulls(ctx, client, fmt.Sprintf("%s?state=open&limit=%d&page=%d", pulls, perPage, page), by)
		if err != nil {
			return pull{}, fmt.Errorf("find the pull request: %w", err)
		}
		for _, each := range list {
			if each.Head.Commit != commit {
				continue
			}
			if u, err := url.Parse(each.Page); err != nil || u.Host == "" {
				return pull{}, errors.New("find the pull request: the forge has it, but says no URL of it")
			}
			return each, nil
		}
		if len(list) < perPage {
			return pull{}, errors.New("find the pull request: the forge took what was pushed for review and has no pull request of it")
		}
	}
}

// pull is what the forge says of a pull request.
type pull struct {
	Number int64  `json:"number"`
	Page   string `json:"html_url"`
	Head   struct {
		Commit string `json:"sha"`
	} `json:"head"`
}

// patience is how long the forge may take to find out whether there are conflicts.
const patience = 30 * time.Second

// mergeWhenPassed has the forge merge the pull request when it may be. The error says
// that it is open and why it is not merged.
func (p pull) mergeWhenPassed(ctx context.Context, client *http.Client, pulls string, by git.Remote) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		code, said, err := request(ctx, client, http.MethodPost, fmt.Sprintf("%s/%d/merge", pulls, p.Number), by,
			`{"Do":"merge","merge_when_checks_succeed":true}`)
		switch {
		case err == nil && (code == http.StatusOK || code == http.StatusCreated || code == http.StatusConflict):
			return nil // merged, to be merged, to be merged already
		case err == nil && code == http.StatusMethodNotAllowed && said == tryAgain:
			select {
			case <-time.After(time.Second / 2):
				continue
			case <-ctx.Done():
			}
		}
		if err == nil {
			err = fmt.Errorf("the forge answers %d to %s: %s", code, by.Username, oneLine(said))
		}
		return fmt.Errorf("the pull request %s is open, but will not be merged by itself: %w", p.Page, err)
	}
}

// tryAgain is what Gitea says as long as it looks for conflicts.
const tryAgain = "Please try again later"

func openPulls(ctx context.Context, client *http.Client, at string, by git.Remote) ([]pull, error) {
	code, text, err := request(ctx, client, http.MethodGet, at, by, "")
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("the forge answers %d %s to %s: %s", code, http.StatusText(code), by.Username, oneLine(text))
	}
	var list []pull
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, errors.New("the forge's answer is no list of pull requests")
	}
	return list, nil
}

// request is one of the forge's API, and what it says: of a refusal its message.
func request(ctx context.Context, client *http.Client, method, at string, by git.Remote, body string) (code int, said string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.SetBasicAuth(by.Username, by.Password)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, "", fmt.Errorf("read the forge's answer: %w", err)
	}
	if response.StatusCode >= 300 {
		var refusal struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &refusal)
		return response.StatusCode, refusal.Message, nil
	}
	return response.StatusCode, string(text), nil
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "it does not say why"
	}
	return text
}
