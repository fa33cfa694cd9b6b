package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// fromZero is how long the first answer of an endpoint without pods may take.
const fromZero = 15 * time.Second

// cameFrom is how long one with a pod may have taken: it cannot be asked again, and it
// may have begun together with everything else on its node.
const cameFrom = time.Minute

func (p *Platform) serving() []check.Check {
	const see = "see `neuroscale endpoints NAME -n TENANT`"
	return []check.Check{
		{
			ID: "B1", Title: "what serves models runs",
			Asks:   "Every Deployment in the namespaces of the serving layers has all its pods, ready.",
			Remedy: "see `kubectl get pods -A`, then `kubectl describe` the one that is not ready",
			Run:    p.run("serving"),
		},
		{
			ID: "B2", Title: "there is an endpoint and every endpoint is ready", Follows: []string{"B1"},
			Asks:   "Every InferenceService of a tenant says that it is ready. None at all is a failure.",
			Remedy: see + ", or merge a folder with one: `neuroscale new`",
			Run:    p.endpointsAreReady,
		},
		{
			ID: "B3", Title: "an endpoint predicts through the gateway (protocol V1)", Follows: []string{"B1", "B2"},
			Asks: "Asks an example endpoint by its host name, with the platform's key, and compares the numbers. " +
				"Where no example is left, asks another whether its model is loaded.",
			Remedy: see + ", then `neuroscale predict NAME`",
			Run:    p.predicts(false),
		},
		{
			ID: "B4", Title: "an endpoint predicts through the gateway (protocol V2)", Follows: []string{"B1", "B2"},
			Asks:   "The same by the open inference protocol.",
			Remedy: see,
			Run:    p.predicts(true),
		},
		{
			ID: "B5", Title: "an endpoint that is scaled to zero answers in time", Follows: []string{"B1", "B2"}, Limit: fromZero + 2*time.Second,
			Asks: fmt.Sprintf("Asks an endpoint that has no pod, which has to answer within %s. If none has no pod just now, "+
				"one that came from zero has to have been ready within %s, and to answer.", fromZero, cameFrom),
			Remedy: see + "; `kubectl logs -n knative-serving deployment/activator`",
			Run:    p.comesFromZero,
		},
		{
			ID: "B6", Title: "nobody gets in without a key", Follows: []string{"B1", "B2"},
			Asks:   "Asks every ready endpoint without a key, and with one that nobody made: both are refused with 401.",
			Remedy: "see `kubectl logs -n doorkeeper deployment/doorkeeper`; `neuroscale:serving.auth` is keys unless it says otherwise",
			Run:    p.keysAreAsked,
		},
		{
			ID: "B7", Title: "the admission webhooks of the layers answer", Follows: []string{"B1"},
			Asks:   "Offers every layer's probes to the API server, dry: it has to admit the good ones, and the named webhook has to refuse the bad ones.",
			Remedy: "see `kubectl get pods -A` for the webhook's server; nothing can be merged or changed without it",
			Run:    p.webhooksAnswer,
		},
	}
}

// endpoints of the tenants.
func (p *Platform) endpoints(ctx context.Context) ([]endpoint.Endpoint, error) {
	all, err := endpoint.Every(ctx, p.Cluster.Dynamic, "")
	return slices.DeleteFunc(all, func(e endpoint.Endpoint) bool { return !slices.Contains(p.Config.Namespaces(), e.Tenant) }), err
}

func (p *Platform) endpointsAreReady(ctx context.Context) (string, error) {
	all, err := p.endpoints(ctx)
	if err != nil {
		return "", err
	}
	var errs []error
	var names []string
	for _, e := range all {
		if !e.Ready {
			errs = append(errs, fmt.Errorf("endpoint %s of tenant %s: %s", e.Name, e.Tenant, e.Why))
		}
		names = append(names, e.Name)
	}
	if len(all) == 0 {
		errs = append(errs, errors.New("there is no endpoint at all"))
	}
	return strings.Join(names, ", "), errors.Join(errs...)
}

