package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Protection of the branches that a pattern matches, as GraphQL names what it says, such
// as "requiresStatusChecks".
type Protection = map[string]any

// rule is a protection that is there.
type rule struct {
	id string
	in *Repository
	is Protection
}

// unprotected is what a rule says that was told its pattern only.
func unprotected() Protection {
	return Protection{
		"allowsDeletions": false, "allowsForcePushes": false, "blocksCreations": false, "dismissesStaleReviews": false, "isAdminEnforced": false,
		"lockBranch": false, "pattern": "", "requireLastPushApproval": false, "requiredApprovingReviewCount": 0.0, "requiredStatusCheckContexts": []any{},
		"requiresApprovingReviews": false, "requiresCodeOwnerReviews": false, "requiresCommitSignatures": false, "requiresConversationResolution": false,
		"requiresLinearHistory": false, "requiresStatusChecks": false, "requiresStrictStatusChecks": false, "restrictsPushes": false,
		"restrictsReviewDismissals": false,
	}
}

// Protections of the repository's branches, by pattern.
func (r *Repository) Protections() map[string]Protection {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	all := map[string]Protection{}
	for _, each := range r.rules {
		all[each.is["pattern"].(string)] = maps.Clone(each.is)
	}
	return all
}

// Protect changes what the protection of a pattern says, by hand; nil takes it away.
func (r *Repository) Protect(pattern string, change Protection) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	i := slices.IndexFunc(r.rules, func(each *rule) bool { return each.is["pattern"] == pattern })
	switch {
	case change == nil && i >= 0:
		r.rules = slices.Delete(r.rules, i, i+1)
	case i >= 0:
		maps.Copy(r.rules[i].is, change)
	case change != nil:
		r.addRule(Protection{"pattern": pattern}, change)
	}
}

func (r *Repository) addRule(said ...Protection) *rule {
	r.s.next++
	made := &rule{id: fmt.Sprintf("BPR_%d", r.s.next), in: r, is: unprotected()}
	for _, each := range said {
		maps.Copy(made.is, each)
	}
	r.rules = append(r.rules, made)
	return made
}

// contexts are the statuses without which nothing is merged into main.
func (r *Repository) contexts() []string {
	all := slices.Clone(r.demanded)
	for _, each := range r.rules {
		if each.is["pattern"] == "main" && each.is["requiresStatusChecks"] == true {
			for _, context := range each.is["requiredStatusCheckContexts"].([]any) {
				all = append(all, context.(string))
			}
		}
	}
	return all
}

func (each *rule) object() object {
	nobody := object{"nodes": []any{}}
	o := object{
		"__typename": "BranchProtectionRule", "id": each.id, "repository": object{"__typename": "Repository", "id": each.in.Node(), "name": each.in.name},
		"pushAllowances": nobody, "reviewDismissalAllowances": nobody, "bypassForcePushAllowances": nobody, "bypassPullRequestAllowances": nobody,
	}
	maps.Copy(o, each.is)
	return o
}

func (r *Repository) graph() object {
	rules := []any{}
	for _, each := range r.rules {
		rules = append(rules, each.object())
	}
	return object{
		"__typename": "Repository", "id": r.Node(), "name": r.name,
		"branchProtectionRules": object{"nodes": rules, "pageInfo": object{"endCursor": "", "hasNextPage": false}},
	}
}

// selected is one field of a query, or those of a fragment on a type.
type selected struct {
	name, on  string
	arguments map[string]string // name: variable
	fields    []selected
}

var word = regexp.MustCompile(`\.\.\.|"[^"]*"|[$A-Za-z0-9_]+|[{}()\[\]:!=]`)

// parse reads as much of GraphQL as its clients write here.
func parse(query string) (operation string, fields []selected, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("Parse error on %q", query)
		}
	}()
	words := word.FindAllString(query, -1)
	operation = "query"
	if words[0] != "{" {
		operation = words[0]
	}
	for depth := 0; words[0] != "{" || depth > 0; words = words[1:] {
		depth += map[string]int{"(": 1, ")": -1}[words[0]]
	}
	fields, _ = parseFields(words)
	return operation, fields, nil
}

func parseFields(words []string) ([]selected, []string) {
	var all []selected
	for words = words[1:]; words[0] != "}"; {
		s := selected{name: words[0], arguments: map[string]string{}}
		words = words[1:]
		if s.name == "..." {
			s.on, words = words[1], words[2:]
		}
		if words[0] == "(" {
			for words = words[1:]; words[0] != ")"; words = words[3:] {
				s.arguments[words[0]] = strings.TrimPrefix(words[2], "$")
			}
			words = words[1:]
		}
		if words[0] == "{" {
			s.fields, words = parseFields(words)
		}
		all = append(all, s)
	}
	return all, words[1:]
}

