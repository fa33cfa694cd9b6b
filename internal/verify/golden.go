package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// goldenPath is from a merged folder to an endpoint. C1, C2, C3 and C5 are kept for
// the portal, its templates, a dry run of one, and the service that judges pull
// requests.
func (p *Platform) goldenPath() []check.Check {
	return []check.Check{
		{
			ID: "C4", Title: "main can be pushed to by whom the configuration lets and nobody else", Follows: []string{"C7"},
			Asks: "Asks the forge, as each member of each tenant and as Argo CD's account, whether it may push to main of each tenant's repositories, " +
				"and whether it sees the platform's own.",
			Remedy: "`neuroscale up` makes the forge's teams as `neuroscale:tenants` says; see who changed them in the forge",
			Run:    p.mainIsProtected,
		},
		{
			ID: "C6", Title: "every folder in Git is an Application, and an endpoint is made of one", Follows: []string{"C7", "F1"},
			Asks: "Asks the forge for the folders in main of every repository. Each is an Application, and every InferenceService " +
				"that these manage is in the cluster, at least one.",
			Remedy: "see `kubectl describe applicationset -n argocd`, then `kubectl describe application NAME -n argocd`",
			Run:    p.foldersAreApplications,
		},
		{
			ID: "C7", Title: "the forge runs and answers",
			Asks:   "Its Deployment has its pod, and every repository is there when its API is asked.",
			Remedy: "see `kubectl logs -n forge deployment/gitea`",
			Run:    p.forgeAnswers,
		},
	}
}

// account of the forge.
type account struct{ name, password string }

func (p *Platform) administrator() account {
	return account{p.Outputs.ForgeUser, p.Outputs.ForgePassword}
}

// askForge reads a path of the forge's API as somebody, into what is not nil.
func (p *Platform) askForge(ctx context.Context, by account, at string, into any) (code int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(p.Outputs.ForgeURL, "/")+"/api/v1"+at, nil)
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(by.name, by.password)
	code, body, err := p.send(request)
	if err != nil {
		return 0, fmt.Errorf("ask the forge: %w", err)
	}
	if code == http.StatusUnauthorized {
		return code, fmt.Errorf("the forge does not let %s in with the password of the outputs", by.name)
	}
	if code == http.StatusOK && into != nil {
		if err := json.Unmarshal([]byte(body), into); err != nil {
			return code, fmt.Errorf("the forge's answer to %s is no JSON that was expected: %w", at, err)
		}
	}
	return code, nil
}

func (p *Platform) repositoryPath(name string) string {
	return "/repos/" + p.Config.Forge.Organization + "/" + name
}

func (p *Platform) forgeAnswers(ctx context.Context) (string, error) {
	names, wrong := p.workloads(ctx, forge.Namespace)
	if len(names)+len(wrong) == 0 {
		wrong = []error{fmt.Errorf("nothing runs in namespace %s", forge.Namespace)}
	}
	all := append(p.Config.Repositories(), forge.Platform)
	wrong = append(wrong, every(all, func(name string) error {
		code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(name), nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("the forge answers %d when asked for repository %s", code, name)
		}
		return err
	}))
	return "it has " + strings.Join(all, ", "), errors.Join(wrong...)
}

// mayPush is whether the configuration lets a member push to main of a repository.
func mayPush(tenants []config.Tenant, member, repository string) bool {
	return slices.ContainsFunc(tenants, func(t config.Tenant) bool {
		return slices.Contains(t.Members, member) && slices.Contains(t.Repositories, repository)
	})
}

