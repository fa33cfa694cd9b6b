package doctor

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

var forgeDown = Detector{
	ID: "forge-down", Follows: below,
	Symptom: "Nobody can push, propose or merge; Applications are Unknown, new folders are not seen.",
	Cause:   "Gitea has no pod, or its pod ends or does not answer.",
	Repair:  restartsWhat,
	ByHand: "`kubectl -n forge logs deploy/gitea`, `kubectl -n forge get pvc`. It holds the people's `endpoints` repository on a volume: with the cluster it goes. " +
		"If its Deployment is gone, `neuroscale up` makes it again; `up` never overwrites the volume.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		found, err := p.runs(ctx, forge.Namespace, every, forge.Service)
		return everywhere(found), err
	},
}

// every is all workloads.
func every(string) bool { return true }

// everywhere has findings explain what any part of the platform lacks.
func everywhere(found []Finding) []Finding {
	for i := range found {
		found[i].Reach = []string{""}
	}
	return found
}

var forgeUnreachable = Detector{
	ID: "forge-unreachable", Follows: append([]string{forgeDown.ID}, below...),
	Symptom: "The forge's pod runs, and its address does not answer.",
	Cause:   "The node port is not reached from here: a firewall, another address of the node, or a certificate that is not for it.",
	ByHand:  "The address is in `neuroscale status` and in the stack's outputs (`forgeUrl`). Set `cluster.address` to where node ports are reached, and `tls.names` to other names it is asked at, then `neuroscale up`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		code, err := p.askForge(ctx, http.MethodGet, "/api/healthz", "", "", nil, nil)
		switch {
		case err != nil:
			return []Finding{{Says: "the forge does not answer at " + p.Outputs.ForgeURL, Object: p.Outputs.ForgeURL, Saw: sentence(err.Error())}}, nil
		case code != http.StatusOK:
			return []Finding{{Says: "the forge at " + p.Outputs.ForgeURL + " says that it is not well", Object: p.Outputs.ForgeURL, Saw: fmt.Sprintf("/api/healthz answers %d", code)}}, nil
		}
		return nil, nil
	},
}

// credential is an account's, and where it is written.
type credential struct{ user, password, where string }

// bootstrapJob begins the name of the Job that makes accounts and hooks.
const bootstrapJob = "gitea-bootstrap-"

var forgeCredentials = Detector{
	ID: "forge-credentials", Follows: append([]string{forgeDown.ID, forgeUnreachable.ID}, below...),
	Symptom: "Argo CD says `authentication required` or `authorization failed` of a repository, the guard cannot sign in, `verify` says that the forge does not let an account in.",
	Cause:   "The password of one of the platform's accounts was changed in the forge, or the account was deleted or closed.",
	Repair:  "Runs the Job again that makes the accounts as the stack describes them; repositories and what others have made stay. Not for the administrator, with whose password it does that.",
	ByHand:  "`kubectl logs -n forge -l job-name --tail 50` has what the Job last said. The administrator's: `neuroscale passwords rotate ops`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		all, err := p.credentials(ctx)
		if err != nil {
			return nil, err
		}
		return each(all, func(c credential) ([]Finding, error) {
			code, err := p.askForge(ctx, http.MethodGet, "/api/v1/user", c.user, c.password, nil, nil)
			if err != nil {
				return nil, err
			}
			switch code {
			case http.StatusOK:
				return nil, nil
			case http.StatusUnauthorized, http.StatusForbidden:
				f := Finding{
					Says: fmt.Sprintf("the forge does not let account %s in", c.user), Object: c.where,
					Saw: fmt.Sprintf("asked who it is with the password there, the forge answers %d", code),
				}
				if c.user != p.Outputs.ForgeUser {
					f.Doing, f.Fix = "give account "+c.user+" its password again", p.bootstrap
				}
				return []Finding{f}, nil
			}
			return nil, fmt.Errorf("the forge answers %d when account %s asks who it is", code, c.user)
		})
	},
}

