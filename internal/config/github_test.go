package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func onGitHub(more map[string]string) map[string]string {
	raw := map[string]string{
		"neuroscale:forge":  `{"provider":"github","organization":"acme"}`,
		"neuroscale:portal": `{"enabled":false}`,
	}
	for key, value := range more {
		raw["neuroscale:"+key] = value
	}
	return raw
}

func TestGitHubHasPeoplesRepositories(t *testing.T) {
	c, err := Load(onGitHub(nil))
	require.NoError(t, err)
	assert.True(t, c.Forge.OnGitHub())
	assert.Empty(t, c.InGitea())
	assert.Equal(t, []Egress{{CIDR: "0.0.0.0/0", Ports: []int{22, 443}}}, c.Forge.GitHub.Egress)
	c, err = Load(nil)
	require.NoError(t, err)
	assert.Equal(t, c.Repositories(), c.InGitea())
}

func TestTheOAuthAppIsToldWhereThePortalIs(t *testing.T) {
	const app = `{"provider":"github","organization":"acme","github":{"clientId":"Ov23liABC"}}`
	for name, test := range map[string]struct {
		more map[string]string
		want string
	}{
		"of its own":   {map[string]string{"portal": `{"url":"https://portal.example.org/"}`}, "https://portal.example.org/api/auth/github/handler/frame"},
		"at a node":    {map[string]string{"portal": `{}`, "cluster": `{"address":"10.0.0.7"}`}, "https://10.0.0.7:30083/api/auth/github/handler/frame"},
		"in Docker":    {map[string]string{"portal": `{}`, "cluster": `{"provider":"docker"}`}, "https://127.0.0.1:30083/api/auth/github/handler/frame"},
		"not yet told": {map[string]string{"portal": `{}`}, "https://<cluster.address>:30083/api/auth/github/handler/frame"},
		"without TLS":  {map[string]string{"portal": `{"nodePort":30500}`, "cluster": `{"address":"10.0.0.7"}`, "tls": `{"http":["portal"]}`}, "http://10.0.0.7:30500/api/auth/github/handler/frame"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := onGitHub(test.more)
			raw["neuroscale:forge"] = app
			c, err := Load(raw)
			require.NoError(t, err)
			assert.Equal(t, test.want, c.Callback())
		})
	}
}

func TestWhatGitHubNeedsIsSaidAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		raw  map[string]string
		want []string
	}{
		"nothing but its name": {map[string]string{"neuroscale:forge": `{"provider":"github"}`}, []string{
			`neuroscale:forge.organization is "neuroscale": write the organization or account on GitHub that owns the repositories`,
			`neuroscale:forge.github.clientId is "": write the client ID of an OAuth App of GitHub whose callback URL is https://<cluster.address>:30083/api/auth/github/handler/frame, make one at https://github.com/settings/applications/new, or false in neuroscale:portal.enabled`,
		}},
		"what is no client ID": {onGitHub(map[string]string{"forge": `{"provider":"github","organization":"acme","github":{"clientId":"my app"}}`}), []string{
			`neuroscale:forge.github.clientId is "my app": write the client ID of an OAuth App of GitHub whose callback URL is https://<cluster.address>:30083/api/auth/github/handler/frame, make one at https://github.com/settings/applications/new`,
		}},
		"a member whom GitHub cannot have": {onGitHub(map[string]string{"tenants": `[{"members":["` + strings.Repeat("a", 40) + `"]}]`}), []string{
			`neuroscale:tenants[0].members[0] is "` + strings.Repeat("a", 40) + `": write at most 39 characters, GitHub has no longer names`,
		}},
		"an App of Gitea's people": {map[string]string{"neuroscale:forge": `{"github":{"clientId":"Ov23liABC"}}`}, []string{
			`neuroscale:forge.github.clientId is "Ov23liABC": write nothing, or github in neuroscale:forge.provider`,
		}},
		"a name that is too long": {onGitHub(map[string]string{"forge": `{"provider":"github","organization":"` + strings.Repeat("a", 40) + `"}`}), []string{
			`neuroscale:forge.organization is "` + strings.Repeat("a", 40) + `": write at most 39 letters, digits and -, GitHub has no longer names`,
		}},
		"what would do nothing": {onGitHub(map[string]string{"tenants": `[{"members":["anna","bob"],"mergers":["bob"]}]`}), []string{
			`neuroscale:tenants[0].mergers is ["bob"]: write nothing: on GitHub who may write to the repository merges, and the organization says who that is`,
		}},
		"more approvals than there are": {onGitHub(map[string]string{"tenants": `[{"members":["a","b","c","d","e","f","g","h"],"approvals":7}]`}), []string{
			"neuroscale:tenants[0].approvals is 7: write at most 6, GitHub asks for no more",
		}},
		"a repository of nobody": {onGitHub(map[string]string{"forge": `{"provider":"github","organization":"acme","github":{"adopt":["models","endpoints","endpoints"]}}`}), []string{
			`neuroscale:forge.github.adopt[0] is "models": write one of neuroscale:tenants[].repositories: endpoints`,
			`neuroscale:forge.github.adopt[2] is "endpoints": write another name, neuroscale:forge.github.adopt[1] has this one`,
		}},
		"nowhere": {onGitHub(map[string]string{"forge": `{"provider":"github","organization":"acme","github":{"egress":[]}}`}), []string{
			"neuroscale:forge.github.egress is []: write where GitHub is, such as 0.0.0.0/0 with the ports 22 and 443",
		}},
		"nowhere for guard and portal": {onGitHub(map[string]string{"forge": `{"provider":"github","organization":"acme","github":{"egress":[{"cidr":"140.82.112.0/20","ports":[22]}]}}`}), []string{
			`neuroscale:forge.github.egress is [{"cidr":"140.82.112.0/20","ports":[22]}]: write where GitHub is, such as 0.0.0.0/0 with the ports 22 and 443`,
		}},
		"adopted by Gitea": {map[string]string{"neuroscale:forge": `{"github":{"adopt":["endpoints"]}}`}, []string{
			`neuroscale:forge.github.adopt is ["endpoints"]: write nothing, or github in neuroscale:forge.provider`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(test.raw)
			require.EqualError(t, err, strings.Join(test.want, "\n"))
		})
	}
}
