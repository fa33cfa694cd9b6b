package main

import (
	"strings"

	"github.com/integrations/terraform-provider-github/v6/github"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	sdk "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// name of the package, and the version of Pulumi's SDK whose requests it answers.
const (
	name    = "github"
	version = "6.7.2"
)

// resources that the platform's program makes, by Terraform's name. Others are not served:
// nothing here has been tried with them.
var resources = map[string]string{
	"github_actions_secret":        "ActionsSecret",
	"github_actions_variable":      "ActionsVariable",
	"github_branch_protection":     "BranchProtection",
	"github_issue_label":           "IssueLabel",
	"github_repository":            "Repository",
	"github_repository_deploy_key": "RepositoryDeployKey",
	"github_repository_webhook":    "RepositoryWebhook",
}

// provider is Terraform's under the names that Pulumi's SDK has for what it makes.
func provider() tfbridge.ProviderInfo {
	upstream := github.Provider()
	info := tfbridge.ProviderInfo{
		P: sdk.NewProvider(upstream), Name: name, Version: version, Resources: map[string]*tfbridge.ResourceInfo{},
		Config: map[string]*tfbridge.SchemaInfo{
			"base_url": {Default: &tfbridge.DefaultInfo{Value: "https://api.github.com/", EnvVars: []string{"GITHUB_BASE_URL"}}},
			"token":    {Default: &tfbridge.DefaultInfo{EnvVars: []string{"GITHUB_TOKEN"}}, Secret: tfbridge.True()},
		},
	}
	for key := range upstream.ResourcesMap {
		kind, made := resources[key]
		if !made {
			info.IgnoreMappings = append(info.IgnoreMappings, key)
			continue
		}
		info.Resources[key] = &tfbridge.ResourceInfo{
			Tok: tokens.Type(name + ":index/" + strings.ToLower(kind[:1]) + kind[1:] + ":" + kind),
			// GitHub takes a key once.
			DeleteBeforeReplace: kind == "RepositoryDeployKey",
		}
	}
	for key := range upstream.DataSourcesMap {
		info.IgnoreMappings = append(info.IgnoreMappings, key)
	}
	info.SetAutonaming(255, "-")
	return info
}