// example is whether an endpoint is one of the first content.
func (p *Platform) example(e endpoint.Endpoint) bool {
	_, first := p.Outputs.Endpoints[e.Name]
	return first && e.Tenant == p.Config.Tenants[0].Namespace
}

// best is the ready endpoint to ask: an example before another, one with a pod
// before one without.
func (p *Platform) best(all []endpoint.Endpoint) (endpoint.Endpoint, error) {
	rank := func(e endpoint.Endpoint) int {
		r := 0
		if p.example(e) {
			r += 2
		}
		if e.Replicas.Ready > 0 {
			r++
		}
		return r
	}
	all = slices.DeleteFunc(slices.Clone(all), func(e endpoint.Endpoint) bool { return !e.Ready })
	if len(all) == 0 {
		return endpoint.Endpoint{}, errors.New("no endpoint is ready")
	}
	return slices.MaxFunc(all, func(a, b endpoint.Endpoint) int { return rank(a) - rank(b) }), nil
}

func (p *Platform) predicts(v2 bool) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		all, err := p.endpoints(ctx)
		if err != nil {
			return "", err
		}
		e, err := p.best(all)
		if err != nil {
			return "", err
		}
		return p.answers(ctx, e, v2)
	}
}

// answers asks an endpoint as its users do. Of one that is no example nobody knows
// which numbers are right.
func (p *Platform) answers(ctx context.Context, e endpoint.Endpoint, v2 bool) (string, error) {
	host, err := predict.Endpoint(ctx, p.Cluster.Dynamic, e.Tenant, e.Name)
	if err != nil {
		return "", err
	}
	if !p.example(e) {
		path := "/v1/models/" + e.Name
		if v2 {
			path = "/v2/models/" + e.Name + "/ready"
		}
		start := time.Now()
		code, body, err := p.ask(ctx, host, path, p.Outputs.PlatformKey)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("endpoint %s answers %d: %s", e.Name, code, body)
		}
		return fmt.Sprintf("no example is ready; %s, asked as %s, says after %.1fs that its model is loaded", e.Name, host, time.Since(start).Seconds()), err
	}
	r := predict.Request{Name: e.Name, Gateway: p.Outputs.GatewayURL, Host: host, Key: p.Outputs.PlatformKey, Data: []byte(predict.Example), V2: v2}
	if v2 {
		r.Data = []byte(predict.ExampleV2)
	}
	answer, err := predict.Do(ctx, p.HTTP, r)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, asked as %s, answered in %.0f ms: %s", e.Name, host, answer.LatencyMS, strings.TrimSpace(answer.Body)), answer.IsExample()
}

// ask reads a path of an endpoint at the gateway.
func (p *Platform) ask(ctx context.Context, host, path, key string) (code int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(p.Outputs.GatewayURL, "/")+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return p.send(request)
}

func (p *Platform) send(request *http.Request) (code int, body string, err error) {
	response, err := p.HTTP.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	return response.StatusCode, strings.TrimSpace(string(text)), err
}

func (p *Platform) comesFromZero(ctx context.Context) (string, error) {
	all, err := p.endpoints(ctx)
	if err != nil {
		return "", err
	}
	var awake []endpoint.Endpoint
	var notReady []string
	for _, e := range all {
		o, err := p.get(ctx, kube.InferenceServices, e.Tenant, e.Name)
		if err != nil {
			return "", err
		}
		if o == nil {
			continue
		}
		least, set, _ := unstructured.NestedInt64(o.Object, "spec", "predictor", "minReplicas")
		switch {
		case !set || least > 0:
		case !e.Ready:
			notReady = append(notReady, e.Name)
		case e.Replicas.Total > 0:
			awake = append(awake, e)
		default:
			start := time.Now()
			evidence, err := p.answers(ctx, e, false)
			took := time.Since(start)
			if err == nil && took > fromZero {
				err = fmt.Errorf("endpoint %s answered after %.1fs, later than %s", e.Name, took.Seconds(), fromZero)
			}
			return fmt.Sprintf("from zero after %.1fs: %s", took.Seconds(), evidence), err
		}
	}
	switch {
	case len(awake) > 0:
		return p.cameFromZero(ctx, awake[0])
	case len(notReady) > 0:
		return "", fmt.Errorf("the endpoints that scale to zero are not ready: %s", strings.Join(notReady, ", "))
	case len(all) == 0:
		return "", errors.New("there is no endpoint at all")
	}
	return "", check.Off("every endpoint keeps a pod (minReplicas), so none starts from zero")
}

