package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"spoked/internal/api"
	"spoked/internal/config"
)

// jobCommands returns what is about jobs.
func (p *Program) jobCommands() []*cobra.Command {
	return []*cobra.Command{
		p.putCommand(), p.reserveCommand(), p.deleteCommand(), p.releaseCommand(), p.buryCommand(), p.touchCommand(),
		p.kickCommand(), p.peekCommand(), p.jobsCommand(), p.moveCommand(),
	}
}

// tally is what came of several things.
type tally struct {
	p       *Program
	json    bool
	done    int
	failed  int
	missing int
	unsaid  error // of standard output
}

func (p *Program) tally(json bool) *tally { return &tally{p: p, json: json} }

// leave notes what came of one thing: v, to be printed as JSON, or err.
func (t *tally) leave(v any, name string, err error) {
	if err == nil {
		t.done++
		if t.json && t.unsaid == nil {
			t.unsaid = jsonLine(t.p.Stdout, v)
		}
		return
	}
	code, err := explain(err)
	if exit, ok := errors.AsType[*config.ExitError](err); ok {
		code = exit.Code
	}
	if code == config.ExitNotFound {
		t.missing++
	} else {
		t.failed++
	}
	if name != "" {
		err = fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(t.p.Stderr, "%v\n", err)
}

// end returns the error that the command ends with.
func (t *tally) end() error {
	switch {
	case t.unsaid != nil:
		return t.unsaid
	case t.failed > 0:
		return errSaid
	case t.missing > 0:
		return &config.ExitError{Code: config.ExitNotFound, Err: errSaid}
	}
	return nil
}

// readIDs reads the ids of jobs.
func readIDs(args []string) (ids []uint64, err error) {
	for _, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || id == 0 {
			return nil, misuse("%s: it must be the id of a job, a number", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// result is what was done to a job.
type result struct {
	ID     uint64 `json:"id"`
	Result string `json:"result"`
}

func (p *Program) deleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "delete ID|LEASE ...",
		Short: "delete jobs, by id, or by lease once they are done",
		Long: `Deletes jobs. A job that is ready, delayed or buried is named by its id. One that is
reserved is deleted by whoever has reserved it: by the lease that reserve has
printed, which needs the HTTP API.`,
		Example: "  spoked delete 17 18\n  spoked delete AAAAAAAAAAcAAAABx3kYnWJvQ0w",
		Args:    takes("ID..."),
	}
	r := p.remoteFlags(c)
	json := jsonFlag(c, "an object a line for each job")
	c.RunE = func(c *cobra.Command, args []string) error {
		var ids []uint64
		var leases []string
		for _, arg := range args {
			if id, err := strconv.ParseUint(arg, 10, 64); err == nil {
				ids = append(ids, id)
			} else {
				leases = append(leases, arg)
			}
		}
		t := p.tally(*json)
		if err := p.deleteLeases(c.Context(), r, leases, t); err != nil {
			return err
		}
		if len(ids) > 0 {
			to, err := r.open(c.Context())
			if err != nil {
				return err
			}
			defer to.close()
			err = to.remove(c.Context(), ids, func(id uint64, err error) { t.leave(result{id, "deleted"}, "", err) })
			if err != nil {
				return err
			}
		}
		return t.end()
	}
	return c
}

func (p *Program) deleteLeases(ctx context.Context, r *remote, leases []string, t *tally) error {
	if len(leases) == 0 {
		return nil
	}
	to, err := r.api(ctx)
	if err != nil {
		return err
	}
	for _, lease := range leases {
		err := to.client.DeleteLease(ctx, lease)
		if err != nil && !isAnswer(err) {
			return err
		}
		t.leave(released{lease, "deleted"}, lease, err)
	}
	return nil
}

func (p *Program) kickCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "kick [ID ...]",
		Short: "make buried or delayed jobs ready",
		Long: `Makes jobs ready: those with the given ids, or else jobs of a tube, buried ones if it has
any, and if not delayed ones.`,
		Example: "  spoked kick -t mails --count 100\n  spoked kick 17",
		Args:    cobra.ArbitraryArgs,
	}
	r := p.remoteFlags(c)
	tube := c.Flags().StringP("tube", "t", "default", "the `TUBE`")
	n := c.Flags().Uint32P("count", "n", 1, "how many at most")
	all := c.Flags().Bool("all", false, "as many as there are")
	json := jsonFlag(c, "JSON")
	exclusive(c, "count", "all")
	c.RegisterFlagCompletionFunc("tube", r.completeTube)
	c.RunE = func(c *cobra.Command, args []string) error {
		ids, err := readIDs(args)
		if err != nil {
			return err
		}
		if err := checkTube(*tube); err != nil {
			return err
		}
		for _, name := range []string{"tube", "count", "all"} {
			if len(ids) > 0 && c.Flags().Changed(name) {
				return misuse("--%s has no meaning with ids", name)
			}
		}
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		if len(ids) > 0 {
			t := p.tally(*json)
			err := to.kickJobs(c.Context(), ids, func(id uint64, err error) { t.leave(result{id, "kicked"}, "", err) })
			return errors.Join(err, t.end())
		}
		if *all {
			*n = math.MaxUint32
		}
		kicked, err := to.kick(c.Context(), *tube, *n)
		if err != nil {
			return err
		}
		return p.counted(*json, kicked, "kicked", "job")
	}
	return c
}

