package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/journal"
)

// errDamaged is the error of a damaged journal, once it has been said how.
var errDamaged = fmt.Errorf("the journal is damaged: %w", errSaid)

const journalLong = `Looks at the journal in a directory, or makes something else of it. DIR is what
-b is given, or the directory "journal" in it, or a copy of that. Nothing in it
is changed. No server may be using it, but for stat and dump.

NEW and DEST must not exist, or be empty.`

const journalExits = ` 0           done; of check, the journal is fine
 1           the journal is damaged, or any other failure
 5           the command line makes no sense
 10          DIR has no journal, or a server is using it
`

// words is what a command for journals has been given.
type words struct {
	args               []string // the directories
	json, jobs, bodies bool
	format, to         string
}

// journalCommand returns the tool for journals.
func (p *Program) journalCommand() *cobra.Command {
	c := group("journal", "look at a journal on disk, check it, make another of it", journalLong,
		p.journalTool("stat DIR", "say what is in it", (*Program).journalStat),
		p.journalTool("check DIR", "read everything, and say what is damaged", (*Program).journalCheck),
		p.journalTool("dump DIR", "print its records, one a line", (*Program).journalDump),
		p.journalTool("repair DIR NEW", "make a journal in the directory NEW of all that can be read", (*Program).journalRepair),
		p.journalTool("export DIR DEST", "write the jobs to files with which beanstalkd can be started", (*Program).journalExport),
	)
	c.Annotations = map[string]string{"exit": journalExits}
	return c
}

// journalTool returns a command of it. Its flags are those that its name has.
func (p *Program) journalTool(use, short string, run func(*Program, words, *bufio.Writer) error) *cobra.Command {
	names := strings.Fields(use)
	w := new(words)
	c := &cobra.Command{Use: use, Short: short, Long: "To " + short + ".", Annotations: map[string]string{"exit": journalExits}}
	f := c.Flags()
	f.BoolVar(&w.json, "json", false, "print JSON; of dump, an object a line")
	switch names[0] {
	case "dump":
		f.BoolVar(&w.jobs, "jobs", false, "print the jobs that the records come to instead")
		f.BoolVar(&w.bodies, "bodies", false, "print bodies whole, and not only how they begin")
	case "export":
		f.StringVar(&w.format, "format", "beanstalkd", "the `FORMAT`: beanstalkd, which is the only one")
		f.StringVar(&w.to, "to", "", "the same as the argument `DEST`")
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if c.Flags().Changed("to") {
			if w.to == "" {
				return misuse("invalid value of --to: it is empty")
			}
			args = append(args[:len(args):len(args)], w.to)
		}
		w.args = args
		return takes(names[1:]...)(c, args)
	}
	c.RunE = func(*cobra.Command, []string) error {
		out := bufio.NewWriter(p.Stdout)
		err := run(p, *w, out)
		if flushed := out.Flush(); flushed != nil && (err == nil || errors.Is(err, errDamaged)) {
			err = flushed
		}
		if errors.Is(err, journal.ErrInUse) {
			return fmt.Errorf("%w; stop it first, or copy the journal with `spoked backup -b %s COPY` and use the copy", err, w.args[0])
		}
		return err
	}
	return c
}

// now returns the instant that delays and pauses are compared with.
func now() int64 { return time.Now().UnixNano() }
