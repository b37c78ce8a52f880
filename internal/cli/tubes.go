package cli

import (
	"bufio"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
)

// tubeCommands returns what is about tubes.
func (p *Program) tubeCommands() []*cobra.Command {
	return []*cobra.Command{p.tubesCommand(), p.clearCommand(), p.pauseCommand(), p.resumeCommand(), p.tailCommand()}
}

func (p *Program) tubesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tubes [PREFIX]",
		Short: "list tubes, with how many jobs and waiting workers they have",
		Long: `Lists the tubes, or those whose names begin with PREFIX: how many jobs they have in each
state, how many workers wait for a job, how many jobs were put and deleted, how old
the oldest ready job is (from the HTTP API alone), and what is left of a pause.`,
		Example: "  spoked tubes\n  spoked tubes mail --json",
		Args:    takes("PREFIX?"),
	}
	r := p.remoteFlags(c)
	json := jsonFlag(c, "an object a line for each tube")
	c.ValidArgsFunction = r.completeFirstTube
	c.RunE = func(c *cobra.Command, args []string) error {
		prefix := ""
		if len(args) > 0 {
			prefix = args[0]
		}
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		rows := [][]string{{"<tube", "ready", "delayed", "reserved", "buried", "waiting", "put", "deleted", "oldest", "<paused"}}
		return p.buffered(func(out *bufio.Writer) error {
			err := to.tubes(c.Context(), prefix, func(t *api.Tube) error {
				if *json {
					return jsonLine(out, t)
				}
				rows = append(rows, tubeRow(t))
				return nil
			})
			if err != nil || *json {
				return err
			}
			if len(rows) == 1 && prefix != "" {
				return notFound("no tube has a name that begins with %s", prefix)
			}
			return table(out, rows)
		})
	}
	return c
}

// tubeRow returns a tube as a row of the table.
func tubeRow(t *api.Tube) []string {
	oldest, paused := "-", ""
	if t.OldestReadyAge != nil {
		oldest = lasting(time.Duration(*t.OldestReadyAge))
	}
	if t.Pause != nil {
		paused = lasting(time.Duration(t.Pause.Left))
	}
	return []string{t.Name, count(t.Jobs.Ready), count(t.Jobs.Delayed), count(t.Jobs.Reserved), count(t.Jobs.Buried),
		count(t.Waiting), count(t.TotalJobs), count(t.Deletes), oldest, paused}
}

func (p *Program) pauseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pause TUBE ...",
		Short: "keep jobs of a tube from being reserved for a while",
		Long: `Pauses tubes: their jobs are not handed out until the time is over, or until resume.
Jobs can be put all the same, and what is reserved stays so.`,
		Example: "  spoked pause mails --for 10m",
		Args:    takes("TUBE..."),
	}
	r := p.remoteFlags(c)
	d := seconds(time.Hour)
	c.Flags().Var(&d, "for", "how long")
	json := jsonFlag(c, "an object a line for each tube")
	c.ValidArgsFunction = r.completeTube
	c.RunE = func(c *cobra.Command, args []string) error {
		if d == 0 {
			return misuse("--for: it must be more than 0; spoked resume ends a pause")
		}
		return p.pause(c, r, args, time.Duration(d), *json)
	}
	return c
}

func (p *Program) resumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "resume TUBE ...",
		Short:   "end the pause of a tube",
		Long:    "Ends the pause of tubes. Workers that wait get jobs at once.",
		Example: "  spoked resume mails",
		Args:    takes("TUBE..."),
	}
	r := p.remoteFlags(c)
	json := jsonFlag(c, "an object a line for each tube")
	c.ValidArgsFunction = r.completeTube
	c.RunE = func(c *cobra.Command, args []string) error { return p.pause(c, r, args, 0, *json) }
	return c
}

