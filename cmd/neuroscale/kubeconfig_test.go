package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestTheKubeconfigOfAClusterThatTheStackMadeIsPrintedAsItIs(t *testing.T) {
	m := newMachine(t)
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("https://gateway")})
	code, out, errout := m.run("kubeconfig", "-s", "dev")
	assert.Equal(t, 1, code, "there is none before the cluster")
	assert.Empty(t, out)
	assert.Contains(t, errout, "run `neuroscale up -s dev` first")

	m.upStack("dev")
	code, out, errout = m.run("kubeconfig", "-s", "dev")
	assert.Equal(t, 0, code, errout)
	assert.Equal(t, m.kubeconfig(), out)
}
