package forge

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hook has its fields in Gitea's order.
type hook struct {
	ID     int    `json:"id"`
	Type   string `json:"type"`
	Config any    `json:"config"`
}

type tagProtection struct {
	ID          int      `json:"id"`
	NamePattern string   `json:"name_pattern"`
	Usernames   []string `json:"whitelist_usernames"`
}

// account has its fields in Gitea's order.
type account struct {
	Login           string `json:"login"`
	LoginName       string `json:"login_name"`
	ProhibitedLogin bool   `json:"prohibit_login"`
}

// team has what its lists, repos and members, say.
type team struct {
	name  string
	lists map[string][]string
}

// fakeGitea answers like Gitea's API as far as the bootstrap asks, and remembers
// what it was told.
type fakeGitea struct {
	mu       sync.Mutex
	things   map[string]bool   // paths that exist
	hooks    map[string][]hook // by repository
	tags     []tagProtection   // of the platform's repository
	teams    []team            // numbered from 0
	accounts map[string]account
	// described are the teams that the next run makes.
	described []Team
	requests  []string
	bodies    map[string]string
}

func (f *fakeGitea) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	text, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(text, &body)
	if user, password, _ := r.BasicAuth(); r.URL.Path != "/api/healthz" && (user != Admin || password != "admin-password") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.requests = append(f.requests, r.Method+" "+path)
	f.bodies[r.Method+" "+path] = string(text)
	status := http.StatusOK
	switch {
	case r.URL.Path == "/api/healthz":
	case strings.HasSuffix(path, "/hooks"):
		repository := strings.Split(path, "/")[3]
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(append([]hook{}, f.hooks[repository]...))
			return
		}
		f.hooks[repository] = append(f.hooks[repository], hook{len(f.hooks[repository]) + 7, "gitea", body["config"]})
		status = http.StatusCreated
	case strings.HasSuffix(path, "/tag_protections") && !strings.Contains(path, "/platform/") && r.Method == http.MethodGet:
		all := []tagProtection{}
		if f.things[path] {
			all = append(all, tagProtection{5, "*", []string{}})
		}
		_ = json.NewEncoder(w).Encode(all)
		return
	case strings.HasSuffix(path, "/tag_protections") && !strings.Contains(path, "/platform/"):
		f.things[path] = true
		status = http.StatusCreated
	case path == "/repos/acme/platform/tag_protections" && r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(append([]tagProtection{}, f.tags...))
		return
	case path == "/repos/acme/platform/tag_protections":
		made := tagProtection{ID: len(f.tags) + 3}
		_ = json.Unmarshal(text, &made)
		f.tags = append(f.tags, made)
		status = http.StatusCreated
	case strings.HasPrefix(path, "/teams/"), strings.HasSuffix(path, "/teams"):
		f.serveTeams(w, r, path, body)
		return
	case path == "/admin/users" && r.Method == http.MethodGet:
		found := []any{}
		for _, name := range slices.Sorted(maps.Keys(f.accounts)) {
			if a := f.accounts[name]; a.LoginName == r.FormValue("login_name") && fmt.Sprint(a.ProhibitedLogin) == r.FormValue("is_prohibit_login") {
				found = append(found, a)
			}
		}
		writePage(w, r, found)
		return
	case strings.HasPrefix(path, "/admin/users"):
		name, _ := body["username"].(string)
		if status = http.StatusCreated; r.Method == http.MethodPatch {
			name, status = strings.TrimPrefix(path, "/admin/users/"), http.StatusOK
		}
		a := f.accounts[name]
		_ = json.Unmarshal(text, &a)
		a.Login = name
		f.accounts[name], f.things["/users/"+name] = a, true
	case r.Method == http.MethodPut:
		status = http.StatusNoContent
	case strings.HasSuffix(path, "/branch_protections"):
		f.things[path+"/"+body["rule_name"].(string)] = true
		status = http.StatusCreated
	case r.Method == http.MethodPost:
		for _, key := range []string{"username", "name"} {
			if name, ok := body[key].(string); ok {
				f.things[map[string]string{"/orgs": "/orgs/" + name, "/orgs/acme/repos": "/repos/acme/" + name}[path]] = true
			}
		}
		status = http.StatusCreated
	case r.Method == http.MethodGet && !f.things[path]:
		status = http.StatusNotFound
	}
	w.WriteHeader(status)
}

