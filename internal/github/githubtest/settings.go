package githubtest

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/nacl/box"
)

// settings are what GitHub gives a new repository that says nothing else.
func settings() object {
	return object{
		"description": "", "homepage": "", "private": false, "visibility": "public", "archived": false, "is_template": false,
		"has_issues": true, "has_projects": true, "has_wiki": true, "has_downloads": true, "has_discussions": false,
		"allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true, "allow_auto_merge": false, "allow_update_branch": false,
		"delete_branch_on_merge": false, "web_commit_signoff_required": false,
		"merge_commit_title": "MERGE_MESSAGE", "merge_commit_message": "PR_TITLE",
		"squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES",
	}
}

// Key that reads or writes a repository.
type Key struct {
	ID         int64
	Title, Key string
	ReadOnly   bool
}

// Hook that is told of events.
type Hook struct {
	ID                       int64
	URL, ContentType, Secret string
	Insecure, Active         bool
	Events                   []string
}

// Label of issues and pull requests.
type Label struct{ Name, Color, Description string }

// administered is what only those who administer a repository see and change.
type administered struct {
	id        int64
	settings  object
	alerts    bool
	keys      []Key
	hooks     []Hook
	labels    []Label
	variables map[string]string
	secrets   map[string]secret
	rules     []*rule
	// what its secrets are sealed for
	public, private *[32]byte
}

// secret of workflows. GitHub shows nobody what is in it.
type secret struct{ plain, updated string }

func (s *Server) administer() administered {
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s.next++
	return administered{
		id: s.next, settings: settings(), variables: map[string]string{}, secrets: map[string]secret{}, public: public, private: private,
		labels: []Label{{"bug", "d73a4a", "Something isn't working"}, {"documentation", "0075ca", "Improvements or additions to documentation"}},
	}
}

// Settings are those that GitHub names, such as "has_wiki", with its topics.
func (r *Repository) Settings() map[string]any {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	all := maps.Clone(r.settings)
	all["topics"] = slices.Clone(r.topics)
	return all
}

// Set changes a setting, as somebody may by hand.
func (r *Repository) Set(name string, value any) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.settings[name] = value
}

// Keys are those that it may be cloned with.
func (r *Repository) Keys() []Key {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.keys)
}

// AddKey gives it a key by hand.
func (r *Repository) AddKey(title, key string, readOnly bool) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.next++
	r.keys = append(r.keys, Key{ID: r.s.next, Title: title, Key: key, ReadOnly: readOnly})
}

// RemoveKey takes a key away by hand.
func (r *Repository) RemoveKey(id int64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.keys = slices.DeleteFunc(r.keys, func(k Key) bool { return k.ID == id })
}

// Hooks are told of events, with the secrets that GitHub does not show.
func (r *Repository) Hooks() []Hook {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.hooks)
}

// Labels of it, in the order they were made in.
func (r *Repository) Labels() []Label {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.labels)
}

// Variables of its workflows.
func (r *Repository) Variables() map[string]string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return maps.Clone(r.variables)
}

// Secrets of its workflows, as a workflow would get them.
func (r *Repository) Secrets() map[string]string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	all := map[string]string{}
	for name, s := range r.secrets {
		all[name] = s.plain
	}
	return all
}

// Node is what GraphQL calls the repository.
func (r *Repository) Node() string { return fmt.Sprintf("R_%d", r.id) }

func (r *Repository) object(t token) object {
	full := r.s.organization + "/" + r.name
	o := object{
		"id": r.id, "node_id": r.Node(), "name": r.name, "full_name": full, "owner": object{"login": r.s.organization},
		"html_url": "https://github.com/" + full, "clone_url": "https://github.com/" + full + ".git", "svn_url": "https://github.com/" + full,
		"ssh_url": "git@github.com:" + full + ".git", "git_url": "git://github.com/" + full + ".git",
		"default_branch": "main", "topics": append([]string{}, r.topics...),
		"permissions": object{"admin": t.may("administration", "read"), "push": t.may("contents", "write"), "pull": true},
	}
	maps.Copy(o, r.settings)
	return o
}

