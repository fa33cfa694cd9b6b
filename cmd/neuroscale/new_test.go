package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/scaffold"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

const irisModel = "gs://kfserving-examples/models/sklearn/1.0/model"

func TestTheGuardPassesANewEndpointOfEverySize(t *testing.T) {
	assert.Equal(t, endpoints.Folder, scaffold.Folder)
	m := newMachine(t)
	for _, size := range []string{"small", "medium", "large"} {
		code, out, errout := m.run("new", "endpoint", size, "--storage-uri", irisModel, "--size", size, "-o", m.root)
		require.Equal(t, 0, code, errout)
		assert.Equal(t, filepath.Join(m.root, "apps", size)+"\n", out)
		assert.Regexp(t, `^`+size+` costs \d+\.\d\d to \d+\.\d\d USD a month, .* quota of tenant default: .*requests\.cpu \S+ of 4`, errout)
	}
	// Kyverno's command line is asked by other tests.
	m.env["NEUROSCALE_KYVERNO"] = "nothing"
	_, out, errout := m.run("guard", filepath.Join(m.root, "apps"), "-o", "json")
	var report guard.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report), errout)
	assert.Len(t, report.Documents, 3)
	for _, f := range report.Findings {
		assert.Equal(t, guard.RuleKyverno, f.Rule, f.Message)
	}
}

func TestNewRefusesWhatItCannotMake(t *testing.T) {
	for want, args := range map[string][]string{
		`unknown command "new endpoin" (did you mean "endpoint"?): there are endpoint`:               {"endpoin"},
		"endpoint takes 1 argument(s) (NAME), got 0":                                                 {"endpoint"},
		`--storage-uri "" is missing: write where`:                                                   {"endpoint", "x"},
		`--tenant "team-x" is unknown (did you mean "team-b"?): write default or team-b`:             {"endpoint", "x", "--tenant", "team-x"},
		"--scale-to-zero means --min-replicas 0: remove it or --min-replicas 2":                      {"endpoint", "x", "--scale-to-zero", "--min-replicas", "2"},
		"--propose writes no folder here: remove it or -o .":                                         {"endpoint", "x", "--propose", "-o", "."},
		"--merge is about a pull request: remove it or add --propose":                                {"endpoint", "x", "--merge"},
		"--as is who proposes an endpoint: remove --as bob or add --propose":                         {"endpoint", "x", "--as", "bob"},
		`NAME "knative" is the platform's or another tenant's: write another one`:                    {"endpoint", "knative", "--storage-uri", irisModel},
		`NAME "team-b-x" is the platform's or another tenant's: write another one`:                   {"endpoint", "team-b-x", "--storage-uri", irisModel},
		`--as "zoe" is no member of tenant default: write data-scientist`:                            {"endpoint", "x", "--storage-uri", irisModel, "--propose", "--as", "zoe"},
		"account bob is in Pulumi.ci.yaml but not in the forge yet: run `neuroscale up -s ci` first": {"endpoint", "x", "--storage-uri", irisModel, "--propose", "--tenant", "team-b"},
	} {
		m := newMachine(t)
		m.up()
		m.write("Pulumi.ci.yaml", teamB)
		fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("http://gateway")})
		code, out, errout := m.run(append([]string{"new"}, args...)...)
		assert.Equal(t, 1, code, args)
		assert.Empty(t, out, args)
		assert.Contains(t, errout, want, args)
	}
}

func TestAnEndpointIsProposedToItsTenantsRepository(t *testing.T) {
	cfg := &config.Config{Tenants: []config.Tenant{
		{Namespace: "default", Repositories: []string{"endpoints"}}, {Namespace: "b", Repositories: []string{"models-b", "more"}},
	}}
	out := &stacks.Outputs{Repository: "http://10.88.0.2:30082/neuroscale/endpoints.git"}
	for i, want := range []string{out.Repository, "http://10.88.0.2:30082/neuroscale/models-b.git"} {
		got, err := repositoryOf(out, cfg, cfg.Tenants[i])
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestOnGitHubAPersonProposesWithATokenOfTheirOwn(t *testing.T) {
	m := newMachine(t)
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forge: {provider: github, organization: acme}\n  neuroscale:portal: {enabled: false}\n")
	hub := githubtest.New(t, "acme")
	hub.Grant("annas", "anna", nil)
	repository := hub.Repository("endpoints", githubtest.Files{"README.md": {Content: "x"}})
	m.env["GITHUB_API_URL"] = hub.URL
	propose := []string{"new", "endpoint", "my-iris", "--storage-uri", irisModel, "--propose"}
	for want, args := range map[string][]string{
		"there is no token of yours for GitHub: set GH_TOKEN or GITHUB_TOKEN, such as by `export GH_TOKEN=$(gh auth token)`": nil,
		"--as anna is an account of Gitea: on GitHub whoever the token is of proposes":                                       {"--as", "anna"},
		"--merge is what Gitea does: on GitHub choose *Enable auto-merge*":                                                   {"--merge"},
	} {
		code, out, errout := m.run(append(propose, args...)...)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errout, want)
	}
	m.env["GITHUB_TOKEN"], m.env["GH_TOKEN"] = "another", "annas"
	code, out, errout := m.run(propose...)
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "https://github.com/acme/endpoints/pull/1\n", out)
	require.Len(t, repository.Pulls(), 1)
	assert.Contains(t, repository.Pulls()[0].Files["apps/my-iris/inference-service.yaml"].Content, irisModel)
	assert.Contains(t, repository.Pulls()[0].Body, "my-iris costs")
	assert.NotContains(t, errout, "annas")
}
