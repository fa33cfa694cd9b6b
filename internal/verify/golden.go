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
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// goldenPath is from a pull request to an endpoint.
func (p *Platform) goldenPath() []check.Check {
	return []check.Check{
		{
			ID: "C1", Title: "the portal runs, answers and sends people to the forge to sign in",
			Asks: "Every Deployment in its namespace has all its pods, ready; the portal says at its URL that it is, " +
				"and who asks to sign in is sent to the forge.",
			Remedy: "see `kubectl logs -n portal deployment/portal`",
			Run:    p.portalAnswers,
		},
		{
			ID: "C2", Title: "every form is in the portal", Follows: []string{"C1"},
			Asks: "The portal's catalog has each template and no other. It is shown to nobody who does not say who they are, " +
				"and what this check shows opens nothing else.",
			Remedy: "see `kubectl logs -n portal deployment/portal`; `kubectl rollout restart -n portal deployment/portal` has it read its templates again",
			Run:    p.formsAreThere,
		},
		{
			ID: "C3", Title: "what the form makes is admitted", Follows: []string{"B7", "D1", "D2"},
			Asks: "Fills in the texts that the portal has, for each tenant and each size that it may have, and offers the result to the API server, dry: " +
				"Kyverno, the native policies and KServe admit it.",
			Remedy: "see what it says; Argo CD puts back what Git says of the ConfigMap `portal-skeleton`",
			Run:    p.formsMakeWhatIsAdmitted,
		},
		{
			ID: "C4", Title: "main can be pushed to by whom the configuration lets and nobody else", Follows: []string{"C7"},
			Asks: "Asks the forge, as each member of each tenant and as Argo CD's and the guard's accounts, whether it may push to main of each tenant's repositories, " +
				"or merge there, and whether it sees the platform's own; and whether main demands the guard's status of everybody.",
			Remedy: "`neuroscale up` makes the forge's teams as `neuroscale:tenants` says; see who changed them in the forge",
			Run:    p.mainIsProtected,
		},
		{
			ID: "C5", Title: "the guard runs",
			Asks:   "Every Deployment in its namespace has all its pods, ready.",
			Remedy: "see `kubectl logs -n guard deployment/guard`; until it runs nothing is merged, and `ops` may push to main",
			Run:    p.run("reviews"),
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
		{
			ID: "C8", Title: "open pull requests are judged", Follows: []string{"C5", "C7"},
			Asks: "Every repository of a tenant tells the guard of its events, and no open pull request for main is without a verdict " +
				"for more than " + judgeWithin.String() + ".",
			Remedy: "see `kubectl logs -n guard deployment/guard`: `tries again` says why; `neuroscale up` makes the forge's hooks",
			Run:    p.guardJudges,
		},
	}
}

func (p *Platform) portalAnswers(ctx context.Context) (string, error) {
	if !p.Config.Portal.Enabled {
		return "", errNoPortal
	}
	if _, err := p.run("portal")(ctx); err != nil {
		return "", err
	}
	url := strings.TrimRight(p.Outputs.PortalURL, "/")
	for at, wanted := range map[string]int{"/.backstage/health/v1/readiness": http.StatusOK, "/api/auth/" + p.Config.Forge.Provider + "/start?env=production": http.StatusFound} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+at, nil)
		if err != nil {
			return "", err
		}
		// Where it leads is of interest, not what is there.
		answer, err := p.HTTP.Transport.RoundTrip(request)
		if err != nil {
			return "", fmt.Errorf("ask the portal: %w", err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != wanted {
			return "", fmt.Errorf("the portal answers %s with %d instead of %d", at, answer.StatusCode, wanted)
		}
		signIn := p.Outputs.ForgeURL
		if p.Config.Forge.OnGitHub() {
			signIn = github.Pages
		}
		if to := answer.Header.Get("Location"); wanted == http.StatusFound && !strings.HasPrefix(to, signIn) {
			return "", fmt.Errorf("the portal sends who signs in to %s, and not to the forge at %s", to, signIn)
		}
	}
	return url, nil
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
	all := append(p.Config.InGitea(), forge.Platform)
	if p.Config.Forge.OnGitHub() {
		wrong = append(wrong, p.onGitHub(ctx, func(g *hub, repository string) error { return g.answers(ctx, repository) }))
	}
	wrong = append(wrong, every(all, func(name string) error {
		code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(name), nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("the forge answers %d when asked for repository %s", code, name)
		}
		return err
	}))
	return "it has " + strings.Join(all, ", "), errors.Join(wrong...)
}

