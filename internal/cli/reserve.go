package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
)

const reserveLong = `Reserves jobs of one or more tubes, waiting for them, and prints their bodies: as they
are on standard output, and what there is to say about a job on standard error.

Somebody has to say what becomes of a job when it has been worked on:
 --exec      runs a command for each job, by sh, with the body on its standard input
             and SPOKED_JOB_ID, SPOKED_JOB_TUBE and SPOKED_JOB_RESERVES in its
             environment. While it runs the job is touched. It is deleted if the
             command exits with 0, and else buried, or what --on-failure says.
 --delete    deletes a job as soon as it has been printed.
 otherwise   the job comes with a lease, which delete, release, bury and touch take,
             from any machine, until its time to run is over. A lease comes from the
             HTTP API, which is looked for at the server if --server is its address
             for clients. In beanstalkd's protocol a reservation ends with the
             connection, so a server that has nothing else needs one of the others.

Without --wait it waits until there is a job. With --count 0 it goes on until it is
interrupted, or until there is none within --wait.`

// reserveLine is a command line of reserve.
type reserveLine struct {
	remote    *remote
	tubes     []string
	wait      seconds
	count     int
	delete    bool
	exec      string
	onFailure string
	delay     seconds
	json      *bool
}

// reserveCommand returns the command that reserves jobs.
func (p *Program) reserveCommand() *cobra.Command {
	l := &reserveLine{}
	c := &cobra.Command{
		Use:   "reserve",
		Short: "reserve jobs: print them, or run a command for each",
		Long:  reserveLong,
		Example: `  spoked reserve -t mails --wait 10s
  spoked reserve -t mails --delete --wait 0
  spoked reserve -t images --count 0 --exec 'convert - out-$SPOKED_JOB_ID.png'`,
		Args: takes(),
	}
	l.remote = p.remoteFlags(c)
	f := c.Flags()
	f.StringSliceVarP(&l.tubes, "tube", "t", []string{"default"}, "a `TUBE` to take jobs of; repeat it for more")
	f.VarP(&l.wait, "wait", "w", "how long to wait for a job; 0 is not at all (default for ever)")
	f.Lookup("wait").DefValue = ""
	f.IntVarP(&l.count, "count", "n", 1, "how many jobs; 0 is without end")
	f.BoolVar(&l.delete, "delete", false, "delete a job once it has been printed")
	f.StringVarP(&l.exec, "exec", "e", "", "`COMMAND` to run for each job")
	f.StringVar(&l.onFailure, "on-failure", "bury", "what becomes of a job whose command fails: `bury, release or delete`")
	f.VarP(&l.delay, "delay", "d", "how long until a job that --on-failure releases is ready")
	l.json = jsonFlag(c, "an object a line for each job, with its body")
	exclusive(c, "delete", "exec")
	exclusive(c, "json", "exec")
	c.RegisterFlagCompletionFunc("tube", l.remote.completeTube)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := l.check(c); err != nil {
			return err
		}
		wait := time.Duration(-1)
		if f.Changed("wait") {
			wait = time.Duration(l.wait)
		}
		return p.reserve(c.Context(), l, wait)
	}
	return c
}

func (l *reserveLine) check(c *cobra.Command) error {
	if l.count < 0 {
		return misuse("--count: %d: it must not be negative", l.count)
	}
	switch l.onFailure {
	case "bury", "release", "delete":
	default:
		return misuse("--on-failure: %s: it must be bury, release or delete", l.onFailure)
	}
	for _, name := range []string{"on-failure", "delay"} {
		if c.Flags().Changed(name) && l.exec == "" {
			return misuse("--%s: without --exec it has no meaning", name)
		}
	}
	return checkTube(l.tubes...)
}

// open returns a link that can do what is asked for. The link over the wire does not
// end with ctx, so that what is reserved in it can be settled.
func (l *reserveLine) open(ctx context.Context) (link, error) {
	if l.remote.isURL() || l.exec != "" || l.delete {
		return l.remote.open(context.WithoutCancel(ctx))
	}
	to, err := l.remote.api(ctx)
	if missing, ok := errors.AsType[*noAPIError](err); ok {
		return nil, fmt.Errorf("a lease comes from the HTTP API, and the server at %s %s; or use --exec or --delete", missing.addr, missing.why)
	}
	return to, err
}

