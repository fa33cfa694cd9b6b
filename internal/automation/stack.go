package automation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optremove"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

// parallel is how many steps the engine runs at once. Most of them only wait
// for the cluster, so the engine's default (by the number of cores) is too low.
const parallel = 48

// Options say which stack to work on and with which program.
type Options struct {
	// Project is the checkout's.
	Project *Project
	// Stack is a name for which the project has settings.
	Stack string
	// Program is run by the engine for Up and Preview.
	Program pulumi.RunFunc
	// Abandoned, if not nil, is told the type of each resource that a killed run had
	// begun to make, and its inputs: what cannot be made over it has to go.
	Abandoned func(ctx context.Context, token string, inputs map[string]any) error
	// Renewed, if not nil, are secret settings of providers as they are now, by package and
	// name. The state has those of the last Up, and only an Up that went that far changes
	// them there.
	Renewed func(ctx context.Context) map[string]map[string]string
	// Log gets what was repaired and what is being waited for.
	Log *slog.Logger
	// Getenv is os.Getenv but for tests.
	Getenv func(string) string
}

// Stack is one stack of the project, ready for operations.
type Stack struct {
	Options
	home   Home
	pulumi *command
}

// Observer sees every event of the engine, in order, from one goroutine.
type Observer func(apitype.EngineEvent)

// Changes counts the resources of an operation by what is done to them (create,
// update, same, ...). Components and providers, which the engine counts too, are
// nothing people would find in their cluster.
type Changes map[string]int

// Resources is how many there are when it is done.
func (c Changes) Resources() int {
	n := 0
	for op, of := range c {
		if op != "delete" {
			n += of
		}
	}
	return n
}

// Any is whether anything but "same" and reads happened.
func (c Changes) Any() bool {
	for op, n := range c {
		if n > 0 && op != "same" && op != "read" && op != "refresh" {
			return true
		}
	}
	return false
}

// Result of an operation that succeeded.
type Result struct {
	Changes Changes
	// Changed is whether anything at all was, a component or a provider too.
	Changed bool
	// Drift is what others had deleted or changed; Up puts it back.
	Drift []Drift
	// Outputs are the stack's, secrets in plain text; nil after Destroy and Preview.
	Outputs auto.OutputMap
	// Seconds is the wall time.
	Seconds float64
}

// Open checks the stack's name and finds pulumi and the state's home. It writes
// nothing.
func Open(ctx context.Context, o Options) (*Stack, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if _, err := o.Project.StackFile(o.Stack); err != nil {
		return nil, err
	}
	home, err := LocateHome(o.Getenv)
	if err != nil {
		return nil, err
	}
	p, err := findPulumi(ctx)
	if err != nil {
		return nil, err
	}
	return &Stack{Options: o, home: home, pulumi: p}, nil
}

// Exists is whether there is state to show or destroy. Backends other than
// file:// are taken to have it.
func (s *Stack) Exists() bool { return s.home.HasState(s.Project.Name, s.Options.Stack) }

// Resource is one of the state's.
type Resource struct {
	URN    string `json:"urn"`
	Parent string `json:"parent"`
	Custom bool   `json:"custom"`
}

// Known lists the custom resources of the state in a file backend; any other
// backend, or a state that cannot be read, has none to tell.
func (s *Stack) Known() []Resource {
	raw, err := s.home.checkpoint(s.Project.Name, s.Options.Stack)
	if err != nil {
		return nil
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				Resources []Resource `json:"resources"`
			} `json:"latest"`
		} `json:"checkpoint"`
	}
	if json.Unmarshal(raw, &state) != nil {
		return nil
	}
	return slices.DeleteFunc(state.Checkpoint.Latest.Resources, func(r Resource) bool { return !r.Custom })
}

