package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// fakeAPI is as much of a Kubernetes API server as the provider uses: discovery,
// server-side apply with field owners, get, list, watch, and delete with
// finalizers.
type fakeAPI struct {
	*httptest.Server
	mu       sync.Mutex
	version  int
	kinds    map[string]metav1.APIResource // by group/version/plural
	objects  map[string]*stored            // by collection/name
	watchers map[chan event]string         // the collection each watches
	requests []string
	asking   *sync.Cond // signals every request
	// onWrite plays the controllers: it may change an object just written.
	onWrite func(obj *unstructured.Unstructured)
	// refuse answers a request with an error instead.
	refuse func(r *http.Request) *metav1.Status
	logs   map[string]string // by pod/container
	// propagation is how the last deletion was to go on to dependents.
	propagation metav1.DeletionPropagation
}

type stored struct {
	object *unstructured.Unstructured
	owners map[string]map[string]any // applied leaves by manager
}

type event struct {
	Type   string         `json:"type"`
	Object map[string]any `json:"object"`
}

var builtinKinds = []string{
	"v1/namespaces/Namespace", "v1/pods/Pod/ns", "v1/configmaps/ConfigMap/ns", "v1/secrets/Secret/ns", "v1/services/Service/ns",
	"v1/events/Event/ns", "v1/persistentvolumeclaims/PersistentVolumeClaim/ns",
	"apps/v1/deployments/Deployment/ns", "apps/v1/statefulsets/StatefulSet/ns", "apps/v1/daemonsets/DaemonSet/ns", "batch/v1/jobs/Job/ns",
	"rbac.authorization.k8s.io/v1/clusterroles/ClusterRole", "storage.k8s.io/v1/storageclasses/StorageClass",
	"discovery.k8s.io/v1/endpointslices/EndpointSlice/ns", "apiextensions.k8s.io/v1/customresourcedefinitions/CustomResourceDefinition",
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{
		kinds: map[string]metav1.APIResource{}, objects: map[string]*stored{}, watchers: map[chan event]string{}, logs: map[string]string{},
	}
	f.asking = sync.NewCond(&f.mu)
	for _, spec := range builtinKinds {
		f.serve(spec)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(f.handle))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	f.put("v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"},"status":{"phase":"Active"}}`)
	return f
}

// serve adds a kind: [group/]version/plural/Kind[/ns].
func (f *fakeAPI) serve(spec string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	spec, namespaced := strings.CutSuffix(spec, "/ns")
	parts := strings.Split(spec, "/")
	n := len(parts)
	f.kinds[strings.Join(parts[:n-1], "/")] = metav1.APIResource{Name: parts[n-2], Kind: parts[n-1], Namespaced: namespaced}
}

// kubeconfig is the provider configuration that points at the server.
func (f *fakeAPI) kubeconfig() resource.PropertyMap {
	return kubeconfigFor(f.URL)
}

func kubeconfigFor(url string) resource.PropertyMap {
	contents := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],`+
		`"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{"token":"kubeconfig-token"}}]}`, url)
	return servertest.Props{"kubeconfig": resource.MakeSecret(resource.NewProperty(contents))}
}

// put writes an object as a controller would, e.g. put("v1/pods", "default", json).
func (f *fakeAPI) put(kind, namespace, object string) {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	if err := json.Unmarshal([]byte(object), &obj.Object); err != nil {
		panic(err)
	}
	obj.SetNamespace(namespace)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write(kind+"/"+namespace, obj, nil)
}

// change edits an object as a controller would.
func (f *fakeAPI) change(kind, namespace, name string, edit func(map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.objects[kind+"/"+namespace+"/"+name]
	obj := s.object.DeepCopy()
	edit(obj.Object)
	data, err := json.Marshal(obj.Object)
	if err != nil {
		panic(err)
	}
	obj.Object = map[string]any{}
	_ = json.Unmarshal(data, &obj.Object)
	f.write(kind+"/"+namespace, obj, s.owners)
}

func (f *fakeAPI) get(kind, namespace, name string) *unstructured.Unstructured {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.objects[kind+"/"+namespace+"/"+name]; s != nil {
		return s.object
	}
	return nil
}

// drop removes an object at once.
func (f *fakeAPI) drop(kind, namespace, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(kind+"/"+namespace, name)
}

func (f *fakeAPI) remove(collection, name string) {
	if s := f.objects[collection+"/"+name]; s != nil {
		delete(f.objects, collection+"/"+name)
		f.notify(collection, "DELETED", s.object)
	}
}

// write stores an object under a new version and tells the watchers.
func (f *fakeAPI) write(collection string, obj *unstructured.Unstructured, owners map[string]map[string]any) {
	f.version++
	before := f.objects[collection+"/"+obj.GetName()]
	if obj.GetUID() == "" {
		if before != nil {
			obj.SetUID(before.object.GetUID())
		} else {
			obj.SetUID(types.UID(fmt.Sprint("uid-", f.version)))
		}
	}
	if obj.GetGeneration() == 0 {
		obj.SetGeneration(1)
	}
	if before != nil && !reflect.DeepEqual(before.object.Object["spec"], obj.Object["spec"]) {
		obj.SetGeneration(before.object.GetGeneration() + 1)
	}
	obj.SetResourceVersion(fmt.Sprint(f.version))
	kind := "ADDED"
	if before != nil {
		kind = "MODIFIED"
	}
	f.objects[collection+"/"+obj.GetName()] = &stored{object: obj, owners: owners}
	f.notify(collection, kind, obj)
}

func (f *fakeAPI) notify(collection, kind string, obj *unstructured.Unstructured) {
	for ch, watched := range f.watchers {
		if watched == collection {
			ch <- event{Type: kind, Object: obj.DeepCopy().Object}
		}
	}
}

// until waits for the nth request that contains part.
func (f *fakeAPI) until(part string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.count(part) < n {
		f.asking.Wait()
	}
}

// asked counts the requests that contain part.
func (f *fakeAPI) asked(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count(part)
}

func (f *fakeAPI) count(part string) int {
	n := 0
	for _, r := range f.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func failure(w http.ResponseWriter, code int, reason metav1.StatusReason, message string, details *metav1.StatusDetails) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message, Details: details,
	})
}

