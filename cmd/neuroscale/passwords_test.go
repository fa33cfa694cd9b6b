package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/bench"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// teamB is a second tenant, of which somebody of the first is a member too.
const teamB = "config:\n  neuroscale:tenants:\n    - {}\n" +
	"    - {namespace: team-b, owner: b, costCenter: b, repositories: [models-b], members: [bob, data-scientist]}\n"

// passwordsOf are the engine's events for random passwords.
func passwordsOf(op apitype.OpType, names ...string) []apitype.EngineEvent {
	var list []apitype.EngineEvent
	for _, name := range names {
		list = append(list, apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
			Op: op, URN: urn + "neuroscale:platform:Forge$random:index/randomPassword:RandomPassword::" + name,
			Type: "random:index/randomPassword:RandomPassword", New: &apitype.StepEventStateMetadata{Custom: true},
		}}})
	}
	return append(list, apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{ResourceChanges: map[apitype.OpType]int{op: len(names)}}})
}

func TestPasswordsNamesEveryAccountAndNoPassword(t *testing.T) {
	m := newMachine(t)
	m.write("Pulumi.ci.yaml", teamB)
	code, out, errout := m.run("passwords")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "ACCOUNT         FOR\n"+
		"ops             forge: the platform's administrators\n"+
		"admin           Argo CD: the platform's administrators\n"+
		"bob             forge: tenant team-b\n"+
		"data-scientist  forge: tenant default, team-b\n", out)
	code, out, errout = m.run("passwords", "-o", "json")
	require.Equal(t, 0, code, errout)
	var accounts []stacks.Account
	require.NoError(t, json.Unmarshal([]byte(out), &accounts))
	require.Len(t, accounts, 4)
	assert.Equal(t, stacks.Account{Name: "bob", For: "forge: tenant team-b"}, accounts[2])
}

func TestShowPrintsOnePasswordAndNothingElse(t *testing.T) {
	m := newMachine(t)
	m.up()
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("http://gateway")})
	for name, want := range map[string]string{"admin": "secret-a\n", "ops": "secret-b\n", "data-scientist": "secret-c\n"} {
		code, out, errout := m.run("passwords", "show", name)
		require.Equal(t, 0, code, errout)
		assert.Equal(t, want, out, name)
		_, out, _ = m.run("passwords", "-s", "ci", "show", name)
		assert.Equal(t, want, out, "a flag before the command")
		assert.Empty(t, errout, "somebody who reads both gets more than the password")
	}
}

func TestRotateReplacesThePasswordsOfTheAccountsAndNoOthers(t *testing.T) {
	pattern := func(name string) string {
		return "--replace=**$random:index/randomPassword:RandomPassword::" + name
	}
	for name, test := range map[string]struct {
		args              []string
		replaced, rotated []string
	}{
		"a member":         {[]string{"bob"}, []string{"forge-member-bob"}, []string{"bob"}},
		"the same twice":   {[]string{"bob", "bob"}, []string{"forge-member-bob"}, []string{"bob"}},
		"Argo CD's user":   {[]string{"admin"}, []string{"argocd-admin", "argocd-server-key"}, []string{"admin"}},
		"an administrator": {[]string{"ops", "data-scientist"}, []string{"forge-member-data-scientist", "forge-admin"}, []string{"data-scientist", "ops"}},
		"everybody": {
			[]string{"--all"},
			[]string{"forge-admin", "argocd-admin", "argocd-server-key", "forge-member-bob", "forge-member-data-scientist"},
			[]string{"ops", "admin", "bob", "data-scientist"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.up()
			m.write("Pulumi.ci.yaml", teamB)
			calls := fakepulumi.Install(t, fakepulumi.Script{
				Events: passwordsOf(apitype.OpCreateReplacement, test.replaced...), Outputs: m.outputs("http://gateway"),
			})
			code, out, errout := m.run(append([]string{"passwords", "rotate"}, test.args...)...)
			require.Equal(t, 0, code, errout)
			assert.Equal(t, "new passwords: "+strings.Join(test.rotated, ", ")+"; read one by `neuroscale passwords show ACCOUNT -s ci`\n", out)
			assert.NotContains(t, out+errout, "secret-")
			var want, got []string
			for _, each := range test.replaced {
				want = append(want, pattern(each))
			}
			for _, line := range calls.Lines(t) {
				got = append(got, slices.DeleteFunc(strings.Fields(line), func(word string) bool { return !strings.HasPrefix(word, "--replace") })...)
			}
			assert.Equal(t, want, got)

			code, out, errout = m.run(append([]string{"passwords", "rotate", "-o", "json"}, test.args...)...)
			require.Equal(t, 0, code, errout)
			var report rotation
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			assert.Equal(t, rotation{"ci", test.rotated}, report)
		})
	}
}

