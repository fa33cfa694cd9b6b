package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// sizes are how many endpoints more than before the platform has when it is measured.
var sizes = []int{1, 10, 50}

const (
	// growthPatience is how long it may take to grow to all sizes.
	growthPatience = 20 * time.Minute
	// shrinkPatience is how long it may take to remove all again.
	shrinkPatience = 5 * time.Minute
	// wellPatience is how long after a wave verify may find something amiss: what just
	// began costs nothing yet, and is not in every list.
	wellPatience = 2 * time.Minute
)

// growth has a member ask for more and more endpoints that scale to zero, those of each
// size by one pull request, and measures the platform when nothing runs of them any
// more. Everything it makes is gone afterwards.
func growth(ctx context.Context, p *Platform) (_ Samples, note string, err error) {
	lasting := context.WithoutCancel(ctx)
	g, err := people(lasting, p)
	if err != nil {
		return nil, "", err
	}
	g.patience = shrinkPatience
	for i := range sizes[len(sizes)-1] {
		g.names = append(g.names, fmt.Sprintf("bench-many-%d", i+1))
	}
	waves := wavesOf(g.names)
	for _, wave := range waves {
		g.titles = append(g.titles, wave.title())
	}
	// What one that was killed has left.
	if err := g.tidy(lasting); err != nil {
		return nil, "", err
	}
	self, back, err := p.Roomy(ctx, len(g.names))
	if err != nil {
		return nil, "", err
	}
	defer func() {
		removed, e := timed(func() error { return g.tidy(lasting) })
		if e != nil {
			err = errors.Join(err, &leftError{e})
		} else if note != "" {
			note += fmt.Sprintf("; all removed within %.0f s", removed)
		}
		if e := back(lasting); e != nil {
			err = errors.Join(err, &leftError{fmt.Errorf("the wider quota of the first tenant: run `neuroscale up`: %w", e)})
		}
	}()
	before, _, err := memory(ctx, p)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, growthPatience)
	defer cancel()
	for _, wave := range waves {
		if err := g.grow(ctx, wave, self); err != nil {
			return g.samples, "", fmt.Errorf("%s: %w", wave.title(), err)
		}
	}
	return g.samples, fmt.Sprintf("copies of %s, asked for by one pull request each time; RSS before: %.3g GB; first to last: %s", scalableEndpoint, before[0], strings.Join(append([]string{shown(g.samples)}, g.remarks...), "; ")), nil
}

// shown are samples in the order in which they were taken.
func shown(samples Samples) string {
	var parts []string
	for _, t := range Targets {
		var values []string
		for _, v := range samples[t.Name] {
			values = append(values, fmt.Sprintf("%.3g", v))
		}
		if len(values) > 0 {
			parts = append(parts, t.Name+" "+strings.Join(values, ", ")+" "+t.Unit)
		}
	}
	return strings.Join(parts, "; ")
}

// wave is what is merged at once, by the endpoints' names.
type wave []string

// wavesOf are those that make each of sizes out of the one before.
func wavesOf(names []string) []wave {
	var all []wave
	from := 0
	for _, size := range sizes {
		all, from = append(all, names[from:size]), size
	}
	return all
}

func (w wave) title() string {
	if len(w) == 1 {
		return "Add " + w[0]
	}
	return "Add " + w[0] + " to " + w[len(w)-1]
}

// grow merges a wave, waits until nothing runs of it, and measures.
func (g *golden) grow(ctx context.Context, w wave, self func(context.Context, ...string) ([]byte, error)) error {
	number, err := g.propose(ctx, w)
	if err != nil {
		return err
	}
	g.pulls = append(g.pulls, number)
	if err := g.awaitStatus(ctx, number); err != nil {
		return err
	}
	merged := time.Now()
	if err := g.merge(ctx, number); err != nil {
		return err
	}
	take := func(target string, err error) error {
		if err == nil {
			g.samples[target] = append(g.samples[target], time.Since(merged).Seconds())
		}
		return err
	}
	err = take("growth-seen", g.await(ctx, w, kube.Applications, argocd.Namespace, func(*unstructured.Unstructured) string { return "" }))
	if err != nil {
		return err
	}
	if err := take("growth-ready", g.await(ctx, w, kube.InferenceServices, g.Namespace, kube.NotReady)); err != nil {
		return err
	}
	if err := g.awaitZero(ctx); err != nil {
		return err
	}
	took, err := g.verify(ctx, len(w), self)
	if err != nil {
		return err
	}
	g.samples["growth-verify"] = append(g.samples["growth-verify"], took)
	took, err = timed(func() error { _, err := self(ctx, "status", "-o", "json"); return err })
	if err != nil {
		return err
	}
	g.samples["growth-status"] = append(g.samples["growth-status"], took)
	rss, _, err := memory(ctx, g.Platform)
	g.samples["growth-memory"] = append(g.samples["growth-memory"], rss...)
	return err
}

