package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/neuroscale-platform/neuroscale/internal/follower"
)

// follow tells people what became of what they merged.
func follow(ctx context.Context, log *slog.Logger, s settings) error {
	text, err := os.ReadFile(s.follow)
	if err != nil {
		return fmt.Errorf("read what to follow: %w", err)
	}
	var of follower.Settings
	if err := json.Unmarshal(text, &of); err != nil {
		return fmt.Errorf("read what to follow in %s: %w", s.follow, err)
	}
	api, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	cluster, err := dynamic.NewForConfig(api)
	if err != nil {
		return err
	}
	gateway := func() (string, error) {
		text, err := os.ReadFile(s.gateway)
		return strings.TrimSpace(string(text)), err
	}
	forge, err := s.newForge(log, "follower")
	if err != nil {
		return err
	}
	f := follower.New(log, forge, cluster, of, gateway)
	log.Info("following", "sources", of.Sources)
	return s.answer(ctx, log, f.Handler(s.hook), f.Run)
}
