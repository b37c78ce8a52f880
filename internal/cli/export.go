package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (p *Program) exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "write jobs with all that they have to a file",
		Long: `Writes jobs to a file, or to standard output, as NDJSON: a line for each, with its tube,
state, priority, delay, what is left of that, time to run, age, counters and body. They
stay where they are. It needs the HTTP API. A reserved job is imported as a ready one.

A file gets its name, or is replaced, only once all is written. What is no regular file,
such as a pipe or /dev/fd/3, is written to as it is.`,
		Example: "  spoked export jobs.ndjson\n  spoked export -t mails --state buried | wc -l",
		Args:    takes("FILE?"),
	}
	r := p.remoteFlags(c)
	tube := c.Flags().StringP("tube", "t", "", "jobs of that `TUBE` alone (default of all)")
	jsonFlag(c, "an object a line for each job, as it does anyway")
	states := c.Flags().StringSlice("state", nil, "jobs in those `STATES` alone, with commas between (default all)")
	c.RegisterFlagCompletionFunc("tube", r.completeTube)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkStates(*states); err != nil {
			return err
		}
		if *tube != "" {
			if err := checkTube(*tube); err != nil {
				return err
			}
		}
		return p.export(c.Context(), r, *tube, *states, args)
	}
	return c
}

// export runs it.
func (p *Program) export(ctx context.Context, r *remote, tube string, states, args []string) error {
	to, err := r.api(ctx)
	if err != nil {
		return err
	}
	if tube != "" {
		if _, err := to.tube(ctx, tube); err != nil {
			return err
		}
	}
	in, err := to.patient.Export(ctx, tube, states)
	if err != nil {
		return err
	}
	defer in.Close()
	if len(args) == 0 || args[0] == "-" {
		_, err := io.Copy(p.Stdout, in)
		return err
	}
	return p.exportTo(args[0], in)
}

// exportTo writes an export to a file, and says how much it was: on standard error if
// the file may be standard output.
func (p *Program) exportTo(name string, in io.Reader) error {
	target, err := targetOf(name)
	if err != nil {
		return err
	}
	lines := &lineCounter{}
	fill := func(f io.Writer) error {
		out := io.MultiWriter(f, lines)
		if isTerminal(p.Stderr) {
			bar := newBar(p.Stderr, -1, "exporting")
			defer bar.Clear()
			out = io.MultiWriter(f, lines, bar)
		}
		_, err := io.Copy(out, in)
		return err
	}
	said := p.Stdout
	if target.straight {
		said, err = p.Stderr, target.write(fill)
	} else {
		err = target.replace(fill)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(said, "exported %s to %s\n", plural(lines.n, "job"), name)
	return err
}

// target is where a file is to be written.
type target struct {
	path string
	// straight has it written to as it is: it is no regular file, or one that somebody
	// has open.
	straight bool
	mode     fs.FileMode // of the file that is to be
}

// targetOf finds out what a name is, through symbolic links, whose last may point at
// what is not there.
func targetOf(name string) (t target, err error) {
	const (
		most    = 40 // links
		private = 0o600
	)
	t = target{path: name, mode: private}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return t, err
	case !info.Mode().IsRegular():
		t.straight = true
		return t, nil
	default:
		t.mode = info.Mode().Perm()
	}
	for range most {
		link, err := os.Readlink(t.path)
		if err != nil {
			return t, nil // it is none
		}
		if isOpenFile(t.path) {
			return target{path: name, straight: true}, nil
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(t.path), link)
		}
		t.path = link
	}
	return t, fmt.Errorf("%s: too many symbolic links", name)
}

// isOpenFile reports whether a link is one of the system's for what is open, such as
// /dev/stdout and /dev/fd/3.
func isOpenFile(link string) bool {
	abs, err := filepath.Abs(link)
	return err == nil && (strings.HasPrefix(abs, "/dev/") || strings.HasPrefix(abs, "/proc/"))
}

// write has fill write to the target as it is, behind what is there.
func (t target) write(fill func(io.Writer) error) error {
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// replace has fill write to a new file beside the target, which takes its place once
// it is complete.
func (t target) replace(fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(t.path), filepath.Base(t.path)+".*.partial")
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Chmod(t.mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), t.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// lineCounter counts lines that are written to it.
type lineCounter struct{ n int }

// Write counts.
func (c *lineCounter) Write(b []byte) (int, error) {
	c.n += strings.Count(string(b), "\n")
	return len(b), nil
}
