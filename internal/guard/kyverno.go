package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	kubeyaml "sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

// kyvernoProgram is the name of Kyverno's command line.
const kyvernoProgram = "kubectl-kyverno"

// answer is what a run of a program left.
type answer struct {
	stdout, stderr []byte
	code           int
}

// command runs Kyverno's command line. The error is about starting or ending
// it; what it thinks is in the answer.
type command func(ctx context.Context, args ...string) (answer, error)

// program is the command at a path.
func program(path string) command {
	return func(ctx context.Context, args ...string) (answer, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		// It compiles the policies anew for every document; collecting that garbage
		// less often takes a third off its time.
		cmd.Env = append(os.Environ(), "GOGC=1000", "GOMEMLIMIT=700MiB")
		cmd.WaitDelay = 5 * time.Second
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		a := answer{stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()}
		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil {
			err = nil
		}
		return a, err
	}
}

// findKyverno is where Kyverno's command line is: the given path, else the first
// one on PATH.
func findKyverno(given, version string) (string, error) {
	path, err := exec.LookPath(cmpOr(given, kyvernoProgram))
	if err != nil {
		return "", fmt.Errorf("Kyverno's command line is not there (%s): put %s %s on PATH or name it in NEUROSCALE_KYVERNO "+
			"(https://github.com/kyverno/kyverno/releases; on a sealed machine: eval \"$(bin/sealed env)\")",
			reasonOf(err), kyvernoProgram, version)
	}
	return path, nil
}

func reasonOf(err error) string {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Name + ": " + e.Err.Error()
	}
	return err.Error()
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// kyverno is the first engine: Kyverno's own command line.
type kyverno struct {
	run command
	// version it has to be.
	version string
	// processes it is split over.
	processes int
}

// check refuses another version than the one the platform runs.
func (k *kyverno) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	a, err := k.run(ctx, "version")
	if err != nil {
		return fmt.Errorf("ask Kyverno's command line for its version: %w", err)
	}
	for line := range strings.Lines(string(a.stdout)) {
		if v, found := strings.CutPrefix(line, "Version:"); found && a.code == 0 {
			if v = strings.TrimSpace(v); strings.TrimPrefix(v, "v") != strings.TrimPrefix(k.version, "v") {
				return fmt.Errorf("Kyverno's command line is %s, but gitops/upstream.yaml pins %s: install that one", v, k.version)
			}
			return nil
		}
	}
	return fmt.Errorf("Kyverno's command line does not say its version (exit code %d): %s", a.code, excerpt(a))
}

// excerpt is the last of what a program wrote, on one line.
func excerpt(a answer) string {
	text := strings.Join(strings.Fields(string(a.stderr)+" "+string(a.stdout)), " ")
	if text == "" {
		return "it wrote nothing"
	}
	const most = 300
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}

// outcome is what an engine made of one document under one policy.
type outcome string

const (
	passed  outcome = "pass"
	refused outcome = "fail"
	failed  outcome = "error"
	skipped outcome = "skip"
)

// pair is a document under a policy.
type pair struct{ document, policy string }

// verdict is an engine's outcome with its reason.
type verdict struct {
	outcome outcome
	message string
}

// verdicts are an engine's by document and policy.
type verdicts map[pair]verdict

// batch is one call of Kyverno: its probes prove that this call judges.
type batch struct {
	policies  []rule
	documents []*document
	probes    []probe
	// lane is the process it is one of the calls of.
	lane     int
	verdicts verdicts
	err      error
}

// leastBatch is a number of documents below which a second process costs more
// than it saves: one takes half a second to start.
const leastBatch = 30

