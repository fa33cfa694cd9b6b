package bench

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var repositoryRoot = filepath.Join("..", "..")

func recorded(t *testing.T) (record *Record, page string) {
	t.Helper()
	file, err := os.Open(filepath.Join(repositoryRoot, filepath.FromSlash(RecordFile)))
	require.NoError(t, err)
	defer file.Close()
	record, err = ReadRecord(file)
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(repositoryRoot, PageFile))
	require.NoError(t, err)
	return record, string(raw)
}

func TestTheReadmeShowsTheRecord(t *testing.T) {
	record, page := recorded(t)
	shown, err := record.Show(page)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(repositoryRoot, PageFile), []byte(shown), 0o644))
		page = shown
	}
	assert.Equal(t, shown, page, "README.md is not what docs/slo.json says: go test ./internal/bench -update")
}

func TestTheRecordHasEveryPromiseAndNoOther(t *testing.T) {
	record, _ := recorded(t)
	before := slices.Clone(record.Promises)
	record.Update(nil, Origin{})
	assert.Equal(t, record.Promises, before, "docs/slo.json is not about bench.Targets")
	for _, p := range before {
		if p.N == 0 {
			assert.Nil(t, p.Measured, p.ID)
			continue
		}
		require.NotNil(t, p.Measured, p.ID)
		judged := map[string]float64{"median": p.P50, "p95": p.P95, "max": p.Max, "least": p.Min}[p.Statistic]
		assert.Equal(t, Target{Limit: p.Target, Statistic: p.Statistic}.kept(judged), p.Kept, "%s says of itself what its figures do not", p.ID)
		assert.LessOrEqual(t, p.P50, p.P95, p.ID)
		assert.LessOrEqual(t, p.P95, p.Max, p.ID)
	}
}

// checkout is a repository with a record and a page.
func checkout(t *testing.T, record string) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "docs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, RecordFile), []byte(record), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, PageFile), []byte("# Before\n"+tableBegin+"old\n"+tableEnd+"after\n"), 0o644))
	return root
}

func TestWhatWasMeasuredIsKeptAndTheRestStays(t *testing.T) {
	root := checkout(t, `{"promises":[
		{"id":"preview","text":"x","target":99,"unit":"s","statistic":"max","p50":5,"p95":6,"max":7,"n":3,"kept":true,"measured":{"date":"2026-01-01","commit":"old","machine":"small"}},
		{"id":"zero","text":"x","target":5,"unit":"s","statistic":"median","p50":1,"p95":2,"max":3,"n":3,"kept":true,"measured":{"date":"2026-01-01","commit":"old","machine":"small"}},
		{"id":"dropped","text":"x","target":1,"unit":"s","statistic":"max","p50":0,"p95":0,"max":0,"n":0,"kept":false}]}`)
	target := func(name string) Target {
		return Targets[slices.IndexFunc(Targets, func(t Target) bool { return t.Name == name })]
	}
	broken := summarize(target("zero"), []float64{1})
	broken.Error, broken.Pass = "run 2: it broke", false
	busy := 0.3
	require.NoError(t, Keep(root, []Result{summarize(target("drift"), []float64{1.23456, 4, 5}), broken},
		Origin{Date: "2026-11-26", Commit: "abc", Machine: "2 cores", BusyCores: &busy}))

	file, err := os.Open(filepath.Join(root, RecordFile))
	require.NoError(t, err)
	defer file.Close()
	record, err := ReadRecord(file)
	require.NoError(t, err)
	of := map[string]Promise{}
	for _, p := range record.Promises {
		of[p.ID] = p
	}
	require.Len(t, of, len(Targets)+len(ByHand))
	assert.Equal(t, 4.0, of["drift"].P50)
	assert.Equal(t, 3, of["drift"].N)
	assert.False(t, of["drift"].Kept)
	assert.Equal(t, "old", of["preview"].Measured.Commit)
	assert.Equal(t, target("preview").Limit, of["preview"].Target, "the promise is the program's")
	assert.Equal(t, 3, of["zero"].N, "half a measurement took the place of a whole one")
	raw, err := os.ReadFile(filepath.Join(root, PageFile))
	require.NoError(t, err)
	page := string(raw)
	assert.True(t, strings.HasPrefix(page, "# Before\n") && strings.HasSuffix(page, "after\n"), page)
	assert.Contains(t, page, "| deleted nginx-test Deployment back and Ready | 3 s (p50) | 4 s | 4.9 s | 5 s | 3 | **missed** 2 |\n")
	assert.Contains(t, page, "| `preview` | 10 s | 5 s | 6 s | 7 s | 3 | 1 |\n")
	assert.Contains(t, page, "| `sealed down` | 10 s | | | | | not yet |\n")
	assert.Contains(t, page, "\n2. 2026-11-26 at `abc`, 2 cores, of which 0.3 were busy before\n")
	assert.NotContains(t, page, "dropped")
}

func TestARecordThatCannotBeKeptChangesNothing(t *testing.T) {
	for name, test := range map[string]struct{ record, page, want string }{
		"an unknown field":       {`{"promises":[{"id":"a","goal":1}]}`, tableBegin + tableEnd, `unknown field "goal"`},
		"a page without a place": {`{"promises":[]}`, "# README\n", "has no lines"},
	} {
		t.Run(name, func(t *testing.T) {
			root := checkout(t, test.record)
			page := filepath.Join(root, PageFile)
			require.NoError(t, os.WriteFile(page, []byte(test.page), 0o644))
			assert.ErrorContains(t, Keep(root, nil, Origin{}), test.want)
			for file, want := range map[string]string{RecordFile: test.record, PageFile: test.page} {
				raw, err := os.ReadFile(filepath.Join(root, file))
				require.NoError(t, err)
				assert.Equal(t, want, string(raw))
			}
		})
	}
}

func TestAMachineIsBusyIfItsCoresAre(t *testing.T) {
	before, err := parseTimes("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\n")
	require.NoError(t, err)
	assert.Equal(t, times{all: 1000, idle: 800}, before)
	assert.Nil(t, busyBetween(before, before))
	after := times{all: 2000, idle: 1800}
	assert.Zero(t, *busyBetween(before, after))
	assert.Positive(t, *busyBetween(before, times{all: 2000, idle: 1300}))
	_, err = parseTimes("intr 1\n")
	assert.Error(t, err)
	assert.Equal(t, "Debian GNU/Linux 12", systemName("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"))
}
