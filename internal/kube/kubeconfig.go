package kube

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Source says which kubeconfig is meant: that of an Owner, else the file Path, else the files
// in $KUBECONFIG, merged the way kubectl does, else ~/.kube/config.
type Source struct {
	// Text is a whole kubeconfig, Owner where it is from, such as "in the outputs
	// of stack ci".
	Text, Owner string
	Path        string
	// Context of it; empty means its current one.
	Context string
	// Getenv reads the environment; nil means os.Getenv.
	Getenv func(string) string
}

// Kubeconfig is one context of a kubeconfig. It needs no other file.
type Kubeconfig struct {
	// Source is where it was read, for messages.
	Source string
	// Context is its name, Text the kubeconfig with this one only.
	Context, Text string
	// Server is the API server's URL, Host the host in it.
	Server, Host string
	// Authority is the certificate that signed the API server's, if it is known.
	Authority []byte
}

// Load reads a kubeconfig. What is wrong with it is an error of one sentence.
func Load(s Source) (*Kubeconfig, error) {
	config, source, err := s.read()
	if err != nil {
		return nil, err
	}
	if s.Context != "" {
		config.CurrentContext = s.Context
	}
	current, ok := config.Contexts[config.CurrentContext]
	switch {
	case len(config.Contexts) == 0:
		return nil, fmt.Errorf("the kubeconfig %s names no cluster: point KUBECONFIG or neuroscale:cluster.kubeconfig at one that does", source)
	case config.CurrentContext == "":
		return nil, fmt.Errorf("the kubeconfig %s has no current context: set neuroscale:cluster.context to one of %s", source, contexts(config))
	case !ok:
		return nil, fmt.Errorf("the kubeconfig %s has no context %q: set neuroscale:cluster.context to one of %s", source, config.CurrentContext, contexts(config))
	}
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		return nil, fmt.Errorf("the kubeconfig %s is incomplete (%w): write it anew", source, err)
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return nil, fmt.Errorf("the kubeconfig %s names a file that cannot be read (%w): write it anew", source, err)
	}
	cluster, ok := config.Clusters[current.Cluster]
	if !ok {
		return nil, fmt.Errorf("the kubeconfig %s is incomplete (context %q has no cluster): write it anew", source, config.CurrentContext)
	}
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Hostname() == "" {
		return nil, fmt.Errorf("the kubeconfig %s has the server %q: write a URL such as https://host:6443", source, cluster.Server)
	}
	text, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s cannot be written again: %w", source, err)
	}
	return &Kubeconfig{
		Source: source, Context: config.CurrentContext, Text: string(text), Server: cluster.Server, Host: server.Hostname(),
		Authority: cluster.CertificateAuthorityData,
	}, nil
}

// read is the kubeconfig with all its contexts, and where it was read.
func (s Source) read() (config *clientcmdapi.Config, source string, err error) {
	if s.Text != "" || s.Owner != "" {
		config, err = clientcmd.Load([]byte(s.Text))
		source = s.Owner
	} else {
		rules := clientcmd.ClientConfigLoadingRules{ExplicitPath: s.Path, Precedence: s.files()}
		source = strings.Join(s.files(), ", ")
		if !slices.ContainsFunc(s.files(), exists) {
			return nil, source, fmt.Errorf("the kubeconfig %s does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG to one that does "+
				"(on a sealed machine: eval \"$(sealed env)\")", source)
		}
		config, err = rules.Load()
	}
	if err != nil {
		return nil, source, fmt.Errorf("the kubeconfig %s cannot be read (%w): point KUBECONFIG or neuroscale:cluster.kubeconfig at a good one", source, err)
	}
	return config, source, nil
}

func (s Source) files() []string {
	getenv := s.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	switch list := getenv(clientcmd.RecommendedConfigPathEnvVar); {
	case s.Path != "":
		return []string{s.Path}
	case list != "":
		return filepath.SplitList(list)
	}
	return []string{filepath.Join(getenv("HOME"), clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName)}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, os.ErrNotExist)
}

func contexts(config *clientcmdapi.Config) string {
	return strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", ")
}

// REST is how a client reaches the API server.
func (k *Kubeconfig) REST() (*rest.Config, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(k.Text))
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s names no usable cluster: %w", k.Source, err)
	}
	return config, nil
}

// Unreachable is that the API server does not answer, because of reason.
func (k *Kubeconfig) Unreachable(reason error) error {
	return fmt.Errorf("the cluster at %s of the kubeconfig %s does not answer (%w): start it, or point KUBECONFIG or neuroscale:cluster.kubeconfig at one that runs",
		k.Server, k.Source, reason)
}