// serveTeams answers for /orgs/acme/teams, /teams/N, /teams/N/LIST and /teams/N/LIST/WHO.
func (f *fakeGitea) serveTeams(w http.ResponseWriter, r *http.Request, path string, body map[string]any) {
	if path == "/orgs/acme/teams" {
		if r.Method == http.MethodPost {
			f.teams = append(f.teams, team{body["name"].(string), map[string][]string{}})
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":%d,"name":%q,"organization":{"id":2,"name":"acme"}}`, len(f.teams)-1, body["name"])
			return
		}
		all := []any{}
		for i, t := range f.teams {
			all = append(all, json.RawMessage(fmt.Sprintf(`{"id":%d,"name":%q,"description":"","organization":null}`, i, t.name)))
		}
		writePage(w, r, all)
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/teams/"), "/", 3)
	number, _ := strconv.Atoi(parts[0])
	if len(parts) == 1 {
		return
	}
	list := f.teams[number].lists[parts[1]]
	switch r.Method {
	case http.MethodGet:
		all := []any{}
		for _, each := range list {
			all = append(all, map[string]string{"login": each, "full_name": each})
		}
		writePage(w, r, all)
		return
	case http.MethodPut:
		list = append(list, parts[2])
	case http.MethodDelete:
		list = slices.DeleteFunc(list, func(each string) bool { return each == parts[2] })
	}
	f.teams[number].lists[parts[1]] = list
	w.WriteHeader(http.StatusNoContent)
}

// writePage writes two of a list, of which more come with the next page.
func writePage(w io.Writer, r *http.Request, all []any) {
	page, _ := strconv.Atoi(r.FormValue("page"))
	from := min(2*(page-1), len(all))
	_ = json.NewEncoder(w).Encode(all[from:min(from+2, len(all))])
}

// signIn are the members' accounts that can.
func (f *fakeGitea) signIn() []string {
	var names []string
	for name, a := range f.accounts {
		if a.LoginName == "tenant-member" && !a.ProhibitedLogin {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func newFakeGitea() *fakeGitea {
	// Every organization has a team of its owners.
	return &fakeGitea{
		things: map[string]bool{}, hooks: map[string][]hook{}, accounts: map[string]account{},
		teams: []team{{"Owners", map[string][]string{"members": {Admin}}}},
	}
}

func (f *fakeGitea) run(t *testing.T, url, dir string, repositories ...string) (string, error) {
	t.Helper()
	f.requests, f.bodies = nil, map[string]string{}
	command := exec.Command("bash", filepath.Join(dir, "bootstrap.sh"))
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "WORK=" + dir, "ACCOUNTS=" + dir, "FORGE_URL=" + url, "ADMIN=" + Admin,
		"READER=" + Reader, "WRITER=" + writer, "ORGANIZATION=acme", "PLATFORM=" + Platform,
		"REPOSITORIES=" + strings.Join(repositories, " "), "MEMBERS=" + filepath.Join(dir, "members"),
		"TEAM_PREFIX=" + teamPrefix, "TEAMS=" + teams(&Args{Organization: "acme", Teams: f.described}),
		"MERGERS=" + mergersSuffix, "WEBHOOK_URL=http://argocd/webhook",
		"GUARD=" + Guard, "GUARD_URL=http://guard/hook", "FOLLOWER_URL=http://follower/hook", "GUARD_CONTEXT=the/check",
	}
	output, err := command.CombinedOutput()
	return string(output), err
}

func workshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"bootstrap.sh": bootstrapScript, Admin: "admin-password", Reader: "reader-password", writer: "writer-password",
		webhookSecret: "hook-secret", Guard: "guard-password", guardHook: "guard-secret",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "members"), 0o700))
	return dir
}

