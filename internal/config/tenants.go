package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// platformRepository is the forge's repository that only the program writes.
const platformRepository = "platform"

// What the platform adds to the pod of every InferenceService has to be within a
// tenant's limits, or none of them ever starts.
var (
	// SidecarRequest is the smallest request in it: that of Knative's queue-proxy.
	SidecarRequest = Shares{CPU: "10m", Memory: "32Mi", EphemeralStorage: "32Mi"}
	// InitializerLimit is the greatest limit in it: that of KServe's storage
	// initializer, which fetches the model. Of disk it names none.
	InitializerLimit = Amounts{CPU: "1", Memory: "512Mi"}
	// SidecarDisk is the greatest limit of disk in it: that of Knative's queue-proxy.
	SidecarDisk = "256Mi"
)

// ServicesOfInferenceService is how many Services one has whose only component is a
// predictor, while one revision takes another's place: KServe's, the Route's and two
// for each revision.
const ServicesOfInferenceService = 6

// reservedPrefixes are of namespaces that are no tenant's: the cluster's own and
// what the platform makes for itself beside its layers.
var reservedPrefixes = []string{"kube-", "neuroscale-"}

func (v *checker) tenants(tenants []Tenant, organization string) {
	if len(tenants) == 0 {
		v.refuse("tenants", tenants, "at least one tenant, with namespace, owner, costCenter and repositories")
	}
	namespaces, repositories := map[string]string{}, map[string]string{}
	for i, t := range tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		v.tenantNamespace(at+".namespace", t.Namespace, namespaces)
		v.labelValue(at+".owner", t.Owner)
		v.labelValue(at+".costCenter", t.CostCenter)
		if len(t.Repositories) == 0 {
			v.refuse(at+".repositories", []string{}, "at least one repository, such as "+t.Namespace+"-endpoints")
		}
		for j, repository := range t.Repositories {
			v.repository(fmt.Sprintf("%s.repositories[%d]", at, j), repository, repositories)
		}
		v.members(at+".members", t.Members, organization)
		v.mergers(at, t)
		v.egress(at+".egress", t.Egress)
		v.modelAccess(at+".modelAccess.", t.ModelAccess)
		v.tenantQuota(at, t)
		v.containerLimits(at+".limits.", t.Limits)
		if t.Quota.InferenceServices > 0 {
			v.additions(at+".limits.", t.Limits)
		}
	}
}

func (v *checker) modelAccess(at string, a ModelAccess) {
	taken := map[string]string{}
	for i, secret := range a.Secrets {
		field := fmt.Sprintf("%ssecrets[%d]", at, i)
		if problems := validation.IsDNS1123Subdomain(secret); len(problems) > 0 {
			v.refuse(field, secret, "the name of a Secret: "+problems[0])
			continue
		}
		v.unique(field, secret, taken)
	}
	v.annotations(at+"annotations.", a.Annotations)
}

func (v *checker) tenantNamespace(field, value string, taken map[string]string) {
	if !v.label(field, value) {
		return
	}
	reserved := slices.Contains(v.reserved, value) || slices.ContainsFunc(reservedPrefixes,
		func(prefix string) bool { return strings.HasPrefix(value, prefix) })
	if reserved {
		v.refuse(field, value, "another name, this one is the platform's or the cluster's own")
		return
	}
	v.unique(field, value, taken)
}

// repository wants a DNS label, which is less than Gitea takes: the name becomes
// part of those of Kubernetes objects.
func (v *checker) repository(field, value string, taken map[string]string) {
	if !v.label(field, value) {
		return
	}
	if value == platformRepository {
		v.refuse(field, value, "another name, this one is the platform's own")
		return
	}
	v.unique(field, value, taken)
}

// memberName is what Gitea takes for a name, without capitals, dots and underscores.
var memberName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// longestMember is how long Gitea lets a name be.
const longestMember = 40

// reservedMembers are accounts of the platform, Argo CD's administrator, and names
// that Gitea gives nobody.
var reservedMembers = []string{
	"ops", "argocd", "platform-writer", "guard", "admin",
	"api", "assets", "attachments", "avatar", "avatars", "captcha", "explore", "ghost", "gitea-actions", "issues",
	"login", "metrics", "milestones", "notifications", "org", "pulls", "repo", "repo-avatars", "user", "v2",
}

func (v *checker) members(at string, members []string, organization string) {
	taken := map[string]string{}
	for i, member := range members {
		field := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case len(member) > longestMember || !memberName.MatchString(member):
			v.refuse(field, member, fmt.Sprintf("small letters, digits and single -, at most %d, beginning and ending with a letter or digit", longestMember))
		case slices.Contains(reservedMembers, member):
			v.refuse(field, member, "another name, this one is the platform's or the forge's own")
		case member == organization:
			v.refuse(field, member, fmt.Sprintf("another name, %s:forge.organization has this one", Namespace))
		default:
			v.unique(field, member, taken)
		}
	}
}

// mergers are members, and enough of them: nobody approves what is his own.
func (v *checker) mergers(at string, t Tenant) {
	taken := map[string]string{}
	for i, merger := range t.Mergers {
		field := fmt.Sprintf("%s.mergers[%d]", at, i)
		if !slices.Contains(t.Members, merger) {
			v.refuse(field, merger, fmt.Sprintf("one of %s:%s.members: %s", Namespace, at, strings.Join(t.Members, ", ")))
			continue
		}
		v.unique(field, merger, taken)
	}
	if most := max(len(t.MayMerge())-1, 0); t.Approvals > most {
		v.refuse(at+".approvals", t.Approvals, fmt.Sprintf("at most %d: there are %d who merge, and nobody approves what is his own", most, len(t.MayMerge())))
	}
}

