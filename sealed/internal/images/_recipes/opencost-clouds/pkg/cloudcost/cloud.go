// Package cloudcost reads no cloud's bills.
package cloudcost

// PipelineService reads none.
type PipelineService struct{}

// QueryService answers none.
type QueryService struct{}
