package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// MaxRequestsPerMinute is the highest limit of a key, about what one processor
// judges.
const MaxRequestsPerMinute = 1_000_000

var registryHost = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]+)?$`)

// imagePrefix is a registry, which has a dot or a port, and folders in it.
var imagePrefix = regexp.MustCompile(`^(localhost|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+|[a-z0-9][-a-z0-9]*:[0-9]+)(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// checker collects problems of fields that could be read, the first of each.
type checker struct {
	skip     map[string]bool
	reserved []string // namespaces that are no tenant's
	problems []error
}

// validate looks at every field and returns one error a problem. Fields in skip
// were already refused.
func validate(c *Config, skip map[string]bool, reserved []string) []error {
	v := &checker{skip: map[string]bool{}, reserved: reserved}
	maps.Copy(v.skip, skip)
	walk(reflect.ValueOf(c).Elem(), v.tags)
	v.cluster(c.Cluster)
	v.ports(append(c.NodePorts(), c.Cluster.LocalPorts()...))
	v.label("forge.organization", c.Forge.Organization)
	v.organization(c.Forge.Organization)
	v.forgeSizes(c.Forge, c.InGitea())
	v.github(c)
	v.serving(c.Serving)
	v.tls(c.TLS)
	v.cost(c.Cost)
	v.portal(c.Portal)
	v.tenants(c.Tenants, c.Forge.Organization)
	return v.problems
}

func (v *checker) refuse(field string, value any, write string) {
	at := Namespace + ":" + field
	for wrong := range v.skip {
		if rest, ok := strings.CutPrefix(at, wrong); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	v.skip[at] = true
	v.problems = append(v.problems, problem(at, show(value), write))
}

// tags refuses what the tags of a field leave out.
func (v *checker) tags(f field) {
	l := limitsOf(f.tag)
	for _, e := range f.elements() {
		outside := len(l.enum) > 0 && !slices.Contains(l.enum, e.value.String())
		if e.value.CanInt() {
			outside = l.min != nil && e.value.Int() < *l.min || l.max != nil && e.value.Int() > *l.max
		}
		if outside {
			v.refuse(e.at, e.value.Interface(), l.write())
		}
	}
}

// organization refuses names that Argo CD takes for something else: a group is called
// after it, and so would be the administrator or a role.
func (v *checker) organization(name string) {
	if name == "admin" || name == "role" {
		v.refuse("forge.organization", name, "another name, Argo CD has its own use for this one")
	}
}

func (v *checker) ports(ports []NodePort) {
	taken := map[int]string{}
	for _, p := range ports {
		if other, ok := taken[p.Port]; ok {
			v.refuse(p.Setting, p.Port, fmt.Sprintf("another number, %s:%s has this one", Namespace, other))
			continue
		}
		taken[p.Port] = p.Setting
	}
}

func (v *checker) quantity(field, value string) (resource.Quantity, bool) {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		v.refuse(field, value, "an amount such as 250m, 2 (CPU) or 512Mi, 1Gi (memory, storage)")
		return q, false
	}
	return q, true
}

// forgeSizes refuses repositories that could together fill the forge's volume. The
// platform's own is counted as one more.
func (v *checker) forgeSizes(f Forge, inGitea []string) {
	repositories := len(inGitea)
	storage, ok := v.quantity("forge.storage", f.Storage)
	push, ok2 := v.bytes("forge.maxPush", f.MaxPush)
	repository, ok3 := v.bytes("forge.maxRepository", f.MaxRepository)
	if !ok || !ok2 || !ok3 {
		return
	}
	if least := resource.MustParse(smallestPush); push.Cmp(least) < 0 {
		v.refuse("forge.maxPush", f.MaxPush, "at least "+smallestPush+", the layers of the platform are pushed as well")
	}
	if push.Cmp(repository) > 0 {
		v.refuse("forge.maxPush", f.MaxPush, fmt.Sprintf("at most %s (%s:forge.maxRepository), or raise that", f.MaxRepository, Namespace))
	}
	all := repository.DeepCopy()
	all.Mul(int64(repositories + 1))
	if all.Cmp(storage) > 0 {
		v.refuse("forge.maxRepository", f.MaxRepository, fmt.Sprintf(
			"at most %s (%s:forge.storage) divided by %d, the repositories of all tenants and the platform's own, or raise that",
			f.Storage, Namespace, repositories+1))
	}
}

// smallestPush is more than any layer of the platform takes: it is carried to Git in
// a ConfigMap, so less than one MiB.
const smallestPush = "2Mi"

// bytes wants whole ones.
func (v *checker) bytes(field, value string) (resource.Quantity, bool) {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 || q.Format != resource.BinarySI {
		v.refuse(field, value, "a size such as 20Mi or 1Gi")
		return q, false
	}
	return q, true
}

func (v *checker) label(field, value string) bool {
	if len(validation.IsDNS1123Label(value)) > 0 {
		v.refuse(field, value, "small letters, digits and -, at most 63, beginning and ending with a letter or digit")
		return false
	}
	return true
}

func (v *checker) serving(s Serving) {
	if len(validation.IsDNS1123Subdomain(s.Domain)) > 0 || !strings.Contains(s.Domain, ".") {
		v.refuse("serving.domain", s.Domain, "a domain name such as neuroscale.test")
	}
	v.gateway(s.Gateway)
	for i, host := range s.RegistriesSkippingTagResolving {
		if !registryHost.MatchString(host) {
			v.refuse(fmt.Sprintf("serving.registriesSkippingTagResolving[%d]", i), host,
				"the host name of a registry such as docker.io or localhost:5000")
		}
	}
	// Knative's own bounds of these two.
	v.duration("serving.scaleToZeroGracePeriod", s.ScaleToZeroGracePeriod, 6*time.Second, time.Hour)
	v.duration("serving.stableWindow", s.StableWindow, 6*time.Second, time.Hour)

	v.egress("serving.modelStores", s.ModelStores)

	const at = "serving.defaultResources."
	r := s.DefaultResources
	for _, pair := range []struct{ name, request, limit string }{
		{"cpu", r.CPU, r.Limits.CPU},
		{"memory", r.Memory, r.Limits.Memory},
	} {
		request, ok := v.quantity(at+pair.name, pair.request)
		limit, ok2 := v.quantity(at+"limits."+pair.name, pair.limit)
		if ok && ok2 && request.Cmp(limit) > 0 {
			v.refuse(at+pair.name, pair.request, fmt.Sprintf("at most the limit %s (%s:%slimits.%s), or raise that",
				pair.limit, Namespace, at, pair.name))
		}
	}
}

func (v *checker) gateway(g Gateway) {
	const at = "serving.gateway."
	switch {
	case g.URL != "":
		v.origin(at+"url", g.URL, "https://gateway.models.example.org")
	case g.Type == ServiceLoadBalancer:
		v.refuse(at+"url", g.URL, "the URL of a name that you give the load balancer's address, such as https://gateway.models.example.org")
	}
	v.annotations(at+"annotations.", g.Annotations)
}

func (v *checker) annotations(at string, annotations map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if problems := validation.IsQualifiedName(strings.ToLower(name)); len(problems) > 0 {
			v.refuse(at+name, annotations[name], "the name of an annotation before it, such as example.org/scheme: "+problems[0])
		}
	}
}

