package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"sort"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func (f *fakeAPI) create(w http.ResponseWriter, r *http.Request, collection string) {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	_ = json.NewDecoder(r.Body).Decode(&obj.Object)
	f.mu.Lock()
	defer f.mu.Unlock()
	if obj.GetName() == "" {
		obj.SetName(fmt.Sprintf("%s%d", obj.GetGenerateName(), f.version))
	}
	f.write(collection, obj, nil)
	answer(w, http.StatusCreated, obj.Object)
}

// apply merges as server-side apply does: leaves the manager no longer gives go
// away, leaves of others are a conflict unless forced.
func (f *fakeAPI) apply(w http.ResponseWriter, r *http.Request, collection, namespace, name string) {
	query := r.URL.Query()
	patch := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
		failure(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "not an apply patch", nil)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if namespace != "" && f.objects["v1/namespaces//"+namespace] == nil {
		notFound(w, "namespaces", namespace)
		return
	}
	manager := query.Get("fieldManager")
	next := &stored{object: &unstructured.Unstructured{Object: map[string]any{}}, owners: map[string]map[string]any{}}
	if current := f.objects[collection+"/"+name]; current != nil {
		next.object = current.object.DeepCopy()
		for owner, leaves := range current.owners {
			next.owners[owner] = leaves
		}
	}
	given := leaves(patch, nil)
	if cause := conflict(next.owners, manager, given); cause != nil && query.Get("force") != "true" {
		failure(w, http.StatusConflict, metav1.StatusReasonConflict, "Apply failed with 1 conflict", &metav1.StatusDetails{Causes: []metav1.StatusCause{*cause}})
		return
	}
	for path := range next.owners[manager] {
		if _, still := given[path]; !still {
			unstructured.RemoveNestedField(next.object.Object, strings.Split(path, "\x00")...)
		}
	}
	for path, value := range given {
		_ = unstructured.SetNestedField(next.object.Object, value, strings.Split(path, "\x00")...)
	}
	next.owners[manager] = given
	next.object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: manager, Operation: "Apply"}})
	if query.Get("dryRun") != "" {
		answer(w, http.StatusOK, next.object.Object)
		return
	}
	before := f.objects[collection+"/"+name]
	if before == nil || !reflect.DeepEqual(before.object.Object, next.object.Object) {
		if f.onWrite != nil {
			f.onWrite(next.object)
		}
		f.write(collection, next.object, next.owners)
	}
	answer(w, http.StatusOK, f.objects[collection+"/"+name].object.Object)
}

// leaves flattens an object; lists count as one value.
func leaves(fields map[string]any, path []string) map[string]any {
	out := map[string]any{}
	for key, value := range fields {
		at := append(append([]string{}, path...), key)
		if nested, ok := value.(map[string]any); ok && len(nested) > 0 {
			for k, v := range leaves(nested, at) {
				out[k] = v
			}
			continue
		}
		out[strings.Join(at, "\x00")] = value
	}
	return out
}

func conflict(owners map[string]map[string]any, manager string, given map[string]any) *metav1.StatusCause {
	var found []metav1.StatusCause
	for owner, theirs := range owners {
		for path, value := range given {
			if other, ok := theirs[path]; ok && owner != manager && !reflect.DeepEqual(other, value) {
				found = append(found, metav1.StatusCause{
					Type:    metav1.CauseTypeFieldManagerConflict,
					Message: fmt.Sprintf("conflict with %q", owner), Field: "." + strings.ReplaceAll(path, "\x00", "."),
				})
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Field < found[j].Field })
	if len(found) == 0 {
		return nil
	}
	return &found[0]
}

func (f *fakeAPI) delete(w http.ResponseWriter, r *http.Request, collection, name string) {
	var options metav1.DeleteOptions
	_ = json.NewDecoder(r.Body).Decode(&options)
	f.mu.Lock()
	defer f.mu.Unlock()
	if options.PropagationPolicy != nil {
		f.propagation = *options.PropagationPolicy
	}
	s := f.objects[collection+"/"+name]
	if s == nil {
		notFound(w, strings.Split(collection, "/")[0], name)
		return
	}
	if len(s.object.GetFinalizers()) > 0 {
		obj := s.object.DeepCopy()
		now := metav1.NewTime(time.Now())
		obj.SetDeletionTimestamp(&now)
		f.write(collection, obj, s.owners)
	} else {
		f.remove(collection, name)
	}
	answer(w, http.StatusOK, metav1.Status{Status: "Success"})
}
