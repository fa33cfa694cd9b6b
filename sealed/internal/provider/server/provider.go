// Package server speaks Pulumi's gRPC resource provider protocol for the
// stand-in providers: it turns requests into plain Go values, keeps secrets and
// unknowns intact, ends requests when the engine cancels, and keeps secrets out
// of errors and log lines.
package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// ErrNotSupported is returned by a provider for a call it does not have.
var ErrNotSupported = errors.New("not supported")

// Provider is what one stand-in implements. Property maps hold secrets and
// computed values as the engine sent them.
type Provider interface {
	// Name is the package the provider serves, e.g. "kubernetes".
	Name() string
	// Version is the version of the real plugin the stand-in answers for.
	Version() string
	CheckConfig(ctx context.Context, news resource.PropertyMap) (resource.PropertyMap, []Failure, error)
	DiffConfig(ctx context.Context, olds, news resource.PropertyMap) (Diff, error)
	Configure(ctx context.Context, inputs resource.PropertyMap) error
	Check(ctx context.Context, req CheckRequest) (resource.PropertyMap, []Failure, error)
	Diff(ctx context.Context, req DiffRequest) (Diff, error)
	// Create returns an *InitError when the resource exists but is not ready.
	Create(ctx context.Context, req CreateRequest) (id string, outputs resource.PropertyMap, err error)
	// Read returns a zero State when the resource is gone.
	Read(ctx context.Context, req ReadRequest) (State, error)
	// Update returns an *InitError when the change was made but is not ready.
	Update(ctx context.Context, req UpdateRequest) (resource.PropertyMap, error)
	Delete(ctx context.Context, req DeleteRequest) error
	Invoke(ctx context.Context, token string, args resource.PropertyMap) (resource.PropertyMap, []Failure, error)
}

// Failure is one property that Check or Invoke refuses.
type Failure struct {
	Property string
	Reason   string
}

// CheckRequest asks to validate and complete inputs.
type CheckRequest struct {
	URN        resource.URN
	Olds, News resource.PropertyMap
	RandomSeed []byte
	Autonaming *Autonaming
}

// Autonaming is what the engine's configuration says about names.
type Autonaming struct {
	Proposed string
	Disabled bool
}

// DiffRequest asks what an update would change.
type DiffRequest struct {
	URN                              resource.URN
	ID                               string
	OldInputs, OldOutputs, NewInputs resource.PropertyMap
}

// CreateRequest asks to create a resource, or with Preview to say what would be.
type CreateRequest struct {
	URN     resource.URN
	Inputs  resource.PropertyMap
	Timeout time.Duration
	Preview bool
}

// ReadRequest asks for a resource's live state; Inputs is empty on import.
type ReadRequest struct {
	URN             resource.URN
	ID              string
	Inputs, Outputs resource.PropertyMap
}

// UpdateRequest asks to change a resource, or with Preview to say what would be.
type UpdateRequest struct {
	URN                              resource.URN
	ID                               string
	OldInputs, OldOutputs, NewInputs resource.PropertyMap
	Timeout                          time.Duration
	Preview                          bool
}

// DeleteRequest asks to delete a resource.
type DeleteRequest struct {
	URN             resource.URN
	ID              string
	Inputs, Outputs resource.PropertyMap
	Timeout         time.Duration
}

// State is what Read found.
type State struct {
	ID              string
	Inputs, Outputs resource.PropertyMap
}

// InitError says that a resource exists but did not become ready: the engine
// keeps its state and tries again with the next update.
type InitError struct {
	State
	Reasons []string
}

func (e *InitError) Error() string { return strings.Join(e.Reasons, "; ") }
