package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

type containerInputs struct {
	Name                string            `json:"name"`
	Image               string            `json:"image"`
	Hostname            string            `json:"hostname"`
	Entrypoints         []string          `json:"entrypoints"`
	Command             []string          `json:"command"`
	Envs                []string          `json:"envs"`
	User                string            `json:"user"`
	Labels              []label           `json:"labels"`
	Privileged          bool              `json:"privileged"`
	Init                bool              `json:"init"`
	CgroupnsMode        string            `json:"cgroupnsMode"`
	Restart             string            `json:"restart"`
	Memory              int64             `json:"memory"` // MiB
	MemorySwap          int64             `json:"memorySwap"`
	Cpus                string            `json:"cpus"`
	Tmpfs               map[string]string `json:"tmpfs"`
	NetworksAdvanced    []attachment      `json:"networksAdvanced"`
	Ports               []port            `json:"ports"`
	Volumes             []volume          `json:"volumes"`
	Mounts              []bind            `json:"mounts"`
	Uploads             []upload          `json:"uploads"`
	Healthcheck         *healthcheck      `json:"healthcheck"`
	MustRun             bool              `json:"mustRun"`
	Wait                bool              `json:"wait"`
	WaitTimeout         int               `json:"waitTimeout"`
	DestroyGraceSeconds int               `json:"destroyGraceSeconds"`
	StopTimeout         int               `json:"stopTimeout"`
	RemoveVolumes       bool              `json:"removeVolumes"`
}

type attachment struct {
	Name        string   `json:"name"`
	Ipv4Address string   `json:"ipv4Address"`
	Aliases     []string `json:"aliases"`
}

type port struct {
	Internal int    `json:"internal"`
	External int    `json:"external"`
	IP       string `json:"ip"`
	Protocol string `json:"protocol"`
}

type volume struct {
	VolumeName    string `json:"volumeName"`
	HostPath      string `json:"hostPath"`
	ContainerPath string `json:"containerPath"`
	ReadOnly      bool   `json:"readOnly"`
}

type bind struct {
	Type     string `json:"type"`
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly"`
}

type upload struct {
	File        string `json:"file"`
	Content     string `json:"content"`
	Executable  bool   `json:"executable"`
	Permissions string `json:"permissions"`
}

type healthcheck struct {
	Tests       []string `json:"tests"`
	Interval    string   `json:"interval"`
	Timeout     string   `json:"timeout"`
	StartPeriod string   `json:"startPeriod"`
	Retries     int      `json:"retries"`
}

func (e *engine) container() server.Managed {
	return server.Managed{
		Fields: server.Fields{
			"name":                {Kind: server.String, Required: true},
			"image":               {Kind: server.String, Required: true},
			"hostname":            {Kind: server.String},
			"entrypoints":         {Kind: server.StringList},
			"command":             {Kind: server.StringList},
			"envs":                {Kind: server.StringList},
			"user":                {Kind: server.String},
			"labels":              {Kind: server.ObjectList},
			"privileged":          {Kind: server.Bool},
			"init":                {Kind: server.Bool},
			"cgroupnsMode":        {Kind: server.String},
			"restart":             {Kind: server.String, Default: "no"},
			"memory":              {Kind: server.Int},
			"memorySwap":          {Kind: server.Int},
			"cpus":                {Kind: server.String},
			"tmpfs":               {Kind: server.StringMap},
			"networksAdvanced":    {Kind: server.ObjectList},
			"ports":               {Kind: server.ObjectList},
			"volumes":             {Kind: server.ObjectList},
			"mounts":              {Kind: server.ObjectList},
			"uploads":             {Kind: server.ObjectList},
			"healthcheck":         {Kind: server.Object},
			"mustRun":             {Kind: server.Bool, Default: true},
			"wait":                {Kind: server.Bool, Default: false},
			"waitTimeout":         {Kind: server.Int, Default: float64(60)},
			"destroyGraceSeconds": {Kind: server.Int},
			"stopTimeout":         {Kind: server.Int},
			"removeVolumes":       {Kind: server.Bool, Default: true},
		},
		Outputs: []string{"bridge", "exitCode", "networkDatas"},
		Check: shape(func(in containerInputs) []server.Failure {
			if _, err := in.config(); err != nil {
				return []server.Failure{{Reason: err.Error()}}
			}
			return nil
		}),
		InPlace: []string{"memory", "memorySwap", "restart", "mustRun", "wait", "waitTimeout", "destroyGraceSeconds", "removeVolumes"},
		Create:  e.createContainer,
		Read: func(ctx context.Context, id string, _ server.Values) (map[string]any, error) {
			found, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
			if err != nil {
				return nil, gone(err)
			}
			return observed(found.Container), nil
		},
		Update: func(ctx context.Context, id string, v server.Values) (map[string]any, error) {
			var in containerInputs
			if err := v.Decode(&in); err != nil {
				return nil, err
			}
			config, err := in.config()
			if err != nil {
				return nil, err
			}
			_, err = e.api.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{
				Resources:     &container.Resources{Memory: config.HostConfig.Memory, MemorySwap: config.HostConfig.MemorySwap},
				RestartPolicy: &config.HostConfig.RestartPolicy,
			})
			return nil, err
		},
		Delete: func(ctx context.Context, id string, state server.Values) error {
			if grace := state.Int("destroyGraceSeconds"); grace > 0 {
				if _, err := e.api.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &grace}); err != nil {
					return gone(err)
				}
			}
			_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: state.Bool("removeVolumes")})
			return gone(err)
		},
	}
}

