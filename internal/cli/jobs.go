package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// jobsLine is a command line of jobs list or search.
type jobsLine struct {
	remote *remote
	states []string
	after  uint64
	limit  int
	json   *bool
}

func (p *Program) jobsCommand() *cobra.Command {
	return group("jobs", "list, search and change jobs",
		"Looks at the jobs of a tube, or changes them, without taking any.",
		p.jobsListCommand(), p.jobsSearchCommand(), p.jobsChangeCommand())
}

// jobsFlags gives c what list and search have in common.
func (p *Program) jobsFlags(c *cobra.Command) *jobsLine {
	l := &jobsLine{remote: p.remoteFlags(c)}
	f := c.Flags()
	f.StringSliceVar(&l.states, "state", nil, "jobs in those `STATES` alone, with commas between (default all)")
	f.Uint64Var(&l.after, "after", 0, "begin behind the job with that `ID`")
	f.IntVarP(&l.limit, "limit", "n", 100, "how many at most; 0 is all")
	l.json = jsonFlag(c, "an object a line for each job")
	c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(allStates(), cobra.ShellCompDirectiveNoFileComp))
	c.ValidArgsFunction = l.remote.completeFirstTube
	return l
}

func (p *Program) jobsListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list TUBE",
		Short: "list the jobs of a tube, in the order of their ids",
		Long: `Lists the jobs of a tube in the order of their ids. The HTTP API, which is looked for at
the server, shows how bodies begin. Without it spoked's command list-jobs is used, and
with beanstalkd all there is to see is the next job in each state.`,
		Example: "  spoked jobs list mails\n  spoked jobs list mails --state buried -n 0 --json",
		Args:    takes("TUBE"),
	}
	l := p.jobsFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := l.check(args[0]); err != nil {
			return err
		}
		to, err := l.remote.api(c.Context())
		if err == nil {
			return p.browse(c.Context(), l, to, args[0], "")
		}
		if _, ok := errors.AsType[*noAPIError](err); !ok {
			return err
		}
		return p.listOverWire(c.Context(), l, args[0])
	}
	return c
}

func (p *Program) jobsSearchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "search TUBE TEXT",
		Short: "list the jobs of a tube whose bodies have a text in them",
		Long: `Lists the jobs of a tube whose bodies have TEXT in them, byte for byte, in the order of
their ids. It needs the HTTP API.`,
		Example: "  spoked jobs search mails ann@example.com",
		Args:    takes("TUBE", "TEXT"),
	}
	l := p.jobsFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := l.check(args[0]); err != nil {
			return err
		}
		if args[1] == "" {
			return misuse("the text to search for is empty")
		}
		to, err := l.remote.api(c.Context())
		if err != nil {
			return err
		}
		return p.browse(c.Context(), l, to, args[0], args[1])
	}
	return c
}

func (l *jobsLine) check(tube string) error {
	if l.limit < 0 {
		return misuse("--limit: %d: it must not be negative", l.limit)
	}
	return errors.Join(checkTube(tube), checkStates(l.states))
}

// jobTable is a table of jobs that is printed as it grows.
type jobTable struct {
	out  *bufio.Writer
	json bool
	grid grid
	rows [][]string // not yet printed
	n    int
}

// flush prints what has been added.
func (t *jobTable) flush() error {
	rows := t.rows
	t.rows = t.rows[:0]
	if err := t.grid.print(t.out, rows); err != nil {
		return err
	}
	return t.out.Flush()
}

func jobColumns() []string {
	return []string{"job", "<state", "pri", "age", "left", "ttr", "reserves", "size", "<body"}
}

// add adds a job.
func (t *jobTable) add(j *api.Job) error {
	t.n++
	if t.json {
		return jsonLine(t.out, j)
	}
	left, body := "", preview(j.Content, j.Truncated)
	if j.TimeLeft > 0 {
		left = lasting(time.Duration(j.TimeLeft))
	}
	if j.Unsearched {
		body = "(on disk, and not searched)"
	}
	if t.n == 1 {
		t.rows = [][]string{jobColumns()}
	}
	t.rows = append(t.rows, []string{fmt.Sprint(j.ID), j.State, count(j.Pri), lasting(time.Duration(j.Age)), left,
		lasting(time.Duration(j.TTR)), count(j.Reserves), bytesText(j.Size), body})
	return nil
}

