// Package manual reads the README and docs/ the way their readers use them: as
// commands to type, settings to write and manifests to push. Tests ask with it
// whether what is written there still works.
package manual

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What a fenced block is for: the words after its opening fence.
const (
	// Shell are commands to type.
	Shell = "sh"
	// ShellRefused are commands of which the last one fails, to show how: a word of
	// its reason follows.
	ShellRefused = "sh refused by"
	// Output is what a program printed.
	Output = "text"
	// Diagram is drawn by GitHub.
	Diagram = "mermaid"
	// Settings are part of a Pulumi.STACK.yaml.
	Settings = "yaml settings"
	// Admitted is a manifest that no rule refuses.
	Admitted = "yaml manifest admitted"
	// Refused is a manifest that one rule refuses: its name follows.
	Refused = "yaml manifest refused by"
)

// Block is a fenced block.
type Block struct {
	// At is the file and the line of the opening fence, Section the heading above.
	At, Section string
	// Kind is one of the constants above, or whatever else stands there; Of is what
	// follows one that ends in "by".
	Kind, Of string
	Text     string
}

// Command is a call of a program.
type Command struct {
	At string
	// Args begin with the program, as a path if it was called by one.
	Args []string
	// Mention is whether it is only spoken of, in the middle of a sentence.
	Mention bool
}

// Program is the name of the one called.
func (c Command) Program() string { return filepath.Base(c.Args[0]) }

// Manual is everything that people are told to use.
type Manual struct {
	Blocks   []Block
	Commands []Command
}

// Read reads README.md and all of docs/ in the repository at root.
func Read(root string) (*Manual, error) {
	files := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			path, err = filepath.Rel(root, path)
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for the documentation: %w", err)
	}
	m := &Manual{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, fmt.Errorf("read the documentation: %w", err)
		}
		if err := m.add(file, string(text)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var (
	inline = regexp.MustCompile("`([^`]+)`")
	// spoken are calls inside a sentence that are worth checking: of what is ours.
	spoken = regexp.MustCompile(`^([A-Z_]+=\S* )?(bin/)?(neuroscale|sealed|make) `)
)

func (m *Manual) add(file, text string) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	var block *Block
	section := ""
	for n := 1; lines.Scan(); n++ {
		line, at := lines.Text(), fmt.Sprintf("%s:%d", file, n)
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && block != nil:
			m.Blocks = append(m.Blocks, *block)
			if err := m.commands(block.At, block.Kind, block.Text); err != nil {
				return err
			}
			block = nil
		case fence:
			block = &Block{At: at, Section: section, Kind: strings.TrimSpace(info)}
			for _, kind := range []string{Refused, ShellRefused} {
				if of, ok := strings.CutPrefix(block.Kind, kind+" "); ok {
					block.Kind, block.Of = kind, of
				}
			}
		case block != nil:
			block.Text += line + "\n"
		case strings.HasPrefix(line, "#"):
			section = strings.TrimLeft(line, "# ")
		default:
			for _, span := range inline.FindAllStringSubmatch(line, -1) {
				if err := m.mentions(at, span[1]); err != nil {
					return err
				}
			}
		}
	}
	if block != nil {
		return fmt.Errorf("%s: this block has no end: close it with ```", block.At)
	}
	return lines.Err()
}

// usage marks words that stand for others, which no shell knows.
var usage = strings.NewReplacer("[", "", "]", "", "...", "")

func (m *Manual) mentions(at, text string) error {
	if !spoken.MatchString(text) {
		return nil
	}
	before := len(m.Commands)
	err := m.commands(at, Shell, usage.Replace(text))
	for i := range m.Commands[before:] {
		m.Commands[before+i].Mention = true
	}
	return err
}

func (m *Manual) commands(at, kind, text string) error {
	if kind != Shell && kind != ShellRefused {
		return nil
	}
	commands, err := Commands(at, text)
	m.Commands = append(m.Commands, commands...)
	return err
}

// Commands are those a shell would run.
func Commands(at, text string) ([]Command, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, fmt.Errorf("%s: no shell understands this: %w", at, err)
	}
	var commands []Command
	syntax.Walk(file, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			commands = append(commands, Command{At: at, Args: words(call.Args)})
		}
		return true
	})
	return commands, nil
}

// words are what the program gets, but for what the shell only knows when it runs:
// that stays as it is written.
func words(args []*syntax.Word) []string {
	var all []string
	for _, word := range args {
		var text strings.Builder
		for _, part := range word.Parts {
			switch p := part.(type) {
			case *syntax.Lit:
				text.WriteString(p.Value)
			case *syntax.SglQuoted:
				text.WriteString(p.Value)
			default:
				// Printing to memory cannot fail.
				_ = syntax.NewPrinter().Print(&text, part)
			}
		}
		all = append(all, text.String())
	}
	return all
}

// Of are the commands of one program.
func (m *Manual) Of(program string) []Command {
	return slices.DeleteFunc(slices.Clone(m.Commands), func(c Command) bool { return c.Program() != program })
}
