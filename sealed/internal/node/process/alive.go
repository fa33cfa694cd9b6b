package process

import (
	"fmt"
	"os"
	"strconv"
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

// Parent of a process; 0 if there is no such process.
func Parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := afterName(string(stat))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// afterName cuts a stat file behind the program's name, which is in
// parentheses and may hold blanks and parentheses itself.
func afterName(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

func parseStat(stat string) (uint64, bool) {
	fields := afterName(stat)
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
