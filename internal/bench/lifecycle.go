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

// warmUp leaves the platform up.
func warmUp(ctx context.Context, p *Platform) ([]float64, string, error) {
	if _, err := p.Sealed(ctx, "down"); err != nil {
		return nil, "", err
	}
	var node float64
	samples, _, err := repeat(1, func() (float64, error) {
		return timed(func() error {
			var err error
			if node, err = timed(func() error { _, err := p.Sealed(ctx, "up", "--skip-images"); return err }); err != nil {
				return err
			}
			_, err = p.Self(ctx, "up", "-o", "json")
			return err
		})
	})
	return samples, fmt.Sprintf("%.1f s of it for the node", node), err
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