// validation is the answer to what GitHub does not take.
func (a *answer) validation(resource, field, code, message string) {
	o := object{"resource": resource, "code": code, "field": field}
	if message != "" {
		o["message"] = message
	}
	a.refuse(http.StatusUnprocessableEntity, "Validation Failed", o)
}

func (a *answer) nothing() {
	a.done(http.StatusNoContent)
	a.w.WriteHeader(http.StatusNoContent)
}

func (a *answer) read(v any) { _ = json.NewDecoder(a.q.Body).Decode(v) }

// serveSettings answers what is about the repository itself, and tells whether that was
// asked for.
func (r *Repository) serveSettings(a *answer, t token, rest string) bool {
	parts := strings.Split(rest, "/")
	switch method := a.q.Method; {
	case rest == "" && method == http.MethodGet:
		a.json(http.StatusOK, r.object(t))
	case rest == "" && method == http.MethodPatch:
		r.edit(a, t)
	case rest == "" && method == http.MethodDelete:
		delete(r.s.repositories, r.name)
		a.nothing()
	case rest == "topics" && method == http.MethodPut:
		var sent struct{ Names []string }
		a.read(&sent)
		r.topics = sent.Names
		a.json(http.StatusOK, object{"names": r.topics})
	case rest == "vulnerability-alerts":
		r.serveAlerts(a)
	case parts[0] == "keys":
		r.serveKeys(a, parts[1:])
	case parts[0] == "hooks":
		r.serveHooks(a, parts[1:])
	case parts[0] == "labels":
		r.serveLabels(a, parts[1:])
	case parts[0] == "actions" && len(parts) > 1 && parts[1] == "secrets":
		r.serveSecrets(a, parts[2:])
	case parts[0] == "actions" && len(parts) > 1 && parts[1] == "variables":
		r.serveVariables(a, parts[2:])
	default:
		return false
	}
	return true
}

func (r *Repository) edit(a *answer, t token) {
	sent := object{}
	a.read(&sent)
	if v, ok := sent["visibility"]; ok && v == r.settings["visibility"] {
		a.refuse(http.StatusUnprocessableEntity, fmt.Sprintf("Visibility is already %s.", v))
		return
	}
	for name, value := range sent {
		if _, known := r.settings[name]; known && value != nil {
			r.settings[name] = value
		}
	}
	r.settings["private"] = r.settings["visibility"] != "public"
	a.json(http.StatusOK, r.object(t))
}

func (r *Repository) serveAlerts(a *answer) {
	switch {
	case a.q.Method != http.MethodGet:
		r.alerts = a.q.Method == http.MethodPut
		a.nothing()
	case r.alerts:
		a.nothing()
	default:
		a.refuse(http.StatusNotFound, "Vulnerability alerts are disabled.")
	}
}

// objects are how GitHub shows things.
func objects[T interface{ object() object }](all []T) []object {
	var shown []object
	for _, each := range all {
		shown = append(shown, each.object())
	}
	return shown
}

// at is the index of what a path names by its number.
func at[T any](all []T, path []string, id func(T) int64) int {
	if len(path) != 1 {
		return -1
	}
	n, err := strconv.ParseInt(path[0], 10, 64)
	if err != nil {
		return -1
	}
	return slices.IndexFunc(all, func(v T) bool { return id(v) == n })
}

func (k Key) object() object {
	return object{"id": k.ID, "key": k.Key, "title": k.Title, "read_only": k.ReadOnly, "verified": true}
}

