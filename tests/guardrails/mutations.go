package guardrails

import (
	"maps"
	"slices"
)

// labels stands for the policy that asks for labels on the shape's kind.
const labels Verdict = "labels"

// mutation changes one thing of a good manifest.
type mutation struct {
	name string
	// says in words what was changed.
	says   string
	want   Verdict
	change func(*target)
	// fits says which shapes it makes sense for; nil means all.
	fits func(shape) bool
	// deep mutations are for deep shapes only: what they change is the same text in
	// every shape.
	deep bool
}

func (m mutation) appliesTo(s shape) bool {
	return (m.fits == nil && !s.bare || m.fits != nil && m.fits(s)) && (!m.deep || s.deep) && (m.want != labels || s.labelled())
}

// wants is the verdict about a shape.
func (m mutation) wants(s shape) Verdict {
	if m.want == labels {
		return s.labels()
	}
	return m.want
}

func templated(s shape) bool { return s.templated() }

func sidecars(s shape) bool { return s.sidecars }

func pods(s shape) bool { return s.pods }

func builtin(s shape) bool { return !s.service() && !s.bare }

func services(s shape) bool { return s.service() }

func every(shape) bool { return true }

// served is a container that KServe takes from a runtime.
func served(s shape) bool {
	return named("inferenceservice-model", "inferenceservice-framework")(s)
}

func named(names ...string) func(shape) bool {
	return func(s shape) bool { return slices.Contains(names, s.name) }
}

func mutations() []mutation {
	return slices.Concat(
		[]mutation{{name: "good", says: "nothing", want: Admit, fits: every, change: func(*target) {}}},
		labelMutations(), imageMutations(), securityMutations(), resourceMutations(),
		otherContainerMutations(), forgedMutations(), invalidMutations(), serviceMutations(), reachMutations(), claimMutations(),
	)
}

func labelMutations() []mutation {
	return []mutation{
		{name: "owner-dropped", says: "the label owner is nowhere", want: labels, change: label("owner", nil)},
		{name: "cost-center-dropped", says: "the label cost-center is nowhere", want: labels, change: label("cost-center", nil), deep: true},
		{name: "owner-empty", says: "the label owner is empty", want: labels, change: label("owner", ""), deep: true},
		{name: "cost-center-empty", says: "the label cost-center is empty", want: labels, change: label("cost-center", "")},
		{name: "owner-null", says: "the label owner is there without a value", want: labels, change: label("owner", null{}), deep: true},
		{name: "owner-misspelt", says: "the label is Owner", want: labels, deep: true, change: func(t *target) {
			for _, l := range t.labels() {
				l["Owner"] = l["owner"]
				delete(l, "owner")
			}
		}},
		{name: "labels-as-annotations", says: "the labels are annotations", want: labels, deep: true, change: func(t *target) {
			for i, l := range t.labels() {
				for _, key := range []string{"owner", "cost-center"} {
					at(t.metas()[i], "annotations")[key] = l[key]
					delete(l, key)
				}
			}
		}},
		{name: "no-labels", says: "the object has no labels at all", want: labels, fits: services, change: func(t *target) {
			delete(at(t.root, "metadata"), "labels")
		}},
		{name: "labels-only-on-object", says: "the pod template lacks both labels", want: labels, fits: templated, change: func(t *target) {
			template := t.labels()[1]
			delete(template, "owner")
			delete(template, "cost-center")
		}},
		{name: "labels-only-on-template", says: "the object has no labels at all, its pod template has", want: labels, fits: templated, change: func(t *target) {
			delete(t.metas()[0], "labels")
		}},
		{name: "owner-dropped-on-object", deep: true, says: "the object lacks the label owner, its pod template has it", want: labels, fits: templated, change: func(t *target) {
			delete(t.labels()[0], "owner")
		}},
		{name: "cost-center-empty-on-template", says: "the label cost-center of the pod template is empty", want: labels, fits: templated, change: func(t *target) {
			t.labels()[1]["cost-center"] = ""
		}},
	}
}

