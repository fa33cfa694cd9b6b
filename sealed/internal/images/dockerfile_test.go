package images

import (
	"encoding/json"
	"go/version"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
		for dir, d := range r.Dirs {
			assert.Contains(t, string(text), "&& install -d -m "+d.Mode+" /out/root"+dir)
			assert.Contains(t, stage, "COPY --from=build /out/root /")
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

// An image takes what is not copied from its base, and whoever raises a version here
// forgets it there.
func TestThePortalsDockerfileSaysWhatTheTableSays(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "portal", "Dockerfile"))
	require.NoError(t, err)
	stages := strings.Split(string(text), "\nFROM ")
	last := "FROM " + stages[len(stages)-1]
	portal := realTable(t).entry("portal")
	base := "node:" + portal.Backstage.Node.Version + "-" + realTable(t).Debian.Release
	assert.Contains(t, string(text), "\nFROM "+base+" AS build\n")
	for _, line := range []string{
		"FROM " + base + "-slim",
		"COPY --from=build " + portal.Backstage.Path + " " + portal.Backstage.Path,
		"USER " + portal.User,
		"ENV " + strings.Join(portal.Env, " "),
		"WORKDIR " + portal.WorkDir,
		"ENTRYPOINT " + list(portal.Entrypoint),
		"CMD " + list(portal.Cmd),
	} {
		assert.Contains(t, last, line+"\n")
	}
	for dir := range portal.Dirs {
		assert.Contains(t, last, "RUN install -d -o node -g node "+dir+"\n")
	}
	assert.Contains(t, string(text), "npm_config_build_from_source=true npm_config_nodedir=/usr/local ", "what was compiled elsewhere is downloaded")
	var app struct{ PackageManager string }
	manifest, err := os.ReadFile(filepath.Join(repository, "portal", "package.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(manifest, &app))
	assert.Equal(t, "yarn@"+portal.Backstage.Yarn.Version, app.PackageManager, "Docker's build takes another Yarn")
}

// A laptop's engine builds the portal for its own processor, with the packages that are
// programs for that.
func TestThePortalsLockFileHasWhatLaptopsWithARMNeed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "portal", "yarn.lock"))
	require.NoError(t, err)
	programs := regexp.MustCompile(`(?m)^"(\S+[-/]linux-)x64((?:-gnu)?@npm:\S+)":$`).FindAllSubmatch(text, -1)
	require.NotEmpty(t, programs)
	for _, each := range programs {
		assert.Contains(t, string(text), "\n\""+string(each[1])+"arm64"+string(each[2])+"\":\n")
	}
}

// Go's images compile with what they have and get no newer one.
func TestTheDockerfilesGoIsNoOlderThanTheModuleAsksFor(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	require.NoError(t, err)
	base := regexp.MustCompile(`(?m)^FROM golang:([0-9.]+)-` + realTable(t).Debian.Release + ` AS build$`).FindSubmatch(text)
	require.NotNil(t, base, "the Dockerfile's Go has no full version")
	module, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	require.NoError(t, err)
	asked := regexp.MustCompile(`(?m)^go ([0-9.]+)$`).FindSubmatch(module)
	require.NotNil(t, asked)
	assert.GreaterOrEqual(t, version.Compare("go"+string(base[1]), "go"+string(asked[1])), 0, "go.mod asks for Go %s", asked[1])
	assert.Contains(t, string(text), "FROM node:"+realTable(t).entry("portal").Backstage.Node.Version+"-", "there are two Nodes")
}

// list is how a Dockerfile writes one.
func list(words []string) string {
	return `["` + strings.Join(words, `", "`) + `"]`
}
