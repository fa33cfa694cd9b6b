package main

import (
	"encoding/json"
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
)

func TestTheListOfChecksNeedsNoPlatform(t *testing.T) {
	m := newMachine(t)
	code, out, errout := m.run("verify", "--list", "-o", "json")
	require.Equal(t, 0, code, errout)
	var listed []listedCheck
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	var ids []string
	for _, c := range listed {
		ids = append(ids, c.ID)
	}
	assert.Equal(t, check.IDs((&verify.Platform{}).Checks()), ids)
	code, out, _ = m.run("verify", "--list", "--only", "d1,B")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "D1  Kyverno runs\n")
	assert.NotContains(t, out, "A1")
}

func TestAnIDThatIsNoneIsSaidBeforeAnythingIsAsked(t *testing.T) {
	code, _, errout := newMachine(t).run("verify", "--only", "A1,D11")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, `neuroscale: --only D11 is no check (did you mean "D1"?): there are A1, A2`)
}

func TestVerifyFailsIfOneCheckDoes(t *testing.T) {
	m := newMachine(t)
	m.well()
	code, out, errout := m.run("verify", "--only", "A3,B2", "-o", "json")
	assert.Equal(t, 0, code, out+errout)
	var report check.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, report.Well)
	assert.Equal(t, 2, report.Passed)

	m.services["broken"] = `{"conditions":[{"type":"PredictorReady","status":"False","message":"image not found"}]}`
	code, out, errout = m.run("verify", "--only", "A3,B2", "-o", "junit")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "neuroscale: stack ci is not well: 1 of 2 checks failed, 0 were skipped")
	var suite struct {
		Failures int `xml:"failures,attr"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out), &suite))
	assert.Equal(t, 1, suite.Failures)
}