func imageMutations() []mutation {
	return []mutation{
		{name: "tag-missing", says: "the image has no tag", want: PinnedImages, change: container(image("docker.io/nginxinc/nginx-unprivileged"))},
		{name: "tag-latest", says: "the tag is latest", want: PinnedImages, change: container(image("docker.io/nginxinc/nginx-unprivileged:latest"))},
		{name: "tag-latest-with-digest", deep: true, says: "the tag is latest, with a digest", want: PinnedImages, change: container(image("nginx:latest@" + goodDigest))},
		{name: "tag-missing-after-port", deep: true, says: "the registry has a port, the image no tag", want: PinnedImages, change: container(image("registry.test:5000/team/app"))},
		{name: "tag-latest-after-port", says: "the registry has a port, the tag is latest", want: PinnedImages, change: container(image("registry.test:5000/team/app:latest")), deep: true},
		{name: "tag-empty", says: "the image ends in a colon", want: PinnedImages, change: container(image("docker.io/nginxinc/nginx-unprivileged:")), deep: true},
		{name: "digest-too-short", says: "the image has no tag and a digest that is none", want: PinnedImages, change: container(image("nginx@sha256:6f1b4c0a")), deep: true},
		{name: "image-missing", says: "the container has no image", want: PinnedImages, fits: builtin, deep: true, change: container(func(c object) { delete(c, "image") })},
		{name: "image-empty", says: "the image is empty", want: PinnedImages, fits: builtin, deep: true, change: container(image(""))},
		{name: "digest", says: "the image has a digest, no tag", want: Admit, change: container(image("docker.io/nginxinc/nginx-unprivileged@" + goodDigest))},
		{name: "tag-and-digest", says: "the image has a tag and a digest", want: Admit, change: container(image(goodImage + "@" + goodDigest)), deep: true},
		{name: "port-and-tag", says: "the registry has a port, the image a tag", want: Admit, change: container(image("registry.test:5000/team/app:1.2")), deep: true},
		{name: "port-and-digest", says: "the registry has a port, the image a digest", want: Admit, change: container(image("registry.test:5000/team/app@" + goodDigest)), deep: true},
		{name: "latest-in-path", says: "the path of the image has the word latest", want: Admit, change: container(image("docker.io/latest/latest:1.2")), deep: true},
		{name: "short-name-and-tag", says: "the image has no registry", want: Admit, change: container(image("nginx:1.27.5")), deep: true},
	}
}

func securityMutations() []mutation {
	return []mutation{
		{name: "nonroot-missing", says: "runAsNonRoot is nowhere", want: NonRoot, change: container(security(object{"runAsNonRoot": nil}))},
		{name: "nonroot-false", says: "runAsNonRoot is false", want: NonRoot, change: container(security(object{"runAsNonRoot": false})), deep: true},
		{name: "nonroot-null", says: "runAsNonRoot is there without a value", want: NonRoot, change: container(security(object{"runAsNonRoot": null{}})), deep: true},
		{name: "security-context-missing", deep: true, says: "there is no security context", want: NonRoot, change: container(func(c object) { delete(c, "securityContext") })},
		{name: "security-context-empty", says: "the security context is empty", want: NonRoot, change: container(func(c object) { c["securityContext"] = object{} }), deep: true},
		{name: "user-0", says: "runAsUser is 0", want: NonRoot, change: container(security(object{"runAsUser": int64(0)}))},
		{name: "escalation-true", says: "it may become root by a setuid program", want: NonRoot, change: container(security(object{"allowPrivilegeEscalation": true}))},
		{name: "escalation-missing", says: "nothing is said about setuid programs", want: NonRoot, fits: func(s shape) bool { return !served(s) && !s.bare },
			change: container(security(object{"allowPrivilegeEscalation": nil}))},
		{name: "escalation-by-runtime", says: "its runtime has to say something about setuid programs", want: Admit, fits: served,
			change: container(security(object{"allowPrivilegeEscalation": nil}))},
		{name: "user-missing", says: "runAsUser is nowhere", want: Admit, change: container(security(object{"runAsUser": nil})), deep: true},
		{name: "container-root-in-nonroot-pod", says: "the pod says runAsNonRoot, the container says false", want: NonRoot, fits: pods,
			change: podSecurity(object{"runAsNonRoot": true}, object{"runAsNonRoot": false})},
		{name: "container-nonroot-in-root-pod", says: "the pod says runAsNonRoot false, the container true", want: Admit, fits: pods,
			change: podSecurity(object{"runAsNonRoot": false}, object{"runAsNonRoot": true})},
		{name: "nonroot-by-pod", says: "only the pod says runAsNonRoot", want: Admit, fits: pods,
			change: podSecurity(object{"runAsNonRoot": true}, object{"runAsNonRoot": nil})},
		{name: "nonroot-false-by-pod", says: "only the pod says runAsNonRoot, and false", want: NonRoot, deep: true,
			change: podSecurity(object{"runAsNonRoot": false}, object{"runAsNonRoot": nil})},
		{name: "user-0-by-pod", says: "the pod's runAsUser is 0, the container has none", want: NonRoot, fits: pods,
			change: podSecurity(object{"runAsUser": int64(0)}, object{"runAsUser": nil})},
		{name: "user-0-by-pod-overridden", says: "the pod's runAsUser is 0, the container's is not", want: Admit, fits: pods,
			change: podSecurity(object{"runAsUser": int64(0)}, object{})},
		{name: "user-0-in-nonroot-pod", says: "the pod's runAsUser is not 0, the container's is", want: NonRoot, deep: true,
			change: podSecurity(object{"runAsNonRoot": true, "runAsUser": int64(1000)}, object{"runAsUser": int64(0)})},
	}
}

