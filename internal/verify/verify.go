// Package verify proves a platform: every question that its definitions (layers,
// policies, tenants) give reason for is asked of what runs, not read in what should.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// Whole is how long a run may take.
const Whole = 30 * time.Second

// label is on every object that a run makes for a moment, with the run's ID.
const label = "neuroscale.dev/verify"

// Platform is what there should be, and the ways to ask it.
type Platform struct {
	Config  *config.Config
	Outputs *stacks.Outputs
	// Parts have the layers.
	Parts    []stacks.Part
	Policies []*policy.Policy
	// Status is what `status` goes by.
	Status  status.Platform
	Cluster *kube.Cluster
	HTTP    *http.Client
	// Drift says, a sentence each, what others did to what the program applied.
	Drift func(context.Context) ([]string, error)
	// PythonImage has Python; pods that ask something from inside the cluster are of
	// it.
	PythonImage string
	// GitHub is the URL of GitHub's API; empty means that of github.com.
	GitHub string
	// Run tells the objects of this run from those of others.
	Run string
}

// Group of checks, after the milestones of the platform that this one follows.
type Group struct {
	Letter, Title string
	checks        func(*Platform) []check.Check
}

// Groups in their order. A part of the platform adds its checks to one of them; its
// layers are asked about by those that go through all layers.
var Groups = []Group{
	{"A", "GitOps", (*Platform).gitops},
	{"B", "Serving", (*Platform).serving},
	{"C", "Golden path", (*Platform).goldenPath},
	{"D", "Guardrails", (*Platform).guardrails},
	{"E", "Cost", (*Platform).cost},
	{"F", "Hardening", (*Platform).hardening},
}

// Checks of the platform, in the groups' order.
func (p *Platform) Checks() []check.Check {
	var all []check.Check
	for _, g := range Groups {
		all = append(all, g.checks(p)...)
	}
	return all
}

// layers of all parts, in their order.
func (p *Platform) layers() layer.List { return stacks.AllLayers(p.Parts) }

// part is the layers of one.
func (p *Platform) part(name string) layer.List { return stacks.LayersOf(p.Parts, name) }

// every asks about each of a list, at the same time, and joins what is wrong in the
// list's order.
func every[T any](list []T, ask func(T) error) error {
	errs := make([]error, len(list))
	done := make(chan struct{})
	places := make(chan struct{}, 8)
	for i, each := range list {
		go func() {
			places <- struct{}{}
			defer func() { <-places; done <- struct{}{} }()
			errs[i] = ask(each)
		}()
	}
	for range list {
		<-done
	}
	return errors.Join(errs...)
}

func count(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
