package githubtest

import (
	"maps"
	"slices"
	"time"
)

// Repository of the organization.
type Repository struct {
	s        *Server
	looks    int // how often it is not there yet
	branches map[string]string
	topics   []string
	demanded []string
	name     string
	main     string
	pulls    map[int64]*pull
	commits  map[string]commit
	statuses map[string][]Status
	comments map[int64][]Comment
	administered
}

type commit struct {
	files   Files
	parents []string
}

type pull struct {
	number             int64
	from, title, body  string // the branch that it is of, with its owner
	state, head, base  string
	author, mergedInto string
	mergedAt, updated  time.Time
	changed            []string
}

// Repository of that name; a new one has one commit, m0, with these files.
func (s *Server) Repository(name string, first Files) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.add(name)
	r.main, r.commits["m0"] = "m0", commit{files: first}
	return r
}

// add makes an empty repository.
func (s *Server) add(name string) *Repository {
	r := &Repository{
		s: s, name: name, branches: map[string]string{}, pulls: map[int64]*pull{}, commits: map[string]commit{},
		statuses: map[string][]Status{}, comments: map[int64][]Comment{}, administered: s.administer(),
	}
	s.repositories[name] = r
	return r
}

// Named is the repository of that name; nil if there is none.
func (s *Server) Named(name string) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repositories[name]
}

// Topics gives it topics, by which the platform knows its own.
func (r *Repository) Topics(topics ...string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.topics = topics
}

// Demand protects main by statuses of these contexts.
func (r *Repository) Demand(contexts ...string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.demanded = contexts
}

// At says when a pull request was changed last.
func (r *Repository) At(number int64, updated time.Time) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.pulls[number].updated = updated
}

// Propose opens a pull request of a commit on top of base, or gives it that commit. A
// file without content is removed.
func (r *Repository) Propose(number int64, head, base string, content Files) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	changed := r.commit(head, base, content)
	r.pulls[number] = &pull{number: number, state: "open", head: head, base: "main", author: "anna", changed: changed}
}

// Commit makes main another commit on top of itself.
func (r *Repository) Commit(id string, content Files) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.commit(id, r.main, content)
	r.main = id
}

// Merge merges a pull request, which makes main another commit.
func (r *Repository) Merge(number int64, id string, at time.Time) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	p := r.pulls[number]
	all := maps.Clone(r.commits[r.main].files)
	for _, path := range p.changed {
		if file, there := r.commits[p.head].files[path]; there {
			all[path] = file
		} else {
			delete(all, path)
		}
	}
	r.commits[id] = commit{all, []string{r.main, p.head}}
	r.main, p.state, p.mergedInto, p.mergedAt = id, "closed", id, at
}

// Close closes a pull request without merging it.
func (r *Repository) Close(number int64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.pulls[number].state = "closed"
}

// Say lays a status on a commit, as somebody.
func (r *Repository) Say(commit string, status Status) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.say(commit, status)
}

func (r *Repository) say(commit string, status Status) {
	r.s.next++
	status.ID = r.s.next
	r.statuses[commit] = append(r.statuses[commit], status)
}

// Statuses of a commit, oldest first.
func (r *Repository) Statuses(commit string) []Status {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.statuses[commit])
}

// Comments on a pull request.
func (r *Repository) Comments(number int64) []Comment {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.comments[number])
}

// Main is the commit of the branch main.
func (r *Repository) Main() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.main
}

func (r *Repository) commit(id, base string, content Files) []string {
	all := maps.Clone(r.commits[base].files)
	if all == nil {
		all = Files{}
	}
	for path, file := range content {
		all[path] = file
		if file == (File{}) {
			delete(all, path)
		}
	}
	r.commits[id] = commit{all, []string{base}}
	return slices.Sorted(maps.Keys(content))
}

// history of a commit, itself first.
func (r *Repository) history(id string) []string {
	var all []string
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		if c, there := r.commits[queue[0]]; there && !slices.Contains(all, queue[0]) {
			all = append(all, queue[0])
			queue = append(queue, c.parents...)
		}
	}
	return all
}
