package images

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

func TestWhatTheFirstPredictionDoesNotNeedIsBuiltLater(t *testing.T) {
	b, _ := small(t, "pause")
	b.table.Later = []string{"small"}
	b.first = true
	names, err := build(t, b)
	require.NoError(t, err)
	require.Equal(t, []string{"helper"}, names, "neither it nor the layers only it needs")
	require.True(t, b.anyLeft(t.Context()), "downloads and compiled packages must stay for it")

	b.first = false
	names, err = build(t, b)
	require.NoError(t, err)
	require.Equal(t, []string{"ground", "small"}, names)
	require.False(t, b.anyLeft(t.Context()))
}

func TestAnOutdatedImageIsNotServedWhileItsSuccessorIsStillToBeBuilt(t *testing.T) {
	b, _ := small(t, "pause")
	_, err := build(t, b)
	require.NoError(t, err)
	b.table.Later = []string{"small"}
	ref, err := b.store.tag("registry.example/group/small:v1")
	require.NoError(t, err)

	require.NoError(t, b.forgetOutdated(t.Context()))
	_, err = remote.Head(ref)
	require.NoError(t, err, "a current image stays")

	b.keys["small"] = "another recipe"
	require.NoError(t, b.forgetOutdated(t.Context()))
	_, err = remote.Head(ref)
	require.ErrorContains(t, err, "404")
	require.NoError(t, b.forgetOutdated(t.Context()), "what is not there is forgotten already")
}

func TestWhatIsOnlyBuiltWhenAskedForKeepsNobodyWaiting(t *testing.T) {
	b, _ := small(t, "pause")
	b.table.Asked = []string{"small"}
	names, err := build(t, b)
	require.NoError(t, err)
	require.Equal(t, []string{"helper"}, names)
	require.False(t, b.anyLeft(t.Context()))

	b.only = []string{"small"}
	names, err = build(t, b)
	require.NoError(t, err)
	require.Equal(t, []string{"ground", "small"}, names)
}

func TestALaterEntryThatDoesNotExistIsNamed(t *testing.T) {
	_, err := loadTable([]byte("later: [kiverno]"), nil)
	require.ErrorContains(t, err, `later: there is no entry "kiverno"`)
	_, err = loadTable([]byte("asked: [nod]"), nil)
	require.ErrorContains(t, err, `asked: there is no entry "nod"`)
}
