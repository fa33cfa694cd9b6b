package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
)

// engine takes every resource as it is.
type engine struct {
	mu   sync.Mutex
	made map[string]bool
}

func (e *engine) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.made[args.TypeToken[strings.LastIndex(args.TypeToken, ":")+1:]+" "+args.Name] = true
	return args.Name, args.Inputs, nil
}

func (e *engine) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

func TestAProgramOfSomebodyElsesHasModelServingAndPoliciesAndNothingElse(t *testing.T) {
	e := &engine{made: map[string]bool{}}
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
		return bringUp(ctx, site{
			address: "models.example.org", project: "platform", tenants: []string{"team-a"}, cache: t.TempDir(),
			repository: forge.Repository{
				URL: "https://git.example.org/platform/layers.git", Authority: pulumi.String("").ToStringOutput(),
				Writer: forge.Account{Username: "pulumi", Password: pulumi.ToSecret(pulumi.String("p")).(pulumi.StringOutput)},
			},
		})
	}, pulumi.WithMocks("serving", "dev", e)))
	for _, layer := range []string{"doorkeeper", "knative", "kserve", "kserve-runtimes", "admission"} {
		assert.Contains(t, e.made, "Application "+layer+"-application")
	}
	for made := range e.made {
		kind, name, _ := strings.Cut(made, " ")
		assert.False(t, strings.HasPrefix(name, "argocd") || kind == "StatefulSet", made)
	}
}