// createContainer makes it, fills it, starts it and waits for it. One that does not
// get so far is removed; the last lines it printed are in the error.
func (e *engine) createContainer(ctx context.Context, v server.Values) (string, map[string]any, error) {
	var in containerInputs
	if err := v.Decode(&in); err != nil {
		return "", nil, err
	}
	config, err := in.config()
	if err != nil {
		return "", nil, err
	}
	made, err := e.api.ContainerCreate(ctx, config)
	if err != nil {
		return "", nil, err
	}
	outputs, err := e.begin(ctx, made.ID, in)
	if err != nil {
		// The request may be at its end; what it made is removed all the same.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		said := e.lastLines(end, made.ID)
		_, removed := e.api.ContainerRemove(end, made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: in.RemoveVolumes})
		return "", nil, errors.Join(fmt.Errorf("%w%s", err, said), removed)
	}
	return made.ID, outputs, nil
}

func (e *engine) begin(ctx context.Context, id string, in containerInputs) (map[string]any, error) {
	for _, n := range in.NetworksAdvanced[min(1, len(in.NetworksAdvanced)):] {
		endpoint, err := n.endpoint()
		if err != nil {
			return nil, err
		}
		if _, err := e.api.NetworkConnect(ctx, n.Name, client.NetworkConnectOptions{Container: id, EndpointConfig: endpoint}); err != nil {
			return nil, err
		}
	}
	for _, u := range in.Uploads {
		archive, err := u.archive()
		if err != nil {
			return nil, err
		}
		if _, err := e.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: archive}); err != nil {
			return nil, fmt.Errorf("uploading %s: %w", u.File, err)
		}
	}
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return nil, err
	}
	return e.await(ctx, id, in)
}

// await waits until the container runs and, with wait, is healthy.
func (e *engine) await(ctx context.Context, id string, in containerInputs) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.WaitTimeout)*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err == nil {
			state := found.Container.State
			switch {
			case !in.MustRun:
				return observed(found.Container), nil
			case !state.Running:
				return nil, fmt.Errorf("the container ended with exit code %d", state.ExitCode)
			case !in.Wait, state.Health != nil && state.Health.Status == container.Healthy:
				return observed(found.Container), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("the container is not healthy after %d s", in.WaitTimeout)
		}
	}
}

// lastLines of what the container printed, to explain its end.
func (e *engine) lastLines(ctx context.Context, id string) string {
	logs, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	raw, _ := io.ReadAll(io.LimitReader(logs, 4096))
	// Every line has eight bytes of the stream's before it.
	text := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == '\uFFFD') {
			return -1
		}
		return r
	}, string(raw)))
	if text == "" {
		return ""
	}
	return "; it printed: " + text
}

// observed is what the state has of a container beside its inputs.
func observed(c container.InspectResponse) map[string]any {
	networks := []any{}
	if c.NetworkSettings != nil {
		for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
			n := c.NetworkSettings.Networks[name]
			if n == nil || !n.IPAddress.IsValid() {
				continue
			}
			networks = append(networks, map[string]any{
				"networkName": name, "ipAddress": n.IPAddress.String(), "ipPrefixLength": float64(n.IPPrefixLen), "gateway": n.Gateway.String(),
			})
		}
	}
	exit := 0
	if c.State != nil {
		exit = c.State.ExitCode
	}
	return map[string]any{"bridge": "", "exitCode": float64(exit), "networkDatas": networks}
}

func (a attachment) endpoint() (*network.EndpointSettings, error) {
	s := &network.EndpointSettings{Aliases: a.Aliases}
	if a.Ipv4Address != "" {
		address, err := netip.ParseAddr(a.Ipv4Address)
		if err != nil {
			return nil, fmt.Errorf("networksAdvanced: %w", err)
		}
		s.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: address}
	}
	return s, nil
}

