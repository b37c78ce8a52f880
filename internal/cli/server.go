package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// serverCommands returns what is about the server.
func (p *Program) serverCommands() []*cobra.Command {
	return []*cobra.Command{
		p.topCommand(), p.statsCommand(), p.pingCommand(), p.drainCommand(true), p.drainCommand(false), p.exportCommand(), p.importCommand(),
	}
}

// tubeDict returns a tube as names and values.
func tubeDict(t *api.Tube) wire.Dict {
	d := wire.Dict{
		{Name: "tube", Value: t.Name},
		{Name: "ready", Value: count(t.Jobs.Ready)},
		{Name: "urgent", Value: count(t.Jobs.Urgent)},
		{Name: "delayed", Value: count(t.Jobs.Delayed)},
		{Name: "reserved", Value: count(t.Jobs.Reserved)},
		{Name: "buried", Value: count(t.Jobs.Buried)},
		{Name: "put", Value: count(t.TotalJobs)},
		{Name: "deleted", Value: count(t.Deletes)},
		{Name: "clients", Value: fmt.Sprintf("%s use it, %s watch it, %s wait", count(t.Using), count(t.Watching), count(t.Waiting))},
	}
	if t.OldestReadyAge != nil {
		d = append(d, wire.Pair{Name: "oldest ready", Value: lasting(time.Duration(*t.OldestReadyAge))})
	}
	if t.Pause != nil {
		d = append(d, wire.Pair{Name: "paused", Value: lasting(time.Duration(t.Pause.Left)) + " left of " + lasting(time.Duration(t.Pause.For))})
	}
	return d
}

// jobDict returns a job as names and values.
func jobDict(j *api.Job) wire.Dict {
	d := wire.Dict{
		{Name: "job", Value: fmt.Sprint(j.ID)},
		{Name: "tube", Value: j.Tube},
		{Name: "state", Value: j.State},
		{Name: "pri", Value: fmt.Sprint(j.Pri)},
		{Name: "age", Value: lasting(time.Duration(j.Age))},
		{Name: "delay", Value: lasting(time.Duration(j.Delay))},
		{Name: "ttr", Value: lasting(time.Duration(j.TTR))},
	}
	if j.TimeLeft > 0 {
		d = append(d, wire.Pair{Name: "time left", Value: lasting(time.Duration(j.TimeLeft))})
	}
	if j.Size > 0 {
		d = append(d, wire.Pair{Name: "size", Value: bytesText(j.Size)})
	}
	return append(d, wire.Pair{Name: "so far", Value: fmt.Sprintf("%s reserves, %s timeouts, %s releases, %s buries, %s kicks",
		count(j.Reserves), count(j.Timeouts), count(j.Releases), count(j.Buries), count(j.Kicks))})
}

func (p *Program) pingCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "ping",
		Short:   "ask whether the server is there",
		Long:    "Connects to the server, and says what it is and how long its answer took.",
		Example: "  spoked ping --timeout 2s && echo alive",
		Args:    takes(),
	}
	r := p.remoteFlags(c)
	json := jsonFlag(c, "JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		from := time.Now()
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		what, err := to.ping(c.Context())
		if err != nil {
			return err
		}
		took := time.Since(from)
		if *json {
			return jsonLine(p.Stdout, pong{r.server, what, took.Seconds()})
		}
		_, err = fmt.Fprintf(p.Stdout, "%s: %s; %v\n", r.server, what, took.Round(10*time.Microsecond))
		return err
	}
	return c
}

// pong is what ping found out.
type pong struct {
	Address string  `json:"address"`
	Server  string  `json:"server"`
	Seconds float64 `json:"seconds"`
}

func (p *Program) drainCommand(on bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "drain",
		Short: "have the server take no more jobs",
		Long: `From now on the server refuses puts, and goes on with the jobs it has, so that it can be
emptied before it is stopped. undrain ends that. The signal USR1 does the same.`,
		Example: "  spoked drain",
		Args:    takes(),
	}
	if !on {
		c.Use, c.Short, c.Example = "undrain", "have the server take jobs again", "  spoked undrain"
		c.Long = "Ends a drain: the server takes jobs again."
	}
	r := p.remoteFlags(c)
	json := jsonFlag(c, "JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		if err := to.drain(c.Context(), on); err != nil {
			return err
		}
		state, text := api.Draining, "draining: the server takes no jobs"
		if !on {
			state, text = api.Running, "running: the server takes jobs"
		}
		if *json {
			return jsonLine(p.Stdout, api.State{State: state})
		}
		_, err = fmt.Fprintln(p.Stdout, text)
		return err
	}
	return c
}

func (p *Program) exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "write jobs with all that they have to a file",
		Long: `Writes jobs to a file, or to standard output, as NDJSON: a line for each, with its tube,
state, priority, delay, what is left of that, time to run, age, counters and body. They
stay where they are. It needs the HTTP API. A reserved job is imported as a ready one.`,
		Example: "  spoked export jobs.ndjson\n  spoked export -t mails --state buried | wc -l",
		Args:    takes("FILE?"),
	}
	r := p.remoteFlags(c)
	tube := c.Flags().StringP("tube", "t", "", "jobs of that `TUBE` alone (default of all)")
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
		to, err := r.api(c.Context())
		if err != nil {
			return err
		}
		in, err := to.patient.Export(c.Context(), *tube, *states)
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
	return c
}

