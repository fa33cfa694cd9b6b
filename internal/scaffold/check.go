package scaffold

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Site is where an endpoint is to be.
type Site struct {
	Tenant config.Tenant
	// Excluded are folders, as glob patterns, that no endpoint may be in.
	Excluded []string
	// Stores are where pods may fetch models from, beside what the tenant adds.
	Stores []config.Egress
}

// derived is the longest of what KServe and Knative put behind a name: the
// Deployment of a revision. Knative has a hash in the place of what does not fit
// into 63 characters, and a host name whose label is longer is none.
const derived = "-predictor-00001-deployment"

// LongestName is how many characters an endpoint's name may have.
const LongestName = validation.DNS1035LabelMaxLength - len(derived)

// schemes of URIs that the storage initializer fetches from the internet. What
// KServe calls pvc needs a claim, which no tenant may merge, and http a port that
// no model store has by default.
var schemes = []string{"gs", "s3", "hf", "https"}

// secure is the port that all of them connect to if they name none.
const secure = 443

// uriText is what a URI may consist of: none of it means anything to YAML, a shell
// or Kubernetes, which replaces $(NAME) in the arguments of a container.
var uriText = regexp.MustCompile(`^[A-Za-z0-9._~%+=,@:/-]+$`)

// longestURI is above what any store has and below what an argument may be.
const longestURI = 1024

func (s *Scaffold) check(e Endpoint, site Site) error {
	problems := []error{
		checkName(e.Name, site.Excluded),
		oneOf("--model-format", e.ModelFormat, s.Formats),
		checkURI(e.StorageURI, site),
		checkLabel("--owner", e.Owner),
		checkLabel("--cost-center", e.CostCenter),
		oneOf("--size", e.Size, s.SizeNames()),
		s.checkSize(e.Size, site.Tenant),
	}
	return errors.Join(append(problems, checkReplicas(e, site.Tenant)...)...)
}

func checkName(name string, excluded []string) error {
	if len(name) > LongestName {
		return fmt.Errorf("NAME %q has %d characters: write at most %d, so that NAME%s, which Knative makes of it, has no more than %d",
			name, len(name), LongestName, derived, validation.DNS1035LabelMaxLength)
	}
	if len(validation.IsDNS1035Label(name)) > 0 {
		return fmt.Errorf("NAME %q is no name of an endpoint: write small letters, digits and -, beginning with a letter and ending with a letter or digit", name)
	}
	if slices.ContainsFunc(excluded, func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }) {
		return fmt.Errorf("NAME %q is the platform's or another tenant's: write another one", name)
	}
	return nil
}

func checkLabel(flag, value string) error {
	if value == "" || len(validation.IsValidLabelValue(value)) > 0 {
		return fmt.Errorf("%s %q is no label: write letters, digits, -, _ and ., at most %d, beginning and ending with a letter or digit",
			flag, value, validation.LabelValueMaxLength)
	}
	return nil
}

func oneOf(flag, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s %q is unknown%s: write %s", flag, value, nearest.Hint(value, known), strings.Join(known, " or "))
}

func checkURI(uri string, site Site) error {
	// A secret that somebody typed is not printed.
	refuse := func(what, write string) error {
		return fmt.Errorf("--storage-uri %q %s: write %s", shown(uri), what, write)
	}
	const such = "where the model is, such as gs://my-bucket/models/iris"
	if uri == "" {
		return refuse("is missing", such)
	}
	if len(uri) > longestURI {
		return refuse(fmt.Sprintf("has %d characters", len(uri)), fmt.Sprintf("at most %d", longestURI))
	}
	if strings.ContainsAny(uri, "?#") {
		return refuse("has a query or a fragment", "the URI without it: what signs a URI is a secret, and everybody reads what is in Git")
	}
	if !uriText.MatchString(uri) {
		return refuse("has characters that a URI of a model cannot have", "letters, digits and . _ ~ % + = , @ : / - only, and %20 for a space")
	}
	scheme, _, found := strings.Cut(uri, "://")
	if !found || !slices.Contains(schemes, scheme) {
		return refuse("cannot be fetched", strings.Join(schemes, "://, ")+":// and "+such)
	}
	u, err := url.Parse(uri)
	if err != nil {
		return refuse("is no URI", such)
	}
	if u.User != nil {
		return refuse("has a user in it", "the URI without what is before the @: everybody reads what is in Git")
	}
	if slices.ContainsFunc(strings.Split(u.Path, "/"), func(part string) bool { return part == ".." || part == "." }) {
		return refuse("goes up or nowhere with a . or ..", "the path itself")
	}
	if u.Hostname() == "" || (scheme == "https" || scheme == "hf") && strings.Trim(u.Path, "/") == "" {
		return refuse("does not say what to fetch", scheme+"://, a bucket or host, / and a path")
	}
	return checkPort(u, site, refuse)
}

