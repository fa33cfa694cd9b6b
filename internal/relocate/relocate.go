// Package relocate moves tenants' repositories from one forge to another.
package relocate

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/neuroscale-platform/neuroscale/internal/git"
)

// Forge has repositories.
type Forge interface {
	// String is what people call it.
	String() string
	// Remote is where one is cloned from.
	Remote(repository string) git.Remote
	// Open are the numbers of its open pull requests.
	Open(ctx context.Context, repository string) ([]int64, error)
	// Make makes one, private and empty, unless it is there.
	Make(ctx context.Context, repository string) (made bool, err error)
}

// Result of moving a repository.
type Result struct {
	Repository string `json:"repository"`
	// Made is whether it was not there before.
	Made bool `json:"made"`
	// Refs are the branches and tags that are there now, New those that were not.
	Refs int `json:"refs"`
	New  int `json:"new"`
	// Left are the open pull requests that stay behind, with what was said on any.
	Left []int64 `json:"left"`
}

// Move moves repositories, all that can be. The error names the others.
func Move(ctx context.Context, from, to Forge, repositories []string) ([]Result, error) {
	var all []Result
	var errs []error
	for _, repository := range repositories {
		r, err := move(ctx, from, to, repository)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s stays on %s: %w", repository, from, err))
			continue
		}
		all = append(all, *r)
	}
	return all, errors.Join(errs...)
}

func move(ctx context.Context, from, to Forge, repository string) (_ *Result, err error) {
	left, err := from.Open(ctx, repository)
	if err != nil {
		return nil, err
	}
	made, err := to.Make(ctx, repository)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "neuroscale-move-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to clone into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	moved, err := git.Move(ctx, from.Remote(repository), to.Remote(repository), dir)
	if err != nil {
		return nil, err
	}
	return &Result{Repository: repository, Made: made, Refs: moved.Refs, New: moved.New, Left: append([]int64{}, left...)}, nil
}
