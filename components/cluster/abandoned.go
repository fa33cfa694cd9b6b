package cluster

import (
	"context"
	"fmt"
	"strings"
)

// RemoveAbandoned removes what a run that was killed had begun to make in the engine
// that the docker command takes, and had not recorded: a container or a network of a
// resource's type and name. It would keep the next run from making it. What is gone is no
// error; of any other type nothing is removed, since making it again takes what is there.
func RemoveAbandoned(ctx context.Context, token, name string) error {
	return removeAbandoned(ctx, run, token, name)
}

func removeAbandoned(ctx context.Context, docker func(context.Context, ...string) (string, error), token, name string) error {
	var list, remove []string
	switch token {
	case "docker:index/container:Container":
		list, remove = []string{"ps", "-a", "--format", "{{.Names}}"}, []string{"rm", "-f", "-v", name}
	case "docker:index/network:Network":
		list, remove = []string{"network", "ls", "--format", "{{.Name}}"}, []string{"network", "rm", name}
	default:
		return nil
	}
	// Only what is the program's, whoever the name belongs to now.
	found, err := docker(ctx, append(list, "--filter", "label="+Label)...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(found) {
		if strings.TrimSpace(line) != name {
			continue
		}
		if _, err := docker(ctx, remove...); err != nil {
			return fmt.Errorf("remove what a run that was killed left (docker %s): %w", strings.Join(remove, " "), err)
		}
	}
	return nil
}
