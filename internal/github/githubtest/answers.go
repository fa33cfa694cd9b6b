package githubtest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *Repository) pullObject(p *pull) object {
	if p.from != "" && p.state == "open" {
		p.head = r.headOf(p.from)
	}
	o := object{
		"number": p.number, "state": p.state, "user": object{"login": p.author}, "html_url": fmt.Sprintf("https://github.com/%s/%s/pull/%d", r.s.organization, r.name, p.number),
		"updated_at": p.updated.UTC().Format(time.RFC3339), "head": object{"sha": p.head}, "base": object{"ref": p.base, "sha": r.main}, "merged_at": nil, "merge_commit_sha": nil,
	}
	if !p.mergedAt.IsZero() {
		o["merged_at"], o["merge_commit_sha"] = p.mergedAt.UTC().Format(time.RFC3339), p.mergedInto
	}
	return o
}

func (r *Repository) serve(a *answer, t token, rest string) {
	parts := strings.Split(rest, "/")
	number := func(i int) int64 { n, _ := strconv.ParseInt(parts[i], 10, 64); return n }
	get := a.q.Method == http.MethodGet
	switch {
	case r.serveSettings(a, t, rest):
	case rest == "pulls" && get:
		r.servePulls(a)
	case rest == "pulls", parts[0] == "pulls" && a.q.Method == http.MethodPatch:
		r.serveOpen(a, t, parts)
	case !get && (strings.HasPrefix(rest, "git/") || rest == "forks" || rest == "merge-upstream"):
		r.serveWrite(a, t, rest)
	case strings.HasPrefix(rest, "git/commits/"):
		a.json(http.StatusOK, object{"sha": parts[2], "tree": object{"sha": parts[2]}})
	case parts[0] == "pulls" && get:
		p := r.pulls[number(1)]
		switch {
		case p == nil:
			a.refuse(http.StatusNotFound, "Not Found")
		case len(parts) == 2:
			a.json(http.StatusOK, r.pullObject(p))
		default:
			var files []object
			for _, path := range p.changed {
				files = append(files, object{"filename": path, "status": "modified"})
			}
			list(a, files)
		}
	case rest == "branches/main" && get:
		if r.main == "" {
			a.refuse(http.StatusNotFound, "Branch not found")
			return
		}
		contexts := r.contexts()
		o := object{"name": "main", "commit": object{"sha": r.main}, "protected": len(contexts) > 0}
		if len(contexts) > 0 {
			o["protection"] = object{"enabled": true, "required_status_checks": object{"enforcement_level": "non_admins", "contexts": contexts}}
		}
		a.json(http.StatusOK, o)
	case rest == "git/ref/heads/main" && get:
		a.json(http.StatusOK, object{"ref": "refs/heads/main", "object": object{"type": "commit", "sha": r.main}})
	case strings.HasPrefix(rest, "git/trees/") && get:
		r.serveTree(a, parts[2])
	case strings.HasPrefix(rest, "git/blobs/") && get:
		r.serveBlob(a, parts[2])
	case parts[0] == "compare" && get:
		r.serveCompare(a, parts[1])
	case parts[0] == "contents" && get:
		r.serveContents(a, strings.Join(parts[1:], "/"), a.q.FormValue("ref"))
	case parts[0] == "commits" && len(parts) == 3 && parts[2] == "statuses" && get:
		var all []object
		for _, s := range slices.Backward(r.statuses[parts[1]]) {
			all = append(all, object{"id": s.ID, "state": s.State, "context": s.Context, "description": s.Description, "creator": object{"login": s.Creator}})
		}
		list(a, all)
	case parts[0] == "statuses" && a.q.Method == http.MethodPost:
		r.serveSay(a, t, parts[1])
	case parts[0] == "issues" && parts[len(parts)-1] == "comments" && get:
		var all []object
		for _, c := range r.comments[number(1)] {
			all = append(all, object{"id": c.ID, "body": c.Body, "user": object{"login": c.User}})
		}
		list(a, all)
	case parts[0] == "issues":
		r.serveComment(a, t, parts)
	default:
		a.refuse(http.StatusNotFound, "Not Found")
	}
}

func (r *Repository) servePulls(a *answer) {
	var all []*pull
	for _, n := range slices.Sorted(maps.Keys(r.pulls)) {
		p := r.pulls[n]
		state := cmp.Or(a.q.FormValue("state"), "open")
		if head := a.q.FormValue("head"); head != "" && head != p.from {
			continue
		}
		if (state == "all" || p.state == state) && (a.q.FormValue("base") == "" || a.q.FormValue("base") == p.base) {
			all = append(all, p)
		}
	}
	if a.q.FormValue("direction") != "asc" {
		slices.Reverse(all)
	}
	objects := []object{}
	for _, p := range all {
		objects = append(objects, r.pullObject(p))
	}
	list(a, objects)
}