func (v *checker) unique(field, value string, taken map[string]string) {
	if other, ok := taken[value]; ok {
		v.refuse(field, value, fmt.Sprintf("another name, %s:%s has this one", Namespace, other))
		return
	}
	taken[value] = field
}

func (v *checker) labelValue(field, value string) {
	if value == "" || len(validation.IsValidLabelValue(value)) > 0 {
		v.refuse(field, value, "letters, digits, -, _ and ., at most 63, beginning and ending with a letter or digit")
	}
}

func (v *checker) tenantQuota(at string, t Tenant) {
	q := t.Quota
	if q.Pods < 1 {
		v.refuse(at+".quota.pods", q.Pods, "a number of pods, at least 1")
	}
	if q.InferenceServices < 0 {
		v.refuse(at+".quota.inferenceServices", q.InferenceServices, "a number of InferenceServices, at least 0")
	}
	if q.Deployments < max(q.InferenceServices, 0) {
		v.refuse(at+".quota.deployments", q.Deployments, fmt.Sprintf("at least %d, each of quota.inferenceServices takes one", max(q.InferenceServices, 0)))
	}
	if least := ServicesOfInferenceService * max(q.InferenceServices, 0); q.Services < least {
		v.refuse(at+".quota.services", q.Services, fmt.Sprintf("at least %d, each of quota.inferenceServices takes %d while it is updated",
			least, ServicesOfInferenceService))
	}
	if q.ConfigMaps < 1 {
		v.refuse(at+".quota.configMaps", q.ConfigMaps, "a number of ConfigMaps, at least 1: Kubernetes puts one into every namespace")
	}
	for _, count := range []struct {
		field, what string
		value       int
	}{
		{"services", "Services", q.Services}, {"secrets", "Secrets", q.Secrets},
		{"volumeClaims", "PersistentVolumeClaims", q.VolumeClaims}, {"applications", "folders", q.Applications},
	} {
		if count.value < 0 {
			v.refuse(at+".quota."+count.field, count.value, "a number of "+count.what+", at least 0")
		}
	}
	v.quantity(at+".quota.storage", q.Storage)
	// What the namespace has must be enough for one container of the greatest
	// size, or that size is a promise nobody can keep.
	v.ascending(at+".",
		named{"limits.defaultRequest", t.Limits.DefaultRequest}, named{"quota.requests", q.Requests}, named{"quota.limits", q.Limits})
	v.ascending(at+".", named{"limits.max", t.Limits.Max}, named{"quota.limits", q.Limits})
}

func (v *checker) containerLimits(at string, l ContainerLimits) {
	v.ascending(at, named{"min", l.Min}, named{"defaultRequest", l.DefaultRequest}, named{"default", l.Default}, named{"max", l.Max})
}

// additions refuses limits that keep out what the platform adds to the pods of
// InferenceServices.
func (v *checker) additions(at string, l ContainerLimits) {
	for _, bound := range []struct{ field, value, bound, write string }{
		{"min.cpu", l.Min.CPU, SidecarRequest.CPU, "at most %s, which Knative's queue-proxy asks for"},
		{"min.memory", l.Min.Memory, SidecarRequest.Memory, "at most %s, which Knative's queue-proxy asks for"},
		{"min.ephemeralStorage", l.Min.EphemeralStorage, SidecarRequest.EphemeralStorage, "at most %s, which Knative's queue-proxy asks for"},
		{"max.cpu", l.Max.CPU, InitializerLimit.CPU, "at least %s, which KServe's storage initializer may use"},
		{"max.memory", l.Max.Memory, InitializerLimit.Memory, "at least %s, which KServe's storage initializer may use"},
		{"max.ephemeralStorage", l.Max.EphemeralStorage, SidecarDisk, "at least %s, which Knative's queue-proxy may use"},
	} {
		value, err := resource.ParseQuantity(bound.value)
		if err != nil {
			continue // refused by containerLimits
		}
		over := value.Cmp(resource.MustParse(bound.bound))
		if strings.HasPrefix(bound.field, "min.") && over > 0 || strings.HasPrefix(bound.field, "max.") && over < 0 {
			v.refuse(at+bound.field, bound.value, fmt.Sprintf(bound.write, bound.bound)+": no InferenceService would start")
		}
	}
}

type named struct {
	field  string
	shares Shares
}

// ascending refuses amounts that are no quantities, or greater than the next.
func (v *checker) ascending(at string, list ...named) {
	for _, resourceName := range []string{"cpu", "memory", "ephemeralStorage"} {
		var last resource.Quantity
		var lastField, lastText string
		for _, each := range list {
			text := each.shares.CPU
			switch resourceName {
			case "memory":
				text = each.shares.Memory
			case "ephemeralStorage":
				text = each.shares.EphemeralStorage
			}
			field := at + each.field + "." + resourceName
			q, ok := v.quantity(field, text)
			if !ok {
				continue
			}
			if lastField != "" && last.Cmp(q) > 0 {
				v.refuse(lastField, lastText, fmt.Sprintf("at most %s (%s:%s), or raise that", text, Namespace, field))
			}
			last, lastField, lastText = q, field, text
		}
	}
}
