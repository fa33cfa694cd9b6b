package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatAKilledRunLeftIsRemovedAndNothingElse(t *testing.T) {
	const ours = "neuroscale-dev\nneuroscale-dev-agent-1\n"
	for name, test := range map[string]struct {
		token, resource string
		want            []string
	}{
		"a container":         {containerType, "neuroscale-dev", []string{"ps -a --format {{.Names}} --filter label=" + Label, "rm -f -v neuroscale-dev"}},
		"a network":           {networkType, "neuroscale-dev", []string{"network ls --format {{.Name}} --filter label=" + Label, "network rm neuroscale-dev"}},
		"one that is gone":    {containerType, "neuroscale-dev-agent", []string{"ps -a --format {{.Names}} --filter label=" + Label}},
		"a volume is taken":   {volumeType, "neuroscale-dev", nil},
		"nothing of Docker's": {"kubernetes:core/v1:Namespace", "neuroscale-dev", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			err := removeAbandoned(t.Context(), func(_ context.Context, args ...string) (string, error) {
				calls = append(calls, strings.Join(args, " "))
				return ours, nil
			}, test.token, test.resource)
			require.NoError(t, err)
			assert.Equal(t, test.want, calls)
		})
	}
	err := removeAbandoned(t.Context(), func(_ context.Context, args ...string) (string, error) {
		if args[0] == "rm" {
			return "", errors.New("permission denied")
		}
		return ours, nil
	}, containerType, "neuroscale-dev")
	assert.EqualError(t, err, "remove what a run that was killed left (docker rm -f -v neuroscale-dev): permission denied")
}
