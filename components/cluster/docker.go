package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
)

// Label is on everything a cluster in Docker is made of; its value is the name of the
// cluster.
const Label = "io.neuroscale.cluster"

// apiPort is that of the API server inside the container.
const apiPort = 6443

// loopback is where ports are published.
const loopback = "127.0.0.1"

// healthySeconds is how long a node may take to become ready, its image apart.
const healthySeconds = 300

// DockerArgs of a cluster in Docker.
type DockerArgs struct {
	// Name of the server's container, of the network and the volumes.
	Name string
	// Settings of the stack.
	Settings config.Cluster
	// Image of the distribution, with version or digest.
	Image string
	// Host is how the engine is reached, as in DOCKER_HOST; empty means the usual way.
	Host string
	// Ports of nodes are published on loopback under the same number.
	Ports []config.NodePort
	// Pulled are images that only a registry has: nothing is made before it has them.
	Pulled []string
	// Builds are images that are built beside the cluster, by an engine that gets Bases.
	// The nodes pull them from a registry, which RegistryImage is the image of.
	Builds        []ownimages.Build
	Bases         []string
	RegistryImage string
	// Preflight tells what keeps the cluster from running on the engine; nil means to
	// look.
	Preflight func(ctx context.Context, want Wanted) error
}

// address of a node's container: the gateway has the first one of the subnet.
func (a *DockerArgs) address(node int) string {
	address := netip.MustParsePrefix(a.Settings.Subnet).Addr()
	for range node + 2 {
		address = address.Next()
	}
	return address.String()
}

func (a *DockerArgs) gateway() string {
	return netip.MustParsePrefix(a.Settings.Subnet).Addr().Next().String()
}

func (a *DockerArgs) validate() error {
	if a == nil {
		return errors.New("cluster: no Args")
	}
	var problems []error
	if a.Name == "" {
		problems = append(problems, errors.New("cluster: Name is empty"))
	}
	if a.Image == "" {
		problems = append(problems, errors.New("cluster: Image is empty"))
	}
	if len(a.Builds) > 0 && a.RegistryImage == "" {
		problems = append(problems, errors.New("cluster: RegistryImage is empty, and there are Builds"))
	}
	if _, ok := distributions[a.Settings.Distribution]; !ok {
		problems = append(problems, fmt.Errorf("cluster: there is no distribution %q", a.Settings.Distribution))
	}
	if _, err := netip.ParsePrefix(a.Settings.Subnet); err != nil {
		problems = append(problems, fmt.Errorf("cluster: Subnet: %w", err))
	}
	return errors.Join(problems...)
}

// wanted is what the engine has to have room for.
func (a *DockerArgs) wanted() Wanted {
	return Wanted{Cluster: a.Name, Ports: append(a.Settings.LocalPorts(), a.Ports...), CPUs: a.Settings.CPUs, Memory: a.Settings.MemoryBytes(),
		Inotify: distributions[a.Settings.Distribution].inotify, Pulled: a.Pulled, Bases: a.Bases}
}

// Docker makes a cluster in Docker. Its kubeconfig is composed of certificates that
// were made before it, so nothing is read back out of the containers. In a preview
// nothing is asked of the engine.
func Docker(ctx *pulumi.Context, name string, args *DockerArgs, opts ...pulumi.ResourceOption) (*Cluster, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	preflight := args.Preflight
	if preflight == nil {
		preflight = Preflight
	}
	if !ctx.DryRun() {
		if err := preflight(ctx.Context(), args.wanted()); err != nil {
			return nil, err
		}
	}
	c := &Cluster{Address: args.Settings.Address}
	if c.Address == "" {
		c.Address = loopback
	}
	if err := ctx.RegisterComponentResource(Token, name, c, opts...); err != nil {
		return nil, err
	}
	b := builder{ctx: ctx, name: name, args: args, of: distributions[args.Settings.Distribution], parent: pulumi.Parent(c)}
	kubeconfig, err := b.identities()
	if err != nil {
		return nil, fmt.Errorf("cluster: certificates: %w", err)
	}
	engine, err := docker.NewProvider(ctx, name, b.provider(), b.parent)
	if err != nil {
		return nil, fmt.Errorf("cluster: Docker's provider: %w", err)
	}
	b.engine = pulumi.Provider(engine)
	if err := b.containers(); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c.Lifetime = b.server
	// Whoever has the kubeconfig may use it at once, with images that are there.
	c.Kubeconfig = pulumi.ToSecret(pulumi.All(b.ready(kubeconfig)...).ApplyT(func(all []any) string { return all[0].(string) })).(pulumi.StringOutput)
	c.Provider, err = kubernetes.NewProvider(ctx, name, providerArgs(c.Kubeconfig, args.Settings.DeleteUnreachable, args.Name), b.parent,
		pulumi.DeletedWith(b.server), pulumi.DependsOn(b.built))
	if err != nil {
		return nil, fmt.Errorf("cluster: provider: %w", err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"kubeconfig": c.Kubeconfig, "address": pulumi.String(c.Address)})
}