// batches splits the work. Kyverno compiles each policy again for each document,
// which is nearly all of its time, so a document meets only the policies that
// have to judge it. Policies that no document is for meet their probes.
func batches(policies []rule, judges map[*document][]string, documents []*document, probes []probe, processes int) []*batch {
	groups := map[string]*batch{}
	idle := map[string]bool{}
	for _, p := range policies {
		idle[p.name] = true
	}
	add := func(names []string, d *document) {
		key := strings.Join(names, " ")
		if groups[key] == nil {
			groups[key] = &batch{policies: slices.DeleteFunc(slices.Clone(policies), func(p rule) bool { return !slices.Contains(names, p.name) })}
		}
		if d != nil {
			groups[key].documents = append(groups[key].documents, d)
		}
		for _, n := range names {
			delete(idle, n)
		}
	}
	for _, d := range documents {
		if names := judges[d]; len(names) > 0 {
			add(names, d)
		}
	}
	if len(idle) > 0 {
		add(slices.Sorted(maps.Keys(idle)), nil)
	}
	var all []*batch
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, groups[key])
	}
	all = lanes(all, processes)
	for _, b := range all {
		for _, c := range probes {
			if slices.ContainsFunc(b.policies, func(p rule) bool { return covers(p.name, c.document) }) {
				b.probes = append(b.probes, c)
			}
		}
	}
	return all
}

// lanes deals the groups out to as many processes as are worth it: each gets the
// same number of documents, and groups are cut only where a lane is full.
func lanes(groups []*batch, processes int) []*batch {
	total := 0
	for _, g := range groups {
		total += len(g.documents)
	}
	processes = max(1, min(processes, total/leastBatch))
	size := max(1, (total+processes-1)/processes)
	var all []*batch
	dealt := 0
	for _, g := range groups {
		for rest := g.documents; ; {
			lane := min(dealt/size, processes-1)
			n := min(len(rest), (lane+1)*size-dealt)
			all = append(all, &batch{policies: g.policies, documents: rest[:n], lane: lane})
			dealt += n
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	return all
}

// evaluate makes the calls: lanes at once, those of a lane one after another.
func (k *kyverno) evaluate(ctx context.Context, namespaces map[string]map[string]string, all []*batch) {
	byLane := map[int][]*batch{}
	for _, b := range all {
		byLane[b.lane] = append(byLane[b.lane], b)
	}
	var wait sync.WaitGroup
	for _, lane := range byLane {
		wait.Go(func() {
			for _, b := range lane {
				documents := slices.Clone(b.documents)
				for _, c := range b.probes {
					documents = append(documents, c.document)
				}
				b.verdicts, b.err = k.apply(ctx, b.policies, namespaces, documents)
			}
		})
	}
	wait.Wait()
}

// patience is how long a call with so many documents may take: twenty times
// what it takes on two idle cores.
func patience(documents int) time.Duration {
	return time.Minute + time.Duration(documents)*400*time.Millisecond
}

// apply is one call.
func (k *kyverno) apply(ctx context.Context, policies []rule, namespaces map[string]map[string]string, documents []*document) (verdicts, error) {
	folder, err := os.MkdirTemp("", "neuroscale-guard-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for Kyverno's command line: %w", err)
	}
	defer os.RemoveAll(folder)
	args, err := stage(folder, policies, namespaces, documents)
	if err != nil {
		return nil, fmt.Errorf("write the input of Kyverno's command line: %w", err)
	}
	limit := patience(len(documents))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer in %s", limit.Round(time.Second)))
	defer cancel()
	a, err := k.run(ctx, args...)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("run Kyverno's command line: %w", err)
	}
	// 1 is its answer when a policy refuses something, as it has to here.
	if a.code != 0 && a.code != 1 {
		return nil, fmt.Errorf("Kyverno's command line ended with exit code %d: %s", a.code, excerpt(a))
	}
	return decodeReport(a)
}

