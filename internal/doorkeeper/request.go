package doorkeeper

import (
	"slices"
	"strings"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// The gateway's listeners, by the port they have in its pod. Those of the public
// (8080, 8443) need no name: they get nothing for nothing.
var (
	internalPorts = []uint32{8081, 8444}
	probePorts    = []uint32{8081, 8090, 8444, 9443}
)

// Labels of Knative's Ingress, which the gateway hands over for the route it has
// chosen: so a host name is understood in one place only. Knative writes these two
// itself, over whatever a tenant's object says.
const (
	routeLabel          = "serving.knative.dev/route"
	routeNamespaceLabel = "serving.knative.dev/routeNamespace"
)

// components of an InferenceService are Knative Services of its name and one of
// these.
var components = []string{"-predictor", "-transformer", "-explainer"}

// request is what a verdict goes by.
type request struct {
	host   string
	target keys.Target
	token  string
	// secrets are the names of headers with a key in them.
	secrets []string
	// from is the address at the other end of the connection: unlike what a header
	// says of it, nobody makes that up.
	from   string
	port   uint32
	probes bool
}

func read(r *auth.CheckRequest) request {
	a := r.GetAttributes()
	http := a.GetRequest().GetHttp()
	headers, labels := http.GetHeaders(), a.GetContextExtensions()
	q := request{
		host: http.GetHost(),
		from: a.GetSource().GetAddress().GetSocketAddress().GetAddress(),
		port: a.GetDestination().GetAddress().GetSocketAddress().GetPortValue(),
		target: keys.Target{
			Tenant: labels[routeNamespaceLabel], Endpoint: endpoint(labels[routeLabel]),
		},
		probes: headers["k-network-probe"] == "probe" && headers["k-network-hash"] == "override",
	}
	bearer, isBearer := cutScheme(headers["authorization"])
	q.token = headers["x-api-key"]
	if q.token == "" && isBearer {
		q.token = bearer
	}
	if strings.Contains(headers["authorization"], keys.Prefix) {
		q.secrets = append(q.secrets, "authorization")
	}
	if strings.Contains(headers["x-api-key"], keys.Prefix) {
		q.secrets = append(q.secrets, "x-api-key")
	}
	return q
}

func cutScheme(authorization string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(authorization, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// endpoint is the name of the InferenceService that a route belongs to.
func endpoint(route string) string {
	for _, c := range components {
		if name, ok := strings.CutSuffix(route, c); ok && name != "" {
			return name
		}
	}
	return route
}

// internal is whether it came through the listener for requests from inside the
// cluster.
func (q request) internal() bool { return slices.Contains(internalPorts, q.port) }

// probe is whether it is Knative asking the gateway which of its configurations is
// in force. The activator and the proxy beside a model answer that themselves and
// hand nothing on; from outside nobody has to ask.
func (q request) probe() bool { return q.probes && slices.Contains(probePorts, q.port) }
