package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Client limits: a stack of a few hundred objects must not wait for the client.
const (
	defaultQPS   = 200
	defaultBurst = 400
)

// config is the provider's configuration.
type config struct {
	kubeconfig        string
	context           string
	cluster           string
	namespace         string
	deleteUnreachable bool
	serverSideApply   bool
	configMapMutable  bool
	secretMutable     bool
	patchForce        bool
	client            struct {
		QPS   *float64 `json:"qps"`
		Burst *int     `json:"burst"`
	}
}

// parseConfig reads the provider's inputs. Values that are not strings arrive as
// JSON text from the SDKs; both forms are taken.
func parseConfig(inputs resource.PropertyMap) (config, error) {
	inputs = server.Plain(inputs)
	c := config{}
	var errs []error
	text := func(key resource.PropertyKey) string {
		v, ok := inputs[key]
		if !ok {
			return ""
		}
		if !v.IsString() {
			errs = append(errs, fmt.Errorf("provider input %s must be a string", key))
			return ""
		}
		return v.StringValue()
	}
	flag := func(key resource.PropertyKey, env string, fallback bool) bool {
		v, ok := inputs[key]
		switch {
		case ok && v.IsBool():
			return v.BoolValue()
		case ok && v.IsString():
			b, err := strconv.ParseBool(v.StringValue())
			if err != nil {
				errs = append(errs, fmt.Errorf("provider input %s must be true or false, not %q", key, v.StringValue()))
			}
			return b
		}
		if b, err := strconv.ParseBool(os.Getenv(env)); err == nil {
			return b
		}
		return fallback
	}
	c.kubeconfig, c.context, c.cluster, c.namespace = text("kubeconfig"), text("context"), text("cluster"), text("namespace")
	c.deleteUnreachable = flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE", false)
	if b, err := strconv.ParseBool(os.Getenv("PULUMI_K8S_DELETE_UNREACHABLE")); err == nil && b {
		// On destroy the inputs come from the state; what is asked for now wins.
		c.deleteUnreachable = true
	}
	c.serverSideApply = flag("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", true)
	c.configMapMutable = flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", false)
	c.secretMutable = flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE", false)
	c.patchForce = flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE", false)
	if text("renderYamlToDirectory") != "" {
		errs = append(errs, errors.New("provider input renderYamlToDirectory is not supported by the stand-in for the Kubernetes provider: install the real plugin"))
	}
	if raw, ok := inputs["kubeClientSettings"]; ok {
		data := []byte(nil)
		if raw.IsString() {
			data = []byte(raw.StringValue())
		} else {
			data, _ = json.Marshal(raw.Mappable())
		}
		if err := json.Unmarshal(data, &c.client); err != nil {
			errs = append(errs, fmt.Errorf("provider input kubeClientSettings: %w", err))
		}
	}
	return c, errors.Join(errs...)
}

// restConfig finds the cluster: from kubeconfig contents, from a kubeconfig
// file, or as kubectl would. It also returns the namespace objects go to when
// they name none.
func (c config) restConfig() (*rest.Config, string, error) {
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.context}
	if c.cluster != "" {
		overrides.Context.Cluster = c.cluster
	}
	if c.namespace != "" {
		overrides.Context.Namespace = c.namespace
	}
	var loader clientcmd.ClientConfig
	switch path, isFile := kubeconfigFile(c.kubeconfig); {
	case c.kubeconfig == "":
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), overrides)
	case isFile:
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, overrides)
	default:
		// The parser's message may quote the contents, which are secret.
		parsed, err := clientcmd.Load([]byte(c.kubeconfig))
		if err != nil || len(parsed.Clusters) == 0 {
			return nil, "", errors.New("provider input kubeconfig is neither an existing file nor the contents of a kubeconfig")
		}
		loader = clientcmd.NewDefaultClientConfig(*parsed, overrides)
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	cfg.QPS, cfg.Burst = defaultQPS, defaultBurst
	if c.client.QPS != nil {
		cfg.QPS = float32(*c.client.QPS)
	}
	if c.client.Burst != nil {
		cfg.Burst = *c.client.Burst
	}
	cfg.UserAgent = "pulumi-kubernetes-stand-in"
	return cfg, namespace, nil
}

func kubeconfigFile(value string) (string, bool) {
	if value == "" || strings.ContainsAny(value, "\n{") {
		return "", false
	}
	if rest, ok := strings.CutPrefix(value, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			value = filepath.Join(home, rest)
		}
	}
	info, err := os.Stat(value)
	return value, err == nil && !info.IsDir()
}
