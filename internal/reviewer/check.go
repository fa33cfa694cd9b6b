package reviewer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

// Job is one check: what a repository would hold, and what it holds.
type Job struct {
	Repository string          `json:"repository"`
	After      *guard.Snapshot `json:"after"`
	Before     *guard.Snapshot `json:"before"`
}

// Verdict on a Job.
type Verdict struct {
	Passed bool `json:"passed"`
	// Summary is one sentence.
	Summary string `json:"summary"`
	// Comment is the whole report in Markdown, beginning with guard.Marker.
	Comment string `json:"comment"`
}

// Checker judges. An error is only that it could not.
type Checker func(context.Context, Job) (*Verdict, error)

// Judge is the Checker that does the work in this process, by rules and with
// Kyverno's command line at a path.
func Judge(ctx context.Context, rules *guard.Rules, kyverno string, j Job) (*Verdict, error) {
	o, err := rules.For(j.Repository)
	if err != nil {
		return nil, err
	}
	o.After, o.Before, o.Kyverno = j.After, j.Before, kyverno
	report, err := guard.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := report.Markdown(&text); err != nil {
		return nil, err
	}
	return &Verdict{Passed: report.Passed, Summary: report.Summary(), Comment: text.String()}, nil
}

// Bounds of a check in a process of its own.
const (
	checkPatience = 3 * time.Minute
	maxVerdict    = 1 << 20
)

// Process is the Checker that has a program do the work: it gets a Job on standard
// input and writes the Verdict to standard output. What a check takes goes with its
// process, and one that is too much ends nothing but itself.
func Process(program string, args ...string) Checker {
	return func(ctx context.Context, j Job) (*Verdict, error) {
		input, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeoutCause(ctx, checkPatience, fmt.Errorf("it took more than %s", checkPatience))
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		// With all that it has started.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 5 * time.Second
		stdout, stderr := &limited{left: maxVerdict}, &limited{left: 16 << 10}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), stdout, stderr
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		// When memory is scarce it is this process that goes, not the one that waits.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte("1000"), 0)
		if err := cmd.Wait(); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("the check ended: %w", context.Cause(ctx))
			}
			return nil, fmt.Errorf("the check ended: %w: %s", err, strings.Join(strings.Fields(stderr.String()), " "))
		}
		var v Verdict
		d := json.NewDecoder(&stdout.Buffer)
		if err := d.Decode(&v); err != nil || v.Comment == "" {
			return nil, errors.Join(errors.New("the check ended without a verdict"), err)
		}
		return &v, nil
	}
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Buffer.Write(p[:n])
	return len(p), nil
}

// RunJob is what the program of Process does.
func RunJob(ctx context.Context, rules *guard.Rules, kyverno string, in io.Reader, out io.Writer) error {
	var j Job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	v, err := Judge(ctx, rules, kyverno, j)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(v)
}
