package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/forward"
)

func TestForwardsAreThoseThatAreNamedOrAll(t *testing.T) {
	all := []forward.Target{
		{Name: "gateway", Namespace: "g", Service: "s", Port: 80, LocalPort: 8082}, {Name: "forge", Namespace: "f", Service: "s", Port: 3000, LocalPort: 8083},
	}
	some, err := named(all, []string{"forge"})
	require.NoError(t, err)
	assert.Equal(t, []forward.Target{{Name: "forge", Namespace: "f", Service: "s", Port: 3000, LocalPort: 8083}}, some)
	every, err := named(all, nil)
	require.NoError(t, err)
	assert.Len(t, every, 2)
	_, err = named(all, []string{"gatway"})
	assert.EqualError(t, err, `nothing is called "gatway" (did you mean "gateway"?): there are gateway, forge`)
}

func TestATakenPortIsSaidBesideTheOneThatIsUsed(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printForwards(&out, []forwardReport{
		{Name: "forge", URL: "http://127.0.0.1:8084", InsteadOf: 8083, TakenBy: "gitea (process 7)", SignIn: signIn["forge"]},
	}))
	assert.Regexp(t, "^forge +http://127.0.0.1:8084 +`neuroscale passwords` +instead of 8083, which gitea \\(process 7\\) has\n$", out.String())
}

func TestForwardNeedsAPlatform(t *testing.T) {
	m := newMachine(t)
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, errout := m.run("forward")
	assert.Equal(t, 1, code)
	assert.Empty(t, out)
	assert.Contains(t, errout, "stack ci has no state")
}
