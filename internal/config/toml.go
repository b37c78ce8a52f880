package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// decodeTOML returns the settings in a TOML document. An error is about the line at,
// if that is not 0.
func decodeTOML(text []byte) (settings []setting, at int, err error) {
	// Whether it is TOML, duplicate keys included, is for the library's stable part
	// to say; only that which knows lines is declared unstable.
	var all map[string]any
	if err := toml.Unmarshal(text, &all); err != nil {
		if where, ok := errors.AsType[*toml.DecodeError](err); ok {
			at, _ = where.Position()
		}
		return nil, at, errors.New(strings.TrimPrefix(err.Error(), "toml: "))
	}
	var p unstable.Parser
	p.Reset(text)
	table := "" // the one that follows its heading
	for p.NextExpression() {
		n := p.Expression()
		var parts []string
		line := 0
		for keys := n.Key(); keys.Next(); {
			if line == 0 {
				line = p.Shape(keys.Node().Raw).Start.Line
			}
			parts = append(parts, string(keys.Node().Data))
		}
		s := setting{line: line, key: strings.Join(parts, ".")}
		if n.Kind != unstable.KeyValue { // [table] or [[table]]
			table = s.key + "."
			if s.key != "" {
				s.wrong = noTables
				settings = append(settings, s)
			}
			continue
		}
		s.key = table + s.key
		s.takeTOML(&p, n.Value())
		settings = append(settings, s)
	}
	return settings, 0, p.Error()
}

const (
	noTables = "want a value, not a table: the keys are all on one level"
	noLists  = "want one value, not a list"
)

// takeTOML takes the value of s from n.
func (s *setting) takeTOML(p *unstable.Parser, n *unstable.Node) {
	s.value = string(n.Data)
	switch n.Kind {
	case unstable.Bool:
		s.truth = true
	case unstable.Integer:
		s.value = decimal(s.value)
	case unstable.InlineTable:
		s.wrong = noTables
	case unstable.Array:
		s.wrong = noLists
	}
}

// decimal returns an integer that may be in hexadecimal, or have underscores, as the
// command line wants it.
func decimal(text string) string {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	return text
}
