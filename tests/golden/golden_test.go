package golden

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsNoAuthorityIsNotTrusted(t *testing.T) {
	for text, says := range map[string]string{
		"": "no certificate in PEM form",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "the authority: ",
	} {
		_, err := fingerprint(text)
		assert.ErrorContains(t, err, says)
	}
}

func TestWithoutABrowserItIsSaidWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), "", "")
	require.ErrorContains(t, err, "install chromium")
}
