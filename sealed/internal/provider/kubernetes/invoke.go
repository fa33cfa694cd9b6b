package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Invoke implements server.Provider. It knows the one function the SDK's YAML
// components need: kubernetes:yaml:decode.
func (p *Provider) Invoke(_ context.Context, token string, args resource.PropertyMap) (resource.PropertyMap, []server.Failure, error) {
	if token != "kubernetes:yaml:decode" {
		return nil, nil, fmt.Errorf("function %s of the Kubernetes provider: the stand-in has only kubernetes:yaml:decode: %w", token, server.ErrNotSupported)
	}
	source, _ := stringAt(args, "text")
	namespace, _ := stringAt(args, "defaultNamespace")
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(source), 4096)
	objects := []any{}
	for {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, []server.Failure{{Property: "text", Reason: err.Error()}}, nil
		}
		if len(object) == 0 {
			continue
		}
		items, isList := object["items"].([]any)
		kind, _ := object["kind"].(string)
		if !isList || !strings.HasSuffix(kind, "List") {
			items = []any{object}
		}
		for _, item := range items {
			objects = append(objects, withNamespace(item, namespace))
		}
	}
	return resource.NewPropertyMapFromMap(map[string]any{"result": objects}), nil, nil
}

func withNamespace(item any, namespace string) any {
	object, ok := item.(map[string]any)
	metadata, hasMetadata := object["metadata"].(map[string]any)
	if ok && hasMetadata && namespace != "" && metadata["namespace"] == nil {
		metadata["namespace"] = namespace
	}
	return item
}