// builder holds what parts of a cluster in Docker need of each other.
type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *DockerArgs
	of     distribution
	parent pulumi.ResourceOption
	engine pulumi.ResourceOption // of what is in it

	uploads docker.ContainerUploadArray
	server  *docker.Container
	built   []pulumi.Resource
	// password is the registry's of what is built; nil without.
	password *random.RandomPassword
}

// ready is the kubeconfig and what it is of no use without. An update knows the IDs
// beforehand, of an image that is built anew as well.
func (b *builder) ready(kubeconfig pulumi.StringOutput) []any {
	all := []any{kubeconfig, b.server.ID()}
	for _, image := range b.built {
		all = append(all, image.(*docker.Image).ID())
	}
	return all
}

// provider is told the engine that the docker command takes, which the plugin would not
// find by itself if that is one of a context.
func (b *builder) provider() *docker.ProviderArgs {
	args := &docker.ProviderArgs{}
	if b.args.Host != "" {
		args.Host = pulumi.String(b.args.Host)
	}
	return args
}

// authority signs certificates.
type authority struct{ cert, key pulumi.StringOutput }

// validHours is ten years: a cluster in Docker is thrown away long before.
const validHours = 10 * 365 * 24

func (b *builder) key(name string) (*tls.PrivateKey, error) {
	return tls.NewPrivateKey(b.ctx, b.name+"-"+name, &tls.PrivateKeyArgs{Algorithm: pulumi.String("ECDSA"), EcdsaCurve: pulumi.String("P256")}, b.parent)
}

// authority is made and put into the server's container at path.
func (b *builder) authority(name, path string) (*authority, error) {
	key, err := b.key(name)
	if err != nil {
		return nil, err
	}
	cert, err := tls.NewSelfSignedCert(b.ctx, b.name+"-"+name, &tls.SelfSignedCertArgs{
		PrivateKeyPem: key.PrivateKeyPem, IsCaCertificate: pulumi.Bool(true), ValidityPeriodHours: pulumi.Int(validHours),
		AllowedUses: pulumi.ToStringArray([]string{"cert_signing", "crl_signing", "digital_signature"}),
		Subject:     tls.SelfSignedCertSubjectArgs{CommonName: pulumi.String(b.args.Name + "-" + name)},
	}, b.parent)
	if err != nil {
		return nil, err
	}
	b.uploads = append(b.uploads,
		docker.ContainerUploadArgs{File: pulumi.String(path + ".crt"), Content: cert.CertPem, Permissions: pulumi.String("0644")},
		docker.ContainerUploadArgs{File: pulumi.String(path + ".key"), Content: key.PrivateKeyPem, Permissions: pulumi.String("0600")})
	return &authority{cert.CertPem, key.PrivateKeyPem}, nil
}

