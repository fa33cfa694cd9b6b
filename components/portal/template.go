package portal

import "fmt"

// createTemplate is the form that asks for an endpoint: what it offers and takes is
// what the command `neuroscale new endpoint` does.
func createTemplate(s site) map[string]any {
	var tenants []any
	maxReplicas := 0
	for _, t := range s.Tenants {
		tenants = append(tenants, t.Namespace)
		maxReplicas = max(maxReplicas, t.Replicas.Max)
	}
	var sizes, sizeNames []any
	for _, name := range s.order {
		sizes = append(sizes, name)
		sizeNames = append(sizeNames, describeSize(s, name))
	}
	var formats []any
	for _, format := range s.Rules.Formats {
		formats = append(formats, format)
	}
	first := ""
	if len(s.Tenants) > 0 {
		first = s.Tenants[0].Namespace
	}
	return map[string]any{
		"apiVersion": "scaffolder.backstage.io/v1beta3",
		"kind":       "Template",
		"metadata": map[string]any{
			"name": "kserve-model-endpoint", "title": "Serve a model",
			"description": "Opens a pull request with an HTTP endpoint that answers with the predictions of a model. Merged, it answers seconds later.",
			"tags":        formats,
		},
		"spec": map[string]any{
			"owner": "group:default/" + first,
			"type":  "endpoint",
			// A portal that is started again meanwhile goes on where it was.
			"EXPERIMENTAL_recovery":       map[string]any{"EXPERIMENTAL_strategy": "startOver"},
			"EXPERIMENTAL_formDecorators": []any{map[string]any{"id": "forge-token"}},
			"parameters": []any{
				map[string]any{
					"title":    "The model",
					"required": []any{"tenant", "name", "modelFormat", "storageUri"},
					"ui:order": []any{"tenant", "name", "modelFormat", "storageUri"},
					"properties": map[string]any{
						"tenant": map[string]any{
							"title": "Tenant", "type": "string", "enum": tenants, "ui:field": "Tenant",
							"description": "Whose endpoint it is, and who pays",
						},
						"name": map[string]any{
							"title": "Name", "type": "string", "pattern": s.Rules.Name.Pattern, "maxLength": s.Rules.Name.MaxLength,
							"description":  fmt.Sprintf("Small letters, digits and -, beginning with a letter, at most %d characters", s.Rules.Name.MaxLength),
							"ui:autofocus": true,
						},
						"modelFormat": map[string]any{
							"title": "Kind of model", "type": "string", "enum": formats, "default": formats[0],
						},
						"storageUri": map[string]any{
							"title": "Where it is", "type": "string", "maxLength": s.Rules.StorageURI.MaxLength,
							"pattern":        schemePattern(s.Rules.StorageURI.Schemes),
							"description":    "Such as gs://kfserving-examples/models/sklearn/1.0/model",
							"ui:placeholder": "gs://bucket/path",
						},
					},
				},
				map[string]any{
					"title":    "Size and replicas",
					"required": []any{"size", "minReplicas", "maxReplicas"},
					"ui:order": []any{"size", "minReplicas", "maxReplicas"},
					"properties": map[string]any{
						"size": map[string]any{
							"title": "Size of each replica", "type": "string", "enum": sizes, "enumNames": sizeNames,
							"default": sizes[0], "ui:widget": "radio",
						},
						"minReplicas": map[string]any{
							"title": "Replicas at least", "type": "integer", "minimum": 0, "maximum": maxReplicas, "default": 1,
							"description": "0 runs nothing until somebody asks; the first answer then takes some seconds",
						},
						"maxReplicas": map[string]any{
							"title": "Replicas at most", "type": "integer", "minimum": 1, "maximum": maxReplicas, "default": 2,
						},
					},
				},
			},
			"steps": []any{map[string]any{
				"id": "propose", "name": "Open the pull request", "action": "neuroscale:endpoint:create",
				"input": map[string]any{
					"tenant": parameter("tenant"), "name": parameter("name"),
					"modelFormat": parameter("modelFormat"), "storageUri": parameter("storageUri"),
					"size": parameter("size"), "minReplicas": parameter("minReplicas"), "maxReplicas": parameter("maxReplicas"),
				},
			}},
			"output": map[string]any{"links": []any{map[string]any{
				"title": "Pull request", "url": "${{ steps.propose.output.url }}",
			}}},
		},
	}
}

func parameter(name string) string { return "${{ parameters." + name + " }}" }

func describeSize(s site, name string) string {
	size := s.Sizes[name]
	return fmt.Sprintf("%s: asks for %s CPU and %s, uses at most %s CPU and %s; %.2f %s a month", name,
		size.Requests.CPU, size.Requests.Memory, size.Limits.CPU, size.Limits.Memory, s.Prices.Monthly[name], s.Prices.Currency)
}

func schemePattern(schemes []string) string {
	pattern := "^("
	for i, scheme := range schemes {
		if i > 0 {
			pattern += "|"
		}
		pattern += scheme
	}
	return pattern + `)://[A-Za-z0-9._~%+=,@:/-]+$`
}
