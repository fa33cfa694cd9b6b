package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

const (
	// clientJob begins the name of the Job that makes the portal known to the forge.
	clientJob = "gitea-client-" + portal.Layer + "-"
	// clientTitle is what the forge calls the portal.
	clientTitle = "NeuroScale portal"
)

var portalSecret = Detector{
	ID: "portal-secret", Follows: append([]string{forgeDown.ID, forgeUnreachable.ID}, below...),
	Symptom: "The portal's pod waits (`CreateContainerConfigError`), or nobody can sign in at the portal: `invalid_client`.",
	Cause:   "The Secret `forge-client` is gone or empty, or the forge does not know what is in it. A Job has filled it, once; an `up` does not run that again.",
	Repair:  "Makes the Secret again, empty, and runs the Job again that fills it. The portal's pod then starts, or is started anew.",
	ByHand: "`kubectl get secret forge-client -n portal -o jsonpath='{.data}'` has to have `id` and `secret`. If not: make it, `kubectl create secret generic forge-client -n portal`, " +
		"delete the Job `gitea-client-portal-...` in namespace `forge`, and `neuroscale up`, which runs it again.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		if !p.Config.Portal.Enabled {
			return nil, nil
		}
		o, err := p.get(ctx, kube.Secrets, portal.Namespace, portal.ClientSecret)
		if err != nil {
			return nil, err
		}
		f := Finding{
			Says: "the portal has no account of its own at the forge", Object: named("Secret", portal.Namespace, portal.ClientSecret), Where: portal.Namespace,
			Doing: "make the Secret again and have the forge's Job fill it", Fix: p.newClient,
		}
		switch {
		case o == nil:
			f.Saw = "it is not there"
		case secretText(o, forge.ClientID) == "" || secretText(o, forge.ClientSecret) == "":
			f.Saw = "it has no id or no secret"
		default:
			f.Saw, err = p.unknownClient(ctx, secretText(o, forge.ClientID), secretText(o, forge.ClientSecret))
			if err != nil || f.Saw == "" {
				return nil, err
			}
		}
		return []Finding{f}, nil
	},
}

// unknownClient is what the forge says against a client; empty if it knows it. It is
// asked for a token with a code that nobody has.
func (p *Platform) unknownClient(ctx context.Context, id, secret string) (string, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}, "client_id": {id}, "client_secret": {secret}, "redirect_uri": {p.Outputs.PortalURL}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(p.Outputs.ForgeURL, "/")+"/login/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.HTTP.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the forge: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("ask the forge: %w", err)
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(raw, &said); err != nil || response.StatusCode >= http.StatusInternalServerError {
		return "", fmt.Errorf("the forge answers %d when asked for a token", response.StatusCode)
	}
	if strings.Contains(said.Description, "client id") || strings.Contains(said.Description, "client secret") {
		return fmt.Sprintf("the forge says: %s: %s", said.Error, said.Description), nil
	}
	return "", nil
}

// newClient empties the portal's Secret and has the forge's Job fill it.
func (p *Platform) newClient(ctx context.Context) error {
	api := p.Cluster.Dynamic.Resource(kube.Secrets).Namespace(portal.Namespace)
	err := p.patch(ctx, kube.Secrets, portal.Namespace, portal.ClientSecret, `{"data":{"id":null,"secret":null,"redirectUris":null}}`)
	if apierrors.IsNotFound(errors.Unwrap(err)) {
		_, err = api.Create(ctx, &unstructured.Unstructured{Object: manifest.Managed(object{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata":   object{"name": portal.ClientSecret, "namespace": portal.Namespace},
			"stringData": object{"title": clientTitle},
		})}, metav1.CreateOptions{FieldManager: manifest.Manager})
	}
	if err != nil {
		return fmt.Errorf("make Secret %s/%s: %w", portal.Namespace, portal.ClientSecret, err)
	}
	if err := p.repeat(ctx, clientJob); err != nil {
		return err
	}
	if err := p.until(ctx, func(ctx context.Context) (bool, error) {
		o, err := p.get(ctx, kube.Secrets, portal.Namespace, portal.ClientSecret)
		return o != nil && secretText(o, forge.ClientID) != "" && secretText(o, forge.ClientSecret) != "", err
	}); err != nil {
		return fmt.Errorf("the Job has not filled the Secret: %w", err)
	}
	// It has what was there in its environment.
	return p.restart(ctx, portal.Namespace, portal.Layer)
}

