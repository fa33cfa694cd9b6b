package cluster

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
)

// registrySuffix makes the names of the registry's container and volume of the cluster's.
const registrySuffix = "-registry"

// The registry's image listens here, keeps what it is given there, and reads passwords.
const (
	registryPort      = 5000
	registryData      = "/var/lib/registry"
	registryPasswords = "/etc/neuroscale/htpasswd"
)

// registryUser is whom it lets push and pull: pods reach it as well, and whoever could
// push would be the platform's programs.
const registryUser = "neuroscale"

// registryHealthySeconds is how long the registry may take to answer.
const registryHealthySeconds = 60

// registryAddress is the last of the subnet, where no node is.
func (a *DockerArgs) registryAddress() string {
	subnet := netip.MustParsePrefix(a.Settings.Subnet).Masked()
	last := subnet.Addr().As4()
	for bit := subnet.Bits(); bit < 32; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(last).Prev().String()
}

// registryHost is where nodes ask it.
func (a *DockerArgs) registryHost() string {
	return fmt.Sprintf("%s:%d", a.registryAddress(), registryPort)
}

// mirrors are those of the settings, after the registry with what is built here: a node
// asks the others for what that one does not have.
func (a *DockerArgs) mirrors() []config.Mirror {
	if len(a.Builds) == 0 {
		return a.Settings.Mirrors
	}
	own := config.Mirror{Registry: ownimages.Registry, Endpoint: "http://" + a.registryHost()}
	return append([]config.Mirror{own}, a.Settings.Mirrors...)
}

// engineHost is where the engine asks it.
func (a *DockerArgs) engineHost() string {
	return fmt.Sprintf("%s:%d", loopback, a.Settings.RegistryPort)
}

// pushed is where the engine has an image for the nodes: its reference, in the registry
// that the engine reaches on loopback.
func (a *DockerArgs) pushed(b ownimages.Build) string {
	return a.engineHost() + "/" + strings.TrimPrefix(b.Reference, ownimages.Registry+"/")
}

// images are built while the cluster starts, and pushed to a registry of its own.
func (b *builder) images(network *docker.Network) error {
	if len(b.args.Builds) == 0 {
		return nil
	}
	registry, err := b.registry(network)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	for _, own := range b.args.Builds {
		build := docker.DockerBuildArgs{
			Context: pulumi.String(own.Context), Dockerfile: pulumi.String(own.Dockerfile),
			// No stage reads it. A registry that is made anew has nothing, and is pushed
			// everything by that.
			Args: pulumi.StringMap{"REGISTRY": registry.ID().ToStringOutput()},
		}
		if own.Target != "" {
			build.Target = pulumi.String(own.Target)
		}
		image, err := docker.NewImage(b.ctx, b.name+"-"+own.Name, &docker.ImageArgs{
			ImageName: pulumi.String(b.args.pushed(own)), Build: build,
			Registry: docker.RegistryArgs{
				Server: pulumi.String(b.args.engineHost()), Username: pulumi.String(registryUser), Password: b.password.Result,
			},
		}, b.parent, b.engine, pulumi.DependsOn([]pulumi.Resource{registry}))
		if err != nil {
			return fmt.Errorf("image %s: %w", own.Name, err)
		}
		b.built = append(b.built, image)
	}
	return nil
}

func (b *builder) registry(network *docker.Network) (*docker.Container, error) {
	own, logical := b.args.Name+registrySuffix, b.name+registrySuffix
	var err error
	if b.password, err = random.NewRandomPassword(b.ctx, logical, &random.RandomPasswordArgs{Length: pulumi.Int(48), Special: pulumi.Bool(false)}, b.parent); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	volume, err := b.volume(logical, own)
	if err != nil {
		return nil, err
	}
	image, err := b.image(logical, b.args.RegistryImage)
	if err != nil {
		return nil, err
	}
	return docker.NewContainer(b.ctx, logical, &docker.ContainerArgs{
		Name: pulumi.String(own), Hostname: pulumi.String(own), Image: image.ImageId, Restart: pulumi.String("unless-stopped"),
		Envs: pulumi.ToStringArray([]string{
			"REGISTRY_AUTH=htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM=" + own, "REGISTRY_AUTH_HTPASSWD_PATH=" + registryPasswords,
			// The image of 3.0.0 looks for somebody who collects traces.
			"OTEL_TRACES_EXPORTER=none",
		}),
		Uploads: docker.ContainerUploadArray{docker.ContainerUploadArgs{
			File: pulumi.String(registryPasswords), Content: pulumi.Sprintf("%s:%s\n", registryUser, b.password.BcryptHash),
		}},
		NetworksAdvanced: docker.ContainerNetworksAdvancedArray{docker.ContainerNetworksAdvancedArgs{
			Name: network.Name, Ipv4Address: pulumi.String(b.args.registryAddress()),
		}},
		Ports:   docker.ContainerPortArray{publish(registryPort, b.args.Settings.RegistryPort)},
		Volumes: docker.ContainerVolumeArray{docker.ContainerVolumeArgs{VolumeName: volume.Name, ContainerPath: pulumi.String(registryData)}},
		Labels:  docker.ContainerLabelArray{docker.ContainerLabelArgs{Label: pulumi.String(Label), Value: pulumi.String(b.args.Name)}},
		// At / it asks for no password.
		Healthcheck: docker.ContainerHealthcheckArgs{
			Tests:    pulumi.ToStringArray([]string{"CMD", "wget", "-q", "-O", "/dev/null", fmt.Sprintf("http://%s:%d/", loopback, registryPort)}),
			Interval: pulumi.String("5s"), Timeout: pulumi.String("5s"), StartPeriod: pulumi.String("0s"), Retries: pulumi.Int(10),
		},
		MustRun: pulumi.Bool(true), Wait: pulumi.Bool(true), WaitTimeout: pulumi.Int(registryHealthySeconds), DestroyGraceSeconds: pulumi.Int(0),
	}, b.parent, b.engine, pulumi.DeleteBeforeReplace(true))
}
