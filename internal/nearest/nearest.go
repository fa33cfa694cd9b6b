// Package nearest finds the known word somebody most likely meant.
package nearest

import "fmt"

// Word returns the element of known with the smallest edit distance to word, or
// "" when none is close enough to be worth proposing (more than half of word
// would have to change).
func Word(word string, known []string) string {
	best, limit := "", len(word)/2+1
	for _, k := range known {
		if d := distance(word, k); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// Hint is ` (did you mean "word"?)` with the element of known that Word finds, to
// follow what nobody knows; "" if it finds none.
func Hint(word string, known []string) string {
	if n := Word(word, known); n != "" {
		return fmt.Sprintf(" (did you mean %q?)", n)
	}
	return ""
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
