package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Script is a parsed transcript. It does not change while it is played, so
// any number of runs may share it.
type Script struct {
	// Name is the path of the file, for messages.
	Name string
	// Flags are the command-line flags that the server is to be started with.
	Flags []string

	steps []step
}

// A step is one line of a script.
type step struct {
	line   int      // where it stands in the file
	text   string   // as it is written there, without its tags
	tags   []string // the run needs all of these for the step to count
	client string   // empty for advance and signal
	op     op

	arg     string         // the rest of the line
	data    []byte         // arg as bytes, where it is quoted
	pattern *regexp.Regexp // arg as a pattern
	delay   time.Duration  // arg as a duration
}

// An op is what a step does, spelled as it is in the file.
type op string

const (
	sendLine   op = ">"
	sendRaw    op = ">>"
	wantLine   op = "<"
	wantMatch  op = "<~"
	wantRaw    op = "<<"
	bodyLine   op = "|"
	bodyMatch  op = "|~"
	bodyRaw    op = "||"
	connection op = "!"
	advance    op = "advance"
	signal     op = "signal"
)

// elided is a body line that stands for any number of others.
const elided = "..."

// bodyAfter lists, for each way of writing a body, the steps it may follow: a
// body needs a reply to belong to, and is written either in lines or in bytes.
var bodyAfter = map[op][]op{
	bodyLine:  {wantLine, wantMatch, bodyLine, bodyMatch},
	bodyMatch: {wantLine, wantMatch, bodyLine, bodyMatch},
	bodyRaw:   {wantLine, wantMatch, bodyRaw},
}

var (
	tagsForm   = regexp.MustCompile(`^\[([^\]]+)\] +`)
	clientForm = regexp.MustCompile(`^([a-z][a-z0-9]*)(>>|>|<<|<~|<|\|\||\|~|\||!)(?: (.*))?$`)
	wordForm   = regexp.MustCompile(`^(advance|signal) (.+)$`)
)

// ReadDir reads all transcripts of a directory: its files NAME.txt, by name.
func ReadDir(dir string) ([]*Script, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var scripts []*Script
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s, err := Parse(path, text)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

// Parse reads a transcript. The name goes into messages.
func Parse(name string, text []byte) (*Script, error) {
	s := &Script{Name: name}
	for n, line := range strings.Split(string(text), "\n") {
		if err := s.addLine(n+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
		}
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: the transcript is empty", name)
	}
	return s, nil
}

// Duration is how much time passes in the script, its tags left aside.
func (s *Script) Duration() time.Duration {
	var sum time.Duration
	for _, st := range s.steps {
		sum += st.delay
	}
	return sum
}

func (s *Script) addLine(n int, line string) error {
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if strings.TrimRight(line, " \t\r") != line {
		// Editors remove such blanks, and readers do not see them.
		return errors.New("white space at the end of the line: quote it")
	}
	if flags, ok := strings.CutPrefix(line, "flags: "); ok {
		if len(s.steps) > 0 {
			return errors.New("flags come before the first step")
		}
		s.Flags = append(s.Flags, strings.Fields(flags)...)
		return nil
	}
	st, err := parseStep(line)
	if err != nil {
		return err
	}
	st.line = n
	if after, ok := bodyAfter[st.op]; ok {
		var above step
		if n := len(s.steps); n > 0 {
			above = s.steps[n-1]
		}
		if above.client != st.client || !slices.Contains(after, above.op) {
			return fmt.Errorf("%q belongs to no reply above it", st.text)
		}
	}
	s.steps = append(s.steps, st)
	return nil
}

func parseStep(line string) (step, error) {
	var st step
	if m := tagsForm.FindStringSubmatch(line); m != nil {
		st.tags = strings.Fields(m[1])
		line = line[len(m[0]):]
	}
	st.text = line
	if m := wordForm.FindStringSubmatch(line); m != nil {
		st.op, st.arg = op(m[1]), m[2]
	} else if m := clientForm.FindStringSubmatch(line); m != nil {
		st.client, st.op, st.arg = m[1], op(m[2]), m[3]
	} else {
		return st, fmt.Errorf("cannot make sense of %q", line)
	}

	var err error
	switch st.op {
	case sendLine:
		st.data = []byte(st.arg + "\r\n")
	case sendRaw, wantRaw, bodyRaw:
		st.data, err = unquote(st.arg)
	case wantMatch, bodyMatch:
		st.pattern, err = regexp.Compile("^(?:" + st.arg + ")$")
	case connection:
		if !slices.Contains([]string{"shut", "close", "eof"}, st.arg) {
			err = fmt.Errorf("a connection knows shut, close and eof, not %q", st.arg)
		}
	case advance:
		st.delay, err = time.ParseDuration(st.arg)
	}
	return st, err
}

// unquote reads Go strings one after the other, each with an optional *N.
func unquote(s string) ([]byte, error) {
	var out []byte
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q does not start with a quoted string", s)
		}
		part, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		s = s[len(quoted):]
		count := 1
		if rest, ok := strings.CutPrefix(s, "*"); ok {
			number, rest, _ := strings.Cut(rest, " ")
			if count, err = strconv.Atoi(number); err != nil || count < 0 {
				return nil, fmt.Errorf("%q is no number of times", number)
			}
			s = rest
		}
		out = append(out, bytes.Repeat([]byte(part), count)...)
	}
	return out, nil
}

// counts reports whether the step is part of a run with these tags.
func (st step) counts(tags []string) bool {
	for _, tag := range st.tags {
		if !slices.Contains(tags, tag) {
			return false
		}
	}
	return true
}

// expects reports whether the step waits for something, rather than making
// something happen.
func (st step) expects() bool {
	switch st.op {
	case wantLine, wantMatch, wantRaw:
		return true
	case connection:
		return st.arg == "eof"
	}
	return false
}

// matches reports whether a line that came is the one the step stands for.
func (st step) matches(line string) bool {
	if st.pattern != nil {
		return st.pattern.MatchString(line)
	}
	return line == st.arg
}
