package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

type builtInputs struct {
	ImageName      string      `json:"imageName"`
	Build          buildInputs `json:"build"`
	Registry       login       `json:"registry"`
	SkipPush       bool        `json:"skipPush"`
	BuildOnPreview bool        `json:"buildOnPreview"`
}

// login at the registry that an image is pushed to.
type login struct {
	Server   string `json:"server"`
	Username string `json:"username"`
	Password string `json:"password"`
}

type buildInputs struct {
	Context        string            `json:"context"`
	Dockerfile     string            `json:"dockerfile"`
	Target         string            `json:"target"`
	Platform       string            `json:"platform"`
	Args           map[string]string `json:"args"`
	BuilderVersion string            `json:"builderVersion"`
	// ContextDigest is what the context held, which makes a change of it one of the
	// resource's.
	ContextDigest string `json:"contextDigest"`
}

// builders by their names in Pulumi.
var builders = map[string]build.BuilderVersion{
	"": build.BuilderBuildKit, "BuilderBuildKit": build.BuilderBuildKit, "BuilderV1": build.BuilderV1,
}

// builtImage is built by the engine and pushed. Any change builds it anew, under the
// resource's first ID; what is in a registry or an engine is never looked at, and never
// removed.
func (e *engine) builtImage() server.Managed {
	return server.Managed{
		Fields: server.Fields{
			"imageName":      {Kind: server.String, Required: true},
			"build":          {Kind: server.Object, Default: map[string]any{}},
			"registry":       {Kind: server.Object},
			"skipPush":       {Kind: server.Bool, Default: false},
			"buildOnPreview": {Kind: server.Bool, Default: false},
		},
		Outputs: []string{"baseImageName", "context", "dockerfile", "platform", "registryServer", "repoDigest"},
		Check: shape(func(in builtInputs) []server.Failure {
			var failures []server.Failure
			if _, ok := builders[in.Build.BuilderVersion]; !ok {
				failures = append(failures, server.Failure{Property: "build", Reason: "has the builderVersion " + in.Build.BuilderVersion + ", which is neither BuilderV1 nor BuilderBuildKit"})
			}
			if in.BuildOnPreview {
				failures = append(failures, server.Failure{Property: "buildOnPreview", Reason: "is true: the stand-in builds nothing in a preview"})
			}
			if _, err := reference.ParseNamed(in.ImageName); err != nil {
				failures = append(failures, server.Failure{Property: "imageName", Reason: fmt.Sprintf("is %s (%s): it needs its registry, such as docker.io/", in.ImageName, err)})
			}
			return failures
		}),
		Complete: completeBuild,
		InPlace:  []string{"imageName", "build", "registry", "skipPush", "buildOnPreview"},
		Remade:   true,
		Create: func(ctx context.Context, v server.Values) (string, map[string]any, error) {
			outputs, err := e.buildAndPush(ctx, v)
			return v.String("imageName"), outputs, err
		},
		Read: func(context.Context, string, server.Values) (map[string]any, error) { return nil, nil },
		Update: func(ctx context.Context, _ string, v server.Values) (map[string]any, error) {
			return e.buildAndPush(ctx, v)
		},
		Delete: func(context.Context, string, server.Values) error { return nil },
	}
}

// completeBuild fills in where the build is, for what, and what it is given.
func completeBuild(inputs resource.PropertyMap) (resource.PropertyMap, []server.Failure) {
	b := inputs["build"]
	if !b.IsObject() {
		return inputs, nil
	}
	object := b.ObjectValue().Copy()
	value := func(key resource.PropertyKey, otherwise string) (text string, known bool) {
		if object[key].IsNull() {
			object[key] = resource.NewProperty(otherwise)
		}
		if known = object[key].IsString(); known {
			text = object[key].StringValue()
		}
		return text, known
	}
	value("platform", "linux/"+runtime.GOARCH)
	dir, known := value("context", ".")
	if known {
		var dockerfile string
		if dockerfile, known = value("dockerfile", path.Join(dir, "Dockerfile")); known {
			c, err := newBuildContext(dir, dockerfile)
			var digest string
			if err == nil {
				digest, err = c.digest()
			}
			if err != nil {
				return inputs, []server.Failure{{Property: "build", Reason: err.Error()}}
			}
			object["contextDigest"] = resource.NewProperty(digest)
		}
	}
	inputs = inputs.Copy()
	inputs["build"] = resource.NewProperty(object)
	return inputs, nil
}