// sees is whether the configuration lets a member see a repository and propose to it,
// and merges whether the member may merge there.
func sees(tenants []config.Tenant, member, repository string) (sees, merges bool) {
	for _, t := range tenants {
		if slices.Contains(t.Repositories, repository) && slices.Contains(t.Members, member) {
			sees, merges = true, merges || slices.Contains(t.MayMerge(), member)
		}
	}
	return sees, merges
}

// branch is what the forge says of one to somebody.
type branch struct {
	Push  bool `json:"user_can_push"`
	Merge bool `json:"user_can_merge"`
}

func (p *Platform) mainIsProtected(ctx context.Context) (string, error) {
	type question struct {
		by         account
		repository string
	}
	var all []question
	for _, member := range p.Config.Members() {
		password, there := p.Outputs.Members[member]
		if !there {
			return "", fmt.Errorf("the outputs have no password of member %s: run `neuroscale up`", member)
		}
		for _, repository := range append(p.Config.InGitea(), forge.Platform) {
			all = append(all, question{account{member, password}, repository})
		}
	}
	people := every(all, func(q question) error {
		may, merges := sees(p.Config.Tenants, q.by.name, q.repository)
		var main branch
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
		case may && code != http.StatusOK:
			return fmt.Errorf("%s does not see repository %s (the forge answers %d)", q.by.name, q.repository, code)
		case main.Push:
			return fmt.Errorf("%s may push to main of repository %s, past the guard", q.by.name, q.repository)
		case may && main.Merge != merges:
			return fmt.Errorf("may %s merge into main of repository %s: %t", q.by.name, q.repository, main.Merge)
		}
		return nil
	})
	if p.Config.Forge.OnGitHub() {
		err := p.onGitHub(ctx, func(g *hub, repository string) error { return g.demandsTheGuard(ctx, repository) })
		return fmt.Sprintf("main of %s on GitHub demands the status %s; who may write there GitHub says; no member sees the platform's own repository",
			strings.Join(p.Config.Repositories(), ", "), reviewer.Context), errors.Join(people, err)
	}
	own := every(p.Config.Repositories(), func(repository string) error { return p.mainDemandsTheGuard(ctx, repository) })
	return fmt.Sprintf("%s asked about %d repositories: nobody may push to main, mergers may merge what has the status %s, as configured, others do not even see the repository; neither Argo CD's account nor the guard's may push",
		count(len(p.Config.Members()), "member"), len(p.Config.Repositories())+1, reviewer.Context), errors.Join(people, own)
}

// mainDemandsTheGuard asks about the platform's own accounts, and what protects main.
func (p *Platform) mainDemandsTheGuard(ctx context.Context, repository string) error {
	var errs []error
	for _, who := range []string{forge.Reader, forge.Guard} {
		var main branch
		code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/branches/main?sudo="+who, &main)
		if err == nil && (code != http.StatusOK || main.Push || main.Merge) {
			err = fmt.Errorf("account %s may push to or merge into main of repository %s, or does not see it (the forge answers %d)", who, repository, code)
		}
		errs = append(errs, err)
	}
	var protection struct {
		Checked  bool     `json:"enable_status_check"`
		Contexts []string `json:"status_check_contexts"`
		Forced   bool     `json:"enable_force_push"`
		NoExcept bool     `json:"block_admin_merge_override"`
	}
	code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/branch_protections/main", &protection)
	if err == nil && (code != http.StatusOK || !protection.Checked || !slices.Contains(protection.Contexts, reviewer.Context) || protection.Forced || !protection.NoExcept) {
		err = fmt.Errorf("main of repository %s does not demand the status %s of everybody (the forge answers %d)", repository, reviewer.Context, code)
	}
	return errors.Join(append(errs, err)...)
}

// judgeWithin is how long a pull request may be without a verdict.
const judgeWithin = 3 * time.Minute