func (f *fakeAPI) handle(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
	refuse := f.refuse
	f.asking.Broadcast()
	f.mu.Unlock()
	if refuse != nil {
		if status := refuse(r); status != nil {
			status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
			answer(w, int(status.Code), status)
			return
		}
	}
	path := strings.Trim(r.URL.Path, "/")
	if path == "version" {
		answer(w, http.StatusOK, map[string]string{"gitVersion": "v1.35.0"})
		return
	}
	parts := strings.Split(path, "/")
	gv, rest := parts[1], parts[2:]
	if parts[0] == "apis" {
		gv, rest = parts[1]+"/"+parts[2], parts[3:]
	}
	if len(rest) == 0 {
		f.discovery(w, gv)
		return
	}
	namespace := ""
	if rest[0] == "namespaces" && len(rest) > 2 {
		namespace, rest = rest[1], rest[2:]
	}
	if len(rest) == 3 && rest[2] == "log" {
		_, _ = w.Write([]byte(f.logs[rest[1]+"/"+r.URL.Query().Get("container")]))
		return
	}
	kind := gv + "/" + rest[0]
	f.mu.Lock()
	_, ok := f.kinds[kind]
	f.mu.Unlock()
	if !ok {
		failure(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource", nil)
		return
	}
	collection := kind + "/" + namespace
	switch {
	case len(rest) == 1 && r.Method == http.MethodPost:
		f.create(w, r, collection)
	case len(rest) == 1 && r.URL.Query().Get("watch") != "":
		f.watch(w, r, collection)
	case len(rest) == 1:
		f.list(w, r, collection)
	case r.Method == http.MethodPatch:
		f.apply(w, r, collection, namespace, rest[1])
	case r.Method == http.MethodDelete:
		f.delete(w, r, collection, rest[1])
	default:
		f.mu.Lock()
		s := f.objects[collection+"/"+rest[1]]
		f.mu.Unlock()
		if s == nil {
			notFound(w, rest[0], rest[1])
			return
		}
		answer(w, http.StatusOK, s.object.Object)
	}
}

func notFound(w http.ResponseWriter, kind, name string) {
	failure(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", kind, name), &metav1.StatusDetails{Kind: kind, Name: name})
}

func (f *fakeAPI) discovery(w http.ResponseWriter, gv string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := metav1.APIResourceList{GroupVersion: gv}
	for key, kind := range f.kinds {
		if strings.HasPrefix(key, gv+"/") {
			list.APIResources = append(list.APIResources, kind, metav1.APIResource{Name: kind.Name + "/status", Kind: kind.Kind, Namespaced: kind.Namespaced})
		}
	}
	if len(list.APIResources) == 0 {
		failure(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such group", nil)
		return
	}
	answer(w, http.StatusOK, list)
}

func selected(r *http.Request, obj *unstructured.Unstructured) bool {
	for _, term := range strings.Split(r.URL.Query().Get("fieldSelector"), ",") {
		path, want, _ := strings.Cut(term, "=")
		if got, _, _ := unstructured.NestedString(obj.Object, strings.Split(path, ".")...); path != "" && got != want {
			return false
		}
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	return err == nil && selector.Matches(labels.Set(obj.GetLabels()))
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request, collection string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	items := []map[string]any{}
	for key, s := range f.objects {
		if strings.HasPrefix(key, collection+"/") && selected(r, s.object) {
			items = append(items, s.object.Object)
		}
	}
	sort.Slice(items, func(i, j int) bool { return fmt.Sprint(items[i]) < fmt.Sprint(items[j]) })
	answer(w, http.StatusOK, map[string]any{
		"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": fmt.Sprint(f.version)}, "items": items,
	})
}

// watch streams changes. Changes between the client's version and now are sent
// as additions first.
func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, collection string) {
	ch := make(chan event, 1000)
	f.mu.Lock()
	var since int
	_, _ = fmt.Sscan(r.URL.Query().Get("resourceVersion"), &since)
	for key, s := range f.objects {
		var at int
		_, _ = fmt.Sscan(s.object.GetResourceVersion(), &at)
		if strings.HasPrefix(key, collection+"/") && at > since {
			ch <- event{Type: "MODIFIED", Object: s.object.DeepCopy().Object}
		}
	}
	f.watchers[ch] = collection
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watchers, ch)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-ch:
			if selected(r, &unstructured.Unstructured{Object: e.Object}) {
				_ = json.NewEncoder(w).Encode(e)
				w.(http.Flusher).Flush()
			}
		}
	}
}

// activate plays the namespace controller.
func activate(obj *unstructured.Unstructured) {
	if obj.GetKind() == "Namespace" {
		_ = unstructured.SetNestedField(obj.Object, "Active", "status", "phase")
	}
}