// shown is a URI without what may be a secret in it.
func shown(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	uri, _, _ = strings.Cut(uri, "#")
	scheme, rest, found := strings.Cut(uri, "://")
	if at := strings.LastIndexByte(strings.SplitN(rest, "/", 2)[0], '@'); found && at >= 0 {
		return scheme + "://***" + rest[at:]
	}
	return uri
}

func checkPort(u *url.URL, site Site, refuse func(what, write string) error) error {
	port := secure
	if text := u.Port(); text != "" {
		if u.Scheme != "https" {
			return refuse("has a port", "the name of the bucket alone")
		}
		var err error
		if port, err = strconv.Atoi(text); err != nil {
			return refuse("has no port behind the :", "a number, or no :")
		}
	}
	open := openPorts(site)
	if slices.Contains(open, port) {
		return nil
	}
	if len(open) == 0 {
		return refuse("cannot be reached, pods of this tenant reach no store", "nothing yet, but have one added to neuroscale:serving.modelStores")
	}
	var ports []string
	for _, each := range open {
		ports = append(ports, strconv.Itoa(each))
	}
	return refuse(fmt.Sprintf("is at port %d, where the network lets no pod of tenant %s", port, site.Tenant.Namespace),
		"a URI at port "+strings.Join(ports, " or ")+", or have the port added to neuroscale:serving.modelStores")
}

// checkSize refuses a size whose containers the tenant's limits would keep out.
func (s *Scaffold) checkSize(name string, tenant config.Tenant) error {
	size, known := s.Sizes[name]
	if !known {
		return nil
	}
	what, ok := size.outside(tenant.Limits)
	if ok {
		return nil
	}
	var fitting []string
	for _, other := range s.SizeNames() {
		if _, ok := s.Sizes[other].outside(tenant.Limits); ok {
			fitting = append(fitting, other)
		}
	}
	write := "have neuroscale:tenants[].limits changed"
	if len(fitting) > 0 {
		write = "write " + strings.Join(fitting, " or ") + ", or " + write
	}
	return fmt.Errorf("--size %q %s for a container of tenant %s: %s", name, what, tenant.Namespace, write)
}

// outside says which figure is not within limits; true if all are.
func (z Size) outside(limits config.ContainerLimits) (string, bool) {
	for _, each := range []struct{ what, request, limit, least, most string }{
		{"CPU", z.Requests.CPU, z.Limits.CPU, limits.Min.CPU, limits.Max.CPU},
		{"memory", z.Requests.Memory, z.Limits.Memory, limits.Min.Memory, limits.Max.Memory},
	} {
		if q := quantity(each.limit); q.Cmp(quantity(each.most)) > 0 {
			return fmt.Sprintf("may use %s of %s, more than the %s that are allowed", each.limit, each.what, each.most), false
		}
		if q := quantity(each.request); q.Cmp(quantity(each.least)) < 0 {
			return fmt.Sprintf("asks for %s of %s, less than the %s that are allowed", each.request, each.what, each.least), false
		}
	}
	return "", true
}

// quantity is what text means, 0 if it is none.
func quantity(text string) resource.Quantity {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return resource.Quantity{}
	}
	return q
}

func checkReplicas(e Endpoint, tenant config.Tenant) []error {
	var problems []error
	if e.MinReplicas < 0 {
		problems = append(problems, fmt.Errorf("--min-replicas %d is less than nothing: write a number, 0 to run nothing until somebody asks", e.MinReplicas))
	}
	if e.MaxReplicas < max(e.MinReplicas, 1) {
		problems = append(problems, fmt.Errorf("--max-replicas %d is too few: write at least %d", e.MaxReplicas, max(e.MinReplicas, 1)))
	}
	if most := tenant.Quota.Pods; e.MaxReplicas > most {
		problems = append(problems, fmt.Errorf("--max-replicas %d is too many: write at most %d, the pods that tenant %s may have", e.MaxReplicas, most, tenant.Namespace))
	}
	return problems
}