// people brings the forge up with teams that have no repository but endpoints and
// models-b, and returns what was asked of it.
func (f *fakeGitea) people(t *testing.T, url, dir string, teams ...Team) []string {
	t.Helper()
	members := filepath.Join(dir, "members")
	require.NoError(t, os.RemoveAll(members))
	require.NoError(t, os.Mkdir(members, 0o700))
	for _, member := range (&Args{Teams: teams}).members() {
		require.NoError(t, os.WriteFile(filepath.Join(members, member), []byte(member+"-password"), 0o600))
	}
	f.described = teams
	output, err := f.run(t, url, dir, "endpoints", "models-b")
	require.NoError(t, err, output)
	assert.NotContains(t, output, "-password", "a password is in the log")
	return f.requests
}

func TestBootstrapMakesEverythingOnceAndThenOnlyConfirms(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)

	output, err := f.run(t, server.URL, dir, "endpoints")
	require.NoError(t, err, output)
	for _, path := range []string{"/orgs/acme", "/users/argocd", "/users/platform-writer", "/repos/acme/platform", "/repos/acme/endpoints"} {
		assert.Truef(t, f.things[path], "%s was not made", path)
	}
	assert.JSONEq(t, `{"permission":"write"}`, f.bodies["PUT /repos/acme/platform/collaborators/platform-writer"])
	assert.JSONEq(t, `{"permission":"read"}`, f.bodies["PUT /repos/acme/endpoints/collaborators/argocd"])
	assert.NotContains(t, f.requests, "PUT /repos/acme/endpoints/collaborators/platform-writer", "the program may not write what people merge")
	assert.Equal(t, []tagProtection{{3, "layer/*", []string{writer}}}, f.tags, "whoever moves a layer's tag has all rights")
	require.Len(t, f.hooks["endpoints"], 3)
	assert.Equal(t, map[string]any{"url": "http://argocd/webhook", "content_type": "json", "secret": "hook-secret"}, f.hooks["endpoints"][0].Config)
	assert.Equal(t, map[string]any{"url": "http://guard/hook", "content_type": "json", "secret": "guard-secret"}, f.hooks["endpoints"][2].Config)
	assert.Equal(t, map[string]any{"url": "http://follower/hook", "content_type": "json", "secret": "guard-secret"}, f.hooks["endpoints"][1].Config)
	assert.Contains(t, f.bodies["POST /repos/acme/endpoints/hooks"], `"events":["push","pull_request_only","pull_request_sync","status"]`)
	assert.JSONEq(t, `{"permission":"write"}`, f.bodies["PUT /repos/acme/endpoints/collaborators/guard"])
	assert.NotContains(t, f.requests, "PUT /repos/acme/platform/collaborators/guard", "the guard may write what is applied with all rights")
	for _, secret := range []string{"admin-password", "reader-password", "writer-password", "hook-secret", "guard-password", "guard-secret"} {
		assert.NotContains(t, output, secret, "a secret is in the log")
	}

	f.hooks["endpoints"] = append([]hook{{3, "slack", map[string]any{"url": "http://somebody/else"}}}, f.hooks["endpoints"]...)
	output, err = f.run(t, server.URL, dir, "endpoints")
	require.NoError(t, err, output)
	for _, request := range f.requests {
		assert.False(t, strings.HasPrefix(request, "POST "), "made again: %s", request)
	}
	assert.Contains(t, f.bodies["PATCH /admin/users/argocd"], "reader-password", "a new password would not arrive")
	assert.Contains(t, f.requests, "PATCH /repos/acme/endpoints/hooks/7", "somebody else's webhook was changed")
	assert.Contains(t, f.bodies["PATCH /repos/acme/platform/tag_protections/3"], writer, "a protection that was lifted would stay so")
}

