package forgeproxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/lru"
)

const (
	// maxAttempts and maxKnown bound what is remembered, to a few MiB in all. Who
	// wants to be forgotten has to fail as often.
	maxAttempts = 16384
	maxKnown    = 4096
	// knownFor is how long nobody is asked again about a password that was right.
	knownFor = time.Hour
)

// digest stands for what may not be kept itself, or has no bounded length.
type digest [sha256.Size]byte

// Throttle counts wrong passwords by account and by the address they come from.
// After Failures of them within Window none is tried until it has passed, not even
// a right one: who guesses would know it by that.
type Throttle struct {
	// Failures is how many passwords may be wrong.
	Failures int
	// Window is what they are counted in.
	Window time.Duration

	mu       sync.Mutex
	key      []byte
	attempts *lru.Cache // *attempts by digest of address and account
	known    *lru.Cache // time by digest of account and password
	now      func() time.Time
}

// attempts are those at one account from one address.
type attempts struct {
	wrong int
	since time.Time // of the first wrong one
	// asked are passwords of which nobody knows yet whether they are right. The same
	// one asked twice at once is one guess.
	asked map[digest]int
}

// NewThrottle makes one that has seen nothing.
func NewThrottle(failures int, window time.Duration) *Throttle {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &Throttle{
		Failures: failures, Window: window, key: key,
		attempts: lru.New(maxAttempts), known: lru.New(maxKnown), now: time.Now,
	}
}

// credential is a password somebody shows for an account.
type credential struct{ account, password string }

// begin is called before c is tried. It returns how long to wait, if c may not be;
// whether it is known to be right; or neither, and then finish has to be called.
func (t *Throttle) begin(from netip.Addr, c credential) (wait time.Duration, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, password := t.of(from, c)
	if t.now().Sub(a.since) >= t.Window {
		a.wrong = 0
	}
	if a.wrong >= t.Failures {
		return max(time.Second, a.since.Add(t.Window).Sub(t.now())), false
	}
	if at, found := t.known.Get(password); found && t.now().Sub(at.(time.Time)) < knownFor {
		return 0, true
	}
	if a.asked[password] == 0 && a.wrong+len(a.asked) >= t.Failures {
		return time.Second, false
	}
	if a.asked == nil {
		a.asked = map[digest]int{}
	}
	a.asked[password]++
	return 0, false
}

// verdict is what became of a password that was tried.
type verdict int

const (
	untold verdict = iota
	right
	wrong
)

// finish says what became of what begin let pass.
func (t *Throttle) finish(from netip.Addr, c credential, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, password := t.of(from, c)
	switch a.asked[password] {
	case 0: // forgotten meanwhile
	case 1:
		delete(a.asked, password)
	default:
		a.asked[password]--
	}
	if len(a.asked) == 0 {
		a.asked = nil // an empty map takes more than all the rest
	}
	switch v {
	case right:
		t.known.Add(password, t.now())
	case wrong:
		t.known.Remove(password)
		if a.wrong == 0 {
			a.since = t.now()
		}
		a.wrong++
	}
}

// of are the attempts that c is one of, and what stands for c itself.
func (t *Throttle) of(from netip.Addr, c credential) (*attempts, digest) {
	account := normal(c.account)
	at := t.digest(from.String(), account)
	found, ok := t.attempts.Get(at)
	if !ok {
		found = &attempts{}
		t.attempts.Add(at, found)
	}
	return found.(*attempts), t.digest(account, c.password)
}

// digest of parts, under a key that ends with the process.
func (t *Throttle) digest(parts ...string) digest {
	h := hmac.New(sha256.New, t.key)
	for _, part := range parts {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return digest(h.Sum(nil))
}

// normal is the one of an account's spellings that stands for all that Gitea takes.
func normal(account string) string { return strings.ToLower(strings.TrimSpace(account)) }

// source is the address that attempts are counted by: one IPv6 host has 2^64.
func source(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}
