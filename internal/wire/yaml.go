package wire

import (
	"strconv"
	"strings"
)

// Pair is a name and its value, in the order in which the server sent them.
type Pair struct{ Name, Value string }

// Dict is a mapping that keeps its order.
type Dict []Pair

// Get returns the value of a name, or "".
func (d Dict) Get(name string) string {
	for _, p := range d {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Uint returns the value of a name as a number, or 0.
func (d Dict) Uint(name string) uint64 {
	n, _ := strconv.ParseUint(d.Get(name), 10, 64)
	return n
}

// List reads a list of names.
func List(body []byte) (names []string) {
	for line := range strings.Lines(string(body)) {
		if name, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "- "); ok {
			names = append(names, plain(name))
		}
	}
	return names
}

// Mapping reads a mapping. Of values that are no scalars only the name is left.
func Mapping(body []byte) (d Dict) {
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line == "---" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "- ") {
			continue
		}
		if p, ok := pair(line); ok {
			d = append(d, p)
		}
	}
	return d
}

// Mappings reads a list of mappings.
func Mappings(body []byte) (all []Dict) {
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		rest, first := strings.CutPrefix(line, "- ")
		if first {
			all = append(all, nil)
		} else if rest, first = strings.CutPrefix(line, "  "); !first || len(all) == 0 {
			continue
		}
		if p, ok := pair(rest); ok {
			all[len(all)-1] = append(all[len(all)-1], p)
		}
	}
	return all
}

// pair reads "name: value".
func pair(line string) (p Pair, ok bool) {
	name, value, ok := strings.Cut(line, ":")
	return Pair{Name: strings.TrimSpace(name), Value: plain(strings.TrimSpace(value))}, ok
}

// plain returns a scalar without the quotes that beanstalkd 1.13 puts around it.
func plain(s string) string {
	if len(s) >= 2 && s[0] == '"' {
		if text, err := strconv.Unquote(s); err == nil {
			return text
		}
	}
	return s
}