// identities are the authorities of the cluster, and the kubeconfig of its
// administrator, whom one of them signs.
func (b *builder) identities() (pulumi.StringOutput, error) {
	none := pulumi.StringOutput{}
	servers, err := b.authority("server-ca", b.of.servers)
	if err != nil {
		return none, err
	}
	clients := servers
	if b.of.clients != b.of.servers {
		if clients, err = b.authority("client-ca", b.of.clients); err != nil {
			return none, err
		}
	}
	if _, err := b.authority("front-proxy-ca", b.of.frontProxy); err != nil {
		return none, err
	}
	key, err := b.key("admin")
	if err != nil {
		return none, err
	}
	request, err := tls.NewCertRequest(b.ctx, b.name+"-admin", &tls.CertRequestArgs{
		PrivateKeyPem: key.PrivateKeyPem,
		Subject:       tls.CertRequestSubjectArgs{CommonName: pulumi.String("neuroscale-admin"), Organization: pulumi.String("system:masters")},
	}, b.parent)
	if err != nil {
		return none, err
	}
	cert, err := tls.NewLocallySignedCert(b.ctx, b.name+"-admin", &tls.LocallySignedCertArgs{
		CertRequestPem: request.CertRequestPem, CaPrivateKeyPem: clients.key, CaCertPem: clients.cert,
		AllowedUses: pulumi.ToStringArray([]string{"digital_signature", "key_encipherment", "client_auth"}), ValidityPeriodHours: pulumi.Int(validHours),
	}, b.parent)
	if err != nil {
		return none, err
	}
	server := fmt.Sprintf("https://%s:%d", loopback, b.args.Settings.APIPort)
	return pulumi.All(servers.cert, cert.CertPem, key.PrivateKeyPem).ApplyT(func(pem []any) string {
		return composed(b.args.Name, server, pem[0].(string), pem[1].(string), pem[2].(string))
	}).(pulumi.StringOutput), nil
}

// composed is a kubeconfig with everything in it.
func composed(name, server, authority, cert, key string) string {
	data := func(pem string) string { return base64.StdEncoding.EncodeToString([]byte(pem)) }
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: %[1]s
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: admin
users:
- name: admin
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, name, server, data(authority), data(cert), data(key))
}

