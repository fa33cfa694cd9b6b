package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	api "github.com/google/go-github/v75/github"

	preflight "github.com/neuroscale-platform/neuroscale/internal/github"
)

// RemoveAbandoned removes what an up that was killed had begun to make on GitHub and had
// not recorded, and what GitHub would not let the next one make beside it: the protection
// of a branch, a key, a webhook, a variable. What is gone is no error, and so is any other
// type: GitHub takes those again. token and inputs are a resource's type and what it was
// to be.
func RemoveAbandoned(ctx context.Context, c *api.Client, owner, token string, inputs map[string]any) error {
	text := func(name string) string { s, _ := inputs[name].(string); return s }
	repository := text("repository")
	var err error
	switch token {
	case "github:index/branchProtection:BranchProtection":
		err = removeProtection(ctx, c, text("repositoryId"), text("pattern"), contexts(inputs))
	case "github:index/repositoryDeployKey:RepositoryDeployKey":
		err = removeKey(ctx, c, owner, repository, text("key"))
	case "github:index/repositoryWebhook:RepositoryWebhook":
		configuration, _ := inputs["configuration"].(map[string]any)
		err = removeHook(ctx, c, owner, repository, configuration["url"])
	case "github:index/actionsVariable:ActionsVariable":
		_, err = c.Actions.DeleteRepoVariable(ctx, owner, repository, text("variableName"))
	}
	if err == nil || preflight.IsGone(err) {
		return nil
	}
	return fmt.Errorf("remove what an up that was killed left on GitHub: %w", preflight.Explain(err))
}

// contexts are the statuses that a protection was to demand.
func contexts(inputs map[string]any) []string {
	var all []string
	checks, _ := inputs["requiredStatusChecks"].([]any)
	for _, each := range checks {
		check, _ := each.(map[string]any)
		names, _ := check["contexts"].([]any)
		for _, name := range names {
			all = append(all, fmt.Sprint(name))
		}
	}
	return all
}

// most of what one repository has of anything here, and of what GitHub lists at once.
const most = 100

// removeProtection removes that of a pattern if it demands the same statuses: another one
// is somebody's.
func removeProtection(ctx context.Context, c *api.Client, repository, pattern string, contexts []string) error {
	var found struct {
		Node struct {
			Rules struct {
				Nodes []struct {
					ID, Pattern string
					Contexts    []string `json:"requiredStatusCheckContexts"`
				}
			} `json:"branchProtectionRules"`
		}
	}
	const rules = `query($id:ID!){node(id:$id){... on Repository{branchProtectionRules(first:100){nodes{id pattern requiredStatusCheckContexts}}}}}`
	if err := ask(ctx, c, rules, map[string]any{"id": repository}, &found); err != nil {
		return err
	}
	for _, rule := range found.Node.Rules.Nodes {
		if rule.Pattern != pattern || !slices.Equal(rule.Contexts, contexts) {
			continue
		}
		const remove = `mutation($input:DeleteBranchProtectionRuleInput!){deleteBranchProtectionRule(input:$input){clientMutationId}}`
		if err := ask(ctx, c, remove, map[string]any{"input": map[string]any{"branchProtectionRuleId": rule.ID}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask asks by GraphQL, which says in an answer of status 200 what it refuses.
func ask(ctx context.Context, c *api.Client, query string, variables map[string]any, data any) error {
	request, err := c.NewRequest(http.MethodPost, "graphql", map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	answer := struct {
		Data   any
		Errors []struct{ Type, Message string }
	}{Data: data}
	if _, err := c.Do(ctx, request, &answer); err != nil {
		return err
	}
	for _, e := range answer.Errors {
		if e.Type != "NOT_FOUND" {
			return errors.New(e.Message)
		}
	}
	return nil
}

func removeKey(ctx context.Context, c *api.Client, owner, repository, key string) error {
	keys, _, err := c.Repositories.ListKeys(ctx, owner, repository, &api.ListOptions{PerPage: most})
	if err != nil {
		return err
	}
	for _, k := range keys {
		// What stands behind the key itself GitHub does not keep.
		if slices.Equal(firstTwo(k.GetKey()), firstTwo(key)) {
			if _, err := c.Repositories.DeleteKey(ctx, owner, repository, k.GetID()); err != nil {
				return err
			}
		}
	}
	return nil
}

func firstTwo(key string) []string {
	fields := strings.Fields(key)
	return fields[:min(2, len(fields))]
}

func removeHook(ctx context.Context, c *api.Client, owner, repository string, url any) error {
	hooks, _, err := c.Repositories.ListHooks(ctx, owner, repository, &api.ListOptions{PerPage: most})
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if h.Config.GetURL() == url {
			if _, err := c.Repositories.DeleteHook(ctx, owner, repository, h.GetID()); err != nil {
				return err
			}
		}
	}
	return nil
}