// credentials are those of the platform's own accounts, each once.
func (p *Platform) credentials(ctx context.Context) ([]credential, error) {
	all := []credential{{p.Outputs.ForgeUser, p.Outputs.ForgePassword, "outputs of stack " + p.Stack}}
	list, err := p.list(ctx, kube.Secrets, argocd.Namespace, "argocd.argoproj.io/secret-type=repository")
	if err != nil {
		return nil, err
	}
	for i := range list {
		all = append(all, credential{secretText(&list[i], "username"), secretText(&list[i], "password"), nameOf(&list[i])})
	}
	guard, err := p.get(ctx, kube.Secrets, reviews.Namespace, "guard")
	if err != nil {
		return nil, err
	}
	if guard != nil {
		all = append(all, credential{forge.Guard, secretText(guard, "password"), nameOf(guard)})
	}
	seen := map[credential]bool{}
	return slices.DeleteFunc(all, func(c credential) bool {
		key := credential{user: c.user, password: c.password}
		known := seen[key]
		seen[key] = true
		return known || c.user == ""
	}), nil
}

// secretText is what a Secret has under a key.
func secretText(o *unstructured.Unstructured, key string) string {
	raw, err := base64.StdEncoding.DecodeString(kube.Text(o.Object, "data", key))
	if err != nil {
		return ""
	}
	return string(raw)
}

// bootstrap runs the Job again that makes the forge be as described.
func (p *Platform) bootstrap(ctx context.Context) error { return p.repeat(ctx, bootstrapJob) }

// repeat runs the newest Job of the forge again whose name begins so.
func (p *Platform) repeat(ctx context.Context, prefix string) error {
	list, err := p.list(ctx, kube.Jobs, forge.Namespace, "")
	if err != nil {
		return err
	}
	var newest *unstructured.Unstructured
	for i := range list {
		created := list[i].GetCreationTimestamp()
		if strings.HasPrefix(list[i].GetName(), prefix) && (newest == nil || newest.GetCreationTimestamp().Time.Before(created.Time)) {
			newest = &list[i]
		}
	}
	if newest == nil {
		return fmt.Errorf("there is no Job %s... in namespace %s to run again: run `neuroscale up`", prefix, forge.Namespace)
	}
	return p.again(ctx, newest)
}

// webhook is what the forge says of one.
type webhook struct {
	ID     int
	Active bool
	Config struct{ URL string }
}

var forgeHook = Detector{
	ID: "forge-hook", Follows: append([]string{forgeDown.ID, forgeUnreachable.ID, forgeCredentials.ID}, below...),
	Symptom: "Pull requests get no status from the guard, what is merged takes a while to be seen, nobody is told what became of it.",
	Cause:   "A repository does not tell the guard, its follower or Argo CD of events: the hook is switched off or gone.",
	Repair:  "Switches the hook on, or runs the Job again that makes it.",
	ByHand:  "The repository's page of the forge, *Settings*, *Webhooks*, as `ops`: each has *Recent Deliveries* with the answer. `neuroscale verify --only C8` asks the same.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		wanted := []struct{ url, whom string }{{reviews.HookURL, "the guard"}, {reviews.FollowerURL, "the guard's follower"}, {argocd.WebhookURL(p.Config.TLS.Plain(config.ServerArgoCD)), "Argo CD"}}
		// On GitHub the guard and its follower ask themselves.
		return each(p.Config.InGitea(), func(repository string) ([]Finding, error) {
			at := fmt.Sprintf("/api/v1/repos/%s/%s/hooks", p.Config.Forge.Organization, repository)
			var hooks []webhook
			code, err := p.askForge(ctx, http.MethodGet, at+"?limit=50", p.Outputs.ForgeUser, p.Outputs.ForgePassword, nil, &hooks)
			if err != nil {
				return nil, err
			}
			if code != http.StatusOK {
				return nil, fmt.Errorf("the forge answers %d when asked for the hooks of repository %s", code, repository)
			}
			var found []Finding
			for _, w := range wanted {
				f := Finding{Says: fmt.Sprintf("repository %s does not tell %s of its events", repository, w.whom), Object: "webhook " + w.url}
				is := slices.IndexFunc(hooks, func(h webhook) bool { return h.Config.URL == w.url })
				switch {
				case is < 0:
					f.Saw, f.Doing, f.Fix = "the repository has no such hook", "make the hook again", p.bootstrap
				case !hooks[is].Active:
					f.Saw, f.Doing = "it is switched off", "switch it on"
					f.Fix = func(ctx context.Context) error {
						code, err := p.askForge(ctx, http.MethodPatch, fmt.Sprintf("%s/%d", at, hooks[is].ID), p.Outputs.ForgeUser, p.Outputs.ForgePassword, object{"active": true}, nil)
						if err == nil && code != http.StatusOK {
							err = fmt.Errorf("the forge answers %d", code)
						}
						return err
					}
				default:
					continue
				}
				found = append(found, f)
			}
			return found, nil
		})
	},
}
