package workflows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noted is a program that notes how it was called, and behaves as files beside it say.
const noted = `#!/usr/bin/env bash
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$0")
echo "$name $*" >>"$here/calls"
[ ! -e "$here/$name.sh" ] || . "$here/$name.sh"
`

// published runs a script of the release where programs only note their calls; behave
// is what some of them do besides.
func published(t *testing.T, step string, behave map[string]string, env ...string) (code int, c *checkout) {
	t.Helper()
	c = &checkout{t: t, tmp: t.TempDir()}
	c.dir = filepath.Join(c.tmp, "main")
	for _, name := range []string{"docker", "cosign", "gh", "make", "npm", "main/bin/release", "main/bin/sealed"} {
		write(t, filepath.Join(c.tmp, name), noted, 0o755)
	}
	for name, what := range behave {
		write(t, filepath.Join(c.tmp, name+".sh"), what, 0o644)
	}
	write(t, filepath.Join(c.dir, "gitops", "upstream.yaml"), "images:\n  guard: ghcr.io/o/guard:v1\n  portal: ghcr.io/o/portal:v0.1.0\n", 0o644)
	write(t, filepath.Join(c.dir, "dist", "images.txt"), "ghcr.io/o/guard:v1@sha256:aaa\nlocalhost:5000/o/proxy:v2@sha256:bbb\n", 0o644)
	for _, name := range []string{"n_v1_linux_amd64.tar.gz", "n_v1_linux_amd64.cdx.json", "checksums.txt"} {
		write(t, filepath.Join(c.dir, "dist", name), "", 0o644)
	}
	return c.run(step, env...), c
}

func TestAReleaseIsBuiltForTheTagAndChecked(t *testing.T) {
	step := script(t, "release.yml", "build", "Build the release")
	sums := `mkdir -p dist && echo a >dist/a && (cd dist && sha256sum a >checksums.txt)`
	code, c := published(t, step, map[string]string{"main/bin/release": sums}, "VERSION=v1.2.3")
	assert.Zero(t, code)
	assert.Equal(t, "release build -version v1.2.3 -kyverno bin/kyverno-amd64 -kyverno bin/kyverno-arm64 -uplot bin/uplot-1.6.32.tgz -reproduce\n", c.file("main", "bin", "calls"))
	code, _ = published(t, step, map[string]string{"main/bin/release": sums + "; echo b >dist/a"}, "VERSION=v1.2.3")
	assert.NotZero(t, code, "a file that is not what its sum says")
	code, _ = published(t, step, map[string]string{"main/bin/release": "exit 3"}, "VERSION=v1.2.3")
	assert.Equal(t, 3, code)
	assert.Contains(t, read(t, ".github", "workflows", "release.yml"), "github.ref_type == 'tag' && github.ref_name || 'v0.0.0-dry-run'")
}

func TestKyvernoIsBuiltForBothPlatformsOfTheGuard(t *testing.T) {
	step := script(t, "release.yml", "build", "Build the Kyverno CLI of the guard's image")
	code, c := published(t, step, map[string]string{"main/bin/sealed": `mkdir -p "$NEUROSCALE_CACHE/tools/bin" && echo "$GOARCH" >"$NEUROSCALE_CACHE/tools/bin/kubectl-kyverno"`},
		"RUNNER_TEMP="+t.TempDir())
	assert.Zero(t, code)
	assert.Equal(t, "amd64\n", c.file("main", "bin", "kyverno-amd64"))
	assert.Equal(t, "arm64\n", c.file("main", "bin", "kyverno-arm64"))
}

func TestThePortalsImageIsPushedOnce(t *testing.T) {
	step := script(t, "release.yml", "publish", "Push the portal's image")
	const image = "ghcr.io/o/portal:v0.1.0"
	there := `case "$*" in *--format*) echo sha256:ccc ;; esac`
	missing := `case "$*" in *--format*) echo sha256:ccc ;; *inspect*) echo "ERROR: ` + image + `: not found" >&2; exit 1 ;; esac`
	down := `case "$*" in *--format*) echo sha256:ccc ;; *inspect*) echo "ERROR: 503 Service Unavailable" >&2; exit 1 ;; esac`

	code, c := published(t, step, map[string]string{"docker": missing})
	assert.Zero(t, code)
	assert.Equal(t, "docker buildx imagetools inspect "+image+"\ndocker build --tag "+image+" portal\ndocker push "+image+
		"\ndocker buildx imagetools inspect "+image+" --format {{.Manifest.Digest}}\n", c.file("calls"))
	assert.True(t, strings.HasSuffix(c.file("main", "dist", "images.txt"), "\n"+image+"@sha256:ccc\n"))
	assert.Equal(t, "aaa  ghcr.io/o/guard\nbbb  localhost:5000/o/proxy\nccc  ghcr.io/o/portal\n", c.file("main", "images.sums"), "what the attestation is about")

	code, c = published(t, step, map[string]string{"docker": there})
	assert.Zero(t, code)
	assert.NotContains(t, c.file("calls"), "push", "an image of this version is what people run")

	code, c = published(t, step, map[string]string{"docker": down})
	assert.NotZero(t, code)
	assert.NotContains(t, c.file("calls"), "push", "nobody knows whether there is one")
}

func TestEverythingIsSigned(t *testing.T) {
	code, c := published(t, script(t, "release.yml", "publish", "Sign"), nil)
	assert.Zero(t, code)
	assert.Equal(t, "cosign sign-blob --yes --bundle dist/checksums.txt.sigstore.json dist/checksums.txt\n"+
		"cosign sign --yes ghcr.io/o/guard:v1@sha256:aaa\ncosign sign --yes localhost:5000/o/proxy:v2@sha256:bbb\n", c.file("calls"))
	code, _ = published(t, script(t, "release.yml", "publish", "Sign"), map[string]string{"cosign": `[ "$1" != sign ] || exit 1`})
	assert.NotZero(t, code, "an image without a signature")
}

func TestAReleaseHasItsFilesAndSums(t *testing.T) {
	step := script(t, "release.yml", "publish", "Publish")
	code, c := published(t, step, nil, "VERSION=v1.2.3", "REPOSITORY=o/n")
	assert.Zero(t, code)
	assert.Equal(t, "gh release create v1.2.3 --repo o/n --verify-tag --generate-notes dist/n_v1_linux_amd64.tar.gz dist/n_v1_linux_amd64.cdx.json "+
		"dist/images.txt dist/checksums.txt dist/checksums.txt.sigstore.json\n", c.file("calls"))
}

func TestOnlyATagPublishes(t *testing.T) {
	job := parse(t, "release.yml").Jobs["publish"]
	require.NotNil(t, job.If)
	assert.Equal(t, "github.event_name == 'push' && github.ref_type == 'tag'", job.If.Value)
	text, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "release.yml"))
	require.NoError(t, err)
	build, _, _ := strings.Cut(string(text), "\n  publish:")
	assert.NotContains(t, build, ": write", "what a pull request starts can write")
}
