package process

import (
	"fmt"
	"os"
	"strings"
)

// StartTime of a running process, in clock ticks since boot. Together with its
// pid it names a process for good; pids alone are used again. A zombie does
// not run.
func StartTime(pid int) (uint64, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	return parseStat(string(stat))
}

func parseStat(stat string) (uint64, bool) {
	// The name is in parentheses and may hold blanks and parentheses itself.
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	var ticks uint64
	if _, err := fmt.Sscan(fields[19], &ticks); err != nil {
		return 0, false
	}
	return ticks, true
}

// Describe names a process for people: pid, command and state.
func Describe(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return fmt.Sprint(pid)
	}
	text := string(stat)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open || end+2 >= len(text) {
		return fmt.Sprint(pid)
	}
	return fmt.Sprintf("%d (%s, state %c)", pid, text[open+1:end], text[end+2])
}