func (r *Repository) serveTree(a *answer, id string) {
	c, there := r.commits[id]
	if !there {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	const most = 100000
	entries := []object{}
	for _, path := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[path]
		e := object{"path": path, "mode": cmp.Or(f.Mode, "100644"), "type": "blob", "sha": SHA(f.Content), "size": cmp.Or(f.Size, int64(len(f.Content)))}
		if f.Mode == "160000" {
			e["type"] = "commit"
			delete(e, "size")
		}
		entries = append(entries, e)
	}
	a.json(http.StatusOK, object{"sha": id, "tree": entries[:min(len(entries), most)], "truncated": len(entries) > most})
}

func (r *Repository) serveBlob(a *answer, sha string) {
	for _, c := range r.commits {
		for _, f := range c.files {
			if SHA(f.Content) != sha {
				continue
			}
			if strings.Contains(a.q.Header.Get("Accept"), "raw") {
				a.raw(http.StatusOK, []byte(f.Content))
			} else {
				a.json(http.StatusOK, object{"encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(f.Content)), "size": len(f.Content)})
			}
			return
		}
	}
	a.refuse(http.StatusNotFound, "Not Found")
}

func (r *Repository) serveCompare(a *answer, of string) {
	base, head, _ := strings.Cut(of, "...")
	before, after := r.history(base), r.history(head)
	common := slices.IndexFunc(after, func(id string) bool { return slices.Contains(before, id) })
	if common < 0 {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	only := func(of, without []string) int {
		return len(slices.DeleteFunc(slices.Clone(of), func(id string) bool { return slices.Contains(without, id) }))
	}
	ahead, behind := only(after, before), only(before, after)
	status := map[[2]bool]string{{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind", {true, true}: "diverged"}[[2]bool{ahead > 0, behind > 0}]
	a.json(http.StatusOK, object{"status": status, "ahead_by": ahead, "behind_by": behind, "merge_base_commit": object{"sha": after[common]}})
}

func (r *Repository) serveContents(a *answer, path, ref string) {
	var below []object
	if ref == "main" {
		ref = r.main
	}
	before := ""
	for _, file := range slices.Sorted(maps.Keys(r.commits[ref].files)) {
		rest, inside := strings.CutPrefix(file, path+"/")
		name, _, deeper := strings.Cut(rest, "/")
		if inside && name != before {
			before = name
			below = append(below, object{"type": map[bool]string{true: "dir", false: "file"}[deeper], "name": name, "path": path + "/" + name})
		}
	}
	if below == nil {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	a.json(http.StatusOK, below)
}

// What GitHub takes of a status.
const mostDescription = 140

var states = []string{"error", "failure", "pending", "success"}

func (r *Repository) serveSay(a *answer, t token, id string) {
	var s struct{ State, Context, Description string }
	if json.NewDecoder(a.q.Body).Decode(&s) != nil || !slices.Contains(states, s.State) {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Status", "field": "state", "code": "invalid"})
		return
	}
	if len([]rune(s.Description)) > mostDescription {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Status", "code": "custom", "message": "description is too long (maximum is 140 characters)"})
		return
	}
	if _, there := r.commits[id]; !there {
		a.refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+id)
		return
	}
	r.say(id, Status{State: s.State, Context: cmp.Or(s.Context, "default"), Description: s.Description, Creator: t.login})
	a.json(http.StatusCreated, object{"state": s.State})
}

// mostComment is what GitHub takes of a comment, in characters.
const mostComment = 65536

func (r *Repository) serveComment(a *answer, t token, parts []string) {
	var c struct{ Body string }
	if json.NewDecoder(a.q.Body).Decode(&c) != nil || c.Body == "" || len([]rune(c.Body)) > mostComment {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "IssueComment", "field": "body", "code": "unprocessable"})
		return
	}
	id, _ := strconv.ParseInt(parts[len(parts)-1], 10, 64)
	if a.q.Method == http.MethodPatch {
		for n, all := range r.comments {
			for i := range all {
				if all[i].ID == id {
					r.comments[n][i].Body = c.Body
					a.json(http.StatusOK, object{"id": id, "body": c.Body})
					return
				}
			}
		}
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	number, _ := strconv.ParseInt(parts[1], 10, 64)
	if r.pulls[number] == nil {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	r.s.next++
	r.comments[number] = append(r.comments[number], Comment{ID: r.s.next, Body: c.Body, User: t.login})
	a.json(http.StatusCreated, object{"id": r.s.next, "body": c.Body})
}