// pick is what of a value was selected.
func pick(value any, fields []selected) (any, error) {
	switch v := value.(type) {
	case []any:
		all := []any{}
		for _, each := range v {
			one, err := pick(each, fields)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
		return all, nil
	case object:
		out := object{}
		for _, s := range fields {
			if s.on != "" {
				if s.on != v["__typename"] {
					continue
				}
				of, err := pick(v, s.fields)
				if err != nil {
					return nil, err
				}
				maps.Copy(out, of.(object))
				continue
			}
			field, known := v[s.name]
			if !known {
				return nil, fmt.Errorf("Field '%s' doesn't exist on type '%v'", s.name, v["__typename"])
			}
			of, err := pick(field, s.fields)
			if err != nil {
				return nil, err
			}
			out[s.name] = of
		}
		return out, nil
	}
	return value, nil
}

// problem is what GraphQL says in an answer of status 200.
type problem struct{ kind, message string }

func (p *problem) Error() string { return p.message }

func (s *Server) serveGraphQL(a *answer, t token) {
	var sent struct {
		Query     string
		Variables map[string]any
	}
	a.read(&sent)
	operation, fields, err := parse(sent.Query)
	data := object{}
	for _, f := range fields {
		var value, of any
		if err == nil {
			value, err = s.resolve(a, t, operation, f, sent.Variables)
		}
		if err == nil {
			of, err = pick(value, f.fields)
		}
		data[f.name] = of
	}
	if err == nil {
		a.json(http.StatusOK, object{"data": data})
		return
	}
	said := object{"message": err.Error()}
	if p, ok := err.(*problem); ok {
		said["type"] = p.kind
	}
	a.json(http.StatusOK, object{"data": nil, "errors": []object{said}})
}

func (s *Server) resolve(a *answer, t token, operation string, f selected, variables map[string]any) (any, error) {
	text := func(argument string) string { v, _ := variables[f.arguments[argument]].(string); return v }
	switch operation + " " + f.name {
	case "query node":
		return s.byNode(t, text("id"))
	case "query repository":
		if r := s.repositories[text("name")]; r != nil && text("owner") == s.organization && !t.blind[r.name] {
			return r.graph(), nil
		}
		return nil, &problem{"NOT_FOUND", fmt.Sprintf("Could not resolve to a Repository with the name '%s/%s'.", text("owner"), text("name"))}
	case "mutation createBranchProtectionRule", "mutation updateBranchProtectionRule", "mutation deleteBranchProtectionRule":
		input, _ := variables[f.arguments["input"]].(map[string]any)
		value, err := s.protect(t, f.name, input)
		a.is = "MUTATION " + f.name
		return value, err
	}
	return nil, fmt.Errorf("Field '%s' doesn't exist on type '%s'", f.name, operation)
}

func (s *Server) byNode(t token, id string) (object, error) {
	for _, r := range s.repositories {
		if t.blind[r.name] {
			continue
		}
		if r.Node() == id {
			return r.graph(), nil
		}
		for _, each := range r.rules {
			if each.id == id {
				return each.object(), nil
			}
		}
	}
	return nil, &problem{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'.", id)}
}

// protect makes, changes or takes away the rule that an input is about.
func (s *Server) protect(t token, mutation string, input map[string]any) (any, error) {
	if !t.may("administration", "write") {
		return nil, &problem{"FORBIDDEN", "Resource not accessible by personal access token"}
	}
	said := Protection{}
	for name, value := range input {
		if _, known := unprotected()[name]; known && value != nil {
			said[name] = value
		}
		if actors, are := value.([]any); are && strings.HasSuffix(name, "ActorIds") && len(actors) > 0 {
			return nil, fmt.Errorf("%s: this stand-in knows no actors", name)
		}
	}
	if n, ok := said["requiredApprovingReviewCount"].(float64); ok && (n < 0 || n > 6) {
		return nil, &problem{"UNPROCESSABLE", "Required approving review count must be between 0 and 6"}
	}
	for _, r := range s.repositories {
		same := func(each *rule) bool { return each.is["pattern"] == said["pattern"] }
		if mutation == "createBranchProtectionRule" && r.Node() == input["repositoryId"] {
			if slices.ContainsFunc(r.rules, same) {
				return nil, &problem{"UNPROCESSABLE", fmt.Sprintf("Name already protected: %v", said["pattern"])}
			}
			return object{"branchProtectionRule": r.addRule(said).object(), "clientMutationId": nil}, nil
		}
		i := slices.IndexFunc(r.rules, func(each *rule) bool { return each.id == input["branchProtectionRuleId"] })
		if i < 0 {
			continue
		}
		if mutation == "deleteBranchProtectionRule" {
			r.rules = slices.Delete(r.rules, i, i+1)
			return object{"clientMutationId": nil}, nil
		}
		maps.Copy(r.rules[i].is, said)
		return object{"branchProtectionRule": r.rules[i].object(), "clientMutationId": nil}, nil
	}
	return nil, &problem{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%v%v'", input["repositoryId"], input["branchProtectionRuleId"])}
}

// Write is a request that changed something.
type Write struct {
	// Is it: "METHOD /path", or "MUTATION name".
	Is string
	// Login is whose token made it.
	Login string
	// Body that was sent.
	Body map[string]any
}

// Writes are those that were answered well, in order.
func (s *Server) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// Forget empties what Writes and Requests say.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes, s.requests = nil, nil
}

// After calls f once a request, of which "METHOD /path" or "MUTATION name" begins with
// match, has done what it asks, and before it is answered.
func (s *Server) After(match string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = append(s.after, after{match, f})
}

type after struct {
	match string
	f     func()
}

// note remembers a request that changed something, and tells who waits for it.
func (a *answer) note(status int) {
	if status >= http.StatusBadRequest || strings.HasPrefix(a.is, "GET ") || a.is == "POST /graphql" {
		return
	}
	w := Write{Is: a.is, Login: a.login}
	_ = json.Unmarshal(a.body, &w.Body)
	if variables, of := w.Body["variables"].(map[string]any); of && strings.HasPrefix(a.is, "MUTATION ") {
		w.Body, _ = variables["input"].(map[string]any)
	}
	a.s.writes = append(a.s.writes, w)
	if i := slices.IndexFunc(a.s.after, func(each after) bool { return strings.HasPrefix(a.is, each.match) }); i >= 0 {
		f := a.s.after[i].f
		a.s.after = slices.Delete(a.s.after, i, i+1)
		f()
	}
}
