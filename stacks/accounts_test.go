package stacks

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func TestAccountsAreTheAdministratorsAndEveryMemberOnce(t *testing.T) {
	cfg, err := Config(twoTenants)
	require.NoError(t, err)
	var lines []string
	for _, a := range Accounts(cfg) {
		lines = append(lines, a.Name+" "+a.For)
	}
	assert.Equal(t, []string{
		"ops forge: the platform's administrators",
		"admin Argo CD: the platform's administrators",
		"bob forge: tenant team-b",
		"data-scientist forge: tenant default, team-b",
	}, lines)
}

func TestEveryAccountHasAPasswordThatCanBeMadeAnew(t *testing.T) {
	cfg, err := Config(twoTenants)
	require.NoError(t, err)
	r := recorder.MustRun(t, program(t, twoTenants), recorder.Options{})
	outputs := &Outputs{ForgePassword: "of-ops", ArgoCDAdminPassword: "of-admin", Members: map[string]string{"bob": "of-bob"}}
	made := map[string]bool{}
	for _, a := range Accounts(cfg) {
		require.NotEmpty(t, a.Random(), a.Name)
		for _, pattern := range a.Random() {
			parts := strings.Split(pattern, "**")
			require.Len(t, parts, 2)
			urn := regexp.MustCompile("^" + parts[0] + ".*" + regexp.QuoteMeta(parts[1]) + "$")
			var found []string
			for _, g := range r.Registrations {
				if urn.MatchString(g.URN) {
					found = append(found, g.URN)
				}
			}
			require.Lenf(t, found, 1, "%s: %s", a.Name, pattern)
			assert.Falsef(t, made[found[0]], "%s is of two accounts", found[0])
			made[found[0]] = true
		}
		assert.True(t, a.MadeAnew(slices.Collect(maps.Keys(made))), a.Name)
		assert.False(t, a.MadeAnew([]string{"urn:pulumi:test::neuroscale::x$" + "random:index/randomPassword:RandomPassword::forge-member-" + a.Name + "2"}), a.Name)
		password, there := a.Password(outputs)
		assert.Equal(t, a.Name != "data-scientist", there)
		if there {
			assert.Equal(t, "of-"+a.Name, password)
		}
	}
}

func TestNoMemberHasAnAccountOfThePlatforms(t *testing.T) {
	cfg, err := Config(nil)
	require.NoError(t, err)
	for _, a := range Accounts(cfg)[:2] {
		_, err := Config(map[string]string{"neuroscale:tenants": `[{"members":["` + a.Name + `"]}]`})
		require.ErrorContains(t, err, "write another name")
	}
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	for _, name := range []string{"ADMIN", "READER", "WRITER"} {
		value := ""
		for _, variable := range recorder.At(r.Get(t, "Job", "gitea-bootstrap-*").Object(), "spec.template.spec.containers.0.env").([]any) {
			if recorder.At(variable, "name") == name {
				value, _ = recorder.At(variable, "value").(string)
			}
		}
		_, err := Config(map[string]string{"neuroscale:tenants": `[{"members":["` + value + `"]}]`})
		require.ErrorContains(t, err, "write another name", name)
	}
}