func (b *builder) containers() error {
	network, err := docker.NewNetwork(b.ctx, b.name, &docker.NetworkArgs{
		Name: pulumi.String(b.args.Name), Driver: pulumi.String("bridge"),
		IpamConfigs: docker.NetworkIpamConfigArray{docker.NetworkIpamConfigArgs{
			Subnet: pulumi.String(b.args.Settings.Subnet), Gateway: pulumi.String(b.args.gateway()),
		}},
		Labels: docker.NetworkLabelArray{docker.NetworkLabelArgs{Label: pulumi.String(Label), Value: pulumi.String(b.args.Name)}},
	}, b.parent, b.engine, pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	image, err := b.image(b.name, b.args.Image)
	if err != nil {
		return err
	}
	if err := b.images(network); err != nil {
		return err
	}
	var token pulumi.StringOutput
	if b.args.Settings.Agents > 0 {
		password, err := random.NewRandomPassword(b.ctx, b.name+"-token", &random.RandomPasswordArgs{Length: pulumi.Int(48), Special: pulumi.Bool(false)}, b.parent)
		if err != nil {
			return fmt.Errorf("token of the agents: %w", err)
		}
		token = password.Result
	}
	b.uploads = append(b.uploads, b.files()...)
	for i := range b.args.Settings.Agents + 1 {
		container, err := b.container(i, network, image, token)
		if err != nil {
			return err
		}
		if i == 0 {
			b.server = container
		}
	}
	return nil
}

// image of a container stays for the next cluster.
func (b *builder) image(logical, name string) (*docker.RemoteImage, error) {
	image, err := docker.NewRemoteImage(b.ctx, logical, &docker.RemoteImageArgs{
		Name: pulumi.String(name), KeepLocally: pulumi.Bool(true),
	}, b.parent, b.engine)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	return image, nil
}

func (b *builder) volume(logical, own string) (*docker.Volume, error) {
	volume, err := docker.NewVolume(b.ctx, logical, &docker.VolumeArgs{
		Name:   pulumi.String(own),
		Labels: docker.VolumeLabelArray{docker.VolumeLabelArgs{Label: pulumi.String(Label), Value: pulumi.String(b.args.Name)}},
	}, b.parent, b.engine)
	if err != nil {
		return nil, fmt.Errorf("volume %s: %w", own, err)
	}
	return volume, nil
}

func (b *builder) container(i int, network *docker.Network, image *docker.RemoteImage, token pulumi.StringOutput) (*docker.Container, error) {
	settings, own, logical := b.args.Settings, b.args.Name, b.name
	if i > 0 {
		suffix := fmt.Sprintf("-agent-%d", i)
		own, logical = own+suffix, logical+suffix
	}
	volume, err := b.volume(logical, own)
	if err != nil {
		return nil, err
	}
	mebibytes := int(settings.MemoryBytes() >> 20)
	args := &docker.ContainerArgs{
		Name: pulumi.String(own), Hostname: pulumi.String(own),
		// By its ID: by its name the container would be made anew by every update.
		Image: image.ImageId,
		// It makes containers of its own.
		Privileged: pulumi.Bool(true), CgroupnsMode: pulumi.String(cgroupNamespace), Restart: pulumi.String("unless-stopped"),
		Memory: pulumi.Int(mebibytes), MemorySwap: pulumi.Int(mebibytes),
		Tmpfs: pulumi.ToStringMap(b.of.tmpfs),
		NetworksAdvanced: docker.ContainerNetworksAdvancedArray{docker.ContainerNetworksAdvancedArgs{
			Name: network.Name, Ipv4Address: pulumi.String(b.args.address(i)),
		}},
		Volumes: docker.ContainerVolumeArray{docker.ContainerVolumeArgs{VolumeName: volume.Name, ContainerPath: pulumi.String(b.of.data)}},
		Labels:  docker.ContainerLabelArray{docker.ContainerLabelArgs{Label: pulumi.String(Label), Value: pulumi.String(b.args.Name)}},
		MustRun: pulumi.Bool(true), DestroyGraceSeconds: pulumi.Int(0),
	}
	if len(b.of.entrypoint) > 0 {
		args.Entrypoints = pulumi.ToStringArray(b.of.entrypoint)
	}
	if settings.CPUs > 0 {
		args.Cpus = pulumi.Sprintf("%d", settings.CPUs)
	}
	if settings.Agents > 0 {
		args.Envs = pulumi.StringArray{pulumi.ToSecret(pulumi.Sprintf("K3S_TOKEN=%s", token)).(pulumi.StringOutput)}
	}
	if settings.Images != "" {
		args.Mounts = docker.ContainerMountArray{docker.ContainerMountArgs{
			Type: pulumi.String("bind"), Source: pulumi.String(settings.Images), Target: pulumi.String("/cache"), ReadOnly: pulumi.Bool(true),
		}}
	}
	options := []pulumi.ResourceOption{b.parent, b.engine, pulumi.DeleteBeforeReplace(true)}
	if i > 0 {
		args.Command = pulumi.ToStringArray(b.of.agent(b.args))
		args.Uploads = b.files()
		return docker.NewContainer(b.ctx, logical, args, append(options, pulumi.DependsOn([]pulumi.Resource{b.server}))...)
	}
	args.Command, args.Uploads, args.Ports = pulumi.ToStringArray(b.of.server(b.args)), b.uploads, b.ports()
	// Times are as the provider writes them when it reads them back.
	args.Healthcheck = docker.ContainerHealthcheckArgs{
		Tests: pulumi.ToStringArray(b.of.healthy), Interval: pulumi.String("5s"), Timeout: pulumi.String("5s"),
		StartPeriod: pulumi.String("2m0s"), Retries: pulumi.Int(10),
	}
	args.Wait, args.WaitTimeout = pulumi.Bool(true), pulumi.Int(healthySeconds)
	return docker.NewContainer(b.ctx, logical, args, options...)
}

// cgroupNamespace makes the container's own group the root of what it sees.
const cgroupNamespace = "private"

// files of every node.
func (b *builder) files() docker.ContainerUploadArray {
	var password pulumi.StringInput
	if b.password != nil {
		password = b.password.Result
	}
	files := b.of.files(b.args, password)
	var all docker.ContainerUploadArray
	for _, path := range slices.Sorted(maps.Keys(files)) {
		all = append(all, docker.ContainerUploadArgs{File: pulumi.String(path), Content: files[path]})
	}
	return all
}

// ports are published on loopback only. They are in the order in which the provider reads
// them back: in another one a refresh would have the container made anew.
func (b *builder) ports() docker.ContainerPortArray {
	all := docker.ContainerPortArray{publish(apiPort, b.args.Settings.APIPort)}
	var nodePorts []int
	for _, p := range b.args.Ports {
		nodePorts = append(nodePorts, p.Port)
	}
	slices.Sort(nodePorts)
	for _, port := range nodePorts {
		all = append(all, publish(port, port))
	}
	return all
}

// publish a container's port on loopback.
func publish(internal, external int) docker.ContainerPortArgs {
	return docker.ContainerPortArgs{Internal: pulumi.Int(internal), External: pulumi.Int(external), Ip: pulumi.String(loopback)}
}
