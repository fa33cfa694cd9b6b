package policy

import (
	"cmp"
	"maps"
	"strings"
	"testing"
)

// KServe merges what is written over the runtime's container, which says false.
func TestOnlyWhatHasARuntimeNeedNotSayThatItDoesNotEscalate(t *testing.T) {
	for name, c := range map[string]struct {
		shape, path string
		says        string // "" is admitted
	}{
		"a model":                        {"InferenceService/worker", "spec predictor model", ""},
		"a container called model":       {"InferenceService/custom", "spec predictor containers main", "predictor.model (allowPrivilegeEscalation is not false)"},
		"a worker":                       {"InferenceService/worker", "spec predictor workerSpec containers main", "predictor.workerSpec.main (allow"},
		"a server of one's own":          {"InferenceService/custom", "spec predictor containers main", "(allow"},
		"a runtime of the tenant's":      {"ServingRuntime", "spec containers main", "main (allow"},
		"a Deployment":                   {"Deployment", "spec template spec containers main", "main (allow"},
		"a Knative Service, made direct": {"Service", "spec template spec containers main", "main (allow"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good(t, c.shape)
			container := at(o, strings.Fields(c.path)...)
			drop(at(container, "securityContext"), "allowPrivilegeEscalation")
			if strings.HasSuffix(name, "called model") {
				container["name"] = "model"
			}
			if c.says == "" {
				judged(t, Request{Object: o}, nil)
			} else {
				judged(t, Request{Object: o}, []string{root}, c.says)
			}
			at(container, "securityContext")["allowPrivilegeEscalation"] = true
			judged(t, Request{Object: o}, []string{root}, "allowPrivilegeEscalation is not false")
		})
	}
}

func TestAPodClaimsNothingThatIsTheClusters(t *testing.T) {
	for shape := range shapes {
		for name, c := range map[string]struct {
			claim string
			says  string // "" is admitted
		}{
			"a priority of its own":      {"{priorityClassName: batch}", ""},
			"no priority":                {"{priorityClassName: ''}", ""},
			"the node's priority":        {"{priorityClassName: system-node-critical}", "priorityClassName is system-node-critical, before which the platform has to go: leave it out"},
			"the cluster's own priority": {"{priorityClassName: system-cluster-critical}", "priorityClassName is system-cluster-critical"},
			"the default account":        {"{serviceAccountName: default, serviceAccount: default, automountServiceAccountToken: false}", ""},
			"no account":                 {"{serviceAccountName: ''}", ""},
			"another account":            {"{serviceAccountName: builder}", "serviceAccountName is builder: leave it out or write default"},
			"another, in the old way":    {"{serviceAccount: builder}", "serviceAccount is builder: leave it out or write default"},
			"the account's token":        {"{automountServiceAccountToken: true}", "automountServiceAccountToken is true: leave it out or write false"},
			"two at once":                {"{priorityClassName: system-node-critical, serviceAccountName: builder}", "leave it out; serviceAccountName is builder"},
		} {
			t.Run(shape+" "+name, func(t *testing.T) {
				o := good(t, shape)
				maps.Copy(pod(o, shape), decode(t, c.claim))
				refused := refusedIf(c.says != "", privileges)
				judged(t, Request{Object: o}, refused, c.says)
				judged(t, Request{Operation: "UPDATE", Object: o, OldObject: good(t, shape)}, refused, c.says)
			})
		}
	}
}

const initializerUID = "serving.kserve.io/storage-initializer-uid"

