// Package fakepulumi stands in for the pulumi executable in unit tests: it notes
// how it was called and plays back the events it was given. The real one is
// driven by the end-to-end tests.
package fakepulumi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Script is what the fake does.
type Script struct {
	// Events are written to the event log of up, preview and destroy.
	Events []apitype.EngineEvent
	// Refreshed are written to the event log of refresh, with the closing summary.
	Refreshed []apitype.EngineEvent
	// Until, if not empty, is a file that destroy does not end before.
	Until string
	// Fail makes these operations (up, preview, destroy, select) exit with 255,
	// with this text on standard error.
	Fail map[string]string
	// Killed is one of these operations, at which it ends itself by SIGKILL.
	Killed string
	// Outputs of the stack.
	Outputs map[string]any
	// State is what `stack export` prints.
	State string
}

const variable = "NEUROSCALE_FAKE_PULUMI"

// Main is to be called first by TestMain: in a process started as pulumi it
// never returns.
func Main() {
	dir := os.Getenv(variable)
	if filepath.Base(os.Args[0]) != "pulumi" || dir == "" {
		return
	}
	os.Exit(play(dir, os.Args[1:]))
}

// Install puts the fake first in PATH for one test and returns where it notes
// its calls.
func Install(t *testing.T, s Script) *Calls {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "pulumi")); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "script"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(variable, dir)
	return &Calls{dir: dir}
}

// Calls are what the fake was asked to do.
type Calls struct{ dir string }

// Lines are the command lines, without flags that only the Automation API adds.
func (c *Calls) Lines(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// Imported is what the last `stack import` got on standard input.
func (c *Calls) Imported(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "imported"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Environment is the value a variable had in the last call.
func (c *Calls) Environment(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "environment"))
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+"="); ok {
			value = v // the last one counts, as for the process itself
		}
	}
	return value
}

func play(dir string, args []string) int {
	var s Script
	raw, err := os.ReadFile(filepath.Join(dir, "script"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake pulumi:", err)
		return 2
	}
	operation := args[0]
	if operation == "stack" && len(args) > 1 {
		operation = args[1]
	}
	note(dir, "calls", []byte(summary(args)), os.O_APPEND)
	note(dir, "environment", []byte(strings.Join(os.Environ(), "\n")+"\n"), os.O_TRUNC)
	if operation == s.Killed {
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	if text, failing := s.Fail[operation]; failing {
		events(args, s.Events)
		fmt.Fprintln(os.Stderr, text)
		return 255
	}
	switch operation {
	case "version":
		fmt.Println("v3.220.0")
	case "select", "init":
		addSalt(args)
	case "output":
		text, _ := json.Marshal(s.Outputs)
		fmt.Println(string(text))
	case "history":
		fmt.Println("[]")
	case "export":
		fmt.Println(cmp.Or(s.State, "{}"))
	case "import":
		in, _ := io.ReadAll(os.Stdin)
		note(dir, "imported", in, os.O_TRUNC)
	case "refresh":
		events(args, append(s.Refreshed, apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{}}))
	case "up", "preview", "destroy":
		events(args, s.Events)
		for end := time.Now().Add(20 * time.Second); operation == "destroy" && !there(s.Until) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	return 0
}

func there(file string) bool {
	_, err := os.Stat(file)
	return file == "" || err == nil
}

// addSalt does what the engine does to a stack's settings when it makes them a
// secrets manager.
func addSalt(args []string) {
	i := slices.Index(args, "--stack")
	if i < 0 {
		return
	}
	file := "Pulumi." + args[i+1] + ".yaml"
	raw, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(raw), "encryptionsalt") {
		_ = os.WriteFile(file, append([]byte("encryptionsalt: v1:made-by-the-engine\n"), raw...), 0o600)
	}
}

func events(args []string, list []apitype.EngineEvent) {
	i := slices.Index(args, "--event-log")
	if i < 0 {
		return
	}
	f, err := os.OpenFile(args[i+1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	e := json.NewEncoder(f)
	for _, event := range list {
		_ = e.Encode(event)
	}
	awaitReader(args[i+1])
}

// awaitReader waits until the caller has opened the event log: the Automation API
// misses all events of a command that ends before it has seen the file appear. No
// real operation is that short.
func awaitReader(file string) {
	descriptors := fmt.Sprintf("/proc/%d/fd", os.Getppid())
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		open, err := os.ReadDir(descriptors)
		if err != nil {
			return // not Linux, or the caller is gone
		}
		for _, d := range open {
			if target, err := os.Readlink(filepath.Join(descriptors, d.Name())); err == nil && target == file {
				return
			}
		}
	}
}

// summary is the command and its plain flags; addresses and temporary files differ
// from run to run.
func summary(args []string) string {
	var kept []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--event-log":
			i++
		case strings.HasPrefix(args[i], "--client="), strings.HasPrefix(args[i], "--exec-kind="), args[i] == "--non-interactive":
		default:
			kept = append(kept, args[i])
		}
	}
	return strings.Join(kept, " ") + "\n"
}

func note(dir, name string, content []byte, how int) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.Write(content)
}
