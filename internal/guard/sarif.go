package guard

import (
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string       `json:"id"`
	ShortDescription sarifMessage `json:"shortDescription"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Level      Level           `json:"level"`
	Message    sarifMessage    `json:"message"`
	Descriptor sarifDescriptor `json:"descriptor"`
}

type sarifDescriptor struct {
	ID string `json:"id"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     Level           `json:"level"`
	Message   sarifMessage    `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	PhysicalLocation sarifPhysicalLocation `json:"physicalLocation"`
}

type sarifPhysicalLocation struct {
	ArtifactLocation sarifArtifact `json:"artifactLocation"`
	Region           *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

// descriptions are what rules that are no policies are about.
var descriptions = map[string]string{
	RuleRead:       "Manifests can be read, and mean to Argo CD what they mean to people",
	RuleNamespace:  "Objects are in a tenant's namespace",
	RuleKind:       "Objects are of kinds that tenants may merge",
	RuleSchema:     "Objects fit the schema of their kind",
	RuleKyverno:    "Kyverno's command line runs and is the pinned one",
	RuleNative:     "The API server's library can judge the object",
	RuleAccounting: "Every object is judged by every policy that has to",
	RuleProbe:      "Built-in documents get the verdicts they have to",
	RuleAgreement:  "Both engines agree",
	RuleCluster:    "The cluster would admit the object",
	RuleBase:       "What was there before can be read",
	RuleChange:     "Resources do not grow a lot without being noticed",
	RuleQuota:      "Everything fits into the tenant's quota",
}

// SARIF writes the report as SARIF 2.1.0. Findings that are about no file are
// notifications of the run.
func (r *Report) SARIF(w io.Writer) error {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{
			Name: "neuroscale-guard", InformationURI: "https://github.com/neuroscale-platform/neuroscale", Rules: []sarifRule{},
		}},
		Invocations: []sarifInvocation{{ExecutionSuccessful: r.Passed, Notifications: []sarifNotification{}}},
		Results:     []sarifResult{},
	}
	index := map[string]int{}
	for _, f := range r.Findings {
		if _, known := index[f.Rule]; !known {
			index[f.Rule] = 0
		}
	}
	driver := &run.Tool.Driver
	for _, rule := range slices.Sorted(maps.Keys(index)) {
		index[rule] = len(driver.Rules)
		driver.Rules = append(driver.Rules, sarifRule{rule, sarifMessage{cmpOr(descriptions[rule], "Policy "+rule)}})
	}
	for _, f := range r.Findings {
		text := f.Message
		if f.Object != "" {
			text = f.Object + " " + text
		}
		if f.File == "" {
			i := &run.Invocations[0]
			i.Notifications = append(i.Notifications, sarifNotification{f.Level, sarifMessage{text}, sarifDescriptor{f.Rule}})
			continue
		}
		location := sarifPhysicalLocation{ArtifactLocation: sarifArtifact{uri(f.File)}}
		if f.Line > 0 {
			location.Region = &sarifRegion{f.Line}
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: index[f.Rule], Level: f.Level, Message: sarifMessage{text},
			Locations: []sarifLocation{{location}},
		})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// uri is a path as SARIF wants it: relative to where guard ran, or absolute.
func uri(file string) string {
	u := url.URL{Path: path.Clean(file)}
	if strings.HasPrefix(u.Path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
