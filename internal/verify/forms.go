package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/scaffold"
)

// errNoPortal is why nothing is asked of it.
var errNoPortal = check.Off("portal.enabled is false")

const (
	catalogPath = "/api/catalog/entities?filter=kind=template&fields=metadata.name"
	tasksPath   = "/api/scaffolder/v2/tasks"
)

func (p *Platform) formsAreThere(ctx context.Context) (string, error) {
	if !p.Config.Portal.Enabled {
		return "", errNoPortal
	}
	secret, err := p.get(ctx, kube.Secrets, portal.Namespace, portal.SiteSecret)
	if err != nil {
		return "", err
	}
	if secret == nil {
		return "", fmt.Errorf("Secret %s/%s is not there", portal.Namespace, portal.SiteSecret)
	}
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", portal.VerifyToken)
	token, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(token) == 0 {
		return "", fmt.Errorf("Secret %s/%s has no %s", portal.Namespace, portal.SiteSecret, portal.VerifyToken)
	}
	if code, _, err := p.askPortal(ctx, catalogPath, ""); err != nil || code != http.StatusUnauthorized {
		return "", orError(err, "the portal answers %d to who asks for its catalog and does not say who it is", code)
	}
	if code, _, err := p.askPortal(ctx, tasksPath, string(token)); err != nil || code != http.StatusForbidden {
		return "", orError(err, "the portal answers %d to who asks for people's tasks with %s", code, portal.VerifyToken)
	}
	code, body, err := p.askPortal(ctx, catalogPath, string(token))
	if err != nil || code != http.StatusOK {
		return "", orError(err, "the portal's catalog answers %d", code)
	}
	var found []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil {
		return "", fmt.Errorf("what the portal's catalog answers is no list of templates: %w", err)
	}
	var names []string
	for _, template := range found {
		names = append(names, template.Metadata.Name)
	}
	slices.Sort(names)
	wanted := []string{portal.CreateForm, portal.ChangeForm, portal.RemoveForm}
	slices.Sort(wanted)
	if !slices.Equal(names, wanted) {
		return "", fmt.Errorf("the portal has the forms %s, and not %s", orNone(names), strings.Join(wanted, ", "))
	}
	return strings.Join(names, ", "), nil
}

func (p *Platform) askPortal(ctx context.Context, at, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(p.Outputs.PortalURL, "/")+at, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	code, body, err := p.send(request)
	if err != nil {
		return 0, "", fmt.Errorf("ask the portal: %w", err)
	}
	return code, body, nil
}

// formsMakeWhatIsAdmitted makes endpoints of the texts that the portal has in the
// cluster, as its form does.
func (p *Platform) formsMakeWhatIsAdmitted(ctx context.Context) (string, error) {
	if !p.Config.Portal.Enabled {
		return "", errNoPortal
	}
	skeleton, err := p.get(ctx, kube.ConfigMaps, portal.Namespace, portal.Skeleton)
	if err != nil {
		return "", err
	}
	if skeleton == nil {
		return "", fmt.Errorf("ConfigMap %s/%s is not there", portal.Namespace, portal.Skeleton)
	}
	texts, _, err := unstructured.NestedStringMap(skeleton.Object, "data")
	if err != nil || len(texts) == 0 {
		return "", fmt.Errorf("ConfigMap %s/%s has no texts", portal.Namespace, portal.Skeleton)
	}
	own, err := scaffold.Load(gitops.FS)
	if err != nil {
		return "", err
	}
	type form struct {
		tenant config.Tenant
		size   string
	}
	var all []form
	for _, t := range p.Config.Tenants {
		for _, size := range own.Bounds(p.siteOf(t)).Sizes {
			all = append(all, form{t, size})
		}
	}
	err = every(all, func(f form) error {
		if err := p.isAdmitted(ctx, own.Of(texts), f.tenant, f.size); err != nil {
			return fmt.Errorf("an endpoint of tenant %s, size %s: %w", f.tenant.Namespace, f.size, err)
		}
		return nil
	})
	return fmt.Sprintf("%s filled in, for %s, admitted", count(len(all), "form"), strings.Join(p.Config.Namespaces(), ", ")), err
}

func (p *Platform) siteOf(t config.Tenant) scaffold.Site {
	return scaffold.Site{
		Tenant: t, Stores: p.Config.Serving.ModelStores, Excluded: endpoints.Excluded(p.Config.Tenants, t.Namespace, p.layers().Names()),
	}
}

func (p *Platform) isAdmitted(ctx context.Context, s *scaffold.Scaffold, t config.Tenant, size string) error {
	files, err := s.Render(scaffold.Endpoint{
		Name: "neuroscale-verify-" + p.Run, Owner: t.Owner, CostCenter: t.CostCenter, Size: size, ModelFormat: s.Formats[0],
		StorageURI: "gs://kfserving-examples/models/sklearn/1.0/model", MaxReplicas: 1,
	}, p.siteOf(t))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var o object
		if err := yaml.UnmarshalStrict([]byte(files[name]), &o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		u := &unstructured.Unstructured{Object: o}
		u.SetNamespace(t.Namespace)
		refusal, err := p.dryRun(ctx, strings.ToLower(u.GetKind())+"s", u.Object)
		if err != nil {
			return err
		}
		// That a tenant has as many as it may is no fault of the form's.
		if refusal != "" && !strings.Contains(refusal, "exceeded quota") {
			return fmt.Errorf("%s: %s", name, refusal)
		}
	}
	return nil
}

// orError is what went wrong, or what an answer says.
func orError(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}
