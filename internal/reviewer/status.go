package reviewer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

// Context is the status that a branch's protection demands.
const Context = "neuroscale/guard"

// situation is what a verdict holds for: a pull request's commit, main, what both
// began as, and the rules. When any of them is another, it is judged again.
type situation struct{ head, main, base, rules string }

// id tells situations apart. It stands at the end of a status.
func (s situation) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.head, s.main, s.base, s.rules}, "\x00")))
	return hex.EncodeToString(sum[:])[:12]
}

// describe is the text of a status, as long as it may be.
func (s situation) describe(text string) string {
	end := fmt.Sprintf(" (main at %s, check %s)", short(s.main), s.id())
	if runes, most := []rune(text), forgeapi.MaxDescription-len(end); len(runes) > most {
		text = string(runes[:most-3]) + "..."
	}
	return text + end
}

var (
	checkID = regexp.MustCompile(`check ([0-9a-f]{12})\)$`)
	attempt = regexp.MustCompile(`^attempt (\d+):`)
)

// said is what a status says, if it is the account's own and about the situation: what
// it does not know of counts for nothing.
type said struct {
	state    string
	attempts int
}

// said is what the newest status of Context says of a situation, or, whatever others
// have said since, the account's own newest one.
func (r *Reviewer) said(ctx context.Context, s subject, now situation, own bool) (said, error) {
	newest, err := r.forge.Newest(ctx, s.repository, now.head, Context, own)
	if err != nil {
		return said{}, fmt.Errorf("read the status of %s: %w", short(now.head), err)
	}
	if newest == nil || !newest.Own {
		return said{}, nil
	}
	if m := checkID.FindStringSubmatch(newest.Description); m == nil || m[1] != now.id() {
		return said{}, nil
	}
	out := said{state: newest.State}
	if m := attempt.FindStringSubmatch(newest.Description); m != nil {
		out.attempts, _ = strconv.Atoi(m[1])
	}
	return out, nil
}

// done is whether the situation is judged.
func (s said) done() bool { return s.state == forgeapi.Success || s.state == forgeapi.Failure }
