package doorkeeper

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// apiServer has one list of objects a path and tells watchers of changes.
type apiServer struct {
	*httptest.Server
	sync.Mutex
	version  int
	objects  map[string]map[string]string // path: name: JSON
	watchers map[string][]chan string
	refuse   int // requests to answer with 403 first
	lists    map[string]int
	protocol atomic.Int64 // of the last request: HTTP/1 or 2
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{objects: map[string]map[string]string{}, watchers: map[string][]chan string{}, lists: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	s.protocol.Store(int64(r.ProtoMajor))
	s.Lock()
	path := r.URL.Path + "?" + r.URL.Query().Get("fieldSelector")
	if r.Header.Get("Authorization") != "Bearer pod" || s.refuse > 0 {
		s.refuse--
		s.Unlock()
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if r.URL.Query().Get("sendInitialEvents") != "" {
		s.Unlock()
		http.Error(w, "not known here", http.StatusBadRequest)
		return
	}
	if r.URL.Query().Get("watch") == "" {
		defer s.Unlock()
		s.lists[path]++
		var items []string
		for _, o := range s.objects[path] {
			items = append(items, o)
		}
		w.Header().Set("Content-Type", "application/json")
		kind := "SecretList"
		if strings.Contains(path, "/pods") {
			kind = "PodList"
		}
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":%q,"metadata":{"resourceVersion":"%d"},"items":[%s]}`, kind, s.version, strings.Join(items, ","))
		return
	}
	changes := make(chan string, 10)
	s.watchers[path] = append(s.watchers[path], changes)
	s.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case c, open := <-changes:
			if !open {
				return
			}
			fmt.Fprintln(w, c)
			w.(http.Flusher).Flush()
		}
	}
}

// tell changes an object and tells the watchers; an empty object is gone.
func (s *apiServer) tell(path, name, kind, object string) {
	s.Lock()
	defer s.Unlock()
	s.version++
	if s.objects[path] == nil {
		s.objects[path] = map[string]string{}
	}
	s.objects[path][name] = object
	if kind == "DELETED" {
		delete(s.objects[path], name)
	}
	for _, w := range s.watchers[path] {
		w <- `{"type":"` + kind + `","object":` + object + `}`
	}
}

func (s *apiServer) watched(path string) bool {
	s.Lock()
	defer s.Unlock()
	return len(s.watchers[path]) > 0
}

func (s *apiServer) listed(path string) int {
	s.Lock()
	defer s.Unlock()
	return s.lists[path]
}

const (
	keysPath     = "/api/v1/namespaces/doorkeeper/secrets?metadata.name=keys"
	platformPath = "/api/v1/namespaces/doorkeeper/secrets?metadata.name=platform-keys"
	podsPath     = "/api/v1/namespaces/a/pods?"
)

func secret(t *testing.T, version int, list ...keys.Key) string {
	t.Helper()
	data := map[string][]byte{}
	for _, k := range list {
		text, err := keys.Encode(k)
		require.NoError(t, err)
		data[k.ID] = text
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "keys", "uid": "u", "resourceVersion": fmt.Sprint(version)}, "data": data})
	require.NoError(t, err)
	return string(text)
}