func TestNobodyChoosesTheUserOfTheStorageInitializer(t *testing.T) {
	places := map[string][]string{
		"Pod": {"metadata"}, "Revision": {"metadata"}, "CronJob": {"metadata", "spec.jobTemplate.spec.template.metadata"},
		"InferenceService/custom": {"metadata", "spec.predictor"}, "InferenceService/transformer": {"metadata", "spec.predictor", "spec.transformer"},
		"InferenceService/explainer": {"metadata", "spec.explainer"}, "InferenceService/worker": {"metadata", "spec.predictor"},
		"ServingRuntime": {"metadata", "spec"}, "ServingRuntime/worker": {"metadata", "spec"},
	}
	for shape := range shapes {
		for place := range strings.FieldsSeq(cmp.Or(strings.Join(places[shape], " "), "metadata spec.template.metadata")) {
			t.Run(shape+" "+place, func(t *testing.T) {
				o := good(t, shape)
				at(o, strings.Split(place, ".")...)["annotations"] = map[string]any{initializerUID: "0", "other": "1"}
				judged(t, Request{Object: o}, []string{privileges}, "annotations has "+initializerUID+": leave it out")
				judged(t, Request{Operation: "UPDATE", Object: o, OldObject: good(t, shape)}, []string{privileges})
			})
		}
	}
	t.Run("what was there before stays changeable", func(t *testing.T) {
		old, now := good(t, "InferenceService/custom"), good(t, "InferenceService/custom")
		at(old, "metadata")["annotations"] = map[string]any{initializerUID: "0"}
		at(now, "metadata")["annotations"] = map[string]any{initializerUID: "0", "other": "1"}
		judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, nil)
		at(now, "metadata", "annotations")[initializerUID] = "1"
		judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, []string{privileges})
	})
}

const routeOwner = "{apiVersion: serving.knative.dev/v1, kind: Route, name: o, uid: u, controller: true}"

func TestAServiceReachesNoFurtherThanTheCluster(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		says string // "" is admitted
	}{
		"nothing said":            {"{ports: [{port: 80}]}", ""},
		"no spec":                 {"null", ""},
		"a ClusterIP":             {"{type: ClusterIP, ports: [{port: 80}]}", ""},
		"a headless one":          {"{clusterIP: None, ports: [{port: 80}]}", ""},
		"empty fields":            {"{externalIPs: [], externalName: '', loadBalancerIP: ''}", ""},
		"a port of the node":      {"{type: NodePort, ports: [{port: 80, nodePort: 30082}]}", "spec.type is NodePort: write type: ClusterIP"},
		"a load balancer":         {"{type: LoadBalancer, loadBalancerIP: 10.0.0.7}", "spec.type is LoadBalancer, spec.loadBalancerIP is set"},
		"a name outside":          {"{type: ExternalName, externalName: gitea.forge.svc}", "spec.type is ExternalName, spec.externalName is set"},
		"the node's address":      {"{externalIPs: [10.88.0.2], ports: [{port: 30082}]}", "Service s reaches beyond the cluster: spec.externalIPs is set: write"},
		"an address for later":    {"{loadBalancerIP: 10.0.0.7}", "spec.loadBalancerIP is set"},
		"a type of another case":  {"{type: clusterip}", "spec.type is clusterip"},
		"a type that is a number": {"{type: 1}", "spec.type is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: "+c.spec+"}")
			old := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1}]}}")
			refused := refusedIf(c.says != "", clusterIP)
			judged(t, Request{Object: o}, refused, c.says)
			judged(t, Request{Operation: "UPDATE", Object: o, OldObject: old}, refused, c.says)
		})
	}
	for name, c := range map[string]struct {
		user, owner string
		refused     []string
	}{
		"Knative's for a Route":              {knative, routeOwner, nil},
		"KServe's for an InferenceService":   {kserve, "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: o, uid: u, controller: true}", nil},
		"a person's that says it is":         {"", routeOwner, []string{clusterIP}},
		"Argo CD's that says it is":          {"system:serviceaccount:argocd:argocd-application-controller", routeOwner, []string{clusterIP}},
		"Knative's for nobody":               {knative, "{apiVersion: v1, kind: Pod, name: o, uid: u, controller: true}", []string{clusterIP}},
		"Knative's for what is called Route": {knative, "{apiVersion: route.openshift.io/v1, kind: Route, name: o, uid: u, controller: true}", []string{clusterIP}},
	} {
		t.Run(name, func(t *testing.T) {
			o := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: kourier-internal.kourier-system.svc}}")
			at(o, "metadata")["ownerReferences"] = []any{decode(t, c.owner)}
			judged(t, Request{Object: o, Username: c.user}, c.refused)
		})
	}
	t.Run("a Route does not excuse a workload", func(t *testing.T) {
		o := good(t, "Deployment")
		at(pod(o, "Deployment"), "containers", "main")["image"] = "nginx"
		at(o, "metadata")["ownerReferences"] = []any{decode(t, routeOwner)}
		judged(t, Request{Object: o, Username: knative}, []string{latest})
	})
}
