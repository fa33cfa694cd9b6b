package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
	"github.com/neuroscale-platform/neuroscale/tests/rig/outputs"
)

const stack = "ci"

// theSuite is what all tests act on; nil when they were not asked for.
var theSuite *suite

// suite is one sealed node with one stack on it, and the files to drive them.
type suite struct {
	node, victim rig.Instance
	sealed       string
	neuroscale   string
	checkout     string

	// Filled by the steps that make them.
	env     []string
	cluster *rig.Cluster
	project rig.Project
	host    rig.HostSnapshot
	empty   rig.Inventory
	outputs *stacks.Outputs
	backup  keepsake
}

func newSuite() (*suite, error) {
	checkout, err := rig.Checkout()
	if err != nil {
		return nil, err
	}
	s := &suite{
		checkout:   checkout,
		sealed:     filepath.Join(checkout, "bin", "sealed"),
		neuroscale: filepath.Join(checkout, "bin", "neuroscale"),
	}
	for _, binary := range []string{s.sealed, s.neuroscale} {
		if _, err := os.Stat(binary); err != nil {
			return nil, fmt.Errorf("%s is not built: run make", binary)
		}
	}
	s.node = rig.Instance{Name: platformInstance, Sealed: s.sealed}
	s.victim = rig.Instance{Name: killedInstance, Sealed: s.sealed}
	return s, nil
}

// begin gives a test the suite, or skips it when nobody asked for it.
func begin(t *testing.T) *suite {
	t.Helper()
	if theSuite == nil {
		t.Skipf("set %s=1 to run the end-to-end tests", wanted)
	}
	return theSuite
}

// within is a context for one step.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// run and succeed are what most steps do with a command.
var run, succeed = rig.Logged, rig.Succeed

// command is a call of neuroscale for the suite's stack and project.
func (s *suite) command(verb string, more ...string) rig.Command {
	args := append([]string{verb, "-C", s.project.Dir, "-s", stack}, more...)
	return rig.Command{Path: s.neuroscale, Args: args, Env: s.env, Dir: s.project.Dir}
}

// with replaces variables of a command's environment.
func with(c rig.Command, variables ...string) rig.Command {
	c.Env = append(append([]string{}, c.Env...), variables...)
	return c
}

// pulumi is a call of Pulumi's own command line, by hand in the project.
func (s *suite) pulumi(args ...string) rig.Command {
	return rig.Command{Path: s.tool("pulumi"), Args: append(args, "--non-interactive"), Env: s.env, Dir: s.project.Dir}
}

// readOutputs decodes the stack's outputs; an unknown or missing one fails.
func (s *suite) readOutputs(ctx context.Context, t *testing.T) *stacks.Outputs {
	t.Helper()
	return outputs.Of(ctx, t, s.env, s.project.Dir, stack)
}

// resources are digests of the resources in the stack's state by their URN. They
// leave out what differs without a change: the order of dependencies and, by
// decrypting it, what a secret is encrypted to. Of an object in the cluster they have
// what the program asks for: the rest is the cluster's, and read anew each time.
func (s *suite) resources(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	r, err := s.pulumi("stack", "export", "--show-secrets", "--stack", stack).Run(ctx)
	require.NoError(t, err)
	require.Zero(t, r.Code, "pulumi stack export: %s", r.Stderr)
	var state struct {
		Deployment struct {
			Resources []struct {
				URN     string         `json:"urn"`
				ID      string         `json:"id"`
				Inputs  map[string]any `json:"inputs"`
				Outputs map[string]any `json:"outputs"`
			} `json:"resources"`
		} `json:"deployment"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &state))
	digests := map[string]string{}
	for _, resource := range state.Deployment.Resources {
		if strings.Contains(resource.URN, "$kubernetes:") {
			resource.Outputs = nil
		}
		text, err := json.Marshal(resource)
		require.NoError(t, err)
		digests[resource.URN] = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	require.Len(t, digests, len(state.Deployment.Resources), "a resource is there twice")
	return digests
}

// diagnoseOnFailure writes what the cluster says into the log of a failed test.
func (s *suite) diagnoseOnFailure(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() && s.cluster != nil {
			t.Logf("the cluster at the time of the failure:\n%s", s.cluster.Diagnose(context.WithoutCancel(t.Context())))
		}
	})
}
