package layer

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/render"
)

func list(t *testing.T) List {
	t.Helper()
	page := func(local int) []Forward {
		return []Forward{{Name: "page", Namespace: "a", Service: "page", Port: 80, LocalPort: local}}
	}
	return List{
		{Name: "one", Namespaces: []string{"a"}, Tree: tree(t), Forwards: page(8001), ByProgram: true},
		{Name: "two", Namespaces: []string{"c", "b"}, Shared: []string{"team"}, Tree: tree(t), Forwards: page(8002),
			ClusterKinds: []schema.GroupKind{{Group: "z.io", Kind: "Z"}, {Kind: "Namespace"}}},
		{Name: "three", Namespaces: []string{"b"}, Tree: tree(t), After: []string{"two"},
			ClusterKinds: []schema.GroupKind{{Kind: "Namespace"}}},
	}
}

func TestAListTellsWhatItsLayersHaveTogether(t *testing.T) {
	l := list(t)
	require.NoError(t, l.Validate())
	assert.Equal(t, []string{"one", "two", "three"}, l.Names())
	assert.Equal(t, []string{"a", "b", "c"}, l.Namespaces())
	assert.Equal(t, []string{"team"}, l.Shared())
	assert.Equal(t, []schema.GroupKind{{Kind: "Namespace"}, {Group: "z.io", Kind: "Z"}}, l.ClusterKinds())
	assert.Len(t, l.Forwards(), 2)
	assert.Equal(t, []string{"two", "three"}, l.FromGit().Names(), "Argo CD would be asked for what it is made of")
	assert.Len(t, l, 3, "the list itself was changed")
	d, ok := l.Get("two")
	assert.True(t, ok)
	assert.Equal(t, "c", d.Namespace())
	_, ok = l.Get("four")
	assert.False(t, ok)
	assert.Equal(t, "team", Definition{Shared: []string{"team"}}.Namespace())
}

func TestAListThatCannotBeDeliveredIsRefused(t *testing.T) {
	for want, change := range map[string]func(List){
		`layer two: After names "three", which is no layer before it`: func(l List) { l[1].After = []string{"three"} },
		`layer two: After names "two", which is no layer before it`:   func(l List) { l[1].After = []string{"two"} },
		"layer two: two layers have that name":                        func(l List) { l[2].Name = "two" },
		"layer two: forward page has the local port 8001 of page":     func(l List) { l[1].Forwards[0].LocalPort = 8001 },
		"layer three: Tree is missing":                                func(l List) { l[2].Tree = nil },
	} {
		l := list(t)
		change(l)
		assert.EqualError(t, l.Validate(), want)
	}
}

func TestATreeIsRenderedOnce(t *testing.T) {
	rendered := 0
	made := tree(t)
	l := List{{Name: "one", Tree: func(ctx context.Context, s Source) (*render.Tree, error) {
		rendered++
		return made(ctx, s)
	}}}
	once := l.Once()
	for range 3 {
		first, err := once[0].Tree(t.Context(), Source{})
		require.NoError(t, err)
		assert.NotNil(t, first)
	}
	assert.Equal(t, 1, rendered)
}
