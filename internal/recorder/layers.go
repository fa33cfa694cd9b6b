package recorder

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Renderer renders small stand-ins of the platform's layers: the objects that
// components patch or look for, and nothing that has to be downloaded.
func Renderer(t *testing.T) *render.Renderer {
	t.Helper()
	r, err := render.New(layers(), "")
	require.NoError(t, err)
	return r
}

func layers() fstest.MapFS {
	files := map[string]string{
		"upstream.yaml": `
upstreams:
  argo-cd: {module: example.com/argo-cd, version: v1.0.0, sum: h1:a, images: {argocd: example.com/argocd:v1}}
  gitea: {module: example.com/gitea, version: v2.0.0, sum: h1:b, images: {gitea: example.com/gitea:v2}}
  kserve: {module: example.com/kserve, version: v3.0.0, sum: h1:c, images: {storage-initializer: example.com/storage:v3, sklearnserver: example.com/sklearn:v3}}
  kyverno: {module: example.com/kyverno, version: v4.0.0, sum: h1:d}
images:
  forge-proxy: example.com/forge-proxy:v1
  k3s: "example.com/k3s:v5@sha256:0"
  node: example.com/node:v6
  portal: example.com/portal:v1
`,
		"platform/argocd/layer.yaml": "version: [argo-cd]\n",
		"platform/argocd/objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: argocd}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: applications.argoproj.io}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: appprojects.argoproj.io}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: argocd-server, namespace: argocd}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: argocd-server}
rules: []
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data: {a: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm, namespace: argocd}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cmd-params-cm, namespace: argocd}
data: {a: b}
---
apiVersion: v1
kind: Service
metadata: {name: argocd-server, namespace: argocd}
spec: {ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-server, namespace: argocd}
spec: {template: {spec: {containers: [{name: server, image: example.com/argocd:v1}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: argocd-application-controller, namespace: argocd}
spec: {template: {spec: {containers: [{name: controller, image: example.com/argocd:v1}]}}}
`,
		"platform/knative/layer.yaml": "version: [kserve]\nkustomization: true\n",
		"platform/knative/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: config-domain, namespace: knative-serving}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-network, namespace: knative-serving}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-deployment, namespace: knative-serving}
data: {registries-skipping-tag-resolving: example.com}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-autoscaler, namespace: knative-serving}
data: {enable-scale-to-zero: "true"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: net-kourier-controller, namespace: knative-serving}
spec: {template: {spec: {containers: [{name: controller, image: example.com/kourier:v1}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: kourier, namespace: kourier-system}
spec: {type: ClusterIP, ports: [{name: http2, port: 80, targetPort: 8080}]}
`,
		"platform/guard/layer.yaml": "version: []\n",
		"platform/guard/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: rules, namespace: guard}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: guard, namespace: guard}
spec: {template: {spec: {containers: [{name: guard, image: example.com/guard:v1}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: follower, namespace: guard}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: follower, namespace: guard}
spec: {template: {spec: {containers: [{name: follower, image: example.com/guard:v1}]}}}
`,
		"platform/doorkeeper/layer.yaml": "version: []\n",
		"platform/doorkeeper/objects.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: doorkeeper, namespace: doorkeeper}
spec: {template: {spec: {containers: [{name: doorkeeper, image: example.com/doorkeeper:v1}]}}}
`,
		"platform/portal/layer.yaml": "version: []\nkustomization: true\n",
		"platform/portal/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: portal, namespace: portal}
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: portal-skeleton, namespace: portal}
data: {}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: portal, namespace: portal}
spec: {resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: portal, namespace: portal}
spec: {type: NodePort, ports: [{name: http, port: 7007, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: portal, namespace: portal}
spec: {template: {spec: {containers: [{name: portal, image: example.com/portal:v1}]}}}
`,
		"platform/kserve/layer.yaml": "version: [kserve]\n",
		"platform/kserve/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: inferenceservice-config, namespace: kserve}
data:
  ingress: '{"urlScheme": "http"}'
  inferenceService: '{"resource": {"cpuRequest": "1"}}'
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kserve-controller-manager, namespace: kserve}
spec: {template: {spec: {containers: [{name: manager, image: example.com/manager:v3}]}}}
`,
		"platform/kserve-runtimes/layer.yaml": "version: [kserve]\nkustomization: true\n",
		"platform/kserve-runtimes/objects.yaml": `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: mutating}
webhooks: [{name: one}, {name: two}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: validating}
webhooks: [{name: three}]
`,
		"platform/kyverno/layer.yaml": "version: [kyverno]\n",
		"platform/kyverno/objects.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: kyverno-admission-controller, namespace: kyverno}
spec: {template: {spec: {containers: [{name: kyverno, image: example.com/kyverno:v4}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno, namespace: kyverno}
data: {resourceFilters: "[*/*,kube-system,*]", webhooks: "{}"}
`,
		"platform/prometheus/layer.yaml": "version: []\n",
		"platform/prometheus/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus, namespace: prometheus-system}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: prometheus, namespace: prometheus-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: prometheus-system}
spec: {template: {spec: {containers: [{name: prometheus, image: example.com/prometheus:v3}]}}}
`,
		"platform/dashboards/layer.yaml": "version: []\n",
		"platform/dashboards/objects.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: dashboards, namespace: dashboards}
spec: {template: {spec: {containers: [{name: dashboards, image: example.com/dashboards:v1}]}}}
`,
		"platform/opencost/layer.yaml": "version: []\n",
		"platform/opencost/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: prices, namespace: opencost}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: opencost, namespace: opencost}
spec: {template: {spec: {containers: [{name: opencost, image: example.com/opencost:v1}]}}}
`,
	}
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	folders, err := fs.ReadDir(gitops.FS, "platform")
	if err != nil {
		panic(err) // embedded
	}
	for _, folder := range folders {
		layer := "platform/" + folder.Name()
		out[layer+"/kustomization.yaml"] = &fstest.MapFile{Data: []byte(
			"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [objects.yaml]\n")}
		if out[layer+"/objects.yaml"] == nil {
			// A layer nobody looks into.
			out[layer+"/layer.yaml"] = &fstest.MapFile{Data: []byte("version: []\n")}
			out[layer+"/objects.yaml"] = &fstest.MapFile{Data: []byte(
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: content, namespace: " + folder.Name() + "}\n")}
		}
	}
	return out
}
