package github

import (
	"fmt"
	"regexp"
	"strings"
)

// UnknownToken begins what is said of a token that GitHub does not know, whoever asked.
const UnknownToken = "GitHub does not know the token"

// unknown says that of a token, by where it is from if that is known, and what GitHub said.
func unknown(from, said string) string {
	if from != "" {
		from = " in " + from
	}
	return fmt.Sprintf("%s%s (%s): it is wrong, was revoked or has expired, make another one", UnknownToken, from, said)
}

// How Pulumi's provider says what it was answered, and how of GraphQL.
var (
	provider  = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) https?://[^/ ]+(?:/api/v3)?(/\S*): (\d{3}) (.*?) \[(.*)\]$`)
	byGraphQL = regexp.MustCompile(`^non-200 OK status code: (\d{3}) (.*?) body: .*$`)
	asREST    = "POST " + API + "/graphql: $1 $2 []"
)

// OfProvider says what would help against what GitHub answered Pulumi's provider of it;
// any other message it leaves as it is.
func OfProvider(message string) string {
	m := provider.FindStringSubmatch(byGraphQL.ReplaceAllString(message, asREST))
	if m == nil {
		return message
	}
	method, path, status, said := m[1], m[2], m[3], strings.TrimSpace(m[4]+" "+m[5])
	what := fmt.Sprintf("GitHub answered %s to %s %s (%s)", status, method, path, said)
	switch status {
	case "401":
		return unknown("", said)
	case "403", "404":
		return what + ": the token may not do that, docs/github.md says what it has to"
	}
	return what
}