func resourceMutations() []mutation {
	return []mutation{
		{name: "resources-missing", says: "the container has no resources", want: Resources, change: container(func(c object) { delete(c, "resources") })},
		{name: "resources-empty", says: "the resources are empty", want: Resources, change: container(resources(object{})), deep: true},
		{name: "requests-missing", deep: true, says: "there are no requests", want: Resources, change: container(without("requests"))},
		{name: "limits-missing", says: "there are no limits", want: Resources, change: container(without("limits"))},
		{name: "requests-without-cpu", says: "no CPU is requested", want: Resources, change: container(without("requests", "cpu")), deep: true},
		{name: "requests-without-memory", says: "no memory is requested", want: Resources, change: container(without("requests", "memory")), deep: true},
		{name: "limits-without-cpu", says: "CPU has no limit", want: Resources, change: container(without("limits", "cpu")), deep: true},
		{name: "limits-without-memory", says: "memory has no limit", want: Resources, change: container(without("limits", "memory")), deep: true},
		{name: "resources-only-cpu", deep: true, says: "requests and limits have only CPU", want: Resources,
			change: container(resources(object{"requests": object{"cpu": "10m"}, "limits": object{"cpu": "100m"}}))},
		{name: "requests-zero", says: "what is requested is zero", want: Resources, deep: true,
			change: container(func(c object) { at(c, "resources")["requests"] = object{"cpu": "0", "memory": "0"} })},
		{name: "resources-as-numbers", says: "the quantities are numbers", want: Admit, deep: true,
			change: container(resources(object{
				"requests": object{"cpu": int64(1), "memory": int64(64 << 20)}, "limits": object{"cpu": int64(1), "memory": int64(64 << 20)},
			}))},
	}
}

func otherContainerMutations() []mutation {
	floating, root, unlimited := image("nginx"), security(object{"runAsNonRoot": nil}), without("limits")
	return []mutation{
		{name: "sidecar", says: "there is another good container", want: Admit, fits: sidecars, change: another("containers", unchanged), deep: true},
		{name: "sidecar-tag-missing", says: "another container's image has no tag", want: PinnedImages, fits: sidecars, change: another("containers", floating), deep: true},
		{name: "sidecar-root", says: "another container may be root", want: NonRoot, fits: sidecars, change: another("containers", root)},
		{name: "sidecar-limits-missing", deep: true, says: "another container has no limits", want: Resources, fits: sidecars, change: another("containers", unlimited)},
		{name: "last-of-many-tag-missing", says: "the last image of many has no tag", want: PinnedImages, fits: sidecars, change: lastOfMany("containers", floating)},
		{name: "last-of-many-root", says: "the last container of many may be root", want: NonRoot, fits: sidecars, change: lastOfMany("containers", root), deep: true},
		{name: "last-of-many-limits-missing", says: "the last container of many has no limits", want: Resources, fits: sidecars, change: lastOfMany("containers", unlimited), deep: true},
		{name: "init", says: "there is a good init container", want: Admit, fits: pods, change: another("initContainers", unchanged)},
		{name: "init-tag-missing", says: "an init container's image has no tag", want: PinnedImages, fits: pods, change: another("initContainers", floating)},
		{name: "init-root", says: "an init container may be root", want: NonRoot, fits: pods, change: another("initContainers", root)},
		{name: "init-escalation", says: "an init container may become root by a setuid program", want: NonRoot, fits: pods, change: another("initContainers", security(object{"allowPrivilegeEscalation": true})), deep: true},
		{name: "init-user-0", says: "an init container's runAsUser is 0", want: NonRoot, fits: pods, change: another("initContainers", security(object{"runAsUser": int64(0)})), deep: true},
		{name: "init-limits-missing", deep: true, says: "an init container has no limits", want: Resources, fits: pods, change: another("initContainers", unlimited)},
		{name: "last-of-many-init-tag-missing", says: "the last image of many init containers has no tag", want: PinnedImages, fits: pods, change: lastOfMany("initContainers", floating), deep: true},
		{name: "native-sidecar", says: "a good init container keeps running", want: Admit, fits: pods, change: another("initContainers", native(unchanged)), deep: true},
		{name: "native-sidecar-tag-missing", says: "the image of an init container that keeps running has no tag", want: PinnedImages, fits: pods, change: another("initContainers", native(floating)), deep: true},
		{name: "native-sidecar-root", says: "an init container that keeps running may be root", want: NonRoot, fits: pods, change: another("initContainers", native(root)), deep: true},
		{name: "ephemeral-tag-missing", says: "the image of an ephemeral container has no tag", want: PinnedImages, fits: named("pod", "deployment"),
			change: func(t *target) { t.add("ephemeralContainers", debugger(floating)) }},
		{name: "image-volume-tag-latest", says: "the tag of an image that is a volume is latest", want: PinnedImages, fits: named("pod", "deployment"), change: func(t *target) {
			t.pod()["volumes"] = []any{object{"name": "data", "image": object{"reference": "registry.test/data:latest"}}}
		}},
		{name: "ephemeral-root", says: "an ephemeral container may be root", want: NonRoot, fits: named("pod", "deployment"),
			change: func(t *target) { t.add("ephemeralContainers", debugger(root)) }},
	}
}

