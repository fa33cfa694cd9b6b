package portal

import "fmt"

// longestFolder is what the name of a folder may have in characters.
const longestFolder = 255

// Forms that ask for an endpoint, for a change of one, and for its end, by the names of
// their templates.
const (
	CreateForm = "kserve-model-endpoint"
	ChangeForm = "change-endpoint"
	RemoveForm = "remove-endpoint"
)

func templates(s site) []map[string]any {
	f := newFields(s)
	return []map[string]any{
		f.template(CreateForm, "Serve a model",
			"Opens a pull request with an HTTP endpoint that answers with the predictions of a model. Merged, it answers seconds later.",
			"create",
			page("The model", all, f.newName(), f.format(true), f.uri(true)),
			page("Size and replicas", all, f.size(true), f.least(true), f.most(true))),
		f.template(ChangeForm, "Change an endpoint",
			"Opens a pull request with what is to be otherwise. The old version answers until the new one does.",
			"change",
			page("The endpoint", 1, f.name()),
			page("What is to be otherwise", 0, f.format(false), f.uri(false), f.size(false), f.least(false), f.most(false))),
		f.template(RemoveForm, "Remove an endpoint",
			"Opens a pull request that removes an endpoint. Merged, nothing of it runs any more.",
			"remove",
			page("The endpoint", all, f.name())),
	}
}

// fields of forms: what they offer and take is what the command `neuroscale new
// endpoint` does.
type fields struct {
	site
	tenants     []any
	formats     []any
	sizes       []any
	sizeNames   []any
	maxReplicas int
}

// field is one of a form.
type field struct {
	name   string
	schema map[string]any
}

func newFields(s site) fields {
	f := fields{site: s}
	for _, t := range s.Tenants {
		f.tenants = append(f.tenants, t.Namespace)
		f.maxReplicas = max(f.maxReplicas, t.Replicas.Max)
	}
	for _, name := range s.order {
		f.sizes, f.sizeNames = append(f.sizes, name), append(f.sizeNames, describeSize(s, name))
	}
	for _, format := range s.Rules.Formats {
		f.formats = append(f.formats, format)
	}
	return f
}

func (f fields) tenant() field {
	return field{"tenant", map[string]any{
		"title": "Tenant", "type": "string", "enum": f.tenants, "ui:field": "Tenant",
		"description": "Whose endpoint it is, and who pays",
	}}
}

func (f fields) newName() field {
	return field{"name", map[string]any{
		"title": "Name", "type": "string", "pattern": f.Rules.Name.Pattern, "maxLength": f.Rules.Name.MaxLength,
		"description":  fmt.Sprintf("Small letters, digits and -, beginning with a letter, at most %d characters", f.Rules.Name.MaxLength),
		"ui:autofocus": true,
	}}
}

// name is that of a folder that is there, whoever made it.
func (f fields) name() field {
	return field{"name", map[string]any{
		"title": "Name", "type": "string", "maxLength": longestFolder, "ui:field": "Endpoint",
		"description": "That of its folder in the repository",
	}}
}

func (f fields) format(must bool) field {
	schema := map[string]any{"title": "Kind of model", "type": "string", "enum": f.formats}
	return field{"modelFormat", asItIs(schema, must, f.formats[0])}
}

func (f fields) uri(must bool) field {
	return field{"storageUri", asItIs(map[string]any{
		"title": "Where it is", "type": "string", "maxLength": f.Rules.StorageURI.MaxLength,
		"pattern":        schemePattern(f.Rules.StorageURI.Schemes),
		"description":    "Such as gs://kfserving-examples/models/sklearn/1.0/model",
		"ui:placeholder": "gs://bucket/path",
	}, must, nil)}
}

func (f fields) size(must bool) field {
	return field{"size", asItIs(map[string]any{
		"title": "Size of each replica", "type": "string", "enum": f.sizes, "enumNames": f.sizeNames, "ui:widget": "radio",
	}, must, f.sizes[0])}
}

func (f fields) least(must bool) field {
	return field{"minReplicas", asItIs(map[string]any{
		"title": "Replicas at least", "type": "integer", "minimum": 0, "maximum": f.maxReplicas,
		"description": "0 runs nothing until somebody asks; the first answer then takes some seconds",
	}, must, 1)}
}

func (f fields) most(must bool) field {
	return field{"maxReplicas", asItIs(map[string]any{
		"title": "Replicas at most", "type": "integer", "minimum": 1, "maximum": f.maxReplicas,
	}, must, 2)}
}

// asItIs is a field with a value to begin with, or one that may be left empty.
func asItIs(schema map[string]any, must bool, value any) map[string]any {
	switch {
	case !must:
		schema["description"] = "Empty: as it is"
		delete(schema, "ui:placeholder")
	case value != nil:
		schema["default"] = value
	}
	return schema
}

// all fields of a page have to be filled in.
const all = -1

// step is a page of a form, whose first fields have to be filled in.
type step struct {
	title  string
	must   int
	fields []field
}

func page(title string, must int, fields ...field) step {
	if must == all {
		must = len(fields)
	}
	return step{title, must, fields}
}

// template is a form whose answers an action of the portal's gets. Its first page
// asks for the tenant, too.
func (f fields) template(name, title, description, action string, pages ...step) map[string]any {
	pages[0].fields, pages[0].must = append([]field{f.tenant()}, pages[0].fields...), pages[0].must+1
	var parameters []any
	input := map[string]any{}
	for _, p := range pages {
		required, order, properties := []any{}, []any{}, map[string]any{}
		for i, field := range p.fields {
			if i < p.must {
				required = append(required, field.name)
			}
			order = append(order, field.name)
			properties[field.name] = field.schema
			input[field.name] = parameter(field.name)
		}
		parameters = append(parameters, map[string]any{
			"title": p.title, "required": required, "ui:order": order, "properties": properties,
		})
	}
	owner := ""
	if len(f.Tenants) > 0 {
		owner = "group:default/" + f.Tenants[0].Namespace
	}
	return map[string]any{
		"apiVersion": "scaffolder.backstage.io/v1beta3",
		"kind":       "Template",
		"metadata":   map[string]any{"name": name, "title": title, "description": description, "tags": f.formats},
		"spec": map[string]any{
			"owner": owner,
			"type":  "endpoint",
			// A portal that is started again meanwhile goes on where it was.
			"EXPERIMENTAL_recovery":       map[string]any{"EXPERIMENTAL_strategy": "startOver"},
			"EXPERIMENTAL_formDecorators": []any{map[string]any{"id": "forge-token"}},
			"parameters":                  parameters,
			"steps": []any{map[string]any{
				"id": "propose", "name": "Open the pull request", "action": "neuroscale:endpoint:" + action, "input": input,
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