// browse prints pages of jobs until there are enough.
func (p *Program) browse(ctx context.Context, l *jobsLine, to *apiLink, tube, text string) error {
	const page = 1000
	return p.buffered(func(out *bufio.Writer) error {
		t := &jobTable{out: out, json: *l.json}
		q := api.JobsQuery{Tube: tube, States: l.states, Contains: text, After: l.after, As: "text"}
		complete := false
		for !complete && (l.limit == 0 || t.n < l.limit) {
			q.Limit = page
			if l.limit > 0 {
				q.Limit = min(page, l.limit-t.n)
			}
			found, err := to.patient.Jobs(ctx, q)
			if err != nil {
				return err
			}
			for i := range found.Jobs {
				if err := t.add(&found.Jobs[i]); err != nil {
					return err
				}
			}
			if err := t.flush(); err != nil {
				return err
			}
			complete, q.After = found.Complete, found.Next
		}
		if !complete {
			fmt.Fprintf(p.Stderr, "there may be more: --after %d\n", q.After)
		}
		if t.n == 0 {
			return notFound("tube %s has no such job", tube)
		}
		return nil
	})
}

// listOverWire prints what list-jobs says, or the next job in each state.
func (p *Program) listOverWire(ctx context.Context, l *jobsLine, tube string) error {
	to, err := l.remote.dial(ctx, l.remote.server)
	if err != nil {
		return err
	}
	defer to.close()
	return p.buffered(func(out *bufio.Writer) error {
		t := &jobTable{out: out, json: *l.json}
		err := to.listJobs(l, tube, t)
		if isReply(err, "UNKNOWN_COMMAND") {
			fmt.Fprintf(p.Stderr, "note: this server cannot list jobs; these are the next in each state\n")
			err = to.nextOfEach(ctx, l, tube, t)
		}
		if err != nil {
			return err
		}
		if t.n == 0 {
			return notFound("tube %s has no such job", tube)
		}
		return t.flush()
	})
}