func TestANewTenantsRepositoryIsMadeBesideTheOthers(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)
	output, err := f.run(t, server.URL, dir, "endpoints")
	require.NoError(t, err, output)

	output, err = f.run(t, server.URL, dir, "endpoints", "models-b")
	require.NoError(t, err, output)
	var made []string
	for _, request := range f.requests {
		if strings.HasPrefix(request, "POST ") {
			made = append(made, request)
		}
	}
	assert.Equal(t, []string{"POST /orgs/acme/repos", "POST /repos/acme/models-b/hooks", "POST /repos/acme/models-b/hooks", "POST /repos/acme/models-b/hooks"}, made, "something else was made")
	assert.True(t, f.things["/repos/acme/models-b"])
	assert.JSONEq(t, `{"permission":"read"}`, f.bodies["PUT /repos/acme/models-b/collaborators/argocd"])
	assert.Len(t, f.hooks["endpoints"], 3)
	assert.Equal(t, "hook-secret", f.hooks["models-b"][0].Config.(map[string]any)["secret"])

	output, err = f.run(t, server.URL, dir, "endpoints")
	require.NoError(t, err, output)
	for _, request := range f.requests {
		assert.NotContains(t, request, "models-b", "what is no longer described was touched")
	}
}

func TestMembersProposeToWhatIsTheirTenantsOnly(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)
	first := Team{"default", []string{"anna", "bob", "zoe"}, []string{"anna", "bob"}, 1, []string{"endpoints"}}
	second := Team{"b", []string{"bob"}, []string{"bob"}, 0, []string{"models-b"}}

	f.people(t, server.URL, dir, first, second)
	var made struct {
		Login      string `json:"username"`
		LoginName  string `json:"login_name"`
		Password   string `json:"password"`
		Restricted bool   `json:"restricted"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.bodies["POST /admin/users"]), &made))
	assert.Equal(t, "zoe tenant-member zoe-password true", fmt.Sprint(made.Login, " ", made.LoginName, " ", made.Password, " ", made.Restricted))
	assert.JSONEq(t, `{"name":"tenant-b.mergers","permission":"read","includes_all_repositories":false,"can_create_org_repo":false,
		"units_map":{"repo.code":"write","repo.pulls":"read","repo.issues":"read"}}`, f.bodies["POST /orgs/acme/teams"], "Gitea lets nobody merge who may not write")
	assert.Equal(t, []team{
		{"Owners", map[string][]string{"members": {Admin}}},
		{"tenant-default", map[string][]string{"members": {"anna", "bob", "zoe"}, "repos": {"acme/endpoints"}}},
		{"tenant-default.mergers", map[string][]string{"members": {"anna", "bob"}, "repos": {"acme/endpoints"}}},
		{"tenant-b", map[string][]string{"members": {"bob"}, "repos": {"acme/models-b"}}},
		{"tenant-b.mergers", map[string][]string{"members": {"bob"}, "repos": {"acme/models-b"}}},
	}, f.teams)
	const protection = `"enable_push":true,"enable_push_whitelist":true,"push_whitelist_usernames":["ops"],"push_whitelist_deploy_keys":false,
		"enable_force_push":false,"enable_merge_whitelist":true,"merge_whitelist_usernames":[],"merge_whitelist_teams":["tenant-default.mergers"],
		"enable_status_check":true,"status_check_contexts":["the/check"],"required_approvals":1,"enable_approvals_whitelist":true,
		"approvals_whitelist_username":[],"approvals_whitelist_teams":["tenant-default.mergers"],
		"dismiss_stale_approvals":true,"block_on_rejected_reviews":true,"block_admin_merge_override":true}`
	const nowhere = `{"rule_name":"**","enable_push":false,"enable_force_push":false,"block_admin_merge_override":true}`
	assert.JSONEq(t, nowhere, f.bodies["POST /repos/acme/endpoints/branch_protections"], "who merges makes branches")
	assert.JSONEq(t, `{"name_pattern":"*","whitelist_usernames":["ops"],"whitelist_teams":[]}`, f.bodies["POST /repos/acme/endpoints/tag_protections"], "who merges makes tags")

	for _, request := range f.people(t, server.URL, dir, first, second) {
		confirms := strings.HasPrefix(request, "GET ") || strings.HasPrefix(request, "PATCH ") || strings.Contains(request, "/collaborators/")
		assert.True(t, confirms, "done again: %s", request)
	}
	for what, said := range map[string]string{
		"a new password would not arrive":               `"password":"anna-password"`,
		"somebody who was made an administrator is one": `"admin":false`,
	} {
		assert.Contains(t, f.bodies["PATCH /admin/users/anna"], said, what)
	}
	assert.Contains(t, f.bodies["PATCH /teams/1"], `"repo.code":"read"`, "a right that was changed would stay so")
	assert.Contains(t, f.bodies["PATCH /teams/2"], `"repo.code":"write"`)
	assert.JSONEq(t, "{"+protection, f.bodies["PATCH /repos/acme/endpoints/branch_protections/main"], "a protection that was lifted would stay so")
}

func TestWhoeverIsNoMemberAnyMoreCannotSignIn(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)
	first := func(members ...string) Team { return Team{"default", members, members, 0, []string{"endpoints"}} }
	second := Team{"b", []string{"bob", "carl", "dora"}, []string{"bob", "carl", "dora"}, 0, []string{"models-b"}}
	members := func() (all [][]string) {
		for i, team := range f.teams[1:] {
			if strings.HasSuffix(team.name, mergersSuffix) {
				assert.ElementsMatch(t, f.teams[i].lists["members"], team.lists["members"], "who merges is another than who is a member")
				continue
			}
			all = append(all, team.lists["members"])
		}
		return all
	}
	f.people(t, server.URL, dir, first("anna", "bob"), second)
	assert.Equal(t, []string{"anna", "bob", "carl", "dora"}, f.signIn())

	requests := f.people(t, server.URL, dir, first("bob"), second)
	assert.Equal(t, [][]string{{"bob"}, {"bob", "carl", "dora"}}, members(), "who left the first tenant still writes there")
	assert.Equal(t, []string{"bob", "carl", "dora"}, f.signIn())
	assert.Contains(t, f.accounts, "anna", "what she wrote is nobody's any more")
	assert.NotContains(t, requests, "DELETE /admin/users/anna")

	f.people(t, server.URL, dir, first("bob"))
	assert.Equal(t, [][]string{{"bob"}, {}}, members(), "the people of a tenant that is gone still write")
	assert.Empty(t, f.teams[3].lists["repos"])
	assert.Empty(t, f.teams[4].lists["repos"], "the people of a tenant that is gone still merge")
	assert.Equal(t, []string{"bob"}, f.signIn())
	assert.False(t, f.accounts[Reader].ProhibitedLogin || f.accounts[writer].ProhibitedLogin, "the platform's accounts are locked out")

	f.people(t, server.URL, dir, first("anna", "bob"), second)
	assert.Equal(t, []string{"anna", "bob", "carl", "dora"}, f.signIn(), "who comes back cannot sign in")
	assert.ElementsMatch(t, []string{"bob", "carl", "dora"}, members()[1])
	assert.Equal(t, []string{"acme/models-b"}, f.teams[3].lists["repos"])
}

func TestARepositoryThatChangesTenantsChangesItsPeople(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)
	team := func(name, member string, repositories ...string) Team {
		return Team{name, []string{member}, []string{member}, 0, repositories}
	}
	f.people(t, server.URL, dir, team("a", "anna", "endpoints", "models-b"), team("b", "bob"))
	f.people(t, server.URL, dir, team("a", "anna", "endpoints"), team("b", "bob", "models-b"))
	for _, number := range []int{1, 2} {
		assert.Equal(t, []string{"acme/endpoints"}, f.teams[number].lists["repos"])
		assert.Equal(t, []string{"acme/models-b"}, f.teams[number+2].lists["repos"])
	}
	assert.Contains(t, f.bodies["PATCH /repos/acme/models-b/branch_protections/main"], `"merge_whitelist_teams":["tenant-b.mergers"]`, "another tenant merges")
}

func TestBootstrapSaysWhatWasRefused(t *testing.T) {
	f := newFakeGitea()
	server := httptest.NewServer(f)
	defer server.Close()
	dir := workshop(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, Admin), []byte("wrong"), 0o600))
	output, err := f.run(t, server.URL, dir, "endpoints")
	require.Error(t, err)
	assert.Contains(t, output, fmt.Sprintf("organization acme: POST /orgs answered %d", http.StatusUnauthorized))
}

func TestBootstrapLeavesNoPasswordBehind(t *testing.T) {
	for name, password := range map[string]string{"when all goes well": "admin-password", "when it is refused": "wrong"} {
		t.Run(name, func(t *testing.T) {
			f, dir := newFakeGitea(), workshop(t)
			server := httptest.NewServer(f)
			defer server.Close()
			require.NoError(t, os.WriteFile(filepath.Join(dir, Admin), []byte(password), 0o600))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "bootstrap"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bootstrap", "left"), []byte("by a killed run"), 0o600))
			output, err := f.run(t, server.URL, dir, "endpoints")
			assert.Equal(t, password != "wrong", err == nil, output)
			assert.NoDirExists(t, filepath.Join(dir, "bootstrap"))
		})
	}
}

// fakeTools are Gitea's command line, which makes a token, and curl, which keeps
// what it was given and succeeds unless there is a file refuse.
var fakeTools = map[string]string{
	"gitea": `case "$*" in *generate-access-token*) echo the-token ;; *web*) exec sleep 60 ;; esac`,
	"curl": `for last in "$@"; do
  case $last in */config | */token | */basic) cat "$last" >>"$HOME/sent" ;; @*) cat "${last#@}" >>"$HOME/sent" ;; esac