func pod(uid, ip, phase string, hostNetwork bool) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"a","name":%q,"uid":%q,"resourceVersion":%q},"spec":{"hostNetwork":%v},
		"status":{"phase":%q,"podIPs":[{"ip":%q}]}}`, "pod-"+uid, uid, phase, hostNetwork, phase, ip)
}

func follow(t *testing.T, s *apiServer) *Doorkeeper {
	t.Helper()
	d := New(slog.New(slog.DiscardHandler), keys.Secret, keys.PlatformSecret)
	a := inPod(t, s, d.log)
	go func() { assert.NoError(t, d.Follow(t.Context(), a, []string{"a"})) }()
	return d
}

// inPod is the server as a pod finds it.
func inPod(t *testing.T, s *apiServer, log *slog.Logger) *API {
	t.Helper()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	a, err := connect(&rest.Config{Host: s.URL, BearerToken: "pod", TLSClientConfig: rest.TLSClientConfig{CAData: authority}}, log)
	require.NoError(t, err)
	return a
}

func TestWhereThereIsNoClusterItSaysSo(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := InCluster(slog.New(slog.DiscardHandler))
	assert.ErrorContains(t, err, "this program runs in a pod: ")
}

// Without HTTP/2 nobody would ask whether a connection is still alive.
func TestWatchesAreOverHTTP2(t *testing.T) {
	s := newAPIServer(t)
	d := follow(t, s)
	soon(t, "all watched", func() bool { return d.Ready() && s.watched(keysPath) && s.watched(platformPath) && s.watched(podsPath) })
	assert.EqualValues(t, 2, s.protocol.Load())
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 5*time.Second, 2*time.Millisecond, what)
}

func TestAKeyHoldsFromTheMomentItIsMadeUntilItIsRevoked(t *testing.T) {
	s := newAPIServer(t)
	s.refuse = 2 // its rights come a moment later
	d := follow(t, s)
	soon(t, "no Secret is no key", d.Ready)
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	code := func() int {
		c, _, _ := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
		return c
	}
	assert.Equal(t, 401, code())
	soon(t, "watched", func() bool { return s.watched(keysPath) })
	s.tell(keysPath, "keys", "ADDED", secret(t, 1, k))
	soon(t, "made", func() bool { return code() == 200 })
	s.tell(platformPath, "platform-keys", "ADDED", secret(t, 2))
	s.tell(keysPath, "keys", "MODIFIED", secret(t, 3))
	soon(t, "revoked", func() bool { return code() == 401 })
	s.tell(keysPath, "keys", "MODIFIED", secret(t, 4, k))
	soon(t, "made again", func() bool { return code() == 200 })
	s.tell(keysPath, "keys", "DELETED", secret(t, 5, k))
	soon(t, "the store deleted", func() bool { return code() == 401 })
}

func TestALostWatchIsTakenUpAgainAndKeysHoldMeanwhile(t *testing.T) {
	s := newAPIServer(t)
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	s.tell(keysPath, "keys", "ADDED", secret(t, 1, k))
	d := follow(t, s)
	code := func() int {
		c, _, _ := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
		return c
	}
	soon(t, "read", func() bool { return d.Ready() && s.watched(keysPath) })
	before := s.listed(keysPath)
	s.Lock()
	for _, w := range s.watchers[keysPath] {
		w <- `{"type":"ERROR","object":{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`
	}
	s.watchers[keysPath] = nil
	s.objects[keysPath]["keys"] = secret(t, 7) // revoked while nobody watched
	s.Unlock()
	soon(t, "listed again", func() bool { return s.listed(keysPath) > before && code() == 401 })
	soon(t, "watched again", func() bool { return s.watched(keysPath) })
	s.tell(keysPath, "keys", "MODIFIED", secret(t, 8, k))
	soon(t, "a change after that", func() bool { return code() == 200 })
	s.CloseClientConnections()
	s.Close()
	time.Sleep(100 * time.Millisecond)
	assert.Equal(t, 200, code(), "without the API server what it said last holds")
}

func TestOnlyPodsThatRunAreInside(t *testing.T) {
	s := newAPIServer(t)
	s.tell(podsPath, "one", "ADDED", pod("1", "10.42.0.5", "Running", false))
	s.tell(podsPath, "two", "ADDED", pod("2", "192.168.0.2", "Running", true))
	s.tell(podsPath, "three", "ADDED", pod("3", "10.42.0.7", "Succeeded", false))
	d := follow(t, s)
	inside := func(ip string) bool { return d.inside.in(ip, "a") }
	soon(t, "listed", func() bool { return inside("10.42.0.5") && s.watched(podsPath) })
	assert.False(t, inside("192.168.0.2"), "everything on the node has that address")
	assert.False(t, inside("10.42.0.7"), "its address may be another's by now")
	assert.False(t, d.inside.in("10.42.0.5", "b"))
	s.tell(podsPath, "four", "ADDED", pod("4", "10.42.0.8", "Pending", false))
	soon(t, "a new one", func() bool { return inside("10.42.0.8") })
	s.tell(podsPath, "four", "MODIFIED", pod("4", "10.42.0.8", "Failed", false))
	s.tell(podsPath, "one", "DELETED", pod("1", "10.42.0.5", "Running", false))
	soon(t, "both gone", func() bool { return !inside("10.42.0.8") && !inside("10.42.0.5") })
}

func TestAnAddressThatIsGivenAwayIsNoLongerItsLastOwners(t *testing.T) {
	var i insiders
	i.set("a", "1", []string{"10.42.0.5"})
	i.set("b", "2", []string{"10.42.0.5"})
	assert.True(t, i.in("10.42.0.5", "a") && i.in("10.42.0.5", "b"))
	i.set("a", "1", nil)
	assert.False(t, i.in("10.42.0.5", "a"))
	assert.True(t, i.in("10.42.0.5", "b"))
}