func (r *Repository) serveKeys(a *answer, path []string) {
	i := at(r.keys, path, func(k Key) int64 { return k.ID })
	switch {
	case len(path) == 0 && a.q.Method == http.MethodGet:
		list(a, objects(r.keys))
	case len(path) == 0 && a.q.Method == http.MethodPost:
		var sent struct {
			Title, Key string
			ReadOnly   bool `json:"read_only"`
		}
		a.read(&sent)
		fields := strings.Fields(sent.Key)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "ssh-") {
			a.validation("PublicKey", "key", "custom", "key is invalid. You must supply a key in OpenSSH public key format")
			return
		}
		// What is behind the key itself GitHub does not keep.
		k := Key{Title: sent.Title, Key: fields[0] + " " + fields[1], ReadOnly: sent.ReadOnly}
		for _, other := range r.s.repositories {
			if slices.ContainsFunc(other.keys, func(o Key) bool { return o.Key == k.Key }) {
				a.validation("PublicKey", "key", "custom", "key is already in use")
				return
			}
		}
		r.s.next++
		k.ID = r.s.next
		r.keys = append(r.keys, k)
		a.json(http.StatusCreated, k.object())
	case i < 0:
		a.refuse(http.StatusNotFound, "Not Found")
	case a.q.Method == http.MethodDelete:
		r.keys = slices.Delete(r.keys, i, i+1)
		a.nothing()
	default:
		a.json(http.StatusOK, r.keys[i].object())
	}
}

func (h Hook) object() object {
	config := object{"url": h.URL, "content_type": h.ContentType, "insecure_ssl": map[bool]string{true: "1", false: "0"}[h.Insecure]}
	if h.Secret != "" {
		config["secret"] = "********"
	}
	return object{"id": h.ID, "type": "Repository", "name": "web", "active": h.Active, "events": h.Events, "config": config, "url": fmt.Sprintf("https://api.github.com/hooks/%d", h.ID)}
}

func (r *Repository) serveHooks(a *answer, path []string) {
	i := at(r.hooks, path, func(h Hook) int64 { return h.ID })
	var sent struct {
		Active *bool
		Events []string
		Config struct {
			URL      string
			Type     string `json:"content_type"`
			Secret   string
			Insecure string `json:"insecure_ssl"`
		}
	}
	if a.q.Method != http.MethodGet {
		a.read(&sent)
	}
	taken := func(h Hook) bool { return h.URL == sent.Config.URL && h.ContentType == sent.Config.Type }
	h := Hook{URL: sent.Config.URL, ContentType: sent.Config.Type, Secret: sent.Config.Secret, Insecure: sent.Config.Insecure == "1", Active: sent.Active == nil || *sent.Active, Events: sent.Events}
	switch {
	case len(path) == 0 && a.q.Method == http.MethodGet:
		list(a, objects(r.hooks))
	case len(path) == 0 && a.q.Method == http.MethodPost && slices.ContainsFunc(r.hooks, taken):
		a.validation("Hook", "", "custom", "Hook already exists on this repository")
	case len(path) == 0 && a.q.Method == http.MethodPost:
		r.s.next++
		h.ID = r.s.next
		r.hooks = append(r.hooks, h)
		a.json(http.StatusCreated, h.object())
	case i < 0:
		a.refuse(http.StatusNotFound, "Not Found")
	case a.q.Method == http.MethodPatch:
		h.ID = r.hooks[i].ID
		r.hooks[i] = h
		a.json(http.StatusOK, h.object())
	case a.q.Method == http.MethodDelete:
		r.hooks = slices.Delete(r.hooks, i, i+1)
		a.nothing()
	default:
		a.json(http.StatusOK, r.hooks[i].object())
	}
}

func (l Label) object() object {
	return object{"name": l.Name, "color": l.Color, "description": l.Description, "url": "https://api.github.com/labels/" + l.Name}
}

