package kube

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// The raw client never decodes objects: answers are read as bytes.
var (
	rawVersion    = schema.GroupVersion{Version: "v1"}
	rawSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
)