// cameFromZero looks at how long the pod of an endpoint took that is awake.
func (p *Platform) cameFromZero(ctx context.Context, e endpoint.Endpoint) (string, error) {
	pods, err := p.list(ctx, kube.Pods, e.Tenant, "serving.kserve.io/inferenceservice="+e.Name)
	if err != nil {
		return "", err
	}
	for i := range pods {
		for _, c := range kube.Conditions(&pods[i]) {
			if c.Type != "Ready" || !c.Holds || c.Since == nil {
				continue
			}
			took := c.Since.Sub(pods[i].GetCreationTimestamp().Time)
			if took > cameFrom {
				return "", fmt.Errorf("the pod of endpoint %s was ready %s after it was asked for, later than %s", e.Name, took, cameFrom)
			}
			evidence, err := p.answers(ctx, e, false)
			return fmt.Sprintf("%s is awake; its pod was ready %s after it was asked for: %s", e.Name, took, evidence), err
		}
	}
	return "", fmt.Errorf("endpoint %s is awake and none of its pods is ready", e.Name)
}

func (p *Platform) keysAreAsked(ctx context.Context) (string, error) {
	if p.Config.Serving.Auth == config.AuthNone {
		return "", check.Off("neuroscale:serving.auth is none: whoever reaches the gateway may ask every endpoint")
	}
	all, err := p.endpoints(ctx)
	if err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(e endpoint.Endpoint) bool { return !e.Ready })
	if len(all) == 0 {
		return "", errors.New("no endpoint is ready")
	}
	_, invented := keys.New(keys.Key{}, time.Now())
	err = every(all, func(e endpoint.Endpoint) error {
		host, err := predict.Endpoint(ctx, p.Cluster.Dynamic, e.Tenant, e.Name)
		if err != nil {
			return err
		}
		for what, key := range map[string]string{"without a key": "", "with a key that nobody made": invented} {
			code, body, err := p.ask(ctx, host, "/v1/models/"+e.Name, key)
			if err != nil {
				return err
			}
			if code != http.StatusUnauthorized {
				return fmt.Errorf("endpoint %s, asked %s, answers %d, not 401: %s", e.Name, what, code, body)
			}
		}
		return nil
	})
	return fmt.Sprintf("%s refuse with 401 without a key and with one that nobody made", count(len(all), "endpoint")), err
}

func (p *Platform) webhooksAnswer(ctx context.Context) (string, error) {
	type probe struct {
		layer string
		layer.Probe
	}
	var probes []probe
	for _, part := range p.Parts {
		// The guardrails' own are in group D.
		if part.Name == "guardrails" || part.Name == "kyverno" {
			continue
		}
		for _, d := range part.Layers {
			for _, each := range d.Probe {
				probes = append(probes, probe{d.Name, each})
			}
		}
	}
	if len(probes) == 0 {
		return "", errors.New("no layer has a probe")
	}
	err := every(probes, func(each probe) error {
		refusal, err := p.dryRun(ctx, each.Resource, each.Object)
		what := fmt.Sprintf("layer %s: %s %s", each.layer, each.Object["kind"], kube.Text(each.Object, "metadata", "name"))
		switch {
		case err != nil:
			return fmt.Errorf("layer %s: %w", each.layer, err)
		case each.Expect == layer.Admit && refusal != "":
			return fmt.Errorf("%s is refused: %s", what, refusal)
		case each.Expect == layer.Deny && !refusedBy(refusal, each.By):
			return fmt.Errorf("%s is not refused by %s: %s", what, each.By, orAdmitted(refusal))
		}
		return nil
	})
	return fmt.Sprintf("%s answered as they have to be", count(len(probes), "probe")), err
}

func orAdmitted(refusal string) string {
	if refusal == "" {
		return "it is admitted"
	}
	return refusal
}
