package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// author of what a measurement writes into the endpoints repository.
var author = git.Author{Name: "neuroscale bench", Email: "bench@neuroscale.test"}

// push adds an endpoint the way people do, by a push to main, and waits for its
// first prediction; then it removes the folder and waits until all is gone.
func push(ctx context.Context, p *Platform) ([]float64, string, error) {
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return nil, "", fmt.Errorf("create a folder for the clone: %w", err)
	}
	defer os.RemoveAll(dir)
	checkout, err := git.Clone(ctx, p.Repository, author, dir)
	if err != nil {
		return nil, "", err
	}
	repo := repository{checkout}
	run := 0
	samples, _, err := repeat(3, func() (float64, error) {
		run++
		name := fmt.Sprintf("bench-iris-%d", run)
		took, err := repo.addEndpoint(ctx, p, name)
		if e := repo.removeEndpoint(ctx, p, name); e != nil {
			err = errors.Join(err, &leftError{e})
		}
		return took, err
	})
	return samples, "from the start of `git push`", err
}

func (r repository) addEndpoint(ctx context.Context, p *Platform, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := r.copyFolder(warmEndpoint, name); err != nil {
		return 0, err
	}
	if err := r.Commit(ctx, "Add endpoint "+name); err != nil {
		return 0, err
	}
	host := predict.Host(name, p.Namespace, p.Domain)
	return timed(func() error {
		if err := r.Push(ctx); err != nil {
			return err
		}
		return predict.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			_, err := predict.Do(ctx, p.HTTP, p.request(name, host))
			return err
		})
	})
}

func (r repository) removeEndpoint(ctx context.Context, p *Platform, name string) error {
	// Also after ctrl-C: nothing may stay behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	folder := filepath.Join(r.Dir, "apps", name)
	if _, err := os.Stat(folder); err != nil {
		return nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove endpoint %s: %w", name, err)
	}
	if err := r.Commit(ctx, "Remove endpoint "+name); err != nil {
		return err
	}
	if err := r.Push(ctx); err != nil {
		return err
	}
	return p.gone(ctx, name)
}

// repository is a clone of the endpoints repository.
type repository struct{ *git.Checkout }

func (r repository) copyFolder(from, to string) error {
	source, target := filepath.Join(r.Dir, "apps", from), filepath.Join(r.Dir, "apps", to)
	entries, err := os.ReadDir(source)
	if err != nil {
		return fmt.Errorf("the endpoints repository has no folder apps/%s to copy: %w", from, err)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make endpoint %s: %w", to, err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(source, e.Name()))
		if err != nil {
			return fmt.Errorf("make endpoint %s: %w", to, err)
		}
		raw = bytes.ReplaceAll(raw, []byte(from), []byte(to))
		if err := os.WriteFile(filepath.Join(target, e.Name()), raw, 0o644); err != nil {
			return fmt.Errorf("make endpoint %s: %w", to, err)
		}
	}
	return nil
}
