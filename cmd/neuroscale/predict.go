package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

type predictFlags struct {
	namespace, data, gateway, host, keyFile, ca string
	timeout                                     time.Duration
}

func (a *app) predictCommand() *cobra.Command {
	var f predictFlags
	var format string
	cmd := &cobra.Command{
		Use:   "predict NAME",
		Short: "Ask an endpoint for a prediction, through the gateway",
		Example: "  neuroscale predict demo-iris-2\n" +
			"  neuroscale predict demo-iris-2 --data '{\"instances\":[[5.1,3.5,1.4,0.2]]}' -o json\n" +
			"  neuroscale predict my-model -n team-b --data @request.json\n" +
			"  neuroscale predict demo-iris-2 --key-file key.txt",
		Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := a.predict(cmd.Context(), args[0], f)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, answer)
			}
			_, err = fmt.Fprintln(a.out, strings.TrimRight(answer.Body, "\n"))
			return err
		},
	}
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", config.Default().Tenants[0].Namespace, "namespace of the endpoint")
	cmd.Flags().StringVarP(&f.data, "data", "d", predict.Example, "request body: JSON, @FILE, or - for standard input")
	cmd.Flags().StringVar(&f.gateway, "gateway", "", "URL of the gateway (default: the stack's output gatewayUrl)")
	cmd.Flags().StringVar(&f.host, "host", "", "host name of the endpoint (default: from its status in the cluster)")
	cmd.Flags().StringVar(&f.ca, "ca", "", "file with the certificate authority of the gateway (default: the stack's; with --gateway and --host, this machine's)")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "file with the key to ask with (default: $NEUROSCALE_KEY, else the platform's own key)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) predict(ctx context.Context, name string, f predictFlags) (predict.Answer, error) {
	data, err := a.readData(f.data)
	if err != nil {
		return predict.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	key, err := a.ownKey(f)
	if err != nil {
		return predict.Answer{}, err
	}
	platformKey, authority, err := a.locate(ctx, name, &f)
	if err != nil {
		return predict.Answer{}, err
	}
	if f.ca != "" {
		raw, err := os.ReadFile(f.ca)
		if err != nil {
			return predict.Answer{}, fmt.Errorf("read the certificate authority (--ca %s): %w", f.ca, err)
		}
		if _, err := keypair.Ends(string(raw)); err != nil {
			return predict.Answer{}, fmt.Errorf("--ca %s: %w", f.ca, err)
		}
		authority = string(raw)
	}
	return predict.Ask(ctx, predict.NewClient(f.timeout, authority), predict.Request{
		Name: name, Gateway: f.gateway, Host: f.host, Key: cmp.Or(key, platformKey), Data: data,
	})
}

// ownKey is the key that was given for this request, if one was. It is no argument:
// those are seen by everybody on the machine.
func (a *app) ownKey(f predictFlags) (string, error) {
	if f.keyFile == "" {
		return a.getenv("NEUROSCALE_KEY"), nil
	}
	raw, err := os.ReadFile(f.keyFile)
	if err != nil {
		return "", fmt.Errorf("read the key (--key-file %s): %w", f.keyFile, err)
	}
	key := strings.TrimSpace(string(raw))
	if keys.ID(key) == "" {
		return "", fmt.Errorf("--key-file %s holds no key: write one of `neuroscale keys create` into it, which begins with %s", f.keyFile, keys.Prefix)
	}
	return key, nil
}

// locate fills in the gateway from the stack's outputs and the host from the
// cluster, unless both were given. It returns the platform's own key, which is for
// the stack's own gateway only, and its authority.
func (a *app) locate(ctx context.Context, name string, f *predictFlags) (platformKey, authority string, err error) {
	if f.gateway != "" && f.host != "" {
		return "", "", nil
	}
	out, cluster, err := a.deployed(ctx)
	if err != nil {
		return "", "", err
	}
	if f.gateway == "" {
		f.gateway, platformKey = out.GatewayURL, out.PlatformKey
	}
	if f.host != "" {
		return platformKey, out.Authority, nil
	}
	return platformKey, out.Authority, a.findHost(ctx, name, cluster, f)
}

// findHost fills in the host.
func (a *app) findHost(ctx context.Context, name string, cluster *kube.Cluster, f *predictFlags) (err error) {
	if f.host, err = predict.Endpoint(ctx, cluster.Dynamic, f.namespace, name); err == nil {
		return nil
	}
	if errors.Is(err, predict.ErrUnknown) || errors.Is(err, predict.ErrNotReady) || ctx.Err() != nil {
		return err
	}
	// Without the API server the gateway may still be there: guess the host the
	// way Knative makes it.
	cfg, cfgErr := a.config()
	if cfgErr != nil {
		return errors.Join(err, cfgErr)
	}
	f.host = predict.Host(name, f.namespace, cfg.Serving.Domain)
	a.log().Warn("the cluster cannot be asked for the endpoint's host name, using the usual one", "host", f.host, "error", err)
	return nil
}

func (a *app) readData(data string) ([]byte, error) {
	switch {
	case data == "-":
		raw, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("read the request from standard input: %w", err)
		}
		return raw, nil
	case strings.HasPrefix(data, "@"):
		raw, err := os.ReadFile(data[1:])
		if err != nil {
			return nil, fmt.Errorf("read the request (--data %s): %w", data, err)
		}
		return raw, nil
	}
	return []byte(data), nil
}
