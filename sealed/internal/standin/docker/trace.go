package docker

import (
	"encoding/json"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"google.golang.org/protobuf/encoding/protowire"
)

// buildTrace is the ID of messages in which BuildKit says what it does.
const buildTrace = "moby.buildkit.trace"

// lines of a build that its error repeats.
const lines = 20

// record is what a build printed last, and the step that failed.
type record struct {
	printed []string
	failed  string
}

func (r *record) hear(m jsonstream.Message) {
	if m.ID == buildTrace && m.Aux != nil {
		var trace []byte
		if json.Unmarshal(*m.Aux, &trace) == nil {
			r.hearBuildKit(trace)
		}
		return
	}
	// The classic builder prints its steps.
	if strings.HasPrefix(m.Stream, "Step ") {
		r.failed = strings.TrimSpace(m.Stream)
	}
	r.print(m.Stream)
}

func (r *record) print(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			r.printed = append(r.printed, line)
		}
	}
	r.printed = r.printed[max(0, len(r.printed)-lines):]
}

// String goes after the error.
func (r *record) String() string {
	text := ""
	if r.failed != "" {
		text += " (" + r.failed + ")"
	}
	if len(r.printed) > 0 {
		text += "; it printed:\n" + strings.Join(r.printed, "\n")
	}
	return text
}

// Numbers of the fields that are read of BuildKit's StatusResponse, and of what is in
// it: control.proto in its repository.
const (
	statusVertexes, statusLogs = 1, 3
	vertexName, vertexError    = 3, 7
	logMessage                 = 4
)

// hearBuildKit takes the step that has an error, and what steps printed.
func (r *record) hearBuildKit(trace []byte) {
	eachField(trace, func(number protowire.Number, value []byte) {
		switch number {
		case statusVertexes:
			name, failed := "", false
			eachField(value, func(number protowire.Number, value []byte) {
				switch number {
				case vertexName:
					name = string(value)
				case vertexError:
					failed = len(value) > 0
				}
			})
			if failed {
				r.failed = name
			}
		case statusLogs:
			eachField(value, func(number protowire.Number, value []byte) {
				if number == logMessage {
					r.print(string(value))
				}
			})
		}
	})
}

// eachField visits the fields of a message that are bytes, up to one that cannot be read.
func eachField(message []byte, visit func(protowire.Number, []byte)) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return
		}
		visit(number, value)
		message = message[n:]
	}
}
