package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// noChange brings up what is up.
func noChange(ctx context.Context, p *Platform) ([]float64, string, error) {
	return repeat(3, func() (float64, error) {
		var report struct {
			Changed bool `json:"changed"`
		}
		took, err := timed(func() error {
			out, err := p.Self(ctx, "up", "-o", "json")
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &report)
		})
		if err == nil && report.Changed {
			err = errors.New("`up` changed something: it was not a no-change run")
		}
		return took, err
	})
}

func preview(ctx context.Context, p *Platform) ([]float64, string, error) {
	return repeat(3, func() (float64, error) {
		return timed(func() error {
			_, err := p.Self(ctx, "preview", "-o", "json")
			return err
		})
	})
}

func destroy(ctx context.Context, p *Platform) ([]float64, string, error) {
	return repeat(1, func() (float64, error) {
		return timed(func() error {
			_, err := p.Self(ctx, "destroy", "--yes")
			return err
		})
	})
}

func nodeDown(ctx context.Context, p *Platform) ([]float64, string, error) {
	// `destroy` may have been measured before: the promise is about a node at work.
	if _, err := p.Sealed(ctx, "up", "--skip-images"); err != nil {
		return nil, "", err
	}
	if _, err := p.Self(ctx, "up", "-o", "json"); err != nil {
		return nil, "", err
	}
	return repeat(1, func() (float64, error) {
		return timed(func() error {
			_, err := p.Sealed(ctx, "down")
			return err
		})
	})
}

// warmUp leaves the platform up. It counts from the start of the node to the first
// prediction, and to the end of `up`.
func warmUp(ctx context.Context, p *Platform) (Samples, string, error) {
	if _, err := p.Sealed(ctx, "down"); err != nil {
		return nil, "", err
	}
	node, err := timed(func() error { _, err := p.Sealed(ctx, "up", "--skip-images"); return err })
	if err != nil {
		return nil, "", err
	}
	var out []byte
	took, err := timed(func() (err error) { out, err = p.Self(ctx, "up", "-o", "json"); return err })
	if err != nil {
		return nil, "", err
	}
	predicted, err := predictedAfter(out, took)
	if err != nil {
		return nil, "", err
	}
	return Samples{"warm-up": {node + predicted}, "warm-all": {node + took}}, fmt.Sprintf("%.1f s of it for the node", node), nil
}

// predictedAfter is how many seconds after its start an `up` that took as many, and
// has reported that, had its first prediction.
func predictedAfter(report []byte, took float64) (float64, error) {
	var up struct {
		Seconds float64 `json:"seconds"`
		Phases  []struct {
			Name    string  `json:"name"`
			From    float64 `json:"fromSeconds"`
			Seconds float64 `json:"seconds"`
		} `json:"phases"`
	}
	if err := json.Unmarshal(report, &up); err != nil {
		return 0, fmt.Errorf("read what `up` reports: %w", err)
	}
	for _, phase := range up.Phases {
		if phase.Name == "prediction" {
			// What it took before it began to count, and after, is counted as before.
			return max(took-up.Seconds, 0) + phase.From + phase.Seconds, nil
		}
	}
	return 0, errors.New("`up` reports no prediction: is there an endpoint?")
}

// repeat collects n samples and ends at the first error.
func repeat(n int, f func() (float64, error)) ([]float64, string, error) {
	var samples []float64
	for i := range n {
		v, err := f()
		if err != nil {
			return samples, "", fmt.Errorf("run %d: %w", i+1, err)
		}
		samples = append(samples, v)
	}
	return samples, "", nil
}
