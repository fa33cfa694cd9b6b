package rig

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Poll asks until nothing is missing any more, at once and then every
// interval, for at most limit. The error names what was missing last.
func Poll(ctx context.Context, limit, interval time.Duration, missing func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	start := time.Now()
	last := "nothing was seen yet"
	for {
		what, err := missing(ctx)
		switch {
		case err == nil && what == "":
			return nil
		case err != nil && ctx.Err() == nil && !outOfTime(ctx, err):
			last = err.Error()
		case err == nil:
			last = what
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %s", time.Since(start).Round(100*time.Millisecond), last)
		case <-ticker.C:
		}
	}
}

// outOfTime is whether a client gave up because it could not have been let through
// before the end: that says nothing about what is missing.
func outOfTime(ctx context.Context, err error) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < time.Second && strings.Contains(err.Error(), "would exceed context deadline")
}
