package doorkeeper

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// limits counts the requests of each key: a bucket with room for what it may ask
// for in a minute, filled evenly.
type limits struct {
	sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	*rate.Limiter
	perMinute int
}

// take counts a request. It returns 0 if it is within the limit, or in how many
// whole seconds the next one will be.
func (l *limits) take(k keys.Key, now time.Time) (wait int) {
	if k.RequestsPerMinute == 0 {
		return 0
	}
	r := l.bucket(k).ReserveN(now, 1)
	delay := r.DelayFrom(now)
	if delay <= 0 {
		return 0
	}
	r.CancelAt(now)
	return int(math.Ceil(delay.Seconds()))
}

func (l *limits) bucket(k keys.Key) bucket {
	l.Lock()
	defer l.Unlock()
	b, known := l.buckets[k.ID]
	if !known || b.perMinute != k.RequestsPerMinute {
		if l.buckets == nil {
			l.buckets = map[string]bucket{}
		}
		b = bucket{rate.NewLimiter(rate.Limit(float64(k.RequestsPerMinute)/60), k.RequestsPerMinute), k.RequestsPerMinute}
		l.buckets[k.ID] = b
	}
	return b
}

// keep forgets the keys that are not in s.
func (l *limits) keep(s keys.Store) {
	l.Lock()
	defer l.Unlock()
	for id := range l.buckets {
		if _, known := s[id]; !known {
			delete(l.buckets, id)
		}
	}
}