// exportTo writes an export to a file, which has its name only once it is complete.
func (p *Program) exportTo(name string, in io.Reader) error {
	part := name + ".partial"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	lines := &lineCounter{}
	out := io.MultiWriter(f, lines)
	clear := func() error { return nil }
	if isTerminal(p.Stderr) {
		bar := newBar(p.Stderr, -1, "exporting")
		clear = bar.Clear
		out = io.MultiWriter(f, lines, bar)
	}
	_, err = io.Copy(out, in)
	clear()
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(part)
		return err
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "exported %s to %s\n", plural(lines.n, "job"), name)
	return err
}

// lineCounter counts lines that are written to it.
type lineCounter struct{ n int }

// Write counts.
func (c *lineCounter) Write(b []byte) (int, error) {
	c.n += strings.Count(string(b), "\n")
	return len(b), nil
}

func (p *Program) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import [FILE ...]",
		Short: "make jobs of what export has written",
		Long: `Makes jobs of an export, from files or from standard input, with the states, ages and
counters that they had, and with new ids. It needs the HTTP API.`,
		Example: "  spoked import jobs.ndjson\n  spoked export -s http://old:11301 | spoked import -s http://new:11301",
		Args:    cobra.ArbitraryArgs,
	}
	r := p.remoteFlags(c)
	tube := c.Flags().StringP("tube", "t", "", "put all of them into that `TUBE` (default where they were)")
	json := jsonFlag(c, "JSON")
	c.RegisterFlagCompletionFunc("tube", r.completeTube)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *tube != "" {
			if err := checkTube(*tube); err != nil {
				return err
			}
		}
		in, size, closeAll, err := p.input(args)
		if err != nil {
			return err
		}
		defer closeAll()
		to, err := r.api(c.Context())
		if err != nil {
			return err
		}
		// The client closes what can be closed, and files are ours to close.
		in, clear := io.MultiReader(in), func() error { return nil }
		if isTerminal(p.Stderr) {
			bar := newBar(p.Stderr, size, "importing")
			in, clear = io.TeeReader(in, bar), bar.Clear
		}
		res, err := to.patient.Import(c.Context(), *tube, in)
		clear()
		return p.imported(res, err, *json)
	}
	return c
}

// imported prints what came of an import.
func (p *Program) imported(res *api.Imported, err error, json bool) error {
	if err != nil {
		return err
	}
	for _, e := range res.Errors {
		if e.Error != nil {
			fmt.Fprintf(p.Stderr, "line %d: %v\n", e.Line, e.Error)
		}
	}
	if json {
		err = jsonLine(p.Stdout, res)
	} else {
		_, err = fmt.Fprintf(p.Stdout, "imported %s\n", plural(res.Imported, "job"))
	}
	if err == nil && res.Failed > 0 {
		err = fmt.Errorf("%s could not be imported", plural(res.Failed, "job"))
	}
	return err
}

func (p *Program) tailCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tail [TUBE ...]",
		Short: "follow what happens to jobs and tubes",
		Long: `Prints what happens, as it happens, until it is interrupted: in the given tubes, or in
all. It needs the HTTP API. Events that come faster than they can be read are left out,
and it says how many.

Kinds: job.put, job.reserved, job.released, job.buried, job.kicked, job.ready (its delay
is over), job.timed-out, job.returned (its worker has left), job.deleted, job.moved,
job.changed, job.touched, tube.made, tube.gone, tube.paused, tube.resumed; and job.* or
tube.* for all of them.`,
		Example: "  spoked tail mails\n  spoked tail --kind job.buried,job.timed-out --json",
		Args:    cobra.ArbitraryArgs,
	}
	r := p.remoteFlags(c)
	kinds := c.Flags().StringSlice("kind", nil, "`KINDS` of events, with commas between (default all)")
	most := c.Flags().IntP("count", "n", 0, "end after that many (default without end)")
	json := jsonFlag(c, "an object a line for each event")
	c.ValidArgsFunction = r.completeTube
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkTube(args...); err != nil {
			return err
		}
		to, err := r.api(c.Context())
		if err != nil {
			return err
		}
		n := 0
		for e, err := range to.patient.Events(c.Context(), api.EventsQuery{Tubes: args, Kinds: *kinds}) {
			switch {
			case err != nil && c.Context().Err() != nil: // how one ends it
				return nil
			case errors.Is(err, io.ErrUnexpectedEOF):
				return &wire.UnreachableError{Addr: to.url, Err: errors.New("it has ended the stream of events")}
			case err != nil:
				return err
			}
			if err := p.printEvent(&e, *json); err != nil {
				return err
			}
			if n++; n == *most {
				return nil
			}
		}
		return nil
	}
	return c
}

// printEvent prints an event.
func (p *Program) printEvent(e *api.Event, json bool) error {
	if json {
		return jsonLine(p.Stdout, e)
	}
	if e.Event == api.Dropped {
		fmt.Fprintf(p.Stderr, "tail: %s left out here\n", plural(e.Count, "event"))
		return nil
	}
	return p.buffered(func(out *bufio.Writer) error {
		fmt.Fprintf(out, "%s  %-13s  %s", e.At.Local().Format("15:04:05.000"), e.Event, e.Tube)
		if e.ID > 0 {
			fmt.Fprintf(out, "  job %d  pri %d", e.ID, e.Pri)
		}
		if e.Delay > 0 {
			fmt.Fprintf(out, "  delay %s", lasting(time.Duration(e.Delay)))
		}
		_, err := fmt.Fprintln(out)
		return err
	})
}