func forgedMutations() []mutation {
	floating, root := image("nginx:latest"), security(object{"runAsNonRoot": false})
	return []mutation{
		{name: "owned-and-root", deep: true, says: "it says a controller made it, and may be root", want: NonRoot, change: forged(root)},
		{name: "owned-and-floating", says: "it says a controller made it, and its tag is latest", want: PinnedImages, change: forged(floating), deep: true},
		{name: "owned-and-unlabelled", says: "it says a controller made it, and has no owner", want: labels, fits: named("pod", "replicaset", "job"),
			change: func(t *target) {
				forged(unchanged)(t)
				label("owner", nil)(t)
			}},
		{name: "managed-and-floating", says: "it is labelled as Kyverno's, Knative's and KServe's own, and its tag is latest", want: PinnedImages, change: managed(floating),
			fits: named("pod", "deployment", "inferenceservice-model")},
		{name: "managed-and-root", says: "it is labelled as Kyverno's, Knative's and KServe's own, and may be root", want: NonRoot, change: managed(root),
			fits: named("pod", "deployment", "inferenceservice-model")},
	}
}

func invalidMutations() []mutation {
	both := named("deployment", "inferenceservice-model")
	return []mutation{
		{name: "quoted-boolean", says: "runAsNonRoot is a string", want: Schema, change: container(security(object{"runAsNonRoot": "true"}))},
		{name: "quoted-number", deep: true, says: "runAsUser is a string", want: Schema, change: container(security(object{"runAsUser": "1000"}))},
		{name: "quoted-zero", says: "runAsUser is the string 0", want: Schema, change: container(security(object{"runAsUser": "0"})), deep: true},
		{name: "label-number", says: "the label cost-center is a number", want: Schema, change: label("cost-center", int64(1234)), deep: true},
		{name: "label-boolean", says: "the label owner is a boolean", want: Schema, change: label("owner", true), deep: true},
		{name: "unknown-field", says: "a field of the container is misspelt", want: Schema, change: container(func(c object) { c["imagePullPolcy"] = "Always" })},
		{name: "ephemeral", says: "an ephemeral container is where there can be none", want: Schema, fits: named("inferenceservice-model"), change: func(t *target) {
			t.add("ephemeralContainers", debugger(unchanged))
		}},
		{name: "containers-not-a-list", says: "the containers are one, not a list", want: Schema, fits: both, change: func(t *target) {
			t.pod()["containers"] = goodContainer("main")
		}},
		{name: "unknown-version", says: "the version of the kind is not there", want: Schema, fits: both, change: func(t *target) {
			t.root["apiVersion"] = map[bool]string{true: "serving.kserve.io/v1beta9", false: "apps/v1beta9"}[t.shape.service()]
		}},
		{name: "no-containers", says: "the list of containers is empty", want: API, fits: named("pod", "deployment", "cronjob", "inferenceservice-containers"),
			change: func(t *target) { t.pod()["containers"] = []any{} }},
		{name: "unicode-name", says: "the name has letters that names cannot have", want: API, fits: both, change: func(t *target) {
			at(t.root, "metadata")["name"] = "prévision"
		}},
		{name: "unicode-label", says: "the label owner has letters that labels cannot have", want: API, fits: both, change: label("owner", "données")},
		{name: "unicode-annotation", says: "an annotation has letters from everywhere", want: Admit, fits: both, change: func(t *target) {
			at(t.root, "metadata", "annotations")["example.test/description"] = "Прогноз 予測 🔮 “prévision”"
		}},
	}
}

