package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxFile is the largest file of settings in bytes: any real one is a thousandth of
// it, and one that is larger is something else.
const maxFile = 1 << 20

// Format is a language that a file of settings is in.
type Format string

// The formats.
const (
	FormatTOML Format = "toml"
	FormatYAML Format = "yaml"
)

// formatOf returns the format of a file of that name.
func formatOf(path string) (Format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".toml":
		return FormatTOML, nil
	case ".yaml", ".yml":
		return FormatYAML, nil
	}
	return "", fmt.Errorf("invalid file: %s (want a name that ends in .toml, .yaml or .yml)", path)
}

// FileError is what is wrong with a file of settings, all of it.
type FileError struct {
	Problems []Problem
}

// Error returns a line for each problem.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Problem is a mistake in a file of settings.
type Problem struct {
	File string `json:"file"`
	// Line is counted from 1; 0 is the whole file.
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

// String returns the problem after its place, as FILE:LINE: text.
func (p Problem) String() string { return place(p.File, p.Line) + ": " + p.Text }

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// setting is a key of a file with its value, a scalar.
type setting struct {
	file  string
	line  int
	key   string
	value string
	truth bool // it is true or false, and not text
	// wrong says why it has no value that could be used; else it is empty.
	wrong string
}

// Validate returns what is wrong with a file of settings, as a [*FileError], or nil.
// A value is wrong if it would be as that of a flag. The files and directories that
// the settings name are not looked for.
func Validate(path string) error {
	settings, err := readFile(path)
	if err != nil {
		return err
	}
	return newParser().file(settings)
}

// readFile reads a file of settings. Its error is a [*FileError].
func readFile(path string) ([]setting, error) {
	wrong := func(line int, text string) error {
		return &FileError{Problems: []Problem{{File: path, Line: line, Text: text}}}
	}
	format, err := formatOf(path)
	if err != nil {
		return nil, wrong(0, err.Error())
	}
	text, err := readRegular(path)
	if err != nil {
		if at, ok := errors.AsType[*os.PathError](err); ok {
			err = at.Err // its place is said
		}
		return nil, wrong(0, err.Error())
	}
	decode := decodeTOML
	if format == FormatYAML {
		decode = decodeYAML
	}
	settings, at, err := decode(text)
	if err != nil {
		return nil, wrong(at, err.Error())
	}
	for i := range settings {
		settings[i].file = path
	}
	return settings, nil
}

// readRegular reads a file that is neither a directory nor something that could
// keep its reader waiting.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return text, err
}

// file applies what a file says, in the order of the table. Its error is a
// [*FileError] with all that is wrong.
func (p *parser) file(settings []setting) error {
	var wrong []Problem
	complain := func(s *setting, format string, args ...any) {
		wrong = append(wrong, Problem{File: s.file, Line: s.line, Text: fmt.Sprintf(format, args...)})
	}
	found := make(map[string]*setting)
	for i := range settings {
		s := &settings[i]
		option, ok := p.find("--" + s.key)
		before := found[s.key]
		switch {
		case !ok:
			complain(s, "unknown key: %s%s", s.key, p.suggest(s.key))
		case option.Key() == "":
			complain(s, "%s can only be a flag or a variable", s.key)
		case before != nil:
			complain(s, "%s is set twice, first in line %d", s.key, before.line)
		case s.wrong != "":
			complain(s, "%s: %s", s.key, s.wrong)
		default:
			found[s.key] = s
		}
	}
	for i := range p.options {
		option := &p.options[i]
		s := found[option.Key()]
		if s == nil {
			continue
		}
		if s.truth && option.Value != "" {
			complain(s, "%s: want %s, not %s", s.key, option.Value, s.value)
			continue
		}
		from := Origin{Level: LevelFile, Where: place(s.file, s.line)}
		if err := p.set(option, from, s.value); err != nil {
			complain(s, "%s: %v", s.key, err)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.SortStableFunc(wrong, func(a, b Problem) int { return a.Line - b.Line })
	return &FileError{Problems: wrong}
}

// suggest returns " (did you mean KEY?)" with the key that is nearest to an unknown
// one, or "" if none is near.
func (p *parser) suggest(unknown string) string {
	unknown = strings.ReplaceAll(strings.ToLower(unknown), "_", "-")
	best, least := "", 1+max(2, len(unknown)/3)
	for i := range p.options {
		if key := p.options[i].Key(); key != "" {
			if n := distance(unknown, key); n < least {
				best, least = key, n
			}
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance returns how many bytes must be put in, taken out or replaced to make b of
// a. O(len(a) len(b)).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // from the a read so far to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			same := diagonal
			if a[i] != b[j] {
				same++
			}
			diagonal = row[j+1]
			row[j+1] = min(same, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