// Setting is a value of the stack's configuration, a secret in plain text; empty if there
// is none.
func (s *Stack) Setting(ctx context.Context, key string) string {
	value, err := s.run(ctx, nil, "config", "get", key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(value)
}

func (s *Stack) neverUp() error {
	return fmt.Errorf("stack %s has no state in %s: run `neuroscale up -s %s` first",
		s.Options.Stack, s.home.BackendURL, s.Options.Stack)
}

// prepare stages the settings and opens (or creates) the stack in the backend.
func (s *Stack) prepare(ctx context.Context) (auto.Stack, error) {
	if err := s.home.Create(); err != nil {
		return auto.Stack{}, err
	}
	if err := s.dropCutAttributes(); err != nil {
		return auto.Stack{}, err
	}
	dir, err := s.home.Stage(s.Project, s.Options.Stack)
	if err != nil {
		return auto.Stack{}, err
	}
	pulumi := *s.pulumi
	pulumi.selected = s.home.StateDir != "" && s.Exists()
	stack, err := auto.UpsertStackLocalSource(ctx, s.Options.Stack, dir,
		auto.Pulumi(&pulumi), auto.Program(s.Program), auto.EnvVars(s.home.Env()))
	if err != nil {
		return auto.Stack{}, s.explain("open stack "+s.Options.Stack, err, nil)
	}
	return stack, nil
}

// UpOptions alter Up.
type UpOptions struct {
	// Replace are URNs of resources to make anew, with * for what is not known of one.
	Replace []string
}

// Up creates or updates everything, and puts back what others deleted or changed.
// What a killed run left behind is repaired
// first; a lock held by a live process is waited for, then an error.
func (s *Stack) Up(ctx context.Context, o UpOptions, observe Observer) (Result, error) {
	var drift []Drift
	known := s.Exists()
	result, err := s.change(ctx, "up", observe, func(stack auto.Stack, c chan events.EngineEvent) (auto.OutputMap, error) {
		if known {
			var err error
			if drift, err = s.refresh(ctx, stack, true); err != nil {
				return nil, err
			}
		}
		r, err := stack.Up(ctx, optup.Parallel(parallel), optup.Replace(o.Replace), optup.ShowSecrets(false), optup.SuppressOutputs(),
			optup.SuppressProgress(), optup.Color("never"), optup.EventStreams(c))
		return r.Outputs, err
	})
	result.Drift = drift
	return result, err
}

// definitions are outlines in the state: the whole of each is a layer's, which
// Argo CD keeps as it should be. To look at them makes the state four times as big.
const definitions = "**:CustomResourceDefinition::**"

// refresh looks at what is in the cluster: what is gone or changed is the drift,
// and with store the state knows, so that the next update puts it back.
func (s *Stack) refresh(ctx context.Context, stack auto.Stack, store bool) ([]Drift, error) {
	var drift []Drift
	err := s.renewing(ctx, func() error {
		drift = nil
		follow := newFollower(func(e apitype.EngineEvent) {
			if d := driftOf(e); d != nil {
				drift = append(drift, *d)
			}
		})
		options := []optrefresh.Option{optrefresh.Parallel(parallel), optrefresh.Exclude([]string{definitions}), optrefresh.ShowSecrets(false),
			optrefresh.SuppressOutputs(), optrefresh.SuppressProgress(), optrefresh.Color("never"), optrefresh.EventStreams(follow.events)}
		var err error
		if store {
			_, err = stack.Refresh(ctx, options...)
		} else {
			_, err = stack.PreviewRefresh(ctx, options...)
		}
		follow.wait()
		if err != nil {
			return s.explain("look at what is there", err, follow)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(drift, func(a, b Drift) int { return strings.Compare(a.String(), b.String()) })
	return drift, nil
}

// Drift is what others deleted or changed in the cluster since the stack last touched
// it. Nothing is stored. A lock that a killed run has left is released, one of a live
// process waited for.
func (s *Stack) Drift(ctx context.Context) ([]Drift, error) {
	if !s.Exists() {
		return nil, s.neverUp()
	}
	if err := s.releaseLocks(ctx); err != nil {
		return nil, err
	}
	stack, err := s.prepare(ctx)
	if err != nil {
		return nil, err
	}
	return s.refresh(ctx, stack, false)
}

// DestroyOptions alter Destroy.
type DestroyOptions struct {
	// Unreachable forgets the resources of a cluster that no longer answers.
	Unreachable bool
	// Remove also removes the stack with its history.
	Remove bool
}

// Destroy deletes everything the stack made.
func (s *Stack) Destroy(ctx context.Context, o DestroyOptions, observe Observer) (Result, error) {
	if !s.Exists() {
		return Result{}, s.neverUp()
	}
	return s.change(ctx, "destroy", observe, func(stack auto.Stack, c chan events.EngineEvent) (auto.OutputMap, error) {
		// To write the whole state after each resource takes longer than to delete
		// them. One that was cut short begins again: what is gone already is no error.
		stack.Workspace().SetEnvVar("PULUMI_SKIP_CHECKPOINTS", "true")
		if o.Unreachable {
			if err := s.allowUnreachable(ctx); err != nil {
				return nil, err
			}
			stack.Workspace().SetEnvVar("PULUMI_K8S_DELETE_UNREACHABLE", "true")
		}
		if err := s.renew(ctx); err != nil {
			return nil, err
		}
		_, err := stack.Destroy(ctx, optdestroy.Parallel(parallel), optdestroy.ShowSecrets(false), optdestroy.SuppressOutputs(),
			optdestroy.SuppressProgress(), optdestroy.Color("never"), optdestroy.EventStreams(c))
		if err == nil && o.Remove {
			err = stack.Workspace().RemoveStack(ctx, s.Options.Stack, optremove.Force())
		}
		return nil, err
	})
}

func (s *Stack) change(ctx context.Context, what string, observe Observer,
	run func(auto.Stack, chan events.EngineEvent) (auto.OutputMap, error),
) (Result, error) {
	start := time.Now()
	if err := s.releaseLocks(ctx); err != nil {
		return Result{}, err
	}
	stack, err := s.prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.clearPending(ctx); err != nil {
		return Result{}, err
	}
	follow := newFollower(observe)
	outputs, err := run(stack, follow.events)
	follow.wait()
	if err != nil {
		return Result{}, s.explain(what, err, follow)
	}
	result := follow.result(start)
	result.Outputs = outputs
	return result, nil
}

// PreviewOptions alter Preview.
type PreviewOptions struct {
	// Refresh looks at the cluster first, which has to answer: the result then has
	// the drift. Without it the state is taken for the cluster.
	Refresh bool
}

// Preview computes what Up would do. A stack that was never up is previewed
// against an empty state in a temporary folder, so nothing is left behind.
func (s *Stack) Preview(ctx context.Context, o PreviewOptions, observe Observer) (Result, error) {
	start := time.Now()
	if !s.Exists() {
		tmp, err := os.MkdirTemp("", "neuroscale-preview-")
		if err != nil {
			return Result{}, fmt.Errorf("create a folder for the preview: %w", err)
		}
		defer func() {
			if err := os.RemoveAll(tmp); err != nil {
				s.Log.Warn("the preview's folder stays", "folder", tmp, "error", err)
			}
		}()
		scratch := *s
		scratch.home = s.home.inside(tmp)
		s = &scratch
	}
	stack, err := s.prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	var drift []Drift
	if o.Refresh {
		if drift, err = s.refresh(ctx, stack, false); err != nil {
			return Result{}, err
		}
	}
	follow := newFollower(observe)
	_, err = stack.Preview(ctx, optpreview.Parallel(parallel), optpreview.SuppressOutputs(),
		optpreview.SuppressProgress(), optpreview.Color("never"), optpreview.EventStreams(follow.events))
	follow.wait()
	if err != nil {
		return Result{}, s.explain("preview", err, follow)
	}
	result := follow.result(start)
	result.Drift, result.Changed = drift, result.Changed || len(drift) > 0
	return result, nil
}

// inside is the same home with its state and files moved below dir.
func (h Home) inside(dir string) Home {
	h.BackendURL, h.StateDir, h.workRoot = "file://"+dir, dir, filepath.Join(dir, "work")
	if h.PassphraseFile != "" {
		h.PassphraseFile, h.formerPassphrase = filepath.Join(dir, "passphrase"), ""
	}
	return h
}

// Outputs reads the stack's outputs, secrets in plain text.
func (s *Stack) Outputs(ctx context.Context) (auto.OutputMap, error) {
	if !s.Exists() {
		return nil, s.neverUp()
	}
	out, err := s.run(ctx, nil, "stack", "output", "--json", "--show-secrets")
	if err != nil {
		return nil, s.explain("read the outputs of stack "+s.Options.Stack, err, nil)
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(out), &values); err != nil {
		return nil, fmt.Errorf("read the outputs of stack %s: %w", s.Options.Stack, err)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("stack %s is not up: run `neuroscale up -s %s`", s.Options.Stack, s.Options.Stack)
	}
	outputs := auto.OutputMap{}
	for name, value := range values {
		outputs[name] = auto.OutputValue{Value: value}
	}
	return outputs, nil
}

// follower hands the engine's events on and remembers what explains the outcome.
type follower struct {
	events chan events.EngineEvent
	done   chan struct{}
	plan   *progress.Plan
	steps  Changes // the engine's own count
	errors []diagnostic
}

type diagnostic struct{ urn, message string }

func newFollower(observe Observer) *follower {
	f := &follower{events: make(chan events.EngineEvent, 64), done: make(chan struct{}), plan: progress.NewPlan(), steps: Changes{}}
	go func() {
		defer close(f.done)
		for e := range f.events {
			if e.Error != nil {
				continue // an event of a newer engine that this SDK cannot read
			}
			f.plan.Observe(e.EngineEvent)
			if e.SummaryEvent != nil {
				clear(f.steps)
				for op, n := range e.SummaryEvent.ResourceChanges {
					f.steps[string(op)] = n
				}
			}
			if d := e.DiagnosticEvent; d != nil && d.Severity == "error" {
				f.errors = append(f.errors, diagnostic{urn: d.URN, message: d.Message})
			}
			if observe != nil {
				observe(e.EngineEvent)
			}
		}
	}()
	return f
}

// wait returns once every event was observed. The Automation API closes the
// channel when its command ends, but not if it never came to run one.
func (f *follower) wait() {
	select {
	case <-f.done:
	case <-time.After(5 * time.Second):
	}
}

func (f *follower) result(start time.Time) Result {
	return Result{Changes: f.plan.Changes(), Changed: f.steps.Any(), Seconds: time.Since(start).Seconds()}
}

// run calls pulumi on the stack outside the Automation API.
func (s *Stack) run(ctx context.Context, stdin []byte, args ...string) (string, error) {
	if err := s.home.Create(); err != nil {
		return "", err
	}
	dir, err := s.home.Stage(s.Project, s.Options.Stack)
	if err != nil {
		return "", err
	}
	var env []string
	for k, v := range maps.All(s.home.Env()) {
		env = append(env, k+"="+v)
	}
	stdout, stderr, _, err := s.pulumi.Run(ctx, dir, reader(stdin), nil, nil, env, append(args, "--stack", s.Options.Stack)...)
	if err != nil {
		return "", commandError{err: err, stderr: stderr}
	}
	return stdout, nil
}

// commandError is a failed pulumi command with what it said.
type commandError struct {
	err    error
	stderr string
}

func (e commandError) Error() string { return errors.Join(e.err, errors.New(e.stderr)).Error() }
func (e commandError) Unwrap() error { return e.err }
