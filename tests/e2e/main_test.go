// Package e2e drives the real command lines against a real sealed node, from a
// machine without anything to a prediction and back to nothing. It needs root
// and the binaries in bin/, so it runs only when NEUROSCALE_E2E=1 asks for it.
package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	// wanted is the variable that asks for these tests.
	wanted = "NEUROSCALE_E2E"
	// kept leaves the platform's node running for a look at it, and takes one
	// that is there as it is. For the development of these tests.
	kept = "NEUROSCALE_E2E_KEEP"

	platformInstance = "e2e"
	killedInstance   = "e2e-kill"
)

func TestMain(m *testing.M) {
	rig.IfJanitor()
	if os.Getenv(wanted) != "1" {
		fmt.Printf("end-to-end tests are skipped: set %s=1 (make test-e2e does) to run them\n", wanted)
		os.Exit(m.Run())
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	s, err := newSuite()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	theSuite = s
	if os.Getenv(kept) == "1" {
		return m.Run()
	}
	// What an earlier run that was killed with its janitor may have left.
	if err := s.purge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return rig.RunWithJanitor(m, s.node, s.victim)
}

func (s *suite) purge() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, i := range []rig.Instance{s.node, s.victim} {
		r, err := i.Down(true).Run(ctx)
		if err != nil {
			return err
		}
		if r.Code != 0 {
			return fmt.Errorf("remove an earlier instance: %s", r)
		}
	}
	return nil
}