func (p *Platform) mainIsProtected(ctx context.Context) (string, error) {
	type question struct {
		by         account
		repository string
	}
	var all []question
	pushers := 0
	for _, member := range p.Config.Members() {
		password, there := p.Outputs.Members[member]
		if !there {
			return "", fmt.Errorf("the outputs have no password of member %s: run `neuroscale up`", member)
		}
		for _, repository := range append(p.Config.Repositories(), forge.Platform) {
			all = append(all, question{account{member, password}, repository})
		}
	}
	err := every(all, func(q question) error {
		may := mayPush(p.Config.Tenants, q.by.name, q.repository)
		var main struct {
			Push bool `json:"user_can_push"`
		}
		at := p.repositoryPath(q.repository)
		if q.repository != forge.Platform {
			at += "/branches/main"
		}
		code, err := p.askForge(ctx, q.by, at, &main)
		switch {
		case err != nil:
			return err
		case !may && code != http.StatusNotFound:
			return fmt.Errorf("%s sees repository %s, which is not its tenant's (the forge answers %d)", q.by.name, q.repository, code)
		case may && (code != http.StatusOK || !main.Push):
			return fmt.Errorf("%s may not push to main of repository %s (the forge answers %d)", q.by.name, q.repository, code)
		}
		return nil
	})
	for _, q := range all {
		if mayPush(p.Config.Tenants, q.by.name, q.repository) {
			pushers++
		}
	}
	reader := every(p.Config.Repositories(), func(repository string) error {
		var main struct {
			Push bool `json:"user_can_push"`
		}
		code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/branches/main?sudo="+forge.Reader, &main)
		if err == nil && (code != http.StatusOK || main.Push) {
			err = fmt.Errorf("account %s, which may only read, may push to main of repository %s, or does not see it (the forge answers %d)", forge.Reader, repository, code)
		}
		return err
	})
	return fmt.Sprintf("%s asked about %d repositories: %d may push to main, as configured, the others do not even see the repository; Argo CD's account may only read",
		count(len(p.Config.Members()), "member"), len(p.Config.Repositories())+1, pushers), errors.Join(err, reader)
}

func (p *Platform) foldersAreApplications(ctx context.Context) (string, error) {
	apps, err := p.applications(ctx)
	if err != nil {
		return "", err
	}
	there := map[string]*unstructured.Unstructured{}
	for i := range apps {
		there[apps[i].GetName()] = &apps[i]
	}
	var errs []error
	var made []string
	folders := 0
	for _, s := range endpoints.Sources(p.Config.Tenants, p.layers().Names()) {
		var content []struct{ Name, Type string }
		code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(s.Repository)+"/contents/"+endpoints.Folder+"?ref=main", &content)
		if err != nil {
			return "", err
		}
		if code != http.StatusOK && code != http.StatusNotFound {
			errs = append(errs, fmt.Errorf("the forge answers %d when asked for the folders of repository %s", code, s.Repository))
		}
		for _, each := range content {
			if each.Type != "dir" || slices.ContainsFunc(s.Excluded, func(pattern string) bool { ok, _ := path.Match(pattern, each.Name); return ok }) {
				continue
			}
			folders++
			app := there[s.Prefix+each.Name]
			if app == nil || kube.Text(app.Object, "spec", "destination", "namespace") != s.Tenant {
				errs = append(errs, fmt.Errorf("folder %s of repository %s is no Application of tenant %s", each.Name, s.Repository, s.Tenant))
				continue
			}
			services, err := p.servicesOf(ctx, app)
			made, errs = append(made, services...), append(errs, err)
		}
	}
	if len(made) == 0 && errors.Join(errs...) == nil {
		errs = append(errs, errors.New("no folder in Git makes an endpoint"))
	}
	return fmt.Sprintf("%s in Git, of which these endpoints are made: %s", count(folders, "folder"), strings.Join(made, ", ")), errors.Join(errs...)
}

// servicesOf are the InferenceServices of an Application, of which none may be
// missing in the cluster.
func (p *Platform) servicesOf(ctx context.Context, app *unstructured.Unstructured) ([]string, error) {
	list, _, _ := unstructured.NestedSlice(app.Object, "status", "resources")
	var names []string
	var errs []error
	for _, item := range list {
		m, _ := item.(object)
		if m["kind"] != "InferenceService" {
			continue
		}
		o, err := p.get(ctx, inferenceServices, kube.Text(m, "namespace"), kube.Text(m, "name"))
		if err == nil && o == nil {
			err = fmt.Errorf("Application %s/%s has an InferenceService %s that is not there", argocd.Namespace, app.GetName(), kube.Text(m, "name"))
		}
		names, errs = append(names, kube.Text(m, "name")), append(errs, err)
	}
	return names, errors.Join(errs...)
}
