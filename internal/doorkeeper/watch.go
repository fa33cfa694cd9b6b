package doorkeeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// object has the few fields of Secrets and pods that matter here. The usual client
// would decode the rest too, and was most of this program's size and memory.
type object struct {
	Metadata struct {
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string][]byte `json:"data"` // of a Secret
	Spec struct {
		HostNetwork bool `json:"hostNetwork"`
	} `json:"spec"`
	Status struct {
		Phase  string `json:"phase"`
		PodIPs []struct {
			IP string `json:"ip"`
		} `json:"podIPs"`
	} `json:"status"`
}

// API is the way to the API server.
type API struct {
	// URL of the API server, without a path.
	URL string
	// Client trusts it.
	Client *http.Client
	// Token that signs in; called for every request, because it changes.
	Token func() (string, error)
	Log   *slog.Logger
}

// account is where a pod finds what it signs in with.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster is the API server as a pod reaches it.
func InCluster(log *slog.Logger) (*API, error) { return inCluster(log, account) }

func inCluster(log *slog.Logger, account string) (*API, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this program runs in a pod")
	}
	authority, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the API server's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s/ca.crt has no certificate", account)
	}
	t := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		// A connection that died in silence would keep a revoked key alive.
		HTTP2:       &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
	}
	return &API{
		URL: "https://" + net.JoinHostPort(host, port), Client: &http.Client{Transport: t}, Log: log,
		Token: func() (string, error) {
			text, err := os.ReadFile(filepath.Join(account, "token"))
			return strings.TrimSpace(string(text)), err
		},
	}, nil
}

// watchSeconds is how long one request watches.
const watchSeconds = 300

// errGone means that the API server no longer knows where a watch left off.
var errGone = errors.New("too old")

// follow calls replace with all objects of a path, and change for every later
// change of one, until ctx ends. What goes wrong is logged and tried again.
func (a *API) follow(ctx context.Context, path string, query url.Values, replace func([]object), change func(o object, gone bool)) {
	const first, last = 200 * time.Millisecond, 5 * time.Second
	pause := first
	for ctx.Err() == nil {
		version, err := a.list(ctx, path, query, replace)
		for err == nil && ctx.Err() == nil {
			pause = first
			version, err = a.watch(ctx, path, query, version, change)
		}
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errGone) {
			a.Log.Warn("cannot follow the API server", "path", path, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, last)
	}
}

func (a *API) list(ctx context.Context, path string, query url.Values, replace func([]object)) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := a.get(ctx, path, query)
	if err != nil {
		return "", err
	}
	defer body.Close()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []object `json:"items"`
	}
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return "", fmt.Errorf("read the list: %w", err)
	}
	replace(list.Items)
	return list.Metadata.ResourceVersion, nil
}

// watch hands over changes after version and returns that of the last one when the
// API server ends the watch, as it does after some minutes.
func (a *API) watch(ctx context.Context, path string, query url.Values, version string, change func(o object, gone bool)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, (watchSeconds+30)*time.Second)
	defer cancel()
	q := url.Values{
		"watch": {"1"}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"}, "timeoutSeconds": {fmt.Sprint(watchSeconds)},
	}
	for name, values := range query {
		q[name] = values
	}
	start := time.Now()
	body, err := a.get(ctx, path, q)
	if err != nil {
		return "", err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := d.Decode(&event); err != nil {
			if errors.Is(err, io.EOF) && time.Since(start) > time.Second {
				return version, nil
			}
			return "", fmt.Errorf("watch: %w", err)
		}
		if event.Type == "ERROR" {
			var s struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			}
			if json.Unmarshal(event.Object, &s) == nil && s.Code == http.StatusGone {
				return "", errGone
			}
			return "", fmt.Errorf("watch: %s", s.Message)
		}
		var o object
		if err := json.Unmarshal(event.Object, &o); err != nil {
			return "", fmt.Errorf("watch: %w", err)
		}
		version = o.Metadata.ResourceVersion
		switch event.Type {
		case "ADDED", "MODIFIED":
			change(o, false)
		case "DELETED":
			change(o, true)
		}
	}
}

// get a path of the API server. The error has what it answered.
func (a *API) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	token, err := a.Token()
	if err != nil {
		return nil, fmt.Errorf("read the token to sign in with: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	response, err := a.Client.Do(r)
	if err != nil {
		return nil, err
	}
	switch response.StatusCode {
	case http.StatusOK:
		return response.Body, nil
	case http.StatusGone:
		err = errGone
	default:
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		err = fmt.Errorf("the API server answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return nil, errors.Join(err, response.Body.Close())
}
