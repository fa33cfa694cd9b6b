// Package nearest finds the known name a mistyped one was probably meant to be.
package nearest

import "fmt"

// Name returns the known name with the smallest edit distance to got, or "" if
// none is near enough to be a typing error. Ties go to the earlier one.
func Name(got string, known []string) string {
	best, bestDistance := "", len([]rune(got))/2+2
	for _, k := range known {
		if d := distance(got, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// Hint is ` (did you mean "x"?)`, or "" if no name is near.
func Hint(got string, known []string) string {
	if n := Name(got, known); n != "" {
		return fmt.Sprintf(" (did you mean %q?)", n)
	}
	return ""
}

// distance is the Levenshtein distance in runes.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
