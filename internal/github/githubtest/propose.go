package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Pull is what a pull request of a branch says.
type Pull struct {
	Number            int64
	Title, Body, From string
	// Files of its commit, and what that is made on.
	Files Files
	Onto  []string
}

// Pulls of branches that are open, by number.
func (r *Repository) Pulls() []Pull {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Pull
	for n := int64(1); n <= int64(len(r.pulls)); n++ {
		if p := r.pulls[n]; p != nil && p.from != "" && p.state == "open" {
			c := r.commits[r.headOf(p.from)]
			all = append(all, Pull{Number: n, Title: p.title, Body: p.body, From: p.from, Files: c.files, Onto: c.parents})
		}
	}
	return all
}

// headOf is the commit of a branch of it or of a fork.
func (r *Repository) headOf(from string) string {
	owner, branch, _ := strings.Cut(from, ":")
	of := r
	if owner != r.s.organization {
		of = r.s.forks[owner+"/"+r.name]
	}
	if of == nil {
		return ""
	}
	return of.branches[branch]
}

// serveWrite makes what branches are made of. A tree has the name of a commit that has it.
func (r *Repository) serveWrite(a *answer, t token, rest string) {
	var sent struct {
		Base    string `json:"base_tree"`
		Tree    json.RawMessage
		Parents []string
		Ref     string
		SHA     string
		Force   bool
	}
	_ = json.NewDecoder(a.q.Body).Decode(&sent)
	r.s.next++
	id := fmt.Sprintf("c%d", r.s.next)
	branch, isBranch := strings.CutPrefix(strings.TrimPrefix(rest, "git/refs/"), "heads/")
	switch {
	case rest == "forks":
		f := r.s.forks[t.login+"/"+r.name]
		if f == nil {
			f = &Repository{s: r.s, name: r.name, main: r.main, looks: 1, branches: map[string]string{}, pulls: map[int64]*pull{}, commits: r.commits}
			r.s.forks[t.login+"/"+r.name] = f
		}
		a.json(http.StatusAccepted, object{"name": f.name, "owner": object{"login": t.login}})
	case rest == "merge-upstream":
		r.main = r.s.repositories[r.name].main
		a.json(http.StatusOK, object{"merge_type": "fast-forward"})
	case rest == "git/trees":
		var entries []struct {
			Path, Mode, Type, Content string
			SHA                       json.RawMessage
		}
		_ = json.Unmarshal(sent.Tree, &entries)
		all := maps.Clone(r.commits[sent.Base].files)
		if all == nil {
			all = Files{}
		}
		for _, e := range entries {
			all[e.Path] = File{Content: e.Content, Mode: e.Mode}
			if string(e.SHA) == "null" {
				delete(all, e.Path)
			}
		}
		r.commits[id] = commit{files: all}
		a.json(http.StatusCreated, object{"sha": id})
	case rest == "git/commits":
		var tree string
		_ = json.Unmarshal(sent.Tree, &tree)
		r.commits[id] = commit{files: r.commits[tree].files, parents: sent.Parents}
		a.json(http.StatusCreated, object{"sha": id})
	case rest == "git/refs":
		r.branches[strings.TrimPrefix(sent.Ref, "refs/heads/")] = sent.SHA
		a.json(http.StatusCreated, object{"ref": sent.Ref, "object": object{"sha": sent.SHA}})
	case isBranch && r.branches[branch] == "":
		a.refuse(http.StatusUnprocessableEntity, "Reference does not exist")
	case isBranch:
		r.branches[branch] = sent.SHA
		a.json(http.StatusOK, object{"ref": "refs/heads/" + branch, "object": object{"sha": sent.SHA}})
	default:
		a.refuse(http.StatusNotFound, "Not Found")
	}
}

// serveOpen opens or changes a pull request.
func (r *Repository) serveOpen(a *answer, t token, parts []string) {
	var sent struct{ Title, Head, Base, Body string }
	_ = json.NewDecoder(a.q.Body).Decode(&sent)
	if len(parts) == 2 {
		for _, p := range r.pulls {
			if fmt.Sprint(p.number) == parts[1] {
				p.title, p.body = sent.Title, sent.Body
				a.json(http.StatusOK, r.pullObject(p))
				return
			}
		}
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	if r.headOf(sent.Head) == "" {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequest", "field": "head", "code": "invalid"})
		return
	}
	for _, p := range r.pulls {
		if p.state == "open" && p.from == sent.Head && p.base == sent.Base {
			a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for " + sent.Head + "."})
			return
		}
	}
	n := int64(len(r.pulls) + 1)
	r.pulls[n] = &pull{number: n, state: "open", base: sent.Base, author: t.login, from: sent.Head, title: sent.Title, body: sent.Body, head: r.headOf(sent.Head)}
	a.json(http.StatusCreated, r.pullObject(r.pulls[n]))
}

// make makes a repository of the organization.
func (s *Server) make(a *answer, t token) {
	sent := object{}
	a.read(&sent)
	name, _ := sent["name"].(string)
	if !t.may("administration", "write") {
		a.w.Header().Set("X-Accepted-GitHub-Permissions", "administration=write")
		a.refuse(http.StatusForbidden, "Resource not accessible by personal access token")
		return
	}
	if s.repositories[name] != nil {
		a.refuse(http.StatusUnprocessableEntity, "Repository creation failed.", object{"resource": "Repository", "code": "custom", "field": "name", "message": "name already exists on this account"})
		return
	}
	r := s.add(name)
	for setting, value := range sent {
		if _, known := r.settings[setting]; known && value != nil {
			r.settings[setting] = value
		}
	}
	if sent["private"] == true && r.settings["visibility"] == "public" {
		r.settings["visibility"] = "private"
	}
	r.settings["private"] = r.settings["visibility"] != "public"
	a.json(http.StatusCreated, r.object(t))
}
