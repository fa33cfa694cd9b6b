package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

func TestAStorageClassThatMakesNoVolumesIsSaidBeforeAPodWaitsForOne(t *testing.T) {
	class := func(name, byDefault string) runtime.Object {
		o := &unstructured.Unstructured{Object: fields{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": fields{"name": name}}}
		o.SetAnnotations(map[string]string{isDefaultClass: byDefault})
		return o
	}
	claim := &unstructured.Unstructured{Object: fields{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": fields{"name": "gitea", "namespace": "forge"},
		"spec": fields{"storageClassName": "gp2"},
	}}
	for name, c := range map[string]struct {
		cluster []runtime.Object
		class   string
		want    string
	}{
		"the default":         {[]runtime.Object{class("gp2", "false"), class("gp3", "true")}, "", ""},
		"one of them":         {[]runtime.Object{class("gp2", "false"), class("gp3", "false")}, "gp2", ""},
		"another":             {[]runtime.Object{class("gp3", "true"), class("gp2", "false")}, "fast", `has no StorageClass "fast": write one of gp2, gp3`},
		"no default":          {[]runtime.Object{class("gp2", "false")}, "", "no default StorageClass: write one of gp2"},
		"none":                {nil, "", "no StorageClass, and"},
		"another than before": {[]runtime.Object{class("gp3", "true"), claim}, "gp3", `is of StorageClass "gp2", which cannot be changed to "gp3": write "gp2"`},
		"as before":           {[]runtime.Object{class("gp2", "true"), claim}, "gp2", ""},
		"as is the custom":    {[]runtime.Object{class("gp3", "true"), claim}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
				StorageClasses: "StorageClassList", Claims: "PersistentVolumeClaimList",
			}, c.cluster...)
			err := VolumesFrom(t.Context(), cluster, c.class)
			if err == nil {
				err = ClaimOf(t.Context(), cluster, "forge", "gitea", c.class)
			}
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}