// serviceMutations are about what only InferenceServices have.
func serviceMutations() []mutation {
	model := named("inferenceservice-model")
	all := []mutation{
		{name: "art", says: "there is a good built-in explainer", want: Admit, fits: model, change: explainer(unchanged)},
		{name: "art-tag-latest", says: "the tag of a built-in explainer is latest", want: PinnedImages, fits: model, change: explainer(image("kserve/art-explainer:latest"))},
		{name: "art-root", says: "a built-in explainer may be root", want: NonRoot, fits: model, change: explainer(security(object{"runAsNonRoot": false}))},
		{name: "art-escalation-missing", says: "a built-in explainer says nothing about setuid programs", want: NonRoot, fits: model, change: explainer(security(object{"allowPrivilegeEscalation": nil}))},
		{name: "art-resources-missing", says: "a built-in explainer has no resources", want: Resources, fits: model, change: explainer(func(c object) { delete(c, "resources") })},
		{name: "runtime-version", says: "the runtime's tag is replaced by another", want: Admit, fits: model, change: container(func(c object) { c["runtimeVersion"] = "v0.15.2" })},
		{name: "runtime-version-latest", says: "the runtime's tag is replaced by latest", want: PinnedImages, fits: named("inferenceservice-model", "inferenceservice-framework"),
			change: container(func(c object) { c["runtimeVersion"] = "latest" })},
		{name: "predictor-labels-emptied", says: "the predictor empties the label owner of its pods", want: ServiceLabels, fits: model, change: emptied("predictor")},
		{name: "transformer-labels-emptied", says: "the transformer empties the label owner of its pods", want: ServiceLabels, fits: model, change: emptied("transformer")},
		{name: "explainer-labels-emptied", says: "the explainer empties the label owner of its pods", want: ServiceLabels, fits: model, change: emptied("explainer")},
		{name: "every-component", says: "there are a transformer and an explainer too, all good", want: Admit, fits: model, change: components(unchanged)},
		{name: "every-component-explainer-root", says: "predictor and transformer are good, the explainer may be root", want: NonRoot, fits: model,
			change: components(security(object{"runAsNonRoot": nil}))},
	}
	for _, framework := range []string{"xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"} {
		all = append(all,
			mutation{name: framework + "-tag-latest", says: "the predictor is " + framework + " in the old form, the tag is latest", want: PinnedImages, fits: model,
				change: predictor(framework, image("registry.test/"+framework+":latest"))},
			mutation{name: framework + "-root", says: "the predictor is " + framework + " in the old form and may be root", want: NonRoot, fits: model,
				change: predictor(framework, security(object{"runAsNonRoot": nil}))},
			mutation{name: framework + "-limits-missing", says: "the predictor is " + framework + " in the old form and has no limits", want: Resources, fits: model,
				change: predictor(framework, without("limits"))},
		)
	}
	return all
}

const initializerUID = "serving.kserve.io/storage-initializer-uid"

