package dashboards

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEverythingWrongWithADashboardIsSaidAtOnce(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"a.yaml": {Data: []byte(`
panels:
  - {title: One, unit: second, over: min, series: [{expr: " ", legend: ""}]}
  - {title: One, unit: count}
`)},
		"b.yaml": {Data: []byte("title: B\npanls: []\n")},
		"c.txt":  {Data: []byte("no dashboard")},
	})
	for _, want := range []string{
		"a.yaml: title is empty",
		`a.yaml: panels[0].unit is "second" (did you mean "seconds"?): write one of requests/s, ratio, seconds`,
		`a.yaml: panels[0].over is "min": write avg or max, or leave it out`,
		"a.yaml: panels[0].series[0].expr is empty",
		"a.yaml: panels[0].series[0].legend is empty",
		`a.yaml: panels[1].title is "One", as another panel's is`,
		"a.yaml: panels[1].series is empty",
		`b.yaml: error unmarshaling JSON: while decoding JSON: json: unknown field "panls"`,
	} {
		require.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "c.txt")
	_, err = Load(fstest.MapFS{})
	require.EqualError(t, err, "there are no dashboards: no file is called NAME.yaml")
}

// A step of half an hour would show one in six of what a rule says of five minutes.
func TestALongStepLeavesNothingOut(t *testing.T) {
	s := Series{Expr: "platform:syncs_failed > 0"}
	for _, r := range Ranges {
		want := s.Expr
		if r.Step > recorded {
			want = "max_over_time((platform:syncs_failed > 0)[1800s:300s])"
		}
		assert.Equal(t, want, Panel{Over: "max"}.query(s, r), r.Name)
	}
	assert.Equal(t, "avg_over_time((a)[1800s:300s])", Panel{}.query(Series{Expr: "a"}, Ranges[4]))
}

func TestTimesAreEquallyFarApartAndEndNow(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 7, 41, 0, time.UTC)
	for _, r := range Ranges {
		times := r.times(now)
		require.Len(t, times, int(r.Span/r.Step)+1, r.Name)
		for i := 1; i < len(times); i++ {
			require.EqualValues(t, r.Step.Seconds(), times[i]-times[i-1])
		}
		assert.Less(t, now.Unix()-times[len(times)-1], int64(r.Step.Seconds()))
		assert.LessOrEqual(t, times[len(times)-1], now.Unix())
	}
}
