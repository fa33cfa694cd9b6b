package portal

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func withPostgres() *config.Config {
	c := config.Default()
	c.Portal.Database.Host, c.Portal.Database.PasswordSecret = "db.example.org", "databases/portal"
	return c
}

func TestByDefaultThePortalKeepsItsOwnFiles(t *testing.T) {
	assert.Nil(t, at(t, files(t, config.Default(), nothing)["app-config.yaml"], "backend.database"))
	r, _ := build(t, config.Default())
	for _, job := range r.Kind("Job") {
		assert.NotContains(t, job.ObjectName(), databaseCheck)
	}
}

func TestWithPostgresThePortalKeepsNothingItself(t *testing.T) {
	for mode, ssl := range map[string]any{
		config.SSLVerifyFull: map[string]any{"rejectUnauthorized": true}, config.SSLRequire: map[string]any{"rejectUnauthorized": false}, config.SSLDisable: nil,
	} {
		c := withPostgres()
		c.Portal.Database.SSLMode = mode
		text := files(t, c, nothing)["app-config.yaml"]
		assert.Equal(t, "pg", at(t, text, "backend.database.client"))
		assert.Equal(t, "schema", at(t, text, "backend.database.pluginDivisionMode"), "it would need the right to make databases")
		assert.Equal(t, "db.example.org", at(t, text, "backend.database.connection.host"))
		assert.Equal(t, "${DATABASE_PASSWORD}", at(t, text, "backend.database.connection.password"))
		assert.Equal(t, ssl, at(t, text, "backend.database.connection.ssl"), mode)
	}
}

func TestThePortalDoesNotStartBeforeItsDatabaseTakesIt(t *testing.T) {
	r, _ := build(t, withPostgres())
	job := r.Get(t, "Job", databaseCheck+"-*")
	assert.True(t, r.Waits(r.Get(t, "Application", Layer), job), "it would start again and again")
	assert.True(t, r.Waits(job, r.Get(t, "Secret", SiteSecret)))
	text, err := json.Marshal(job.Object())
	require.NoError(t, err)
	assert.Contains(t, string(text), `"secretKeyRef":{"key":"DATABASE_PASSWORD","name":"portal-site"}`)
	site := r.Get(t, "Secret", SiteSecret)
	site.AssertSecret(t, "data")
	password := base64.StdEncoding.EncodeToString([]byte("the password in databases/portal"))
	assert.Equal(t, password, recorder.At(site.Object(), "data.DATABASE_PASSWORD"))
	r.AssertNoSecretOutside(t, "the password in databases", password)
	assert.NotEmpty(t, recorder.At(job.Object(), "spec.template.metadata.annotations"), "another password is not tried")
	assert.Equal(t, "Never", recorder.At(job.Object(), "spec.template.spec.restartPolicy"), "what a try said is gone with the next")
	assert.EqualValues(t, databaseTries-1, recorder.At(job.Object(), "spec.backoffLimit"), "an update does not end")
	assert.Equal(t, "true", recorder.At(job.Object(), "metadata.annotations").(map[string]any)["pulumi.com/replaceUnready"], "a database that has been mended is not asked again")
}

// The script is run against a module of its own that answers as Postgres and the
// network do.
func TestWhatIsWrongWithTheDatabaseIsSaid(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node in PATH")
	}
	for name, test := range map[string]struct{ fails, may, says string }{
		"all is well":          {"", "true", "takes the portal"},
		"a wrong password":     {"28P01", "true", "portal.database.passwordSecret is not that of user portal"},
		"no such database":     {"3D000", "true", "there is no database backstage (neuroscale:portal.database.name)"},
		"an unknown name":      {"ENOTFOUND", "true", "the name db is unknown in the cluster"},
		"nobody listens":       {"ECONNREFUSED", "true", "nobody answers there"},
		"nobody answers":       {"timeout expired", "true", "nobody answers there in 30 seconds"},
		"no certificate":       {"SELF_SIGNED_CERT_IN_CHAIN", "true", "it said SELF_SIGNED_CERT_IN_CHAIN (neuroscale:portal.database.sslMode is verify-full)"},
		"no right to a schema": {"", "false", "may make no schema in database backstage"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "pg"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "pg", "index.js"), []byte(`
				exports.Client = class {
					constructor(o) { if (o.ssl.rejectUnauthorized !== true) throw new Error('any certificate is believed'); }
					async connect() { const code = process.env.FAILS ?? ''; if (code.includes(' ')) throw new Error(code); if (code) throw Object.assign(new Error('it said ' + code), { code }); }
					async query() { return { rows: [{ may: process.env.MAY === 'true' }] }; }
					async end() {}
				};`), 0o600))
			cmd := exec.Command(node, "database.js")
			cmd.Env = append(os.Environ(), "NODE_PATH="+dir, "PGHOST=db", "PGPORT=5432", "PGDATABASE=backstage", "PGUSER=portal",
				"SSL_MODE=verify-full", "FAILS="+test.fails, "MAY="+test.may)
			out, err := cmd.CombinedOutput()
			assert.Equal(t, name == "all is well", err == nil, "%s", out)
			assert.Contains(t, string(out), test.says)
		})
	}
}
