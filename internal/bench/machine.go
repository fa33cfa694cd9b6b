package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// glance is how long a machine is looked at to tell whether it is busy.
const glance = 5 * time.Second

// Machine describes this one, with the kind of cluster that is on it.
func Machine(cluster string) string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(raw)); len(fields) > 1 {
			if kib, err := strconv.ParseFloat(fields[1], 64); err == nil {
				text += fmt.Sprintf(" and %.0f GiB", math.Ceil(kib/(1<<20)))
			}
		}
	}
	if raw, err := os.ReadFile("/etc/os-release"); err == nil {
		text += " of " + systemName(string(raw))
	}
	return text + ", " + cluster
}

// systemName is that of an os-release file.
func systemName(text string) string {
	names := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		names[name] = strings.Trim(value, `"`)
	}
	return strings.TrimSpace(names["NAME"] + " " + names["VERSION_ID"])
}

// BusyCores looks for some seconds how many of the machine's cores are at work; nil if
// this system does not say.
func BusyCores(ctx context.Context) *float64 {
	before, err := cpuTimes()
	if err != nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(glance):
	}
	after, err := cpuTimes()
	if err != nil {
		return nil
	}
	return busyBetween(before, after)
}

// busyBetween is nil if no time has passed.
func busyBetween(before, after times) *float64 {
	all := after.all - before.all
	if all <= 0 {
		return nil
	}
	busy := math.Round(10*float64(runtime.NumCPU())*(1-(after.idle-before.idle)/all)) / 10
	return &busy
}

// times of all cores since the machine began, in the kernel's ticks.
type times struct{ all, idle float64 }

func cpuTimes() (times, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return times{}, err
	}
	return parseTimes(string(raw))
}

// parseTimes reads the first line of /proc/stat: user, nice, system, idle, iowait, irq,
// softirq, steal. What follows is counted among these.
func parseTimes(text string) (t times, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return t, errors.New("/proc/stat does not begin with the times of all cores")
	}
	for i, field := range fields[1:9] {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return t, fmt.Errorf("/proc/stat: %w", err)
		}
		t.all += value
		if i == 3 || i == 4 {
			t.idle += value
		}
	}
	return t, nil
}
