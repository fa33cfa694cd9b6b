// Package recorder runs Pulumi programs without an engine and remembers every
// registration, for tests to ask about.
package recorder

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const (
	project = "neuroscale"
	stack   = "test"
)

// Registration is one registered resource.
type Registration struct {
	Type, Name, URN string
	// Custom is false for components, Read true for what was there and is only read.
	Custom, Read bool
	// Imported is the ID of what is there that it takes into the state, or "".
	Imported string
	// RetainOnDelete is whether what it stands for outlives it.
	RetainOnDelete bool
	// Inputs keep their secret marks.
	Inputs resource.PropertyMap
	// Provider is the reference of an explicit provider, URN::ID, or "".
	Provider string
	// Parent, Dependencies and DeletedWith are URNs.
	Parent       string
	Dependencies []string
	DeletedWith  string
	// SecretOutputs are the properties the engine is told to keep secret,
	// IgnoreChanges those whose changes it is told to ignore.
	SecretOutputs, IgnoreChanges []string
	// FormerParents are the URNs of parents that it may have had before.
	FormerParents []string
}

// Recording is what a program registered, in the order it arrived.
type Recording struct {
	mu            sync.Mutex
	Registrations []*Registration
}

// Options of a run.
type Options struct {
	// Config are raw values by key with namespace.
	Config map[string]string
	// DryRun makes it a preview.
	DryRun bool
}

// Run runs program in project neuroscale, stack test, and returns what it
// registered. A resource of a type that Run knows no answer for is an error.
func Run(program pulumi.RunFunc, o Options) (*Recording, error) {
	r := &Recording{}
	err := pulumi.RunErr(program, pulumi.WithMocks(project, stack, r), func(info *pulumi.RunInfo) {
		info.Config, info.DryRun = o.Config, o.DryRun
	})
	// The SDK wraps even a single error in a list with bullets.
	var list interface{ WrappedErrors() []error }
	if errors.As(err, &list) {
		err = errors.Join(list.WrappedErrors()...)
	}
	return r, err
}

// NewResource is called by the SDK for every registration.
func (r *Recording) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	if args.ReadRPC != nil && args.TypeToken == "kubernetes:core/v1:Secret" {
		return args.ID, found(args), nil
	}
	outputs, err := answer(args)
	if err != nil {
		return "", nil, err
	}
	rpc := args.RegisterRPC
	parentURN, dependencies := rpc.GetParent(), rpc.GetDependencies()
	if read := args.ReadRPC; read != nil {
		parentURN, dependencies = read.GetParent(), read.GetDependencies()
	}
	var parentType tokens.Type
	if parent := resource.URN(parentURN); parent != "" && parent.QualifiedType() != resource.RootStackType {
		parentType = parent.QualifiedType()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Registrations = append(r.Registrations, &Registration{
		Type: args.TypeToken, Name: args.Name,
		URN:    string(resource.NewURN(stack, project, parentType, tokens.Type(args.TypeToken), args.Name)),
		Custom: args.Custom, Inputs: args.Inputs, Provider: args.Provider,
		Read: args.ReadRPC != nil, Imported: rpc.GetImportId(), Parent: parentURN, Dependencies: dependencies, RetainOnDelete: rpc.GetRetainOnDelete(), DeletedWith: rpc.GetDeletedWith(),
		SecretOutputs: rpc.GetAdditionalSecretOutputs(), IgnoreChanges: rpc.GetIgnoreChanges(), FormerParents: formerParents(rpc.GetAliases()),
	})
	return args.Name + "-id", outputs, nil
}

func formerParents(aliases []*pulumirpc.Alias) []string {
	var all []string
	for _, alias := range aliases {
		if parent := alias.GetSpec().GetParentUrn(); parent != "" {
			all = append(all, parent)
		}
	}
	return all
}

// Call is called by the SDK for functions of providers; no program here uses any.
func (r *Recording) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the function %s has no answer in a recording", args.Token)
}

// found is what the provider reads of somebody else's Secret: a password that says whose
// it is.
func found(args pulumi.MockResourceArgs) resource.PropertyMap {
	password := base64.StdEncoding.EncodeToString([]byte("the password in " + args.ID))
	return resource.PropertyMap{"data": resource.MakeSecret(resource.NewObjectProperty(resource.PropertyMap{
		"password": resource.NewStringProperty(password),
	}))}
}

// answer is what the provider of a type returns: the inputs and, for generated
// things, a text that says which one it is.
func answer(args pulumi.MockResourceArgs) (resource.PropertyMap, error) {
	outputs := args.Inputs.Copy()
	generated := func(keys ...string) {
		for _, key := range keys {
			outputs[resource.PropertyKey(key)] = resource.NewStringProperty(args.Name + " " + key)
		}
	}
	switch {
	case args.TypeToken == "random:index/randomPassword:RandomPassword":
		generated("result", "bcryptHash")
	case args.TypeToken == "tls:index/privateKey:PrivateKey":
		generated("privateKeyPem", "publicKeyPem", "privateKeyOpenssh", "publicKeyOpenssh")
	case args.TypeToken == "tls:index/certRequest:CertRequest":
		generated("certRequestPem")
	case args.TypeToken == "tls:index/selfSignedCert:SelfSignedCert",
		args.TypeToken == "tls:index/locallySignedCert:LocallySignedCert":
		generated("certPem", "validityEndTime")
	case args.TypeToken == "github:index/repository:Repository":
		generated("nodeId")
		if args.ReadRPC != nil {
			outputs["name"] = resource.NewStringProperty(args.ID)
		}
	case strings.HasPrefix(args.TypeToken, "github:index/"), args.TypeToken == "pulumi:providers:github":
	case strings.HasPrefix(args.TypeToken, "neuroscale:platform:") && !args.Custom:
	case args.TypeToken == "docker:index/remoteImage:RemoteImage":
		generated("imageId", "repoDigest")
	case args.TypeToken == "docker:index/image:Image":
		generated("repoDigest")
	case args.TypeToken == "docker:index/network:Network", args.TypeToken == "docker:index/volume:Volume",
		args.TypeToken == "docker:index/container:Container":
	case args.TypeToken == "pulumi:providers:kubernetes", args.TypeToken == "pulumi:providers:docker":
	case strings.HasPrefix(args.TypeToken, "kubernetes:") && strings.Count(args.TypeToken, ":") == 2 &&
		strings.Contains(args.TypeToken, "/"):
	default:
		return nil, fmt.Errorf("the type %s has no answer in a recording", args.TypeToken)
	}
	return outputs, nil
}
