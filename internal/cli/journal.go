package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"spoked/internal/config"
	"spoked/internal/journal"
)

// A tool is a subcommand: what is not the server.
type tool struct {
	use string // what follows the program's name
	run func(p *Program, name string, args []string) error
}

// toolFor returns the tool of that name.
func toolFor(word string) (tool, bool) {
	switch word {
	case "journal":
		return tool{journalUse, (*Program).journal}, true
	case "backup":
		return tool{backupUse, (*Program).backup}, true
	case "bench":
		return tool{benchUse, (*Program).bench}, true
	case "config":
		return tool{configUse, (*Program).config}, true
	}
	return tool{}, false
}

// runTool runs a tool and returns the exit code.
func (p *Program) runTool(t tool, name string, args []string) int {
	help := strings.ReplaceAll(t.use, "%s", name)
	err := t.run(p, name, args)
	if errors.Is(err, errHelp) {
		if _, err = io.WriteString(p.Stdout, help); err == nil {
			return config.ExitOK
		}
	}
	if err == nil {
		return config.ExitOK
	}
	if !errors.Is(err, errDamaged) && !errors.Is(err, errWrong) { // that has been said
		p.complain(name, err.Error())
	}
	exit, ok := errors.AsType[*config.ExitError](err)
	switch {
	case ok && exit.Code == config.ExitUsage && !isFileError(err):
		io.WriteString(p.Stderr, help)
		return exit.Code
	case ok:
		return exit.Code
	case errors.Is(err, journal.ErrInUse), errors.Is(err, journal.ErrNoJournal):
		return config.ExitJournal
	}
	return config.ExitFailure
}

var (
	errHelp    = errors.New("help was asked for")
	errDamaged = errors.New("the journal is damaged")
)

// misuse returns the error of a command line that makes no sense.
func misuse(format string, args ...any) error {
	return &config.ExitError{Code: config.ExitUsage, Err: fmt.Errorf(format, args...)}
}

const journalUse = `Use: %s journal COMMAND [OPTIONS] DIR

Looks at the journal in a directory, or makes something else of it. DIR is what
-b is given, or the directory "journal" in it, or a copy of that. Nothing in it
is changed. No server may be using it, but for stat and dump.

Commands:
 stat DIR           say what is in it
 check DIR          read everything, and say what is damaged
 dump DIR           print its records, one a line
   --jobs           print the jobs that they come to instead
   --bodies         print bodies whole, and not only how they begin
 repair DIR NEW     make a journal in the directory NEW of all that can be read
 export DIR DEST    write the jobs to files in the directory DEST, with which
                    beanstalkd can be started; also: export --to DEST DIR
   --format NAME    beanstalkd, which is the only one, and the default

 --json             of any command: print JSON; of dump, an object a line
 -h, --help         print this help and exit

NEW and DEST must not exist, or be empty.

Exit codes:
 0           done; of check, the journal is fine
 1           the journal is damaged, or any other failure
 5           the command line makes no sense
 10          DIR has no journal, or a server is using it
`

// words is a command line that has been taken apart.
type words struct {
	args   []string        // that are no options
	on     map[string]bool // switches that are set
	values map[string]string
}

// parseWords takes a command line apart. The switches and the options with a
// value that it may have are given; one with a value may be known by a second
// name, a letter.
func parseWords(args []string, switches []string, options map[string]string) (words, error) {
	w := words{on: map[string]bool{}, values: map[string]string{}}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			w.args = append(w.args, args...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			w.args = append(w.args, word)
			continue
		}
		if word == "-h" || word == "--help" {
			return w, errHelp
		}
		name, value, inWord := splitOption(word)
		if slices.Contains(switches, name) && !inWord {
			w.on[name] = true
			continue
		}
		long, ok := options[name]
		if !ok {
			return w, misuse("unknown flag: %s", word)
		}
		if !inWord {
			if len(args) == 0 {
				return w, misuse("flag requires an argument: %s", name)
			}
			value, args = args[0], args[1:]
		}
		if value == "" {
			return w, misuse("invalid value of %s: it is empty", name)
		}
		w.values[long] = value
	}
	return w, nil
}

// splitOption splits "--name=value" and "-xvalue".
func splitOption(word string) (name, value string, inWord bool) {
	if strings.HasPrefix(word, "--") {
		return strings.Cut(word, "=")
	}
	return word[:2], word[2:], len(word) > 2
}

// journalCommand is a command of the tool for journals.
type journalCommand struct {
	name     string
	args     string // what it takes, for a message
	switches []string
	options  map[string]string
	run      func(p *Program, w words, out *bufio.Writer) error
}

func journalCommands() []journalCommand {
	return []journalCommand{
		{"stat", "DIR", []string{"--json"}, nil, (*Program).journalStat},
		{"check", "DIR", []string{"--json"}, nil, (*Program).journalCheck},
		{"dump", "DIR", []string{"--json", "--jobs", "--bodies"}, nil, (*Program).journalDump},
		{"repair", "DIR NEW", []string{"--json"}, nil, (*Program).journalRepair},
		{"export", "DIR DEST", []string{"--json"}, map[string]string{"--format": "--format", "--to": "--to"}, (*Program).journalExport},
	}
}

// journal runs the tool for journals.
func (p *Program) journal(_ string, args []string) error {
	if len(args) == 0 {
		return misuse("journal: a command is missing")
	}
	for _, c := range journalCommands() {
		if c.name == args[0] {
			return p.runJournal(c, args[1:])
		}
	}
	if _, err := parseWords(args[:1], nil, nil); err != nil {
		return err
	}
	return misuse("journal: unknown command: %s", args[0])
}

func (p *Program) runJournal(c journalCommand, args []string) error {
	w, err := parseWords(args, c.switches, c.options)
	if err != nil {
		return err
	}
	if to, ok := w.values["--to"]; ok {
		w.args = append(w.args, to)
	}
	if n := len(strings.Fields(c.args)); len(w.args) < n {
		return misuse("journal %s: an argument is missing: it takes %s", c.name, c.args)
	} else if len(w.args) > n {
		return misuse("journal %s: unknown argument: %s", c.name, w.args[n])
	}
	out := bufio.NewWriter(p.Stdout)
	err = c.run(p, w, out)
	if flushed := out.Flush(); flushed != nil && (err == nil || errors.Is(err, errDamaged)) {
		err = flushed
	}
	if errors.Is(err, journal.ErrInUse) {
		return fmt.Errorf("%w; stop it first, or copy the journal with `spoked backup -b %s COPY` and use the copy", err, w.args[0])
	}
	return err
}

// now returns the instant that delays and pauses are compared with.
func now() int64 { return time.Now().UnixNano() }