// claimMutations are about what is the cluster's own. Knative refuses fields of pods by
// itself where it is asked directly, and a ServingRuntime has none of them; a pod's
// service account has to be there.
func claimMutations() []mutation {
	claim := func(field string, value any) func(*target) {
		return func(t *target) { t.pod()[field] = value }
	}
	annotate := func(annotated func(*target) object) func(*target) {
		return func(t *target) { at(annotated(t), "annotations")[initializerUID] = "0" }
	}
	accountable := func(s shape) bool { return s.pods && s.name != "pod" }
	return []mutation{
		{name: "service-account", says: "it runs as another service account", want: Privileges, fits: accountable, change: claim("serviceAccountName", "builder")},
		{name: "service-account-old-field", says: "it runs as another service account, in the old field", want: Privileges, fits: accountable, deep: true, change: claim("serviceAccount", "builder")},
		{name: "service-account-default", says: "it runs as the default service account", want: Admit, fits: pods, deep: true, change: claim("serviceAccountName", "default")},
		{name: "token-mounted", says: "it gets its service account's token", want: Privileges, fits: pods, change: claim("automountServiceAccountToken", true)},
		{name: "initializer-uid", says: "it chooses the user of the storage initializer", want: Privileges, change: annotate(func(t *target) object {
			return at(t.root, "metadata")
		})},
		{name: "initializer-uid-of-pods", says: "its pods choose the user of the storage initializer", want: Privileges, fits: templated, change: annotate(func(t *target) object {
			return t.metas()[1]
		})},
		{name: "initializer-uid-of-component", says: "a component's pods choose the user of the storage initializer", want: Privileges,
			fits:   named("servingruntime", "inferenceservice-model", "inferenceservice-transformer", "inferenceservice-explainer"),
			change: annotate(func(t *target) object { return t.pod() })},
		{name: "priority-node-critical", says: "it goes before the node's own pods", want: Privileges, fits: pods, change: claim("priorityClassName", "system-node-critical")},
		{name: "priority-cluster-critical", says: "it goes before the cluster's own pods", want: Privileges, fits: pods, deep: true, change: claim("priorityClassName", "system-cluster-critical")},
		{name: "priority-other", says: "it has a priority that is not the cluster's own", want: Admit, fits: pods, deep: true, change: claim("priorityClassName", "batch")},
	}
}

// reachMutations are about Services and how far they reach.
func reachMutations() []mutation {
	service := named("service")
	reach := func(spec object) func(*target) {
		return func(t *target) { maps.Copy(at(t.root, "spec"), spec) }
	}
	return []mutation{
		{name: "cluster-ip", says: "the type is written", want: Admit, fits: service, change: reach(object{"type": "ClusterIP"})},
		{name: "headless", says: "it has no address of its own", want: Admit, fits: service, change: reach(object{"clusterIP": "None"})},
		{name: "node-port", says: "the type is NodePort", want: ClusterIP, fits: service, change: reach(object{"type": "NodePort"})},
		{name: "load-balancer", says: "the type is LoadBalancer", want: ClusterIP, fits: service, change: reach(object{"type": "LoadBalancer"})},
		{name: "external-name", says: "it is a name of another namespace", want: ClusterIP, fits: service, change: func(t *target) {
			t.root["spec"] = object{"type": "ExternalName", "externalName": "gitea.forge.svc.cluster.local"}
		}},
		{name: "external-ips", says: "it has an address that is somebody else's", want: ClusterIP, fits: service,
			change: reach(object{"externalIPs": []any{"192.0.2.1"}})},
		{name: "load-balancer-ip", says: "it asks for an address though it is no load balancer", want: ClusterIP, fits: service,
			change: reach(object{"loadBalancerIP": "192.0.2.1"})},
		{name: "external-name-unused", says: "it has a name outside though the type is another", want: ClusterIP, fits: service,
			change: reach(object{"externalName": "example.test"})},
		{name: "owned-and-node-port", says: "it says Knative made it, and the type is NodePort", want: ClusterIP, fits: service, change: func(t *target) {
			at(t.root, "metadata")["ownerReferences"] = []any{object{
				"apiVersion": "serving.knative.dev/v1", "kind": "Route", "name": "corpus", "controller": true,
				"uid": "5f0e2a6e-3c1f-4d57-9c0b-8c7d6e5f4a3b",
			}}
			reach(object{"type": "NodePort"})(t)
		}},
		{name: "ports-not-a-list", says: "the ports are one, not a list", want: Schema, fits: service, change: reach(object{"ports": object{"port": int64(80)}})},
	}
}

