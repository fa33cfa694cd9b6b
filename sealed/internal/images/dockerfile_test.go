package images

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Whoever makes the images with Docker has to get those that the tests ran.
func TestTheDockerfileMakesOurImagesAsTheTableDoes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	require.NoError(t, err)
	stages := map[string][]string{}
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if from, as, ok := strings.Cut(line, " AS "); ok && strings.HasPrefix(from, "FROM ") {
			name = as
		}
		stages[name] = append(stages[name], line)
	}
	ours := 0
	for _, r := range realTable(t).Entries {
		if r.Go == nil || !r.Go.Ours {
			continue
		}
		ours++
		stage := stages[r.Name]
		require.NotEmpty(t, stage, "the Dockerfile has no stage %s", r.Name)
		assert.Equal(t, "FROM scratch AS "+r.Name, stage[0])
		for to, from := range r.Go.Packages {
			assert.Contains(t, stage, "COPY --from=build /out/"+path.Base(from)+" "+to)
			assert.Contains(t, string(text), "./"+from)
		}
		for to, f := range r.NPMFiles {
			assert.Contains(t, stage, "COPY --from="+f.Package+" /src/package/"+f.Path+" "+to)
			assert.Contains(t, string(text), "RUN npm pack "+f.Package+"@"+realTable(t).Packages[f.Package].Version+" ")
		}
		for to := range r.ToolFiles {
			assert.Contains(t, strings.Join(stage, "\n"), path.Base(to)+" "+to)
		}
		for dir := range r.Dirs {
			assert.Contains(t, strings.Join(stage, "\n"), " "+dir)
		}
		entrypoint, err := json.Marshal(r.Entrypoint)
		require.NoError(t, err)
		assert.Contains(t, stage, "USER "+r.User)
		assert.Contains(t, stage, "ENTRYPOINT "+string(entrypoint))
	}
	assert.Equal(t, 4, ours)
	upstream, err := upstreamFile(repository)
	require.NoError(t, err)
	var up Upstreams
	require.NoError(t, yaml.Unmarshal(upstream, &up))
	assert.Contains(t, string(text), ":"+up.Upstreams["kyverno"].Version+" AS kyverno", "it is another Kyverno that judges")
	assert.Contains(t, string(text), up.Images["guard"], "the example has another version")
}
