package guardrails

import (
	"fmt"
	"maps"
)

// target is a good manifest about to be changed.
type target struct {
	shape shape
	root  object
}

func at(o object, path ...string) object {
	for _, step := range path {
		next, ok := o[step].(object)
		if !ok {
			next = object{}
			o[step] = next
		}
		o = next
	}
	return o
}

func (t *target) pod() object { return at(t.root, t.shape.pod...) }

// container is the one that is changed.
func (t *target) container() object {
	switch c := t.pod()[t.shape.container[0]].(type) {
	case []any:
		return c[0].(object)
	case object:
		return c
	}
	panic(fmt.Sprintf("%s has no %s", t.shape.name, t.shape.container[0]))
}

func (t *target) metas() []object {
	var all []object
	for _, path := range t.shape.metas {
		all = append(all, at(t.root, path...))
	}
	return all
}

// labels are those of every part that has to be labelled.
func (t *target) labels() []object {
	var all []object
	for _, m := range t.metas() {
		all = append(all, at(m, "labels"))
	}
	return all
}

// add appends containers to a list of the pod.
func (t *target) add(list string, containers ...object) {
	all, _ := t.pod()[list].([]any)
	for _, c := range containers {
		all = append(all, c)
	}
	t.pod()[list] = all
}

// with is a container with one thing changed.
func with(c object, change func(object)) object {
	change(c)
	return c
}

func image(reference any) func(object) { return func(c object) { c["image"] = reference } }

func security(changes object) func(object) {
	return func(c object) {
		context := at(c, "securityContext")
		for field, value := range changes {
			if value == nil {
				delete(context, field)
			} else {
				context[field] = value
			}
		}
	}
}

func resources(value any) func(object) { return func(c object) { c["resources"] = value } }

// without removes a field of a container's resources.
func without(path ...string) func(object) {
	return func(c object) {
		delete(at(c, append([]string{"resources"}, path[:len(path)-1]...)...), path[len(path)-1])
	}
}

// container is a mutation of the container.
func container(change func(object)) func(*target) {
	return func(t *target) { change(t.container()) }
}

// label sets a label wherever it has to be, or removes it if value is nil.
func label(key string, value any) func(*target) {
	return func(t *target) {
		for _, l := range t.labels() {
			set(l, key, value)
		}
	}
}

func set(o object, key string, value any) {
	if value == nil {
		delete(o, key)
	} else {
		o[key] = value
	}
}

// null stands for a value that is there and null.
type null struct{}

// podSecurity sets the pod's security context and changes the container's.
func podSecurity(pod, c object) func(*target) {
	return func(t *target) {
		t.pod()["securityContext"] = pod
		security(c)(t.container())
	}
}

// another adds a container to a list, changed.
func another(list string, change func(object)) func(*target) {
	return func(t *target) { t.add(list, with(goodContainer("another"), change)) }
}

// lastOfMany adds good containers to a list and a changed one after them.
func lastOfMany(list string, change func(object)) func(*target) {
	return func(t *target) {
		for i := range 5 {
			t.add(list, goodContainer(fmt.Sprintf("good-%d", i)))
		}
		t.add(list, with(goodContainer("last"), change))
	}
}

// native makes an init container one that keeps running.
func native(change func(object)) func(object) {
	return func(c object) {
		c["restartPolicy"] = "Always"
		change(c)
	}
}

// debugger is an ephemeral container; these may ask for no resources.
func debugger(change func(object)) object {
	return with(object{"name": "debugger", "image": goodImage, "securityContext": goodSecurity()}, change)
}

func unchanged(object) {}

// forged makes an object look as if a controller had made it.
func forged(change func(object)) func(*target) {
	return func(t *target) {
		at(t.root, "metadata")["ownerReferences"] = []any{object{
			"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "corpus", "controller": true,
			"uid": "5f0e2a6e-3c1f-4d57-9c0b-8c7d6e5f4a3b",
		}}
		change(t.container())
	}
}

// managed labels an object as the platform's own tools label theirs.
func managed(change func(object)) func(*target) {
	return func(t *target) {
		maps.Copy(at(t.root, "metadata", "labels"), object{
			"app.kubernetes.io/managed-by": "kyverno", "serving.knative.dev/service": "corpus",
			"serving.knative.dev/revision": "corpus-00001", "serving.kserve.io/inferenceservice": "corpus",
		})
		change(t.container())
	}
}

func explainer(change func(object)) func(*target) {
	return func(t *target) {
		c := goodContainer("art")
		// KServe would fill in a version that is none.
		c["type"], c["runtimeVersion"] = "SquareAttack", "v0.15.2"
		delete(c, "name")
		at(t.root, "spec")["explainer"] = object{"art": with(c, change)}
	}
}

// emptied takes an owner from the pods of one of all components.
func emptied(component string) func(*target) {
	return func(t *target) {
		components(unchanged)(t)
		at(t.root, "spec", component)["labels"] = object{"owner": ""}
	}
}

func components(change func(object)) func(*target) {
	return func(t *target) {
		at(t.root, "spec")["transformer"] = object{"containers": []any{goodContainer("kserve-container")}}
		at(t.root, "spec")["explainer"] = object{"containers": []any{with(goodContainer("kserve-container"), change)}}
	}
}

func predictor(framework string, change func(object)) func(*target) {
	return func(t *target) {
		at(t.root, "spec")["predictor"] = object{"minReplicas": int64(0), framework: with(goodModel(), change)}
	}
}