// updates change the good object of a shape, where Kubernetes lets them.
func updates() []mutation {
	object_ := named("pod", "deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "job", "cronjob", "inferenceservice-model")
	template := named("deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "cronjob", "inferenceservice-model")
	images := named("pod", "deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "cronjob", "inferenceservice-model")
	return []mutation{
		{name: "update", says: "an annotation is added", want: Admit, fits: object_, change: func(t *target) {
			at(t.root, "metadata", "annotations")["example.test/description"] = "changed"
		}},
		{name: "update-tag", says: "another image with a tag", want: Admit, fits: images, change: container(image("nginx:1.28.0"))},
		{name: "update-owner-dropped", says: "the label owner of the object is removed", want: labels, fits: object_, change: func(t *target) { delete(t.labels()[0], "owner") }},
		{name: "update-cost-center-empty", says: "the label cost-center of the object is emptied", want: labels, fits: object_, change: func(t *target) { t.labels()[0]["cost-center"] = "" }},
		{name: "update-tag-latest", says: "the tag is changed to latest", want: PinnedImages, fits: images, change: container(image("nginx:latest"))},
		{name: "update-root", says: "runAsNonRoot is removed", want: NonRoot, fits: template, change: container(security(object{"runAsNonRoot": nil}))},
		{name: "update-escalation", says: "setuid programs are allowed", want: NonRoot, fits: template, change: container(security(object{"allowPrivilegeEscalation": true}))},
		{name: "update-limits-missing", says: "the limits are removed", want: Resources, fits: template, change: container(without("limits"))},
		{name: "update-initializer-uid", says: "the user of the storage initializer is chosen", want: Privileges, fits: object_, change: func(t *target) {
			at(t.root, "metadata", "annotations")[initializerUID] = "0"
		}},
		{name: "update-priority", says: "it goes before the node's own pods from now on", want: Privileges, fits: template, change: func(t *target) {
			t.pod()["priorityClassName"] = "system-node-critical"
		}},
		{name: "update-node-port", says: "the type is changed to NodePort", want: ClusterIP, fits: named("service"), change: func(t *target) {
			at(t.root, "spec")["type"] = "NodePort"
		}},
		{name: "update-external-ips", says: "an address that is somebody else's is added", want: ClusterIP, fits: named("service"), change: func(t *target) {
			at(t.root, "spec")["externalIPs"] = []any{"192.0.2.1"}
		}},
		{name: "update-init-root", says: "an init container that may be root is added", want: NonRoot, fits: template,
			change: another("initContainers", security(object{"runAsUser": int64(0)}))},
	}
}

// debugs add an ephemeral container to the good Pod.
func debugs() []mutation {
	add := func(change func(object)) func(*target) {
		return func(t *target) { t.add("ephemeralContainers", debugger(change)) }
	}
	pod := named("pod")
	return []mutation{
		{name: "debug", says: "a good ephemeral container is added", want: Admit, fits: pod, change: add(unchanged)},
		{name: "debug-digest", says: "one is added whose image has a digest", want: Admit, fits: pod, change: add(image("nginx@" + goodDigest))},
		{name: "debug-tag-latest", says: "one is added whose tag is latest", want: PinnedImages, fits: pod, change: add(image("busybox:latest"))},
		{name: "debug-tag-missing", says: "one is added whose image has no tag", want: PinnedImages, fits: pod, change: add(image("busybox"))},
		{name: "debug-root", says: "one is added that may be root", want: NonRoot, fits: pod, change: add(security(object{"runAsNonRoot": false}))},
		{name: "debug-escalation", says: "one is added that may become root by a setuid program", want: NonRoot, fits: pod, change: add(security(object{"allowPrivilegeEscalation": nil}))},
		{name: "debug-user-0", says: "one is added whose runAsUser is 0", want: NonRoot, fits: pod, change: add(security(object{"runAsUser": int64(0)}))},
	}
}

// outsides are faults in a namespace that is no tenant's.
func outsides() []mutation {
	some := named("pod", "deployment", "cronjob", "inferenceservice-model")
	return []mutation{
		{name: "outside-owner-dropped", says: "outside of tenants, the label owner is nowhere", want: Admit, fits: some, change: label("owner", nil)},
		{name: "outside-tag-latest", says: "outside of tenants, the tag is latest", want: Admit, fits: some, change: container(image("nginx:latest"))},
		{name: "outside-root", says: "outside of tenants, it may be root", want: Admit, fits: some, change: container(security(object{"runAsNonRoot": nil}))},
		{name: "outside-node-port", says: "outside of tenants, the type is NodePort", want: Admit, fits: named("service"), change: func(t *target) {
			at(t.root, "spec")["type"] = "NodePort"
		}},
		{name: "outside-resources-missing", says: "outside of tenants, there are no resources", want: Admit, fits: some, change: container(func(c object) { delete(c, "resources") })},
	}
}
