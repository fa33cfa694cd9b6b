package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keyring"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// keyReport is what is shown of a key. Key is only there when it is made.
type keyReport struct {
	ID        string     `json:"id"`
	Key       string     `json:"key,omitempty"`
	Tenant    string     `json:"tenant"`
	Endpoints []string   `json:"endpoints,omitempty"`
	Created   time.Time  `json:"created"`
	Expires   *time.Time `json:"expires,omitempty"`
	Expired   bool       `json:"expired"`
	// RequestsPerMinute is 0 if there is no limit.
	RequestsPerMinute int    `json:"requestsPerMinute"`
	Note              string `json:"note,omitempty"`
}

func reportKey(k keys.Key, now time.Time) keyReport {
	r := keyReport{
		ID: k.ID, Tenant: k.Tenant, Endpoints: k.Endpoints, Created: k.Created, Expired: k.Expired(now),
		RequestsPerMinute: k.RequestsPerMinute, Note: k.Note,
	}
	if !k.Expires.IsZero() {
		r.Expires = &k.Expires
	}
	return r
}

type keyFlags struct {
	tenant    string
	endpoints []string
	expires   string
	perMinute int
	note      string
}

func (a *app) keysCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke the keys that open endpoints",
		Example: "  neuroscale keys create --tenant default --note laptop\n" +
			"  neuroscale keys list\n" +
			"  neuroscale keys revoke k3yabcde",
	}, a.keysCreateCommand(), a.keysListCommand(), a.keysRevokeCommand())
}

func (a *app) keysCreateCommand() *cobra.Command {
	var f keyFlags
	var format string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key and show it, once",
		Example: "  neuroscale keys create --tenant default\n" +
			"  neuroscale keys create --tenant default --endpoint demo-iris-2,my-iris --expires 7d --requests-per-minute 60 --note ci\n" +
			"  neuroscale keys create --tenant default -o json",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, token, err := a.createKey(cmd.Context(), f)
			if err != nil {
				return err
			}
			if format == "json" {
				report := reportKey(k, time.Now())
				report.Key = token
				return writeJSON(a.out, report)
			}
			if _, err := fmt.Fprintln(a.out, token); err != nil {
				return err
			}
			what := "all endpoints"
			if len(k.Endpoints) > 0 {
				what = strings.Join(k.Endpoints, ", ")
			}
			fmt.Fprintf(a.err, "key %s opens %s of %s until %s, %d requests a minute; it is not shown again\n",
				k.ID, what, k.Tenant, k.Expires.Format(time.DateOnly), k.RequestsPerMinute)
			return nil
		},
	}
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "namespace of the tenant whose endpoints it opens (needed)")
	cmd.Flags().StringSliceVar(&f.endpoints, "endpoint", nil, "endpoints it opens (default: all of the tenant's)")
	cmd.Flags().StringVar(&f.expires, "expires", days(keys.DefaultLife), "how long it is valid, such as 90d or 12h")
	cmd.Flags().IntVar(&f.perMinute, "requests-per-minute", 0, "the most it may ask (default: the setting serving.keyRequestsPerMinute)")
	cmd.Flags().StringVar(&f.note, "note", "", "what it is for")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

// Bounds of what people may ask for.
const (
	maxKeyLife = 10 * 365 * 24 * time.Hour
	maxNote    = 200
)

func (f keyFlags) key(cfg *config.Config, now time.Time) (keys.Key, error) {
	var none keys.Key
	tenants := cfg.Namespaces()
	if f.tenant == "" {
		return none, fmt.Errorf("--tenant is missing: write one of %s", strings.Join(tenants, ", "))
	}
	if !slices.Contains(tenants, f.tenant) {
		return none, fmt.Errorf("--tenant %s is none%s: there are %s", f.tenant, nearest.Hint(f.tenant, tenants), strings.Join(tenants, ", "))
	}
	for _, e := range f.endpoints {
		if len(validation.IsDNS1123Label(e)) > 0 {
			return none, fmt.Errorf("--endpoint %q is no name of an endpoint: write small letters, digits and -", e)
		}
	}
	life, err := parseLife(f.expires)
	if err != nil {
		return none, err
	}
	limit := cmp.Or(f.perMinute, cfg.Serving.KeyRequestsPerMinute)
	if limit < 1 || limit > config.MaxRequestsPerMinute {
		return none, fmt.Errorf("--requests-per-minute is %d: write a number from 1 to %d", limit, config.MaxRequestsPerMinute)
	}
	if len(f.note) > maxNote {
		return none, fmt.Errorf("--note has %d characters: write at most %d", len(f.note), maxNote)
	}
	return keys.Key{
		Tenant: f.tenant, Endpoints: f.endpoints, RequestsPerMinute: limit, Note: f.note,
		Expires: now.Add(life).UTC().Truncate(time.Second),
	}, nil
}