// reserve runs it.
func (p *Program) reserve(ctx context.Context, l *reserveLine, wait time.Duration) error {
	to, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer to.close()
	failed := 0
	for n := 0; l.count == 0 || n < l.count; n++ {
		h, err := to.reserve(ctx, l.tubes, wait)
		if err != nil {
			return err
		}
		if h == nil {
			if n > 0 {
				break
			}
			return notFound("no job within %v", wait)
		}
		if l.exec == "" {
			err = p.show(ctx, l, h)
		} else if err = p.work(ctx, l, h); errors.Is(err, errCommandFailed) {
			failed++
			err = nil
		}
		if err != nil {
			return fmt.Errorf("job %d: %w", h.job().ID, err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("the command failed for %s", plural(failed, "job"))
	}
	return nil
}

// show prints a job, and deletes it if that is asked for. What cannot be printed is
// released.
func (p *Program) show(ctx context.Context, l *reserveLine, h held) error {
	j := h.job()
	err := p.buffered(func(out *bufio.Writer) error {
		if *l.json {
			return jsonLine(out, j)
		}
		header := jobHeader(j)
		if j.Lease != "" && !l.delete {
			header += "\nlease " + j.Lease
		}
		fmt.Fprintln(p.Stderr, header)
		return p.printBody(out, j.Content.Bytes(), l.count != 1)
	})
	if err != nil {
		return errors.Join(err, h.release(context.WithoutCancel(ctx), nil, 0))
	}
	if l.delete {
		return h.remove(context.WithoutCancel(ctx))
	}
	return nil
}

// settleLine is a command line of delete, release, bury or touch.
type settleLine struct {
	remote *remote
	pri    uint32
	delay  seconds
	json   *bool
}

// settleCommand returns a command about leases, which settle does with each.
func (p *Program) settleCommand(use, short, long, example string, settle func(context.Context, *api.Client, *settleLine, *uint32, string) (any, error)) *cobra.Command {
	l := &settleLine{}
	c := &cobra.Command{Use: use + " LEASE ...", Short: short, Long: long, Example: example, Args: takes("LEASE...")}
	l.remote = p.remoteFlags(c)
	if use != "touch" {
		c.Flags().Uint32VarP(&l.pri, "pri", "p", 0, "priority from now on (default the one it has)")
		c.Flags().Lookup("pri").DefValue = "0"
	}
	if use == "release" {
		c.Flags().VarP(&l.delay, "delay", "d", "how long until it is ready")
	}
	l.json = jsonFlag(c, "an object a line for each job")
	c.RunE = func(c *cobra.Command, args []string) error {
		to, err := l.remote.api(c.Context())
		if err != nil {
			return err
		}
		var pri *uint32
		if c.Flags().Changed("pri") {
			pri = &l.pri
		}
		t := p.tally(*l.json)
		for _, lease := range args {
			v, err := settle(c.Context(), to.client, l, pri, lease)
			if err != nil && !isAnswer(err) {
				return err
			}
			t.leave(v, lease, err)
		}
		return t.end()
	}
	return c
}

// isAnswer reports whether err is about one thing of many, and the server will go on
// with the next.
func isAnswer(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Kind() != api.Unauthorized && e.Kind() != api.Forbidden
}

const leaseLong = ` The lease is what reserve has
printed. In beanstalkd's protocol a reservation cannot be handed on, so this needs the
HTTP API, which is looked for at the server; for other servers see reserve --exec.`

func (p *Program) releaseCommand() *cobra.Command {
	return p.settleCommand("release", "give reserved jobs back", "Makes reserved jobs ready again, or delayed."+leaseLong,
		"  spoked release --delay 5m AAAAAAAAAAcAAAABx3kYnWJvQ0w",
		func(ctx context.Context, c *api.Client, l *settleLine, pri *uint32, lease string) (any, error) {
			return released{lease, "released"}, c.Release(ctx, lease, api.Release{Pri: pri, Delay: api.Duration(l.delay)})
		})
}

func (p *Program) buryCommand() *cobra.Command {
	return p.settleCommand("bury", "set reserved jobs aside", "Buries reserved jobs: nobody gets them until they are kicked."+leaseLong,
		"  spoked bury AAAAAAAAAAcAAAABx3kYnWJvQ0w",
		func(ctx context.Context, c *api.Client, _ *settleLine, pri *uint32, lease string) (any, error) {
			return released{lease, "buried"}, c.Bury(ctx, lease, api.Bury{Pri: pri})
		})
}

func (p *Program) touchCommand() *cobra.Command {
	return p.settleCommand("touch", "keep jobs reserved for longer", "Starts the time to run of reserved jobs anew."+leaseLong,
		"  spoked touch AAAAAAAAAAcAAAABx3kYnWJvQ0w",
		func(ctx context.Context, c *api.Client, _ *settleLine, _ *uint32, lease string) (any, error) {
			v, err := c.Touch(ctx, lease)
			return v, err
		})
}

// released is what became of a lease.
type released struct {
	Lease  string `json:"lease"`
	Result string `json:"result"`
}
