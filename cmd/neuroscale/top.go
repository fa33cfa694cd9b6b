package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/internal/top"
)

const (
	// topEvery is how often a screen on a terminal is drawn anew: more often than
	// anything is measured would show nothing more.
	topEvery = 5 * time.Second
	// clearScreen moves a terminal's cursor to its beginning and clears the rest.
	clearScreen = "\x1b[H\x1b[2J"
)

func (a *app) topCommand() *cobra.Command {
	var format string
	var once bool
	cmd := &cobra.Command{
		Use:     "top",
		Short:   "Show how all endpoints do: requests, seconds, errors, costs",
		Example: "  neuroscale top\n  neuroscale top --once\n  neuroscale top -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			look, err := a.top(cmd.Context())
			if err != nil {
				return err
			}
			if !once && format == "text" && a.screen {
				return a.liveTop(cmd.Context(), look)
			}
			screen, err := look(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, screen)
			}
			return screen.Text(a.out)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "show it once, also on a terminal")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

// liveTop draws until the context ends, which is ctrl-C.
func (a *app) liveTop(ctx context.Context, look func(context.Context) (*top.Screen, error)) error {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for {
		screen, err := look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "%s%s, every %s until ctrl-C\n\n", clearScreen, screen.At.Format(time.DateTime), topEvery); err != nil {
			return err
		}
		if err := screen.Text(a.out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// top is what makes a screen.
func (a *app) top(ctx context.Context) (func(context.Context) (*top.Screen, error), error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	list, cluster, err := a.measured(ctx, cfg)
	if err != nil {
		return nil, err
	}
	source := showback.Of(cluster, cfg.Cost)
	s := top.Sources{
		Endpoints: func(ctx context.Context) (all []endpoint.Endpoint, err error) {
			err = answered(ctx, cluster, func(ctx context.Context) (err error) {
				all, err = endpoint.Every(ctx, cluster.Dynamic, "")
				return err
			})
			return all, err
		},
		Samples: func(ctx context.Context, query string) ([]showback.Sample, error) {
			ctx, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			return source.Samples(ctx, query, time.Now())
		},
		Costs: func(ctx context.Context) (*showback.Report, error) {
			ctx, cancel := context.WithTimeout(ctx, costWithin)
			defer cancel()
			now := time.Now()
			return showback.Ask(ctx, source, now.Add(-time.Hour), now, showback.Settings{
				By: showback.ByEndpoint, Currency: list.Currency, HoursPerMonth: list.HoursPerMonth, Tenants: cfg.Namespaces(),
			})
		},
	}
	return func(ctx context.Context) (*top.Screen, error) {
		return top.Look(ctx, s, time.Now(), list.HoursPerMonth)
	}, nil
}