done
[[ ! -e $HOME/refuse ]]`,
}

func TestInitLeavesNoPasswordBehind(t *testing.T) {
	for name, test := range map[string]struct{ file, content string }{
		"when all goes well":          {},
		"when it is refused":          {"refuse", ""},
		"when there is nothing to do": {".administrator", fmt.Sprintf("%x  -\n", sha256.Sum256([]byte("admin-password")))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			left := filepath.Join(dir, "init", "basic")
			require.NoError(t, os.Mkdir(filepath.Dir(left), 0o700))
			files := map[string]string{
				Admin: "admin-password", "init/basic": "left by a killed run",
				"limits.sh": limitsScript,
				"init.sh":   strings.ReplaceAll(initScript, "/app/gitea/gitea", filepath.Join(dir, "gitea")),
			}
			for tool, script := range fakeTools {
				files[tool] = "#!/usr/bin/env bash\n" + script + "\n"
			}
			if test.file != "" {
				files[test.file] = test.content
			}
			for file, content := range files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o700))
			}
			command := exec.Command("bash", filepath.Join(dir, "init.sh"))
			command.Env = []string{
				"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "WORK=" + dir, "ACCOUNTS=" + dir, "ADMIN=" + Admin, "GITEA_WORK_DIR=" + dir, "SCRIPTS=" + dir,
			}
			output, err := command.CombinedOutput()
			assert.Equal(t, test.file != "refuse", err == nil, "%s", output)
			sent, _ := os.ReadFile(filepath.Join(dir, "sent"))
			assert.Equal(t, test.file == "", strings.Contains(string(sent), `user = "ops:admin-password"`), "%s", sent)
			assert.NoDirExists(t, filepath.Dir(left), "the server's processes can read it")
		})
	}
}

func TestScriptsNeverPassASecretAsAnArgument(t *testing.T) {
	for name, script := range map[string]string{"init.sh": initScript, "bootstrap.sh": bootstrapScript} {
		for i, line := range strings.Split(strings.ReplaceAll(script, "\\\n", " "), "\n") {
			trimmed := strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "#") || strings.Contains(line, "printf ") {
				continue // printf is built into bash: no process has these arguments
			}
			for _, bad := range []string{"--password ", "--user ", "Authorization:", "$password", "$token\""} {
				assert.NotContainsf(t, line, bad, "%s:%d", name, i+1)
			}
		}
	}
}
