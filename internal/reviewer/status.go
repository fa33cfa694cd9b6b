package reviewer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"code.gitea.io/sdk/gitea"
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

// describe is the text of a status.
func (s situation) describe(text string) string {
	const most = 160
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return fmt.Sprintf("%s (main at %s, check %s)", text, short(s.main), s.id())
}

var (
	checkID = regexp.MustCompile(`check ([0-9a-f]{12})\)$`)
	attempt = regexp.MustCompile(`^attempt (\d+):`)
)

// said is what the newest status of Context says, if it is the account's own and
// about the situation: what it does not know of counts for nothing.
type said struct {
	state    gitea.StatusState
	attempts int
}

func (s situation) find(statuses []*gitea.Status, account string) said {
	var newest *gitea.Status
	for _, each := range statuses {
		if each.Context == Context && (newest == nil || each.ID > newest.ID) {
			newest = each
		}
	}
	if newest == nil || newest.Creator == nil || newest.Creator.UserName != account {
		return said{}
	}
	if m := checkID.FindStringSubmatch(newest.Description); m == nil || m[1] != s.id() {
		return said{}
	}
	out := said{state: newest.State}
	if m := attempt.FindStringSubmatch(newest.Description); m != nil {
		out.attempts, _ = strconv.Atoi(m[1])
	}
	return out
}

// done is whether the situation is judged.
func (s said) done() bool { return s.state == gitea.StatusSuccess || s.state == gitea.StatusFailure }
