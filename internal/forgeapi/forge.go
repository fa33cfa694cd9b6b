// Package forgeapi is what the guard and the follower ask of a forge: for one account,
// in one organization. Packages below it ask forges of one kind.
package forgeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Branch is what is looked after: what is merged into it runs.
const Branch = "main"

// Forge has the repositories of an organization.
type Forge interface {
	// Event is what the forge sends when something has happened, if it is signed with
	// the key: ErrUnsigned if it is not. It has no Repository if that is not the
	// organization's.
	Event(key string, header http.Header, body []byte) (*Event, error)
	// Watch finds out what happens in repositories, as far as the forge does not send it
	// here, until ctx ends.
	Watch(ctx context.Context, repositories []string, heard func(Event))

	// Open are the numbers of open pull requests.
	Open(ctx context.Context, repository string) ([]int64, error)
	// Pull is how a pull request stands.
	Pull(ctx context.Context, repository string, number int64) (*Pull, error)
	// Merged are the pull requests that were merged into Branch of late, at most as many.
	Merged(ctx context.Context, repository string, most int) ([]Merged, error)
	// Changed are the paths that a pull request changes, those before a renaming too.
	Changed(ctx context.Context, repository string, number int64) ([]string, error)
	// Comment writes the account's comment on a pull request that begins with a marker,
	// in place of the one before.
	Comment(ctx context.Context, repository string, number int64, marker, body string) error

	// Head is the commit of Branch.
	Head(ctx context.Context, repository string) (string, error)
	// Contains is whether a commit has another one in its history. One that is not there
	// is in nobody's.
	Contains(ctx context.Context, repository, of, commit string) (bool, error)
	// Tree is all of a commit but its folders; TooMany if that is more than most.
	Tree(ctx context.Context, repository, commit string, most int) ([]Entry, error)
	// Blob is the content of an Entry.
	Blob(ctx context.Context, repository, sha string) ([]byte, error)
	// Has is whether a commit has a folder.
	Has(ctx context.Context, repository, commit, folder string) (bool, error)

	// Newest is a commit's newest status of a context, or the account's own newest one;
	// nil if there is none.
	Newest(ctx context.Context, repository, commit, context string, own bool) (*Status, error)
	// Say lays a status on a commit.
	Say(ctx context.Context, repository, commit string, s Status) error
}

// Pull is a pull request.
type Pull struct {
	// Open is whether it could be merged into Branch.
	Open bool
	// Head is its commit, Main that of Branch.
	Head, Main string
	// Base is the commit that both began as; empty as long as the forge has not found
	// out.
	Base string
}

// Merged is a pull request that was.
type Merged struct {
	Number int64
	Author string
	// Commit is what Branch became.
	Commit string
	At     time.Time
}

// Entry is a file, a link or a submodule of a commit.
type Entry struct {
	Path, SHA string
	// Mode is Git's, in octal digits.
	Mode string
	// Size in bytes; 0 of a submodule.
	Size int64
}

// States of a Status.
const (
	Pending = "pending"
	Success = "success"
	Failure = "failure"
	Error   = "error"
)

// MaxDescription is how long that of a status may be, in characters: as long as GitHub
// takes it.
const MaxDescription = 140

// Status of a commit.
type Status struct {
	// State is one of the constants above.
	State string
	// Context tells statuses of one commit apart.
	Context     string
	Description string
	// Own is whether the account has said it.
	Own bool
}

// TooMany files and folders that a commit has.
type TooMany int

func (t TooMany) Error() string { return fmt.Sprintf("there are %d files and folders", int(t)) }

// Limited is that the forge takes no more requests for a while.
type Limited struct{ Until time.Time }

func (l *Limited) Error() string {
	return "the forge takes no more requests of this account until " + l.Until.UTC().Format("15:04:05 UTC")
}

// MaxAnswer bounds what is read of an answer, in bytes.
const MaxAnswer = 32 << 20

// Bound is a body of which no more than MaxAnswer is read.
func Bound(body io.ReadCloser) io.ReadCloser { return &bounded{body, MaxAnswer} }

type bounded struct {
	io.ReadCloser
	left int64
}

var errTooLong = errors.New("the forge's answer is too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