// counted prints how many it was.
func (p *Program) counted(json bool, n int, did, what string) error {
	if json {
		return jsonLine(p.Stdout, map[string]int{did: n})
	}
	_, err := fmt.Fprintf(p.Stdout, "%s %s\n", did, plural(n, what))
	return err
}

func (p *Program) peekCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "peek [ID ...]",
		Short: "look at jobs without taking them",
		Long: `Prints jobs: those with the given ids, or else the next one of a tube that is in a
state. What there is to say about a job goes to standard error, the body as it is to
standard output.`,
		Example: "  spoked peek 17\n  spoked peek -t mails --state buried\n  spoked peek -t images > next.png",
		Args:    cobra.ArbitraryArgs,
	}
	r := p.remoteFlags(c)
	tube := c.Flags().StringP("tube", "t", "default", "the `TUBE`")
	state := c.Flags().String("state", "ready", "the `STATE`: ready, delayed or buried")
	json := jsonFlag(c, "an object a line for each job, with its body")
	c.RegisterFlagCompletionFunc("tube", r.completeTube)
	c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"ready", "delayed", "buried"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		ids, err := readIDs(args)
		if err != nil {
			return err
		}
		if err := checkTube(*tube); err != nil {
			return err
		}
		if *state != "ready" && *state != "delayed" && *state != "buried" {
			return misuse("--state: %s: it must be ready, delayed or buried", *state)
		}
		to, err := r.open(c.Context())
		if err != nil {
			return err
		}
		defer to.close()
		if len(ids) == 0 {
			j, err := to.peek(c.Context(), *tube, *state)
			if err != nil {
				return err
			}
			return p.printJob(j, *json, false)
		}
		t := p.tally(false)
		for _, id := range ids {
			j, err := to.job(c.Context(), id, true)
			if code, _ := explain(err); err != nil && !isNotFound(err) && code != config.ExitNotFound {
				return err
			}
			if err == nil {
				if err = p.printJob(j, *json, len(ids) > 1); err != nil {
					return err
				}
			}
			t.leave(nil, "", err)
		}
		return t.end()
	}
	return c
}

// printJob prints a job and its body.
func (p *Program) printJob(j *api.Job, json, many bool) error {
	return p.buffered(func(out *bufio.Writer) error {
		if json {
			return jsonLine(out, j)
		}
		fmt.Fprintln(p.Stderr, jobHeader(j))
		return p.printBody(out, j.Content.Bytes(), many)
	})
}

// isNotFound reports whether err is of something that is not there.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*config.ExitError](err)
	return ok && e.Code == config.ExitNotFound
}
