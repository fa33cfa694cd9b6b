package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// first is the default tenant as somebody would write it.
const first = `{"namespace":"default","owner":"platform-team","costCenter":"platform","repositories":["endpoints"]}`

// second is another tenant with more keys in it.
func second(keys string) string {
	if keys != "" {
		keys = "," + keys
	}
	return fmt.Sprintf(`[%s,{"namespace":"team-b","owner":"team-b","costCenter":"cc-b","repositories":["models-b"]%s}]`, first, keys)
}

func loadTenants(tenants string) ([]Tenant, error) {
	c, err := Load(map[string]string{"neuroscale:tenants": tenants}, "kyverno")
	if err != nil {
		return nil, err
	}
	return c.Tenants, nil
}

func TestATenantTakesTheDefaultFiguresForWhatItLeavesOut(t *testing.T) {
	tenants, err := loadTenants(second(`"quota":{"pods":4,"requests":{"cpu":3}},"limits":{"max":{"memory":"2Gi"}}`))
	require.NoError(t, err)
	assert.Equal(t, Default().Tenants[0], tenants[0])
	want := Default().Tenants[0]
	want.Namespace, want.Owner, want.CostCenter, want.Repositories, want.Members = "team-b", "team-b", "cc-b", []string{"models-b"}, nil
	want.Quota.Pods, want.Quota.Requests.CPU, want.Limits.Max.Memory = 4, "3", "2Gi"
	assert.Equal(t, want, tenants[1])
}

func TestTheFirstTenantTakesTheDefaultForWhatItLeavesOut(t *testing.T) {
	const other = `{"namespace":"team-b","owner":"team-b","costCenter":"cc-b","repositories":["models-b"]}`
	for name, test := range map[string]struct {
		written string
		changed func(*Tenant)
	}{
		"everything":               {`{}`, func(*Tenant) {}},
		"all but its namespace":    {`{"namespace":"default"}`, func(*Tenant) {}},
		"all but another name":     {`{"namespace":"team-x"}`, func(t *Tenant) { t.Namespace = "team-x" }},
		"all but its repositories": {`{"repositories":["models"]}`, func(t *Tenant) { t.Repositories = []string{"models"} }},
		"all but its members":      {`{"members":["anna","b-2"]}`, func(t *Tenant) { t.Members = []string{"anna", "b-2"} }},
		"nobody is a member":       {`{"members":[]}`, func(t *Tenant) { t.Members = []string{} }},
		"all but a count":          {`{"quota":{"pods":30}}`, func(t *Tenant) { t.Quota.Pods = 30 }},
	} {
		t.Run(name, func(t *testing.T) {
			tenants, err := loadTenants("[" + test.written + "," + other + "]")
			require.NoError(t, err)
			want := Default().Tenants[0]
			test.changed(&want)
			assert.Equal(t, want, tenants[0])
			assert.Equal(t, "team-b", tenants[1].Owner)
		})
	}
}

// The text is the README's.
func TestTheTenantOfTheREADMEIsTaken(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "```yaml settings\nconfig:\n  neuroscale:tenants:\n")
	require.True(t, found, "the README has no example of a tenant")
	text, _, _ = strings.Cut(text, "```")
	value, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	tenants, err := loadTenants(string(value))
	require.NoError(t, err)
	require.Len(t, tenants, 2)
	assert.Equal(t, Default().Tenants[0], tenants[0])
	want := Default().Tenants[0]
	want.Namespace, want.Owner, want.CostCenter, want.Repositories, want.Members = "team-b", "team-b", "research", []string{"team-b-endpoints"}, nil
	want.Quota.Requests.CPU, want.Quota.Requests.Memory = "2", "4Gi"
	want.Quota.InferenceServices = 2
	assert.Equal(t, want, tenants[1])
}

func TestNamespacesAndRepositoriesAreThoseOfAllTenants(t *testing.T) {
	c, err := Load(map[string]string{"neuroscale:tenants": second(`"repositories":["b1","b2"]`)})
	require.NoError(t, err)
	assert.Equal(t, []string{"default", "team-b"}, c.Namespaces())
	assert.Equal(t, []string{"endpoints", "b1", "b2"}, c.Repositories())
}

func TestMembersAreThoseOfAllTenantsOnce(t *testing.T) {
	c, err := Load(map[string]string{"neuroscale:tenants": second(`"members":["zoe","data-scientist","anna"]`)})
	require.NoError(t, err)
	assert.Equal(t, []string{"data-scientist"}, c.Tenants[0].Members, "the first tenant has nobody to push with")
	assert.Equal(t, []string{"anna", "data-scientist", "zoe"}, c.Members())
}

