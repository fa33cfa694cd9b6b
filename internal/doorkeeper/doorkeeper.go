// Package doorkeeper answers the gateway's question whether a request may pass, by
// Envoy's protocol for external authorization. What it goes by it is told by the
// API server beforehand: no request waits for anything but this process.
package doorkeeper

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"golang.org/x/time/rate"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// Doorkeeper judges requests. It knows nothing until Put was called for every
// source of keys.
type Doorkeeper struct {
	auth.UnimplementedAuthorizationServer
	log     *slog.Logger
	now     func() time.Time
	refused *rate.Limiter // of log lines
	limits  limits
	metrics metrics
	inside  insiders
	starts  starts

	putting sync.Mutex
	sources map[string]keys.Store // nil until it was read
	bad     map[string]int        // entries of a source that are no keys
	store   atomic.Pointer[keys.Store]
}

// New makes one that takes its keys from sources, by any names. Refused requests
// are logged, ten a second at most and without what was shown.
func New(log *slog.Logger, sources ...string) *Doorkeeper {
	d := &Doorkeeper{
		log: log, now: time.Now, refused: rate.NewLimiter(10, 50), sources: map[string]keys.Store{}, bad: map[string]int{},
		starts: starts{began: time.Now()},
	}
	for _, s := range sources {
		d.sources[s] = nil
	}
	return d
}

// Put replaces the keys of one source, which has some more entries that are none.
// It takes effect with the next request.
func (d *Doorkeeper) Put(source string, s keys.Store, bad int) {
	d.putting.Lock()
	defer d.putting.Unlock()
	d.put(source, s, bad)
}

// absent is Put of no keys for a source that nobody has put any for.
func (d *Doorkeeper) absent(source string) {
	d.putting.Lock()
	defer d.putting.Unlock()
	if d.sources[source] == nil {
		d.put(source, keys.Store{}, 0)
	}
}

func (d *Doorkeeper) put(source string, s keys.Store, bad int) {
	d.sources[source], d.bad[source] = s, bad
	all, unreadable := keys.Store{}, 0
	for _, n := range d.bad {
		unreadable += n
	}
	d.metrics.badKeys.Store(int64(unreadable))
	for _, each := range d.sources {
		if each == nil {
			return
		}
		for id, k := range each {
			all[id] = k
		}
	}
	d.limits.keep(all)
	d.store.Store(&all)
	d.metrics.keys.Store(int64(len(all)))
}

// Ready is whether all keys were read.
func (d *Doorkeeper) Ready() bool { return d.store.Load() != nil }

// Check answers for one request. An error, which leaves it to the gateway what
// becomes of the request, is only that the keys are not read yet.
func (d *Doorkeeper) Check(_ context.Context, r *auth.CheckRequest) (*auth.CheckResponse, error) {
	start := time.Now()
	store := d.store.Load()
	if store == nil {
		return nil, status.Error(codes.Unavailable, "the keys are not read yet")
	}
	q := read(r)
	v, wait := d.judge(*store, q)
	d.metrics.count(series{key: v.Key.ID, tenant: q.target.Tenant, endpoint: q.target.Endpoint, outcome: v.Outcome}, time.Since(start))
	if v.Pass() {
		return pass(q), nil
	}
	if d.refused.Allow() {
		d.log.Info("refused", "outcome", v.Outcome, "key", v.Key.ID, "namespace", q.target.Tenant, "endpoint", q.target.Endpoint, "host", q.host, "from", q.from)
	}
	return refuse(v, wait), nil
}

// judge is the verdict on a request and, if it came too soon, the whole seconds to
// wait.
func (d *Doorkeeper) judge(s keys.Store, q request) (v keys.Verdict, wait int) {
	switch {
	case q.probe():
		return keys.Verdict{Outcome: keys.Probe, Status: http.StatusOK}, 0
	case q.target.Tenant == "" || q.target.Endpoint == "":
		return keys.Verdict{Outcome: keys.NoTarget, Status: http.StatusForbidden, Message: "This host name belongs to no endpoint."}, 0
	case q.internal() && d.inside.in(q.from, q.target.Tenant):
		return keys.Verdict{Outcome: keys.Inside, Status: http.StatusOK}, 0
	}
	if v = keys.Judge(s, d.now(), q.token, q.target); !v.Pass() {
		return v, 0
	}
	if wait = d.limits.take(v.Key, d.now()); wait > 0 {
		return keys.OverLimit(v.Key, wait), wait
	}
	return v, 0
}

// pass lets the request go on without the key: what serves it need not see it, and
// whoever wrote that could use it elsewhere.
func pass(q request) *auth.CheckResponse {
	return &auth.CheckResponse{
		Status:       &rpc.Status{Code: int32(codes.OK)},
		HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{HeadersToRemove: q.secrets}},
	}
}

func refuse(v keys.Verdict, wait int) *auth.CheckResponse {
	body, err := json.Marshal(map[string]string{"error": v.Message})
	if err != nil {
		panic(err) // a map of strings
	}
	code, headers := codes.PermissionDenied, []*core.HeaderValueOption{header("content-type", "application/json")}
	switch v.Status {
	case http.StatusUnauthorized:
		code, headers = codes.Unauthenticated, append(headers, header("www-authenticate", `Bearer realm="neuroscale"`))
	case http.StatusTooManyRequests:
		code, headers = codes.ResourceExhausted, append(headers, header("retry-after", strconv.Itoa(wait)))
	}
	return &auth.CheckResponse{
		Status: &rpc.Status{Code: int32(code)},
		HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status: &envoytype.HttpStatus{Code: envoytype.StatusCode(v.Status)}, Headers: headers, Body: string(body) + "\n",
		}},
	}
}

func header(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header: &core.HeaderValue{Key: name, Value: value}, AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