// stage writes what Kyverno reads: one file a policy, one file with every
// document, and the namespaces' labels, which it does not take from documents.
func stage(folder string, policies []rule, namespaces map[string]map[string]string, documents []*document) ([]string, error) {
	var resources bytes.Buffer
	for _, d := range documents {
		text, err := json.Marshal(policy.Normal(d.object))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		resources.WriteString("---\n")
		resources.Write(text)
		resources.WriteByte('\n')
	}
	selectors := []any{}
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		selectors = append(selectors, map[string]any{"name": name, "labels": namespaces[name]})
	}
	values, err := kubeyaml.Marshal(map[string]any{
		"apiVersion": "cli.kyverno.io/v1alpha1", "kind": "Values",
		"metadata": map[string]any{"name": "values"}, "namespaceSelector": selectors,
	})
	if err != nil {
		return nil, err
	}
	written := map[string][]byte{"resources.yaml": resources.Bytes(), "values.yaml": values}
	args := []string{"apply"}
	for _, p := range policies {
		name := "policy-" + p.name + ".yaml"
		if written[name], err = kubeyaml.Marshal(forFiles(p.kyverno)); err != nil {
			return nil, fmt.Errorf("policy %s: %w", p.name, err)
		}
		args = append(args, filepath.Join(folder, name))
	}
	for name, data := range written {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return append(args, "--resource", filepath.Join(folder, "resources.yaml"), "--values-file", filepath.Join(folder, "values.yaml"),
		"--policy-report", "--output-format", "json", "--remove-color"), nil
}

// forFiles is a policy as its verdict on a file needs it: match conditions ask who
// makes a request and what was there before, and message expressions only word what
// the API server's library words as well. Kyverno would compile both again for each
// document, a quarter of its time.
func forFiles(kyverno map[string]any) map[string]any {
	spec := maps.Clone(kyverno["spec"].(map[string]any))
	delete(spec, "matchConditions")
	validations := []any{}
	for _, v := range spec["validations"].([]any) {
		v := maps.Clone(v.(map[string]any))
		delete(v, "messageExpression")
		validations = append(validations, v)
	}
	spec["validations"] = validations
	kyverno = maps.Clone(kyverno)
	kyverno["spec"] = spec
	return kyverno
}

// clusterReport is what Kyverno prints.
type clusterReport struct {
	Kind    string `json:"kind"`
	Results []struct {
		Policy    string  `json:"policy"`
		Result    outcome `json:"result"`
		Message   string  `json:"message"`
		Resources []struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Namespace  string `json:"namespace"`
			Name       string `json:"name"`
		} `json:"resources"`
	} `json:"results"`
}

// decodeReport reads the one report that has to be there, and nothing else.
func decodeReport(a answer) (verdicts, error) {
	d := json.NewDecoder(bytes.NewReader(a.stdout))
	var report clusterReport
	if err := d.Decode(&report); err != nil {
		return nil, fmt.Errorf("Kyverno's command line printed no report (exit code %d): %s", a.code, excerpt(a))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("Kyverno's command line printed more than its report: %s",
			excerpt(answer{stdout: a.stdout[d.InputOffset():], stderr: a.stderr}))
	}
	if report.Kind != "ClusterReport" {
		return nil, fmt.Errorf("Kyverno's command line printed a %q instead of a ClusterReport: %s", report.Kind, excerpt(a))
	}
	all := verdicts{}
	for _, r := range report.Results {
		for _, o := range r.Resources {
			d := document{apiVersion: o.APIVersion, kind: o.Kind, namespace: o.Namespace, name: o.Name}
			p := pair{d.key(), r.Policy}
			before, twice := all[p]
			if twice && severity(before.outcome) >= severity(r.Result) {
				continue
			}
			all[p] = verdict{r.Result, r.Message}
		}
	}
	return all, nil
}

// severity orders outcomes: of two answers the worse one counts.
func severity(o outcome) int {
	switch o {
	case passed:
		return 0
	case refused:
		return 1
	}
	return 2
}

// defaultProcesses is one a core, but not so many that memory gets scarce: each
// takes 800 MB.
func defaultProcesses() int { return min(4, runtime.GOMAXPROCS(0)) }