// parseLife reads a time like 90d, which Go has no word for, or 12h.
func parseLife(text string) (time.Duration, error) {
	var d time.Duration
	var err error
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(number)
		d = time.Duration(min(n, 1e5)) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d < time.Second || d > maxKeyLife {
		return 0, fmt.Errorf("--expires is %q: write a time from 1s to %s, such as 90d or 12h", text, days(maxKeyLife))
	}
	return d, nil
}

func days(d time.Duration) string { return fmt.Sprintf("%dd", int(d/(24*time.Hour))) }

func (a *app) createKey(ctx context.Context, f keyFlags) (keys.Key, string, error) {
	cfg, err := a.config()
	if err != nil {
		return keys.Key{}, "", err
	}
	wanted, err := f.key(cfg, time.Now())
	if err != nil {
		return keys.Key{}, "", err
	}
	_, cluster, err := a.deployed(ctx)
	if err != nil {
		return keys.Key{}, "", err
	}
	k, token := keys.New(wanted, time.Now())
	return k, token, keyring.Add(ctx, cluster.Dynamic, k)
}

func (a *app) keysListCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys there are, without what opens",
		Example: "  neuroscale keys list\n  neuroscale keys list -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, cluster, err := a.deployed(cmd.Context())
			if err != nil {
				return err
			}
			store, bad := keyring.List(cmd.Context(), cluster.Dynamic)
			if store == nil {
				return bad
			}
			reports := []keyReport{}
			for _, k := range store.Sorted() {
				reports = append(reports, reportKey(k, time.Now()))
			}
			if format == "json" {
				err = writeJSON(a.out, reports)
			} else {
				err = printKeys(a.out, reports)
			}
			return cmp.Or(err, bad)
		},
	}
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func printKeys(w io.Writer, list []keyReport) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there are no keys: make one with `neuroscale keys create`")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTENANT\tENDPOINTS\tCREATED\tEXPIRES\tPER MINUTE\tNOTE")
	for _, k := range list {
		endpoints, expires, limit := "all", "never", "no limit"
		if len(k.Endpoints) > 0 {
			endpoints = strings.Join(k.Endpoints, ",")
		}
		if k.Expires != nil {
			expires = k.Expires.Format(time.DateOnly)
		}
		if k.Expired {
			expires += " (expired)"
		}
		if k.RequestsPerMinute > 0 {
			limit = strconv.Itoa(k.RequestsPerMinute)
		}
		// Quoted, a note cannot write to the terminal or begin a line.
		note := ""
		if k.Note != "" {
			note = strconv.Quote(k.Note)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, endpoints, k.Created.Format(time.DateOnly), expires, limit, note)
	}
	return t.Flush()
}

func (a *app) keysRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID...",
		Short:   "Revoke keys: they open nothing a second later",
		Example: "  neuroscale keys revoke k3yabcde\n  neuroscale keys revoke k3yabcde k3yfghij",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("keys revoke needs at least one ID: `neuroscale keys list` shows them")
			}
			for _, id := range args {
				if strings.HasPrefix(id, keys.Prefix) {
					return fmt.Errorf("this is a whole key: give only its ID, %s, and keep the rest out of command lines", cmp.Or(keys.ID(id), "the part between the underscores"))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, ids []string) error {
			_, cluster, err := a.deployed(cmd.Context())
			if err != nil {
				return err
			}
			if err := keyring.Revoke(cmd.Context(), cluster.Dynamic, ids...); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "revoked: %s\n", strings.Join(ids, ", "))
			return err
		},
	}
}
