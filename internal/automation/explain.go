package automation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"github.com/neuroscale-platform/neuroscale/internal/github"
)

// colourTag is the engine's markup in messages of the event log.
var colourTag = regexp.MustCompile(`<\{%[^%]*%\}>`)

// ended is what an executable that a signal has ended is said to have died of.
var ended = regexp.MustCompile(`^failed to [^:\n]*: (signal: [^\n]+)`)

// maxReasons bounds how many failed resources one error names.
const maxReasons = 4

// explain turns an engine's failure into sentences: what failed and the reasons
// it gave, without the command's captured output.
func (s *Stack) explain(what string, err error, f *follower) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s was interrupted; the state is saved, the same command continues: %w", what, context.Canceled)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer in time: %w", what, context.DeadlineExceeded)
	}
	text := err.Error()
	if m := ended.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s: pulumi was ended (%s): the state has what was done, the same command continues. "+
			"If nobody did that, the machine had too little memory: see `dmesg`", what, m[1])
	}
	if auto.IsConcurrentUpdateError(err) {
		return fmt.Errorf("%s: stack %s is locked by another run: wait for it to end", what, s.Options.Stack)
	}
	if strings.Contains(text, "incorrect passphrase") {
		return fmt.Errorf("%s: the passphrase does not fit the state in %s: set PULUMI_CONFIG_PASSPHRASE_FILE (or PULUMI_CONFIG_PASSPHRASE) to the one it was made with",
			what, s.home.BackendURL)
	}
	reasons := f.reasons()
	if len(reasons) == 0 {
		reasons = errorLines(text)
	}
	more := ""
	if n := len(reasons) - maxReasons; n > 0 {
		reasons, more = reasons[:maxReasons], fmt.Sprintf("\n(and %d more)", n)
	}
	if len(reasons) == 0 {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %s%s", what, strings.Join(reasons, "\n"), more)
}

// reasons are the error diagnostics, one a resource, without the summary lines
// the engine adds for their parents.
func (f *follower) reasons() []string {
	if f == nil {
		return nil
	}
	seen := map[string]bool{}
	var out []string
	for _, d := range f.errors {
		m := clean(d.message)
		if m == "" || bridged.MatchString(m) || m == "update failed" || m == "preview failed" || m == "destroy failed" || seen[m] ||
			strings.HasPrefix(m, "resource registration was cancelled") || strings.HasPrefix(m, "update cancelled") {
			continue
		}
		seen[m] = true
		if d.urn != "" && !strings.HasSuffix(kindOf(d.urn), "pulumi:Stack") {
			m = shortURN(d.urn) + ": " + m
		}
		out = append(out, m)
	}
	return out
}

// clean strips colours, the program runner's preamble and blank ends.
func clean(message string) string {
	m := looking.ReplaceAllString(strings.TrimSpace(colourTag.ReplaceAllString(message, "")), "")
	for _, prefix := range []string{"an unhandled error occurred:", "program failed:", "error:"} {
		m = strings.TrimSpace(strings.TrimPrefix(m, prefix))
	}
	return github.OfProvider(digest(strings.TrimPrefix(m, "waiting for RPCs: ")))
}

// looking is what the engine says before what a refresh met.
var looking = regexp.MustCompile(`^refreshing urn:\S+: `)

// bridged is what a provider of Terraform's logs of an error, which it then is.
var bridged = regexp.MustCompile(`^sdk-v2/\S+\.go:\d+: sdk\.`)

// maxLines bounds one reason; a failed Job repeats the last lines of every pod.
const maxLines = 6

var (
	errorCount = regexp.MustCompile(`^\d+ errors? occurred:$`)
	// preamble is what the Kubernetes provider says of every object that is made and not ready.
	preamble = regexp.MustCompile(`^resource "?urn:\S+ was .* failed to fully initialize or become live: `)
	ofAPod   = regexp.MustCompile(`^\[Pod [^]]+\]: (\[Error\] )?`)
	// unready says of a pod that failed nothing that is not known.
	unready = regexp.MustCompile(`^\[Pod [^]]+\]: containers with unready status: \[[^]]*\]$`)
)

// digest keeps what a message says once, whichever pod it is said of, and the first few
// of its lines.
func digest(message string) string {
	seen := map[string]bool{"": true}
	var lines, bare []string
	for line := range strings.Lines(message) {
		line = preamble.ReplaceAllString(strings.TrimPrefix(strings.TrimSpace(line), "* "), "")
		said := ofAPod.ReplaceAllString(line, "")
		switch {
		case seen[said], errorCount.MatchString(line):
			continue
		case unready.MatchString(line):
			bare = append(bare, line)
		default:
			lines = append(lines, line)
		}
		seen[said] = true
	}
	if len(lines) < 2 {
		lines = append(lines, bare...)
	}
	if n := len(lines) - maxLines; n > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("(%d more lines)", n))
	}
	return strings.Join(lines, "\n  ")
}

// errorLines are the lines pulumi itself marked as errors.
func errorLines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if _, reason, ok := strings.Cut(line, "error: "); ok {
			out = append(out, strings.TrimSpace(reason))
		}
	}
	return out
}

// shortURN is the kind and name of a resource, for people.
func shortURN(urn string) string {
	parts := strings.Split(urn, "::")
	kind := kindOf(urn)
	if i := strings.LastIndexByte(kind, ':'); i >= 0 {
		kind = kind[i+1:]
	}
	return strings.TrimSpace(kind + " " + parts[len(parts)-1])
}

// kindOf is the type token of a resource without its parents'.
func kindOf(urn string) string {
	parts := strings.Split(urn, "::")
	if len(parts) < 4 {
		return ""
	}
	kinds := strings.Split(parts[2], "$")
	return kinds[len(kinds)-1]
}
