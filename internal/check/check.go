// Package check asks a platform questions that have a stable ID each, and reports
// what was seen.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Limit is how long a check may take that says nothing else.
const Limit = 10 * time.Second

// Check is one question.
type Check struct {
	// ID is a letter, of the group it belongs to, and a number. It never changes.
	ID string
	// Title is what holds when it passes.
	Title string
	// Asks is how it finds out, a sentence.
	Asks string
	// Remedy is what to do when it fails, a sentence.
	Remedy string
	// Follows are IDs of checks that it fails, or cannot be tried, without.
	Follows []string
	// Limit is how long it may take, 0 meaning the constant.
	Limit time.Duration
	// First is a check without which nothing else can be asked.
	First bool
	// Alone is a check that changes something for a moment: it is run when all that
	// only look have ended, and not at all if one that it follows did not pass.
	Alone bool
	// Apart is a check whose answer those that are Alone do not change: they need not
	// wait for it.
	Apart bool
	// Run returns what was seen. An error is why it does not hold; Off means that
	// there is nothing to ask.
	Run func(context.Context) (evidence string, err error)
}

// OffError is that the configuration has the part switched off which a check is
// about.
type OffError struct{ Reason string }

// Error implements error.
func (e *OffError) Error() string { return e.Reason }

// Off is an OffError.
func Off(format string, values ...any) error { return &OffError{fmt.Sprintf(format, values...)} }

// Select returns the checks of these IDs, or groups, in the list's order; all for
// none. The error names what is none and what was meant.
func Select(checks []Check, only []string) ([]Check, error) {
	if len(only) == 0 {
		return checks, nil
	}
	var known []string
	for _, c := range checks {
		known = append(known, c.ID)
		if group := c.ID[:1]; !slices.Contains(known, group) {
			known = append(known, group)
		}
	}
	var errs []error
	wanted := map[string]bool{}
	for _, word := range only {
		id := strings.ToUpper(strings.TrimSpace(word))
		if !slices.Contains(known, id) {
			errs = append(errs, fmt.Errorf("--only %s is no check%s: there are %s", word, nearest.Hint(id, known), strings.Join(IDs(checks), ", ")))
		}
		wanted[id] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !wanted[c.ID] && !wanted[c.ID[:1]] }), nil
}

// IDs of checks, in their order.
func IDs(checks []Check) []string {
	var ids []string
	for _, c := range checks {
		ids = append(ids, c.ID)
	}
	return ids
}