var portalTemplate = Detector{
	ID: "portal-template", Follows: append([]string{layerPaused.ID, applicationController.ID}, below...),
	Symptom: "*Create* in the portal offers nothing, or a form that does not open; its log says `Policy check failed` or `YAML error`.",
	Cause:   "The ConfigMap with the portal's templates was changed, or is not what a Template has to be.",
	Repair:  "Has Argo CD sync the layer `portal`, and starts the portal anew, which reads its templates only when it starts.",
	ByHand: "`kubectl get configmap portal -n portal -o jsonpath='{.data.templates\\.yaml}'`, `kubectl logs -n portal deployment/portal`; " +
		"`kubectl -n argocd patch application portal --type merge -p '{\"operation\":{\"sync\":{}}}'`, then `kubectl rollout restart deployment/portal -n portal`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		if !p.Config.Portal.Enabled {
			return nil, nil
		}
		saw, err := p.brokenTemplates(ctx)
		if err != nil || saw == "" {
			return nil, err
		}
		return []Finding{{
			Says: "the portal's templates are broken", Object: named("ConfigMap", portal.Namespace, portal.Layer), Saw: saw, Where: portal.Namespace,
			Doing: "sync layer " + portal.Layer + " and start the portal anew",
			Fix: func(ctx context.Context) error {
				if err := p.resync(ctx, portal.Layer); err != nil {
					return err
				}
				if err := p.until(ctx, func(ctx context.Context) (bool, error) {
					saw, err := p.brokenTemplates(ctx)
					return saw == "", err
				}); err != nil {
					return fmt.Errorf("Argo CD does not put the templates back: %w", err)
				}
				return p.restart(ctx, portal.Namespace, portal.Layer)
			},
		}}, nil
	},
}

// brokenTemplates is what is wrong with the portal's templates; empty if nothing.
func (p *Platform) brokenTemplates(ctx context.Context) (string, error) {
	o, err := p.get(ctx, kube.ConfigMaps, portal.Namespace, portal.Layer)
	if err != nil {
		return "", err
	}
	if o == nil {
		return "it is not there", nil
	}
	text := kube.Text(o.Object, "data", "templates.yaml")
	n := 0
	for _, document := range strings.Split(text, "\n---\n") {
		var template struct {
			Kind string
			Spec struct{ Steps []any }
		}
		if strings.TrimSpace(document) == "" {
			continue
		}
		if err := yaml.Unmarshal([]byte(document), &template); err != nil {
			return "its templates.yaml is no YAML: " + sentence(err.Error()), nil
		}
		if template.Kind == "Template" && len(template.Spec.Steps) > 0 {
			n++
		}
	}
	if n == 0 {
		return "its templates.yaml has no Template with steps", nil
	}
	return "", nil
}

var portalDown = Detector{
	ID: "portal-down", Follows: append([]string{portalSecret.ID, portalTemplate.ID, layerPaused.ID, forgeDown.ID}, below...),
	Symptom: "The portal's address does not answer; its pod is in CrashLoopBackOff.",
	Cause:   "The portal has no pod, ends by itself, or hangs: see what it said last.",
	Repair:  restartsWhat,
	ByHand: "`kubectl logs -n portal deployment/portal --previous` says why it ended; `kubectl describe pod -n portal` whether it was killed for its memory. " +
		"Its settings are `gitops/platform/portal` and `neuroscale:portal`: put back the one that changed, then `neuroscale up`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		if !p.Config.Portal.Enabled {
			return nil, nil
		}
		return p.runs(ctx, portal.Namespace, every)
	},
}