func TestAPasswordThatIsStillTheOldOneIsNoSuccess(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.write("Pulumi.ci.yaml", teamB)
	fakepulumi.Install(t, fakepulumi.Script{
		Events: append(passwordsOf(apitype.OpSame, "forge-member-bob"), passwordsOf(apitype.OpCreateReplacement, "forge-member-data-scientist")...),
	})
	code, out, errout := m.run("passwords", "rotate", "bob", "data-scientist")
	assert.Equal(t, 1, code)
	assert.Empty(t, out)
	assert.Contains(t, errout, "neuroscale: account bob still has its old password: Pulumi replaced nothing of it\n")
}

func TestPasswordsSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a command it has not":  {[]string{"list"}, `unknown command "passwords list": there are rotate, show`},
		"an account to show":    {[]string{"show"}, "show takes 1 argument(s) (ACCOUNT), got 0: see `neuroscale passwords show --help`"},
		"nobody's account":      {[]string{"show", "data-scientst"}, `unknown account "data-scientst" (did you mean "data-scientist"?): there are ops, admin, bob, data-scientist`},
		"nobody's to rotate":    {[]string{"rotate", "ops", "zoe"}, `unknown account "zoe": there are ops, admin, bob, data-scientist`},
		"no account to rotate":  {[]string{"rotate"}, "rotate needs at least one ACCOUNT, or --all: `neuroscale passwords` lists them"},
		"all and one":           {[]string{"rotate", "--all", "ops"}, `rotate --all takes no ACCOUNT: remove "ops" or --all`},
		"an account to come":    {[]string{"show", "bob"}, "account bob is in Pulumi.ci.yaml but not in the forge yet: run `neuroscale up -s ci` first"},
		"a format it has not":   {[]string{"rotate", "ops", "-o", "yaml"}, "-o yaml is unknown: use text or json"},
		"a password in another": {[]string{"show", "ops", "-o", "json"}, "unknown shorthand flag: 'o' in -o: see `neuroscale passwords show --help`"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.up()
			m.write("Pulumi.ci.yaml", teamB)
			calls := fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("http://gateway")})
			code, out, errout := m.run(append([]string{"passwords"}, test.args...)...)
			assert.Equal(t, 1, code)
			assert.Empty(t, out)
			assert.Contains(t, errout, "neuroscale: "+test.want)
			assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "up --yes")
		})
	}
	for _, args := range []string{"passwords show ops", "passwords rotate ops"} {
		fakepulumi.Install(t, fakepulumi.Script{})
		code, _, errout := newMachine(t).run(strings.Fields(args)...)
		assert.Equal(t, 1, code)
		assert.Contains(t, errout, "run `neuroscale up -s ci` first", args)
	}
}

func TestTheBenchPushesAsTheAdministrator(t *testing.T) {
	out := &stacks.Outputs{Repository: "r", ForgeUser: "ops", ForgePassword: "o", Members: map[string]string{"anna": "a"}}
	assert.Equal(t, git.Remote{URL: "r", Username: "ops", Password: "o"}, endpointsOf(out), "a member may not push to main")
}

func TestTheBenchMergesAsWhoMay(t *testing.T) {
	out := &stacks.Outputs{Members: map[string]string{"anna": "a", "bob": "b"}}
	got, err := merger(config.Tenant{Members: []string{"anna", "bob"}}, out)
	require.NoError(t, err)
	assert.Equal(t, bench.Account{Name: "anna", Password: "a"}, got)
	got, err = merger(config.Tenant{Members: []string{"anna", "bob"}, Mergers: []string{"bob"}}, out)
	require.NoError(t, err)
	assert.Equal(t, bench.Account{Name: "bob", Password: "b"}, got)
	got, err = merger(config.Tenant{}, out)
	require.NoError(t, err)
	assert.Empty(t, got, "the bench says so when it needs somebody")
	_, err = merger(config.Tenant{Members: []string{"zoe"}}, out)
	assert.ErrorContains(t, err, "no password of zoe")
}
