package guardrails

import (
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDifferencesAreAboutCasesThatAreThere(t *testing.T) {
	all := corpus(t)
	for _, d := range Differences {
		assert.NotEmpty(t, d.Because, "%v", d.Cases)
		assert.NotEmpty(t, d.Places, "%v", d.Cases)
		for _, pattern := range d.Cases {
			found := 0
			for _, c := range all {
				matched, err := path.Match(pattern, c.ID)
				require.NoError(t, err)
				if matched {
					found++
					assert.NotEqual(t, c.Want, d.Says, "%s: this is no difference", c.ID)
				}
			}
			assert.NotZero(t, found, "no case is like %s", pattern)
		}
	}
}

func TestNoPlaceHasTwoDifferencesAboutACase(t *testing.T) {
	for _, c := range corpus(t) {
		for _, place := range []Place{Guard, Engine, Platform, Kyverno, Native} {
			n := 0
			for _, d := range Differences {
				for _, p := range d.Places {
					if p == place && d.about(c) {
						n++
					}
				}
			}
			assert.LessOrEqual(t, n, 1, "%s: %s", c.ID, place)
		}
	}
}

func TestTheListOfDifferencesIsShort(t *testing.T) {
	n := 0
	all := corpus(t)
	for _, c := range all {
		for _, place := range []Place{Guard, Engine, Platform} {
			if Expected(c, place) != c.Want {
				n++
				break
			}
		}
	}
	t.Logf("%d of %d cases", n, len(all))
	assert.Less(t, n*10, len(all), "more than a tenth of the corpus is excused")
	assert.LessOrEqual(t, len(Differences), 10)
}
