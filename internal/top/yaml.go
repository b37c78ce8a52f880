package top

import (
	"bytes"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// What servers answer is YAML of the plainest kind: a list of scalars, or a mapping
// of words to scalars, each on a line of its own. A scalar may be in quotes, which
// are taken off; names of tubes have nothing in them that would be escaped.

// fields is a mapping.
type fields map[string]string

func readFields(doc []byte) fields {
	f := fields{}
	for key, value := range mapping(doc) {
		f[string(key)] = string(value)
	}
	return f
}

// count returns a number that is 0 or more, or Unknown.
func (f fields) count(key string) int64 { return number([]byte(f[key])) }

// seconds returns a time, or Unknown.
func (f fields) seconds(key string) time.Duration {
	s, err := strconv.ParseFloat(f[key], 64)
	if err != nil || s < 0 || s > math.MaxInt64/1e9 {
		return Unknown
	}
	return time.Duration(s * 1e9)
}

func number(text []byte) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return Unknown
	}
	return n
}

// mapping yields the keys and values of a document. They point into it.
func mapping(doc []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for line := range bytes.Lines(doc) {
			key, value, ok := bytes.Cut(line, []byte(":"))
			if ok && !yield(bytes.TrimSpace(key), unquote(value)) {
				return
			}
		}
	}
}

// readMappings returns the mappings of a list of such.
func readMappings(doc []byte) (list []fields) {
	for line := range bytes.Lines(doc) {
		if rest, ok := bytes.CutPrefix(line, []byte("- ")); ok {
			list = append(list, fields{})
			line = rest
		}
		if len(list) == 0 {
			continue
		}
		for key, value := range mapping(line) {
			list[len(list)-1][string(key)] = string(value)
		}
	}
	return list
}

// readList returns the elements of a list, or of the lists in a mapping.
func readList(doc []byte) (names []string) {
	for line := range bytes.Lines(doc) {
		if name, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("- ")); ok {
			names = append(names, string(unquote(name)))
		}
	}
	return names
}

func unquote(scalar []byte) []byte {
	scalar = bytes.TrimSpace(scalar)
	if n := len(scalar); n >= 2 && (scalar[0] == '"' || scalar[0] == '\'') && scalar[n-1] == scalar[0] {
		return scalar[1 : n-1]
	}
	return scalar
}

// readTube returns what stats-tube says of a tube. It allocates nothing but what it
// returns: it is called for each of ten thousand tubes.
func readTube(name string, doc []byte) TubeFigures {
	t := TubeFigures{Name: name, Oldest: Unknown}
	for key, value := range mapping(doc) {
		switch string(key) {
		case "current-jobs-urgent":
			t.Urgent = number(value)
		case "current-jobs-ready":
			t.Ready = number(value)
		case "current-jobs-delayed":
			t.Delayed = number(value)
		case "current-jobs-reserved":
			t.Reserved = number(value)
		case "current-jobs-buried":
			t.Buried = number(value)
		case "current-using":
			t.Using = number(value)
		case "current-watching":
			t.Watching = number(value)
		case "current-waiting":
			t.Waiting = number(value)
		case "total-jobs":
			t.Puts = number(value)
		case "cmd-delete":
			t.Deletes = number(value)
		case "cmd-pause-tube":
			t.Pauses = number(value)
		case "pause-time-left":
			t.PauseLeft = max(0, time.Duration(number(value))) * time.Second
		}
	}
	return t
}

// printable returns text that a terminal shows as it is and that takes one cell a
// character, or as many as lipgloss says: what else there is in a body or a message
// from afar becomes a dot.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == '\uFFFD' || !strconv.IsPrint(r):
			return '·'
		}
		return r
	}, string(bytes.ToValidUTF8(b, []byte("·"))))
}
