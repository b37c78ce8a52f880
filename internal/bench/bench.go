package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrInterrupted is what Bench returns when its context has ended.
var ErrInterrupted = errors.New("interrupted")

// A LostError is the error of a server that cannot be reached, or no longer.
type LostError struct{ Err error }

// Error returns the text of the error inside.
func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *LostError) Unwrap() error { return e.Err }

// cleanupLimit is how long removing the jobs of one run may take, besides twice
// the time that the run has taken.
const cleanupLimit = 2 * time.Minute

// An Observer is told what a benchmark finds out, from the goroutine that runs it.
// Any of its functions may be nil.
type Observer struct {
	// Result gets the result of each run, as soon as there is one.
	Result func(*Result) error
	// Comparison gets, with two servers, what the rounds of a scenario come to.
	Comparison func(*Comparison) error
	// Progress gets what a run does, about twice a second.
	Progress func(Progress)
	// Warning gets what the results do not say.
	Warning func(string)
}

// Bench plays the scenarios of o, which are finished as soon as ctx ends: then
// the jobs that were put are removed, a result is made of what there is, and
// ErrInterrupted returned.
func Bench(ctx context.Context, o Options, observe Observer) error {
	if err := o.Check(); err != nil {
		return err
	}
	for _, name := range o.Scenarios {
		s, _ := findScenario(name)
		b := &bench{opts: &o, scenario: &s, observe: observe}
		err := b.play(ctx)
		if err == nil && ctx.Err() != nil {
			err = ErrInterrupted
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bench is one scenario on one or two servers.
type bench struct {
	opts     *Options
	scenario *Scenario
	observe  Observer
}

func (b *bench) play(ctx context.Context) error {
	if b.opts.Against == nil {
		_, err := b.measure(ctx, b.opts.Server, 1)
		return err
	}
	targets := []Target{b.opts.Server, *b.opts.Against}
	got := make([][]*Result, 2)
	for round := range b.opts.Rounds {
		for i := range targets {
			which := (round + i) % 2 // neither is always the first
			res, err := b.measure(ctx, targets[which], round+1)
			if err != nil {
				return err
			}
			got[which] = append(got[which], res)
		}
		if ctx.Err() != nil {
			return ErrInterrupted
		}
	}
	if b.observe.Comparison == nil {
		return nil
	}
	return b.observe.Comparison(compare(got[0], got[1]))
}

// measure plays one run, and removes the jobs it leaves.
func (b *bench) measure(ctx context.Context, t Target, round int) (*Result, error) {
	r, err := newRun(b.opts, b.scenario, t)
	if err != nil {
		return nil, err
	}
	r.progress = b.observe.Progress
	failed := r.play(ctx)
	var res *Result
	if failed == nil && r.began > 0 {
		if res, failed = r.result(); failed == nil {
			res.Round = round
		}
	}
	left, unclean := b.clean(r, failed != nil)
	if unclean != nil && b.observe.Warning != nil {
		b.observe.Warning(fmt.Sprintf("%s: about %d jobs are left on %s, in the tube %s: %v",
			b.scenario.Name, left, t, tubeNames(r.tubes), unclean))
	}
	switch {
	case failed != nil:
		return nil, fmt.Errorf("%s: %s: %w", b.scenario.Name, t, failed)
	case res == nil:
		return nil, ErrInterrupted
	}
	res.LeftBehind = left
	if b.observe.Result != nil {
		err = b.observe.Result(res)
	}
	return res, err
}

// clean removes the jobs that a run has left, and returns how many it could not.
func (b *bench) clean(r *run, failed bool) (left int, err error) {
	expected := r.allInserted + r.inserted - r.allDeleted - r.deleted
	if r.started == 0 && r.phase == setup || expected == 0 && !failed && r.errors == 0 {
		return 0, nil
	}
	if b.observe.Progress != nil {
		b.observe.Progress(Progress{Scenario: b.scenario.Name, Server: r.target.String(), Doing: "removing jobs"})
	}
	c := cleaner{target: r.target, patience: b.opts.Patience, limit: cleanupLimit + 2*time.Since(r.base), kick: r.scenario.delayed}
	if err := c.remove(r.tubes); err != nil {
		return max(1, expected-c.gone), err
	}
	return 0, nil
}

// tubeNames returns the name of the only tube, or of the first and the number.
func tubeNames(tubes []string) string {
	if len(tubes) == 1 {
		return tubes[0]
	}
	return fmt.Sprintf("%s and the %d after it", tubes[0], len(tubes)-1)
}
