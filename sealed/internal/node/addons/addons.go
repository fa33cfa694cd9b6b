// Package addons applies what every node needs inside Kubernetes: cluster DNS,
// a default StorageClass, the way to the object store and the rights of what
// enforces NetworkPolicies.
package addons

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"text/template"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

//go:embed *.yaml
var manifests embed.FS

// FieldManager owns the fields of the add-ons.
const FieldManager = "neuroscale-sealed"

// Params fill the manifests.
type Params struct {
	CoreDNSImage    string
	Domain          string // cluster domain
	DNSIP           string // address of the DNS Service
	NodeIP          string
	Provisioner     string
	ObjectStorePort int
}

// DNSPort is what CoreDNS listens on in its pod, as on other clusters: a
// NetworkPolicy is about a pod's own port.
const DNSPort = 53

// Port is DNSPort.
func (Params) Port() int { return DNSPort }

// Objects renders the add-ons in the order to apply them.
func Objects(p Params) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, file := range []string{"coredns.yaml", "storage.yaml", "network.yaml"} {
		t, err := template.ParseFS(manifests, file)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		var text bytes.Buffer
		if err := t.Option("missingkey=error").Execute(&text, p); err != nil {
			return nil, fmt.Errorf("render %s: %w", file, err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(&text, 4096)
		for {
			o := &unstructured.Unstructured{}
			err := decoder.Decode(o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("decode %s: %w", file, err)
			}
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// Apply brings the add-ons to the cluster; doing it again changes nothing.
func Apply(ctx context.Context, config *rest.Config, p Params) (int, error) {
	objects, err := Objects(p)
	if err != nil {
		return 0, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return 0, fmt.Errorf("connect to the API server: %w", err)
	}
	for _, o := range objects {
		resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
		var target dynamic.ResourceInterface = client.Resource(resource)
		if ns := o.GetNamespace(); ns != "" {
			target = client.Resource(resource).Namespace(ns)
		}
		options := metav1.ApplyOptions{FieldManager: FieldManager, Force: true}
		if _, err := target.Apply(ctx, o.GetName(), o, options); err != nil {
			return 0, fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return len(objects), nil
}