// origin wants a URL without a path.
func (v *checker) origin(field, value, example string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path+u.RawQuery+u.Fragment, "/") != "" {
		v.refuse(field, value, "a URL such as "+example+", without a path")
	}
}

// leastMeasurements is room for a day of them and for what is being written.
const leastMeasurements = "512Mi"

func (v *checker) cost(c Cost) {
	v.duration("cost.retention", c.Retention, day, 400*day)
	// More often is more than the kubelet measures, more seldom than a pod that lives
	// for minutes can be billed by.
	v.duration("cost.interval", c.Interval, 10*time.Second, time.Minute)
	if storage, ok := v.bytes("cost.storage", c.Storage); ok && storage.Cmp(resource.MustParse(leastMeasurements)) < 0 {
		v.refuse("cost.storage", c.Storage, "at least "+leastMeasurements)
	}
}

func (v *checker) portal(p Portal) {
	v.quantity("portal.storage", p.Storage)
	v.database(p.Database)
	if p.URL != "" {
		v.origin("portal.url", p.URL, "https://portal.example.org")
	}
}

// postgresName is one that nobody has to quote, as long as Postgres takes.
var postgresName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

func (v *checker) database(d PortalDatabase) {
	const at = "portal.database."
	if !d.Postgres() {
		if d != Default().Portal.Database {
			v.refuse(at+"host", d.Host, "the host name or IP address of a Postgres server, or leave the rest of "+Namespace+":portal.database out")
		}
		return
	}
	if net.ParseIP(d.Host) == nil && len(validation.IsDNS1123Subdomain(d.Host)) > 0 {
		v.refuse(at+"host", d.Host, "a host name or an IP address, without scheme or port")
	}
	for _, f := range []struct{ field, value string }{{"name", d.Name}, {"user", d.User}} {
		if !postgresName.MatchString(f.value) {
			v.refuse(at+f.field, f.value, "at most 63 letters, digits, - and _, beginning with a letter or _")
		}
	}
	namespace, name, _ := strings.Cut(d.PasswordSecret, "/")
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		v.refuse(at+"passwordSecret", d.PasswordSecret, "the namespace and name of a Secret with a password, such as databases/portal")
	}
}

func (v *checker) duration(field string, value Duration, low, high time.Duration) {
	if d := time.Duration(value); d < low || d > high {
		v.refuse(field, value.String(), fmt.Sprintf("a time from %s to %s", Duration(low), Duration(high)))
	}
}