// pause pauses tubes, or ends their pause if d is 0.
func (p *Program) pause(c *cobra.Command, r *remote, tubes []string, d time.Duration, json bool) error {
	if err := checkTube(tubes...); err != nil {
		return err
	}
	to, err := r.open(c.Context())
	if err != nil {
		return err
	}
	defer to.close()
	t := p.tally(json)
	for _, name := range tubes {
		err := to.pause(c.Context(), name, d)
		if err != nil && !isNotFound(err) {
			return err
		}
		t.leave(tubePause{name, api.Duration(d)}, "", err)
	}
	return t.end()
}

// tubePause is what pause and resume did.
type tubePause struct {
	Tube string       `json:"tube"`
	For  api.Duration `json:"paused_for"`
}

func (p *Program) statsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "stats [TUBE]",
		Short: "print figures of the server, of a tube, or of a job",
		Long: `Prints the figures of the server, or of a tube, or with --job of a job. In beanstalkd's
protocol the server's figures are those of its command stats; the HTTP API has its own.`,
		Example: "  spoked stats\n  spoked stats mails\n  spoked stats --job 17 --json",
		Args:    takes("TUBE?"),
	}
	r := p.remoteFlags(c)
	id := c.Flags().Uint64("job", 0, "the `ID` of a job")
	json := jsonFlag(c, "JSON")
	c.ValidArgsFunction = r.completeFirstTube
	c.RunE = func(c *cobra.Command, args []string) error {
		if c.Flags().Changed("job") && len(args) > 0 {
			return misuse("--job: it has no meaning with a tube")
		}
		if err := checkTube(args...); err != nil {
			return err
		}
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		switch {
		case c.Flags().Changed("job"):
			j, err := to.job(c.Context(), *id, false)
			if err != nil {
				return err
			}
			if *json {
				return printJSON(p.Stdout, j)
			}
			return pairs(p.Stdout, jobDict(j))
		case len(args) > 0:
			t, err := to.tube(c.Context(), args[0])
			if err != nil {
				return err
			}
			if *json {
				return printJSON(p.Stdout, t)
			}
			return pairs(p.Stdout, tubeDict(t))
		}
		d, v, err := to.stats(c.Context())
		if err != nil {
			return err
		}
		if *json {
			return printJSON(p.Stdout, v)
		}
		return pairs(p.Stdout, readable(d))
	}
	return c
}

func (p *Program) clearCommand() *cobra.Command {
	l := &clearLine{}
	c := &cobra.Command{
		Use:   "clear TUBE ...",
		Short: "delete the jobs of a tube",
		Long: `Deletes the jobs of tubes that are ready, delayed or buried and were there when it began;
with --state others. A reserved job is taken from its worker, who finds it gone.

spoked does this at once: by its HTTP API, or for all states by its command
flush-tube. With a server that has neither, such as beanstalkd, each job is looked at
and deleted, and reserved ones are left.`,
		Example: "  spoked clear mails\n  spoked clear mails --state buried --dry-run\n  spoked clear mails --state all",
		Args:    takes("TUBE..."),
	}
	l.remote = p.remoteFlags(c)
	f := c.Flags()
	f.StringSliceVar(&l.states, "state", []string{"ready", "delayed", "buried"}, "`STATES`: ready, delayed, buried, reserved, with commas between, or all")
	f.BoolVar(&l.dryRun, "dry-run", false, "only say how many jobs it would be")
	l.json = jsonFlag(c, "an object a line for each tube")
	c.ValidArgsFunction = l.remote.completeTube
	c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(append(allStates(), "all"), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkTube(args...); err != nil {
			return err
		}
		if err := l.checkStates(); err != nil {
			return err
		}
		t := p.tally(*l.json)
		for _, name := range args {
			n, err := p.clear(c.Context(), l, name)
			if err != nil && !isNotFound(err) {
				return fmt.Errorf("tube %s: %w", name, err)
			}
			did := "deleted"
			if l.dryRun {
				did = "would delete"
			}
			if err == nil && !*l.json {
				_, t.unsaid = fmt.Fprintf(p.Stdout, "%s: %s %s\n", name, did, plural(n, "job"))
			}
			t.leave(cleared{name, n, l.dryRun}, "", err)
		}
		return t.end()
	}
	return c
}