func (r *Repository) serveLabels(a *answer, path []string) {
	var sent struct {
		Name, Color, Description string
		NewName                  string `json:"new_name"`
	}
	if a.q.Method != http.MethodGet {
		a.read(&sent)
	}
	name := cmp.Or(strings.Join(path, "/"), sent.Name)
	i := slices.IndexFunc(r.labels, func(l Label) bool { return strings.EqualFold(l.Name, name) })
	switch {
	case len(path) == 0 && a.q.Method == http.MethodGet:
		list(a, objects(r.labels))
	case len(path) == 0 && i >= 0:
		a.validation("Label", "name", "already_exists", "")
	case len(path) == 0:
		l := Label{sent.Name, sent.Color, sent.Description}
		r.labels = append(r.labels, l)
		a.json(http.StatusCreated, l.object())
	case i < 0:
		a.refuse(http.StatusNotFound, "Not Found")
	case a.q.Method == http.MethodPatch:
		r.labels[i] = Label{cmp.Or(sent.NewName, sent.Name, r.labels[i].Name), cmp.Or(sent.Color, r.labels[i].Color), sent.Description}
		a.json(http.StatusOK, r.labels[i].object())
	case a.q.Method == http.MethodDelete:
		r.labels = slices.Delete(r.labels, i, i+1)
		a.nothing()
	default:
		a.json(http.StatusOK, r.labels[i].object())
	}
}

// moment that everything was made at.
const moment = "2026-03-01T12:00:00Z"

func (r *Repository) serveSecrets(a *answer, path []string) {
	name := strings.ToUpper(strings.Join(path, "/"))
	s, there := r.secrets[name]
	switch {
	case len(path) == 0:
		a.json(http.StatusOK, object{"total_count": len(r.secrets), "secrets": []object{}})
	case name == "PUBLIC-KEY":
		a.json(http.StatusOK, object{"key_id": "1", "key": base64.StdEncoding.EncodeToString(r.public[:])})
	case a.q.Method == http.MethodPut:
		var sent struct {
			Value string `json:"encrypted_value"`
			Key   string `json:"key_id"`
		}
		a.read(&sent)
		sealed, err := base64.StdEncoding.DecodeString(sent.Value)
		plain, ok := box.OpenAnonymous(nil, sealed, r.public, r.private)
		if err != nil || !ok || sent.Key != "1" || strings.HasPrefix(name, "GITHUB_") {
			a.refuse(http.StatusUnprocessableEntity, "Bad request - encrypted value is not sealed for this repository's key, or the name is GitHub's")
			return
		}
		r.s.next++
		r.secrets[name] = secret{string(plain), fmt.Sprintf("2026-03-01T12:%02d:%02dZ", r.s.next/60%60, r.s.next%60)}
		status := http.StatusCreated
		if there {
			status = http.StatusNoContent
		}
		a.done(status)
		a.w.WriteHeader(status)
	case !there:
		a.refuse(http.StatusNotFound, "Not Found")
	case a.q.Method == http.MethodDelete:
		delete(r.secrets, name)
		a.nothing()
	default:
		a.json(http.StatusOK, object{"name": name, "created_at": moment, "updated_at": s.updated})
	}
}

func (r *Repository) serveVariables(a *answer, path []string) {
	var sent struct{ Name, Value string }
	if a.q.Method != http.MethodGet {
		a.read(&sent)
	}
	name := strings.ToUpper(cmp.Or(strings.Join(path, "/"), sent.Name))
	value, there := r.variables[name]
	switch {
	case len(path) == 0 && a.q.Method == http.MethodGet:
		a.json(http.StatusOK, object{"total_count": len(r.variables), "variables": []object{}})
	case len(path) == 0 && there:
		a.refuse(http.StatusConflict, "Already exists - Variable already exists")
	case len(path) == 0:
		r.variables[name] = sent.Value
		a.json(http.StatusCreated, object{})
	case !there:
		a.refuse(http.StatusNotFound, "Not Found")
	case a.q.Method == http.MethodPatch:
		r.variables[name] = sent.Value
		a.nothing()
	case a.q.Method == http.MethodDelete:
		delete(r.variables, name)
		a.nothing()
	default:
		a.json(http.StatusOK, object{"name": name, "value": value, "created_at": moment, "updated_at": moment})
	}
}