// config is the whole of it as the engine wants it.
func (in containerInputs) config() (client.ContainerCreateOptions, error) {
	none := client.ContainerCreateOptions{}
	c := &container.Config{
		Hostname: in.Hostname, User: in.User, Env: in.Envs, Cmd: in.Command, Entrypoint: in.Entrypoints, Image: in.Image, Labels: labelMap(in.Labels),
	}
	if in.StopTimeout > 0 {
		c.StopTimeout = &in.StopTimeout
	}
	h := &container.HostConfig{
		Privileged: in.Privileged, CgroupnsMode: container.CgroupnsMode(in.CgroupnsMode), Tmpfs: in.Tmpfs,
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(in.Restart)},
	}
	if in.Init {
		h.Init = &in.Init
	}
	const mib = 1 << 20
	h.Memory, h.MemorySwap = in.Memory*mib, in.MemorySwap*mib
	if in.MemorySwap == -1 {
		h.MemorySwap = -1
	}
	if in.Cpus != "" {
		cpus, err := strconv.ParseFloat(in.Cpus, 64)
		if err != nil {
			return none, fmt.Errorf("cpus: %w", err)
		}
		h.NanoCPUs = int64(cpus * 1e9)
	}
	if err := in.publish(c, h); err != nil {
		return none, err
	}
	for _, v := range in.Volumes {
		source := v.VolumeName
		if source == "" {
			source = v.HostPath
		}
		mode := "rw"
		if v.ReadOnly {
			mode = "ro"
		}
		h.Binds = append(h.Binds, source+":"+v.ContainerPath+":"+mode)
	}
	for _, m := range in.Mounts {
		h.Mounts = append(h.Mounts, mount.Mount{Type: mount.Type(m.Type), Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	if in.Healthcheck != nil {
		check := &container.HealthConfig{Test: in.Healthcheck.Tests, Retries: in.Healthcheck.Retries}
		for _, d := range []struct {
			text string
			to   *time.Duration
		}{{in.Healthcheck.Interval, &check.Interval}, {in.Healthcheck.Timeout, &check.Timeout}, {in.Healthcheck.StartPeriod, &check.StartPeriod}} {
			if d.text == "" {
				continue
			}
			var err error
			if *d.to, err = time.ParseDuration(d.text); err != nil {
				return none, fmt.Errorf("healthcheck: %w", err)
			}
		}
		c.Healthcheck = check
	}
	options := client.ContainerCreateOptions{Config: c, HostConfig: h, Name: in.Name}
	if len(in.NetworksAdvanced) > 0 {
		first := in.NetworksAdvanced[0]
		endpoint, err := first.endpoint()
		if err != nil {
			return none, err
		}
		h.NetworkMode = container.NetworkMode(first.Name)
		options.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{first.Name: endpoint}}
	}
	return options, nil
}

func (in containerInputs) publish(c *container.Config, h *container.HostConfig) error {
	for _, p := range in.Ports {
		protocol := p.Protocol
		if protocol == "" {
			protocol = "tcp"
		}
		inside, err := network.ParsePort(fmt.Sprintf("%d/%s", p.Internal, protocol))
		if err != nil {
			return fmt.Errorf("ports: %w", err)
		}
		binding := network.PortBinding{}
		if p.External > 0 {
			binding.HostPort = strconv.Itoa(p.External)
		}
		if p.IP != "" {
			if binding.HostIP, err = netip.ParseAddr(p.IP); err != nil {
				return fmt.Errorf("ports: %w", err)
			}
		}
		if c.ExposedPorts == nil {
			c.ExposedPorts, h.PortBindings = network.PortSet{}, network.PortMap{}
		}
		c.ExposedPorts[inside] = struct{}{}
		h.PortBindings[inside] = append(h.PortBindings[inside], binding)
	}
	return nil
}

// archive is the file with the folders it is in, which a new volume does not have.
func (u upload) archive() (io.Reader, error) {
	mode := int64(0o644)
	if u.Executable {
		mode = 0o744
	}
	if u.Permissions != "" {
		var err error
		if mode, err = strconv.ParseInt(u.Permissions, 8, 32); err != nil {
			return nil, fmt.Errorf("uploads: permissions of %s: %w", u.File, err)
		}
	}
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	name := strings.TrimPrefix(path.Clean(u.File), "/")
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(u.Content))}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, u.Content); err != nil {
		return nil, err
	}
	return &text, w.Close()
}