// listJobs asks for one state after the other, or for all at once.
func (l *wireLink) listJobs(want *jobsLine, tube string, t *jobTable) error {
	const page = 1000
	states := want.states
	if len(states) == 0 {
		states = []string{"all"}
	}
	for _, state := range states {
		for after := want.after; want.limit == 0 || t.n < want.limit; {
			n := page
			if want.limit > 0 {
				n = min(page, want.limit-t.n)
			}
			r, err := l.want("OK", strings.TrimSpace(fmt.Sprintf("list-jobs %s %s %d %d", tube, state, after, n)), nil)
			if isReply(err, "NOT_FOUND") {
				return notFound("tube %s: not there: no job is in it, and no client uses or watches it", tube)
			}
			if err != nil {
				return err
			}
			found := wire.Mappings(r.Body)
			for _, d := range found {
				j := jobOf(d)
				j.Tube = tube
				after = j.ID
				if err := t.add(j); err != nil {
					return err
				}
			}
			if err := t.flush(); err != nil || len(found) < n {
				if err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// nextOfEach peeks at the next job in each state.
func (l *wireLink) nextOfEach(ctx context.Context, want *jobsLine, tube string, t *jobTable) error {
	for _, state := range []string{"ready", "delayed", "buried"} {
		if len(want.states) > 0 && !slices.Contains(want.states, state) {
			continue
		}
		j, err := l.peek(ctx, tube, state)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.add(j); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) jobsChangeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "change ID ...",
		Short: "change the priority or the delay of jobs",
		Long: `Changes jobs that nobody has reserved. With a delay a ready job becomes a delayed one,
and with --delay 0 a delayed one is ready. It needs the HTTP API.`,
		Example: "  spoked jobs change 17 --pri 0\n  spoked jobs change 17 18 --delay 1h",
		Args:    takes("ID..."),
	}
	r := p.remoteFlags(c)
	pri := c.Flags().Uint32P("pri", "p", 0, "the priority (default the one it has)")
	var delay seconds
	c.Flags().VarP(&delay, "delay", "d", "how long until it is ready (default as it is)")
	json := jsonFlag(c, "an object a line for each job")
	c.RunE = func(c *cobra.Command, args []string) error {
		var v api.Change
		if c.Flags().Changed("pri") {
			v.Pri = pri
		}
		if c.Flags().Changed("delay") {
			d := api.Duration(delay)
			v.Delay = &d
		}
		if v.Pri == nil && v.Delay == nil {
			return misuse("there is nothing to change: give --pri or --delay")
		}
		return p.change(c.Context(), r, args, v, *json)
	}
	return c
}

// change changes jobs by id.
func (p *Program) change(ctx context.Context, r *remote, args []string, v api.Change, json bool) error {
	ids, err := readIDs(args)
	if err != nil {
		return err
	}
	to, err := r.api(ctx)
	if err != nil {
		return err
	}
	t := p.tally(json)
	for _, id := range ids {
		j, err := to.client.Change(ctx, id, v)
		if err != nil && !isAnswer(err) {
			return err
		}
		t.leave(j, fmt.Sprintf("job %d", id), err)
	}
	return t.end()
}

func (p *Program) moveCommand() *cobra.Command {
	var b api.Bulk
	c := &cobra.Command{
		Use:   "move --to TUBE ID ... | --from TUBE",
		Short: "move jobs to another tube",
		Long: `Moves jobs that nobody has reserved into another tube, in the state, with the priority
and the delay that they have: those with the given ids, or with --from those of a tube.
It needs the HTTP API.`,
		Example: "  spoked move --to later 17 18\n  spoked move --from mails --state buried --contains ann@ --to mails-ann --dry-run",
		Args:    cobra.ArbitraryArgs,

		DisableFlagsInUseLine: true,
	}
	r := p.remoteFlags(c)
	f := c.Flags()
	to := f.String("to", "", "the `TUBE` to move to")
	f.StringVar(&b.Tube, "from", "", "the `TUBE` whose jobs are to be moved")
	f.StringSliceVar(&b.States, "state", nil, "of those, jobs in these `STATES` alone, with commas between (default all but reserved)")
	f.StringVar(&b.Contains, "contains", "", "of those, jobs with that `TEXT` in the body alone")
	f.IntVarP(&b.Limit, "limit", "n", 0, "of those, that many at most (default all)")
	f.BoolVar(&b.DryRun, "dry-run", false, "of those, only say how many it would be")
	json := jsonFlag(c, "JSON; of ids, an object a line for each job")
	for _, name := range []string{"to", "from"} {
		c.RegisterFlagCompletionFunc(name, r.completeTube)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if *to == "" {
			return misuse("--to is missing: it is the tube to move to")
		}
		if err := checkTube(*to); err != nil {
			return err
		}
		if len(args) > 0 {
			for _, name := range []string{"from", "state", "contains", "limit", "dry-run"} {
				if f.Changed(name) {
					return misuse("--%s has no meaning with ids", name)
				}
			}
			return p.change(c.Context(), r, args, api.Change{Tube: to}, *json)
		}
		if b.Tube == "" {
			return misuse("there is nothing to move: give ids, or --from TUBE")
		}
		if err := errors.Join(checkTube(b.Tube), checkStates(b.States)); err != nil {
			return err
		}
		b.Action, b.To = "move", to
		return p.bulk(c.Context(), r, b, *json)
	}
	return c
}

// bulk moves jobs by what they are like, call by call until all have been looked at.
func (p *Program) bulk(ctx context.Context, r *remote, b api.Bulk, json bool) error {
	to, err := r.api(ctx)
	if err != nil {
		return err
	}
	sum, limit := api.BulkResult{Action: b.Action, DryRun: b.DryRun}, b.Limit
	for !sum.Complete && (limit == 0 || sum.Changed < limit) {
		if limit > 0 {
			b.Limit = limit - sum.Changed
		}
		res, err := to.patient.Bulk(ctx, b)
		if err != nil {
			return fmt.Errorf("%w (after %s had been moved)", err, plural(sum.Changed, "job"))
		}
		sum.Matched += res.Matched
		sum.Changed += res.Changed
		sum.Skipped += res.Skipped
		sum.Examined += res.Examined
		sum.Complete, b.After = res.Complete, res.Next
		if !res.Complete && res.Next == 0 {
			break
		}
	}
	if json {
		return jsonLine(p.Stdout, sum)
	}
	did := "moved"
	if b.DryRun {
		did = "would move"
	}
	_, err = fmt.Fprintf(p.Stdout, "%s %s to %s; %s skipped\n", did, plural(sum.Changed, "job"), *b.To, count(sum.Skipped))
	return err
}
