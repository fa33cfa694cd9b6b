// Package v2 is of Pulumi's Kubernetes SDK. This file is in place of one that
// names the Go type of every kind, and so makes the plugin compile, link and load
// the whole SDK; nothing in a plugin reads those types.
package v2

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource registers an object of any kind.
func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	object := &pulumi.CustomResourceState{}
	if err := ctx.RegisterResource("kubernetes:"+apiVersion+":"+kind, name, props, object, opts...); err != nil {
		return nil, err
	}
	return object, nil
}