// verify asks until all is well and returns the seconds of the time it was. What was
// amiss before, and which check took longest, is noted.
func (g *golden) verify(ctx context.Context, more int, self func(context.Context, ...string) ([]byte, error)) (seconds float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, wellPatience)
	defer cancel()
	for {
		var said []byte
		seconds, err = timed(func() (err error) { said, err = self(ctx, "verify", "-o", "json"); return err })
		var report check.Report
		if e := json.Unmarshal(said, &report); e != nil {
			return 0, errors.Join(err, fmt.Errorf("read what verify said: %w", e))
		}
		if err == nil {
			if len(report.Checks) > 0 {
				slow := slices.MaxFunc(report.Checks, func(a, b check.Result) int { return cmp.Compare(a.Seconds, b.Seconds) })
				g.remarks = append(g.remarks, fmt.Sprintf("after %d more the longest check was %s with %.3g s", more, slow.ID, slow.Seconds))
			}
			return seconds, nil
		}
		var amiss []string
		for _, id := range report.Failures() {
			r, _ := report.Get(id)
			amiss = append(amiss, id+": "+r.Evidence)
		}
		if len(amiss) == 0 {
			return 0, err
		}
		err = fmt.Errorf("%w: %s", err, strings.Join(amiss, "; "))
		g.remarks = append(g.remarks, fmt.Sprintf("after %d more verify was asked again, after %.3g s, because of %s", more, seconds, strings.Join(amiss, "; ")))
		if ctx.Err() != nil {
			return 0, err
		}
	}
}

// propose opens a pull request with the folders of a wave, as the member.
func (g *golden) propose(ctx context.Context, w wave) (number int64, err error) {
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return 0, fmt.Errorf("create a folder for the clone: %w", err)
	}
	defer os.RemoveAll(dir)
	remote := g.Repository
	remote.Username, remote.Password = g.Member.Name, g.Member.Password
	checkout, err := git.Clone(ctx, remote, author, dir)
	if err != nil {
		return 0, err
	}
	for _, name := range w {
		if err := writeScalable(filepath.Join(checkout.Dir, "apps", name), name); err != nil {
			return 0, err
		}
	}
	if err := checkout.Commit(ctx, w.title()); err != nil {
		return 0, err
	}
	if err := checkout.Propose(ctx, git.Proposal{Topic: "bench/" + w[0], Title: w.title()}); err != nil {
		return 0, err
	}
	commit, err := checkout.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return 0, err
	}
	open, _, err := g.member.ListRepoPullRequests(g.organization, g.repository, gitea.ListPullRequestsOptions{State: gitea.StateOpen, Sort: "recentupdate"})
	if err != nil {
		return 0, fmt.Errorf("list the pull requests: %w", err)
	}
	for _, each := range open {
		if each.Head != nil && each.Head.Sha == commit {
			return each.Index, nil
		}
	}
	return 0, fmt.Errorf("the forge made no pull request of %q", w.title())
}

// writeScalable writes a copy of the example that scales to zero into a folder.
func writeScalable(folder, name string) error {
	file := path.Join("apps", scalableFolder, "inference-service.yaml")
	raw, err := fs.ReadFile(gitops.FS, file)
	if err != nil {
		return fmt.Errorf("read the example: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make endpoint %s: %w", name, err)
	}
	raw = bytes.ReplaceAll(raw, []byte(scalableEndpoint), []byte(name))
	if err := os.WriteFile(filepath.Join(folder, path.Base(file)), raw, 0o644); err != nil {
		return fmt.Errorf("make endpoint %s: %w", name, err)
	}
	return nil
}

// await waits until nothing is missing of any of the objects that are named as the
// endpoints of a wave.
func (g *golden) await(ctx context.Context, w wave, r schema.GroupVersionResource, namespace string, missing func(*unstructured.Unstructured) string) error {
	return predict.Poll(ctx, 250*time.Millisecond, func(ctx context.Context) error {
		list, err := g.Dynamic.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list the %s: %w", r.Resource, err)
		}
		well := 0
		last := "it is not there"
		for i := range list.Items {
			if o := &list.Items[i]; slices.Contains(w, o.GetName()) {
				if why := missing(o); why != "" {
					last = why
					continue
				}
				well++
			}
		}
		if well < len(w) {
			return fmt.Errorf("%d of %d %s are as they should be, of one: %s: %w", well, len(w), r.Resource, last, errStill)
		}
		return nil
	})
}

// awaitZero waits until nothing runs of any endpoint.
func (g *golden) awaitZero(ctx context.Context) error {
	const owner = "serving.kserve.io/inferenceservice"
	return predict.Poll(ctx, time.Second, func(ctx context.Context) error {
		list, err := g.Dynamic.Resource(kube.Pods).Namespace(g.Namespace).List(ctx, metav1.ListOptions{LabelSelector: owner})
		if err != nil {
			return fmt.Errorf("list the pods of the endpoints: %w", err)
		}
		pods := 0
		for _, pod := range list.Items {
			if slices.Contains(g.names, pod.GetLabels()[owner]) {
				pods++
			}
		}
		if pods > 0 {
			return fmt.Errorf("%d pods of the endpoints are still there: %w", pods, errStill)
		}
		return nil
	})
}