func (p *Platform) guardJudges(ctx context.Context) (string, error) {
	if p.Config.Forge.OnGitHub() {
		return p.guardJudgesOnGitHub(ctx)
	}
	open := make([]int, len(p.Config.Repositories()))
	err := every(p.Config.Repositories(), func(repository string) error {
		n, err := p.pullsAreJudged(ctx, repository)
		open[slices.Index(p.Config.Repositories(), repository)] = n
		return errors.Join(err, p.guardIsTold(ctx, repository))
	})
	total := 0
	for _, n := range open {
		total += n
	}
	return fmt.Sprintf("the guard is told of events in %s, and %s judged", strings.Join(p.Config.Repositories(), ", "), count(total, "open pull request")), err
}

// guardIsTold is whether a repository's events go to the guard.
func (p *Platform) guardIsTold(ctx context.Context, repository string) error {
	var hooks []struct {
		Active bool
		Config struct{ URL string }
	}
	code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/hooks?limit=50", &hooks)
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		if hook.Active && hook.Config.URL == reviews.HookURL {
			return nil
		}
	}
	return fmt.Errorf("repository %s does not tell the guard of its events (the forge answers %d)", repository, code)
}

// pullsAreJudged looks at the open pull requests for main, the newest ones if there
// are many.
func (p *Platform) pullsAreJudged(ctx context.Context, repository string) (int, error) {
	var pulls []struct {
		Number int
		Base   struct{ Ref string }
		Head   struct{ SHA string }
		At     time.Time `json:"updated_at"`
	}
	if _, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/pulls?state=open&limit=50", &pulls); err != nil {
		return 0, err
	}
	var errs []error
	n := 0
	for _, pull := range pulls {
		if pull.Base.Ref != "main" {
			continue
		}
		n++
		var status struct {
			Statuses []struct {
				Context string
				State   string `json:"status"`
			}
		}
		if _, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/commits/"+pull.Head.SHA+"/status", &status); err != nil {
			return n, err
		}
		said := "nothing"
		for _, each := range status.Statuses {
			if each.Context == reviewer.Context {
				said = each.State
			}
		}
		if said != "success" && said != "failure" && time.Since(pull.At) > judgeWithin {
			errs = append(errs, fmt.Errorf("the guard says %s of pull request %d of repository %s, since %s", said, pull.Number, repository, pull.At.Format(time.RFC3339)))
		}
	}
	return n, errors.Join(errs...)
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
		all, err := p.foldersInGit(ctx, s.Repository)
		errs = append(errs, err)
		for _, folder := range all {
			if slices.ContainsFunc(s.Excluded, func(pattern string) bool { ok, _ := path.Match(pattern, folder); return ok }) {
				continue
			}
			folders++
			app := there[s.Prefix+folder]
			if app == nil || kube.Text(app.Object, "spec", "destination", "namespace") != s.Tenant {
				errs = append(errs, fmt.Errorf("folder %s of repository %s is no Application of tenant %s", folder, s.Repository, s.Tenant))
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

// foldersInGit of a repository may be endpoints.
func (p *Platform) foldersInGit(ctx context.Context, repository string) ([]string, error) {
	if p.Config.Forge.OnGitHub() {
		g, err := p.newHub(ctx)
		if err != nil {
			return nil, err
		}
		return g.folders(ctx, repository)
	}
	var content []struct{ Name, Type string }
	code, err := p.askForge(ctx, p.administrator(), p.repositoryPath(repository)+"/contents/"+endpoints.Folder+"?ref=main", &content)
	if err == nil && code != http.StatusOK && code != http.StatusNotFound {
		err = fmt.Errorf("the forge answers %d when asked for the folders of repository %s", code, repository)
	}
	var all []string
	for _, each := range content {
		if each.Type == "dir" {
			all = append(all, each.Name)
		}
	}
	return all, err
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
		o, err := p.get(ctx, kube.InferenceServices, kube.Text(m, "namespace"), kube.Text(m, "name"))
		if err == nil && o == nil {
			err = fmt.Errorf("Application %s/%s has an InferenceService %s that is not there", argocd.Namespace, app.GetName(), kube.Text(m, "name"))
		}
		names, errs = append(names, kube.Text(m, "name")), append(errs, err)
	}
	return names, errors.Join(errs...)
}
