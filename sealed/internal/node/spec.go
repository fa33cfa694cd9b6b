package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/packages"
)

// Spec is all that a node's first process is told, as a file of its instance.
type Spec struct {
	Binaries     string `json:"binaries"`     // folder of Kubernetes' programs
	KubeRouter   string `json:"kubeRouter"`   // program that enforces NetworkPolicies
	PluginDir    string `json:"pluginDir"`    // folder of network plugins
	RegistryDir  string `json:"registryDir"`  // folder of images
	BuildLock    string `json:"buildLock"`    // file that is locked while images are built
	ObjectDir    string `json:"objectDir"`    // folder of buckets
	PauseImage   string `json:"pauseImage"`   // image of every pod's sandbox
	CoreDNSImage string `json:"coreDNSImage"` // image of the cluster DNS
}

func (i *Instance) specPath() string { return i.Path("node.json") }

func (s Spec) save(i *Instance) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode node of instance %s: %w", i.Name, err)
	}
	return writeFile(i.specPath(), append(content, '\n'), 0o644)
}

func loadSpec(i *Instance) (Spec, error) {
	var s Spec
	content, err := os.ReadFile(i.specPath())
	if err != nil {
		return s, fmt.Errorf("read node of instance %s: %w", i.Name, err)
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return s, fmt.Errorf("decode %s: %w", i.specPath(), err)
	}
	return s, nil
}

// nodeImages are those that a node itself runs, from the table of upstreams in repo.
func nodeImages(repo string) (pause, coredns string, err error) {
	path := filepath.Join(repo, "gitops", "upstream.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("read upstreams: %w", err)
	}
	var table struct {
		Upstreams map[string]struct {
			Images map[string]string `json:"images"`
		} `json:"upstreams"`
		Images map[string]string `json:"images"`
	}
	if err := yaml.Unmarshal(content, &table); err != nil {
		return "", "", fmt.Errorf("decode %s: %w", path, err)
	}
	pause, coredns = table.Images["pause"], table.Upstreams["coredns"].Images["coredns"]
	if pause == "" || coredns == "" {
		return "", "", fmt.Errorf("%s names no image `pause` or no image `coredns` of upstream coredns", path)
	}
	return pause, coredns, nil
}

// pluginDir is where this machine has its network plugins.
func pluginDir() (string, error) {
	for _, dir := range packages.PluginDirs {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no network plugin `bridge` in %s or %s: install containernetworking-plugins", packages.PluginDirs[0], packages.PluginDirs[1])
}