func (e *engine) buildAndPush(ctx context.Context, v server.Values) (map[string]any, error) {
	var in builtInputs
	if err := v.Decode(&in); err != nil {
		return nil, err
	}
	c, err := newBuildContext(in.Build.Context, in.Build.Dockerfile)
	if err != nil {
		return nil, err
	}
	id, err := e.build(ctx, in, c)
	if err != nil {
		return nil, fmt.Errorf("building image %s: %w", in.ImageName, err)
	}
	outputs := map[string]any{
		"baseImageName": in.ImageName, "context": in.Build.Context, "dockerfile": c.dockerfile,
		"platform": in.Build.Platform, "registryServer": in.Registry.Server, "repoDigest": id,
	}
	if in.SkipPush {
		return outputs, nil
	}
	if outputs["repoDigest"], err = e.push(ctx, in.ImageName, in.Registry); err != nil {
		return nil, fmt.Errorf("pushing image %s: %w", in.ImageName, err)
	}
	return outputs, nil
}

// build returns the image's ID.
func (e *engine) build(ctx context.Context, in builtInputs, c *buildContext) (string, error) {
	system, architecture, _ := strings.Cut(in.Build.Platform, "/")
	architecture, variant, _ := strings.Cut(architecture, "/")
	args := map[string]*string{}
	for name, value := range in.Build.Args {
		args[name] = &value
	}
	archive, sent := io.Pipe()
	go func() { sent.CloseWithError(c.archive(sent)) }()
	defer archive.Close()
	result, err := e.api.ImageBuild(ctx, archive, client.ImageBuildOptions{
		Dockerfile: c.dockerfile, Tags: []string{in.ImageName}, Target: in.Build.Target, BuildArgs: args,
		Platforms: []ocispec.Platform{{OS: system, Architecture: architecture, Variant: variant}}, Version: builders[in.Build.BuilderVersion], Remove: true,
	})
	if err != nil {
		return "", err
	}
	defer result.Body.Close()
	id, said := "", &record{}
	err = messages(result.Body, func(m jsonstream.Message) error {
		said.hear(m)
		if m.Aux == nil || m.ID == buildTrace {
			return nil
		}
		var made build.Result
		if json.Unmarshal(*m.Aux, &made) == nil && made.ID != "" {
			id = made.ID
		}
		return nil
	})
	if err == nil && id == "" {
		err = errors.New("the engine named no image")
	}
	if err != nil {
		return "", fmt.Errorf("%w%s", err, said.String())
	}
	return id, nil
}

// push returns the image as the registry has it: its name with its digest.
func (e *engine) push(ctx context.Context, name string, as login) (string, error) {
	named, err := reference.ParseNamed(name)
	if err != nil {
		return "", err
	}
	auth, err := authconfig.Encode(registry.AuthConfig{ServerAddress: as.Server, Username: as.Username, Password: as.Password})
	if err != nil {
		return "", err
	}
	response, err := e.api.ImagePush(ctx, name, client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		return "", err
	}
	defer response.Close()
	pushed := ""
	err = messages(response, func(m jsonstream.Message) error {
		if m.Aux == nil {
			return nil
		}
		var result struct{ Digest digest.Digest }
		if json.Unmarshal(*m.Aux, &result) != nil || result.Digest == "" {
			return nil
		}
		whole, err := reference.WithDigest(reference.TrimNamed(named), result.Digest)
		if err == nil {
			pushed = whole.String()
		}
		return err
	})
	if err == nil && pushed == "" {
		err = errors.New("the registry named no digest")
	}
	return pushed, err
}

// messages of the engine up to one that is an error.
func messages(from io.Reader, each func(jsonstream.Message) error) error {
	for d := json.NewDecoder(from); ; {
		var m jsonstream.Message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
		if m.Error != nil {
			return m.Error
		}
	}
}
