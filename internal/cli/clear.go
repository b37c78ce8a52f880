package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// clearLine is a command line of clear.
type clearLine struct {
	remote *remote
	states []string
	dryRun bool
	json   *bool
}

// cleared is what clear did to a tube.
type cleared struct {
	Tube    string `json:"tube"`
	Deleted int    `json:"deleted"`
	DryRun  bool   `json:"dry_run,omitempty"`
}

// allStates returns the states of jobs.
func allStates() []string { return []string{"ready", "delayed", "buried", "reserved"} }

// checkStates reads the states.
func (l *clearLine) checkStates() error {
	if slices.Contains(l.states, "all") {
		l.states = allStates()
	}
	return checkStates(l.states)
}

func checkStates(states []string) error {
	for _, s := range states {
		if !slices.Contains(allStates(), s) {
			return misuse("--state: %s: it must be one of %s", s, strings.Join(allStates(), ", "))
		}
	}
	return nil
}

// isAll reports whether the states are all there are.
func isAll(states []string) bool {
	for _, s := range allStates() {
		if !slices.Contains(states, s) {
			return false
		}
	}
	return true
}

// clear deletes the jobs of a tube in the best way that the server has.
func (p *Program) clear(ctx context.Context, l *clearLine, tube string) (int, error) {
	if l.dryRun {
		to, err := l.remote.open(ctx)
		if err != nil {
			return 0, err
		}
		defer to.close()
		t, err := to.tube(ctx, tube)
		if err != nil {
			return 0, err
		}
		return inStates(t, l.states), nil
	}
	if l.remote.isURL() || !isAll(l.states) {
		to, err := l.remote.api(ctx)
		if err == nil {
			n, err := to.patient.Clear(ctx, tube, l.states, false)
			if api.Is(err, api.NotFound) {
				err = notFound("tube %s: not there: no job is in it, and no client uses or watches it", tube)
			}
			return n, err
		}
		if _, ok := errors.AsType[*noAPIError](err); !ok {
			return 0, err
		}
	}
	to, err := l.remote.dial(ctx, l.remote.server)
	if err != nil {
		return 0, err
	}
	defer to.close()
	if isAll(l.states) {
		r, err := to.DoWithin(-1, "flush-tube "+tube, nil)
		switch {
		case err != nil:
			return 0, err
		case r.Word == "FLUSHED":
			return int(r.Uint(0)), nil
		case r.Word == "NOT_FOUND":
			return 0, notFound("tube %s: not there: no job is in it, and no client uses or watches it", tube)
		case r.Word != "UNKNOWN_COMMAND":
			return 0, wrong("flush-tube", r)
		}
	}
	return p.clearOneByOne(ctx, to, tube, l.states)
}

// inStates returns how many jobs of the tube are in these states.
func inStates(t *api.Tube, states []string) (n int) {
	for _, s := range states {
		switch s {
		case "ready":
			n += t.Jobs.Ready
		case "delayed":
			n += t.Jobs.Delayed
		case "reserved":
			n += t.Jobs.Reserved
		case "buried":
			n += t.Jobs.Buried
		}
	}
	return n
}

// clearOneByOne looks at the next job and deletes it, as often as there were jobs when
// it began, so that it ends though others put more.
func (p *Program) clearOneByOne(ctx context.Context, to *wireLink, tube string, states []string) (deleted int, err error) {
	t, err := to.tube(ctx, tube)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(p.Stderr, "note: this server has no command for it, so jobs are deleted one by one\n")
	if slices.Contains(states, "reserved") && t.Jobs.Reserved > 0 {
		fmt.Fprintf(p.Stderr, "note: %s left: only the client that has reserved a job can delete it here\n", plural(t.Jobs.Reserved, "reserved job"))
	}
	if _, err := to.want("USING", "use "+tube, nil); err != nil {
		return 0, err
	}
	for _, state := range states {
		if state == "reserved" {
			continue
		}
		n, err := to.deletePeeked(ctx, "peek-"+state, inStates(t, []string{state}))
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("%w (after %s had been deleted)", err, plural(deleted, "job"))
		}
	}
	return deleted, nil
}

// deletePeeked deletes what a peek finds, most times. The next peek is sent with the
// delete, so that a job takes one round trip.
func (l *wireLink) deletePeeked(ctx context.Context, peek string, most int) (deleted int, err error) {
	if most == 0 {
		return 0, nil
	}
	r, err := l.Do(peek, nil)
	for range most {
		if err != nil {
			return deleted, err
		}
		if r.Word == "NOT_FOUND" {
			return deleted, nil
		}
		if r.Word != "FOUND" {
			return deleted, wrong(peek, r)
		}
		lines := []string{"delete " + strconv.FormatUint(r.Uint(0), 10), peek}
		err = l.All(lines, func(i int, reply wire.Reply) error {
			if i == 1 {
				r = reply
			} else if reply.Word == "DELETED" {
				deleted++
			}
			return ctx.Err()
		})
	}
	return deleted, err
}