func TestAllMembersMergeUnlessItIsWrittenWho(t *testing.T) {
	for written, want := range map[string][]string{
		`"members":["anna","bob"]`: {"anna", "bob"},
		`"members":["anna","bob","zoe"],"mergers":["bob","zoe"],"approvals":1`: {"bob", "zoe"},
		`"members":["anna"],"mergers":[]`:                                      {"anna"},
	} {
		tenants, err := loadTenants(second(written))
		require.NoError(t, err)
		assert.Equal(t, want, tenants[1].MayMerge(), written)
	}
}

func TestTheListReplacesTheDefaultTenant(t *testing.T) {
	tenants, err := loadTenants(`[{"namespace":"only","owner":"a","costCenter":"b","repositories":["models"]}]`)
	require.NoError(t, err)
	require.Len(t, tenants, 1)
	assert.Equal(t, "only", tenants[0].Namespace)
}

func TestEveryProblemOfATenantNamesItsField(t *testing.T) {
	tenant := func(namespace, repository string) string {
		return fmt.Sprintf(`[%s,{"namespace":%q,"owner":"o","costCenter":"c","repositories":[%q]}]`, first, namespace, repository)
	}
	for name, test := range map[string]struct{ value, want string }{
		"no tenant":           {`[]`, `neuroscale:tenants is []: write at least one tenant, with namespace, owner, costCenter and repositories`},
		"no list":             {`{}`, `neuroscale:tenants is {}: write a list`},
		"no object":           {`[` + first + `,"team-b"]`, `neuroscale:tenants[1] is "team-b": write an object with approvals, costCenter, egress, limits, members, mergers, modelAccess, namespace, owner, quota, repositories`},
		"a text for a number": {second(`"quota":{"pods":"20"}`), `neuroscale:tenants[1].quota.pods is "20": write a whole number, without quotes`},
		"an unknown key": {second(`"quota":{"requests":{"cpus":"1"}}`),
			"neuroscale:tenants[1].quota.requests.cpus is not a key of neuroscale:tenants[1].quota.requests: did you mean cpu?"},
		"an unknown key of the tenant": {second(`"cost-center":"b"`),
			"neuroscale:tenants[1].cost-center is not a key of neuroscale:tenants[1]: did you mean costCenter?"},
		"a bad namespace": {tenant("Team B", "b"),
			`neuroscale:tenants[1].namespace is "Team B": write small letters, digits and -, at most 63, beginning and ending with a letter or digit`},
		"the same namespace":     {tenant("default", "b"), `neuroscale:tenants[1].namespace is "default": write another name, neuroscale:tenants[0].namespace has this one`},
		"the cluster's own":      {tenant("kube-system", "b"), `neuroscale:tenants[1].namespace is "kube-system": write another name, this one is the platform's or the cluster's own`},
		"the platform's own":     {tenant("neuroscale-probe", "b"), `neuroscale:tenants[1].namespace is "neuroscale-probe": write another name, this one is the platform's or the cluster's own`},
		"the guardrails' own":    {tenant("kyverno", "b"), `neuroscale:tenants[1].namespace is "kyverno": write another name, this one is the platform's or the cluster's own`},
		"another's repository":   {tenant("b", "endpoints"), `neuroscale:tenants[1].repositories[0] is "endpoints": write another name, neuroscale:tenants[0].repositories[0] has this one`},
		"the platform's content": {tenant("b", "platform"), `neuroscale:tenants[1].repositories[0] is "platform": write another name, this one is the platform's own`},
		"a path for a repository": {tenant("b", "../platform"),
			`neuroscale:tenants[1].repositories[0] is "../platform": write small letters, digits and -, at most 63, beginning and ending with a letter or digit`},
		"no repository":        {second(`"repositories":[]`), `neuroscale:tenants[1].repositories is []: write at least one repository, such as team-b-endpoints`},
		"no text for a member": {second(`"members":[{"name":"anna"}]`), `neuroscale:tenants[1].members[0] is {"name":"anna"}: write a text`},
		"a name with capitals": {second(`"members":["anna","Bob"]`),
			`neuroscale:tenants[1].members[1] is "Bob": write small letters, digits and single -, at most 40, beginning and ending with a letter or digit`},
		"a name the forge does not take": {second(`"members":["a--b"]`),
			`neuroscale:tenants[1].members[0] is "a--b": write small letters, digits and single -, at most 40, beginning and ending with a letter or digit`},
		"a name that is too long": {second(`"members":["` + strings.Repeat("a", 41) + `"]`),
			`neuroscale:tenants[1].members[0] is "` + strings.Repeat("a", 41) + `": write small letters, digits and single -, at most 40, beginning and ending with a letter or digit`},
		"the administrator":     {second(`"members":["ops"]`), `neuroscale:tenants[1].members[0] is "ops": write another name, this one is the platform's or the forge's own`},
		"Argo CD's user":        {second(`"members":["admin"]`), `neuroscale:tenants[1].members[0] is "admin": write another name, this one is the platform's or the forge's own`},
		"a page of the forge's": {second(`"members":["explore"]`), `neuroscale:tenants[1].members[0] is "explore": write another name, this one is the platform's or the forge's own`},
		"the organization":      {second(`"members":["neuroscale"]`), `neuroscale:tenants[1].members[0] is "neuroscale": write another name, neuroscale:forge.organization has this one`},
		"somebody twice":        {second(`"members":["anna","anna"]`), `neuroscale:tenants[1].members[1] is "anna": write another name, neuroscale:tenants[1].members[0] has this one`},
		"a merger who is no member": {second(`"members":["anna"],"mergers":["zoe"]`),
			`neuroscale:tenants[1].mergers[0] is "zoe": write one of neuroscale:tenants[1].members: anna`},
		"a merger twice": {second(`"members":["anna"],"mergers":["anna","anna"]`),
			`neuroscale:tenants[1].mergers[1] is "anna": write another name, neuroscale:tenants[1].mergers[0] has this one`},
		"less than no approval": {second(`"approvals":-1`), `neuroscale:tenants[1].approvals is -1: write a number from 0`},
		"approvals nobody is left to give": {second(`"members":["anna","bob"],"mergers":["anna"],"approvals":1`),
			`neuroscale:tenants[1].approvals is 1: write at most 0: there are 1 who merge, and nobody approves what is his own`},
		"the guard": {second(`"members":["guard"]`), `neuroscale:tenants[1].members[0] is "guard": write another name, this one is the platform's or the forge's own`},
		"no owner":  {second(`"owner":""`), `neuroscale:tenants[1].owner is "": write letters, digits, -, _ and ., at most 63, beginning and ending with a letter or digit`},
		"a cost center that is no label value": {second(`"costCenter":"R & D"`),
			`neuroscale:tenants[1].costCenter is "R & D": write letters, digits, -, _ and ., at most 63, beginning and ending with a letter or digit`},
		"no pod": {second(`"quota":{"pods":0}`), `neuroscale:tenants[1].quota.pods is 0: write a number of pods, at least 1`},
		"a negative count": {second(`"quota":{"inferenceServices":-1}`),
			`neuroscale:tenants[1].quota.inferenceServices is -1: write a number of InferenceServices, at least 0`},
		"fewer Deployments than InferenceServices need": {second(`"quota":{"deployments":4}`),
			`neuroscale:tenants[1].quota.deployments is 4: write at least 5, each of quota.inferenceServices takes one`},
		"no room for what an InferenceService takes": {second(`"quota":{"services":29}`),
			`neuroscale:tenants[1].quota.services is 29: write at least 30, each of quota.inferenceServices takes 6 while it is updated`},
		"not one ConfigMap": {second(`"quota":{"configMaps":0}`),
			`neuroscale:tenants[1].quota.configMaps is 0: write a number of ConfigMaps, at least 1: Kubernetes puts one into every namespace`},
		"fewer than no folders": {second(`"quota":{"applications":-1}`),
			`neuroscale:tenants[1].quota.applications is -1: write a number of folders, at least 0`},
		"fewer than no claims": {second(`"quota":{"volumeClaims":-1}`),
			`neuroscale:tenants[1].quota.volumeClaims is -1: write a number of PersistentVolumeClaims, at least 0`},
		"fewer than no Secrets": {second(`"quota":{"secrets":-1}`),
			`neuroscale:tenants[1].quota.secrets is -1: write a number of Secrets, at least 0`},
		"no amount of storage": {second(`"quota":{"storage":"much"}`),
			`neuroscale:tenants[1].quota.storage is "much": write an amount such as 250m, 2 (CPU) or 512Mi, 1Gi (memory, storage)`},
		"a disk that no container of the greatest size fits in": {second(`"limits":{"max":{"ephemeralStorage":"200Gi"}}`),
			`neuroscale:tenants[1].limits.max.ephemeralStorage is "200Gi": write at most 100Gi (neuroscale:tenants[1].quota.limits.ephemeralStorage), or raise that`},
		"a disk below what Knative adds": {second(`"limits":{"default":{"ephemeralStorage":"64Mi"},"defaultRequest":{"ephemeralStorage":"64Mi"},"max":{"ephemeralStorage":"128Mi"}}`),
			`neuroscale:tenants[1].limits.max.ephemeralStorage is "128Mi": write at least 256Mi, which Knative's queue-proxy may use: no InferenceService would start`},
		"a least disk above what Knative adds": {second(`"limits":{"min":{"ephemeralStorage":"64Mi"}}`),
			`neuroscale:tenants[1].limits.min.ephemeralStorage is "64Mi": write at most 32Mi, which Knative's queue-proxy asks for: no InferenceService would start`},
		"no quantity": {second(`"limits":{"max":{"memory":"4 GB"}}`),
			`neuroscale:tenants[1].limits.max.memory is "4 GB": write an amount such as 250m, 2 (CPU) or 512Mi, 1Gi (memory, storage)`},
		"a request above its limit": {second(`"limits":{"defaultRequest":{"cpu":"600m"}}`),
			`neuroscale:tenants[1].limits.defaultRequest.cpu is "600m": write at most 500m (neuroscale:tenants[1].limits.default.cpu), or raise that`},
		"a minimum above the request": {second(`"limits":{"min":{"memory":"256Mi"}}`),
			`neuroscale:tenants[1].limits.min.memory is "256Mi": write at most 128Mi (neuroscale:tenants[1].limits.defaultRequest.memory), or raise that`},
		"a default above the maximum": {second(`"limits":{"default":{"cpu":"3"}}`),
			`neuroscale:tenants[1].limits.default.cpu is "3": write at most 2 (neuroscale:tenants[1].limits.max.cpu), or raise that`},
		"a minimum above what Knative adds": {second(`"limits":{"min":{"cpu":"20m"}}`),
			`neuroscale:tenants[1].limits.min.cpu is "20m": write at most 10m, which Knative's queue-proxy asks for: no InferenceService would start`},
		"a maximum below what KServe adds": {second(`"limits":{"max":{"cpu":"800m"}}`),
			`neuroscale:tenants[1].limits.max.cpu is "800m": write at least 1, which KServe's storage initializer may use: no InferenceService would start`},
		"a quota that no container of the greatest size fits in": {second(`"limits":{"max":{"memory":"32Gi"}}`),
			`neuroscale:tenants[1].limits.max.memory is "32Gi": write at most 16Gi (neuroscale:tenants[1].quota.limits.memory), or raise that`},
		"requests above limits": {second(`"quota":{"requests":{"cpu":"9"}}`),
			`neuroscale:tenants[1].quota.requests.cpu is "9": write at most 8 (neuroscale:tenants[1].quota.limits.cpu), or raise that`},
		"requests for not one container": {second(`"quota":{"requests":{"memory":"100Mi"}}`),
			`neuroscale:tenants[1].limits.defaultRequest.memory is "128Mi": write at most 100Mi (neuroscale:tenants[1].quota.requests.memory), or raise that`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadTenants(test.value)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestAllProblemsOfAllTenantsComeAtOnce(t *testing.T) {
	_, err := loadTenants(`[{"namespace":"kyverno","owner":1,"costCenter":"","repositories":[],"quota":{"pods":-1}},{"repositories":["platform"],"limits":[]}]`)
	require.Error(t, err)
	var fields []string
	for _, line := range strings.Split(err.Error(), "\n") {
		field, _, _ := strings.Cut(line, " is ")
		fields = append(fields, strings.TrimPrefix(field, "neuroscale:tenants"))
	}
	assert.Equal(t, []string{
		"[1].limits",
		"[0].namespace", "[0].costCenter", "[0].repositories", "[0].quota.pods",
		"[1].namespace", "[1].owner", "[1].costCenter", "[1].repositories[0]",
	}, fields)
}

func TestTheOldKeyOfTheNamespaceSaysWhereItWent(t *testing.T) {
	_, err := Load(map[string]string{"neuroscale:endpoints": `{"namespace":"team"}`})
	require.EqualError(t, err, "neuroscale:endpoints.namespace is not a key of neuroscale:endpoints: "+
		"endpoints run in the namespace of their tenant, write neuroscale:tenants[0].namespace")
}

func TestAccessToModelsThatCannotWorkIsNamed(t *testing.T) {
	_, err := loadTenants(second(`"modelAccess":{"secrets":["s3","S3","s3"],"annotations":{"eks.amazonaws.com/":"x"}}`))
	assert.ErrorContains(t, err, `neuroscale:tenants[1].modelAccess.secrets[1] is "S3": write the name of a Secret: `)
	assert.ErrorContains(t, err, `neuroscale:tenants[1].modelAccess.secrets[2] is "s3": write another name, neuroscale:tenants[1].modelAccess.secrets[0] has this one`)
	assert.ErrorContains(t, err, `neuroscale:tenants[1].modelAccess.annotations.eks.amazonaws.com/ is "x": write the name of an annotation before it`)

	tenants, err := loadTenants(second(`"modelAccess":{"secrets":["s3"],"annotations":{"eks.amazonaws.com/role-arn":"arn"}}`))
	require.NoError(t, err)
	assert.Equal(t, ModelAccess{Secrets: []string{"s3"}, Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn"}}, tenants[1].ModelAccess)
}
