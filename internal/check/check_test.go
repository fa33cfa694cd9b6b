package check

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func passes(context.Context) (string, error) { return "seen", nil }
func fails(context.Context) (string, error)  { return "", errors.New("it is\nbroken") }
func off(context.Context) (string, error)    { return "", Off("serving.auth is none") }

func statuses(r *Report) map[string]Status {
	found := map[string]Status{}
	for _, c := range r.Checks {
		found[c.ID] = c.Status
	}
	return found
}

func TestARunIsWellOnlyIfEverythingWasAskedAndHolds(t *testing.T) {
	for name, test := range map[string]struct {
		checks []Check
		well   bool
		counts [3]int
	}{
		"all pass":              {[]Check{{ID: "A1", Run: passes}, {ID: "A2", Run: passes}}, true, [3]int{2, 0, 0}},
		"one fails":             {[]Check{{ID: "A1", Run: passes}, {ID: "A2", Run: fails}}, false, [3]int{1, 1, 0}},
		"one is switched off":   {[]Check{{ID: "A1", Run: passes}, {ID: "A2", Run: off}}, true, [3]int{1, 0, 1}},
		"nothing was asked":     {nil, false, [3]int{}},
		"all are switched off":  {[]Check{{ID: "A1", Run: off}}, false, [3]int{0, 0, 1}},
		"one could not be done": {[]Check{{ID: "A1", Run: fails}, {ID: "A2", Run: passes, Alone: true, Follows: []string{"A1"}}}, false, [3]int{0, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := Run(t.Context(), "ci", test.checks)
			assert.Equal(t, test.well, r.Well)
			assert.Equal(t, test.counts, [3]int{r.Passed, r.Failed, r.Skipped})
		})
	}
}

func TestAFailureHasItsReasonItsRemedyAndWhatItFollowsFrom(t *testing.T) {
	r := Run(t.Context(), "ci", []Check{
		{ID: "A1", Title: "it runs", Remedy: "start it", Run: fails},
		{ID: "A2", Title: "it answers", Remedy: "ask it", Follows: []string{"A1"}, Run: fails},
		{ID: "A3", Title: "it is there", Remedy: "make it", Follows: []string{"A1"}, Run: passes},
	})
	for i := range r.Checks {
		r.Checks[i].Seconds = 0
	}
	assert.Equal(t, []Result{
		{ID: "A1", Title: "it runs", Status: Fail, Evidence: "it is; broken", Remedy: "start it"},
		{ID: "A2", Title: "it answers", Status: Fail, Evidence: "it is; broken", Remedy: "ask it", Follows: []string{"A1"}},
		{ID: "A3", Title: "it is there", Status: Pass, Evidence: "seen"},
	}, r.Checks)
	assert.Equal(t, []string{"A1", "A2"}, r.Failures())
}

func TestWithoutWhatComesFirstNothingElseIsTried(t *testing.T) {
	r := Run(t.Context(), "ci", []Check{{ID: "A1", First: true, Run: fails}, {ID: "B1", Run: passes}, {ID: "B2", Alone: true, Run: passes}})
	assert.Equal(t, map[string]Status{"A1": Fail, "B1": Skip, "B2": Skip}, statuses(r))
	assert.False(t, r.Well)
	b, _ := r.Get("B1")
	assert.Equal(t, "it was not tried, because these did not pass: A1", b.Evidence)
}

func TestWhatChangesSomethingIsNotSeenByThoseWhoLook(t *testing.T) {
	var looking atomic.Int32
	look := func(ctx context.Context) (string, error) {
		looking.Add(1)
		defer looking.Add(-1)
		time.Sleep(time.Millisecond)
		return "", nil
	}
	r := Run(t.Context(), "ci", []Check{{ID: "A1", Alone: true, Run: func(context.Context) (string, error) {
		if looking.Load() > 0 {
			return "", errors.New("somebody looks")
		}
		return "", nil
	}}, {ID: "A2", Run: look}, {ID: "A3", Run: look}})
	assert.True(t, r.Well, "%v", r.Checks)
}

func TestACheckThatHangsFailsInTimeAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		deaf := make(chan struct{})
		r := Run(t.Context(), "ci", []Check{
			{ID: "A1", Limit: 2 * time.Second, Run: func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }},
			{ID: "A2", Limit: 2 * time.Second, Run: func(context.Context) (string, error) { <-deaf; return "", nil }},
			{ID: "A3", Run: passes},
		})
		close(deaf)
		assert.Equal(t, map[string]Status{"A1": Fail, "A2": Fail, "A3": Pass}, statuses(r))
		assert.Equal(t, 2*time.Second+Farewell, time.Since(start))
		a, _ := r.Get("A1")
		assert.Contains(t, a.Evidence, "no answer in time (2s)")
	})
}

func TestChecksAreChosenByIDOrGroup(t *testing.T) {
	all := []Check{{ID: "A1"}, {ID: "A2"}, {ID: "B1"}}
	for name, test := range map[string]struct {
		only, want []string
	}{
		"none means all":        {nil, []string{"A1", "A2", "B1"}},
		"in the list's order":   {[]string{"B1", "a1"}, []string{"A1", "B1"}},
		"a group":               {[]string{"A"}, []string{"A1", "A2"}},
		"a group and one of it": {[]string{"A", "A1"}, []string{"A1", "A2"}},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := Select(all, test.only)
			require.NoError(t, err)
			assert.Equal(t, test.want, IDs(chosen))
		})
	}
	_, err := Select(all, []string{"A1", "A3"})
	assert.EqualError(t, err, `--only A3 is no check (did you mean "A1"?): there are A1, A2, B1`)
}

func TestJUnitTakesWhatWasNotTriedForAFailure(t *testing.T) {
	r := Run(t.Context(), "ci", []Check{
		{ID: "A1", Title: "runs", Run: passes},
		{ID: "A2", Title: "is <not> off", Run: off},
		{ID: "B1", Title: "answers", Remedy: "ask", Run: fails},
		{ID: "B2", Title: "heals", Alone: true, Follows: []string{"B1"}, Run: passes},
	})
	var out bytes.Buffer
	require.NoError(t, r.JUnit(&out))
	var read junitSuite
	require.NoError(t, xml.Unmarshal(out.Bytes(), &read))
	assert.Equal(t, [3]int{4, 2, 1}, [3]int{read.Tests, read.Failures, read.Skipped})
	assert.Equal(t, "A2 is <not> off", read.Cases[1].Name)
	assert.Equal(t, "verify.B", read.Cases[2].Class)
	assert.Equal(t, &junitMessage{Message: "it is; broken", Text: "ask"}, read.Cases[2].Failure)
	assert.NotNil(t, read.Cases[3].Failure, "a run that tried less is green")
}

func TestTheTextHasALineACheckAndAVerdict(t *testing.T) {
	r := Run(t.Context(), "ci", []Check{{ID: "A1", Title: "it runs", Run: passes}, {ID: "A2", Title: "it answers", Remedy: "ask", Follows: []string{"A1"}, Run: fails}, {ID: "A3", Title: "keys", Run: off}})
	for i := range r.Checks {
		r.Checks[i].Seconds = 0
	}
	r.Seconds = 1
	var out bytes.Buffer
	require.NoError(t, r.Text(&out))
	assert.Equal(t, `pass  A1   it runs (0.0s)
           seen
fail  A2   it answers (0.0s)
           it is; broken
           do: ask
off   A3   keys (0.0s)
           serving.auth is none

stack ci is not well: 1 passed, 1 failed, 1 skipped (1.0s)
`, out.String())
}
