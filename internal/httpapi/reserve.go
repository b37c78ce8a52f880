package httpapi

import (
	"context"
	"net/http"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

// reserve reserves jobs, and waits for the first.
func (c *call) reserve() error {
	p := c.params()
	as := p.shape(maxBytes)
	if err := p.end(); err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	v := api.Reserve{Count: 1, Ack: "lease"}
	if err := c.json(&v, maxSmall, true); err != nil {
		return err
	}
	if v.Tubes == nil {
		v.Tubes = []string{"default"}
	}
	if err := checkReserve(&v); err != nil {
		return err
	}
	ctx := c.r.Context()
	res, err := c.m.Reserve(ctx, manage.Wanted{Tubes: v.Tubes, Wait: time.Duration(v.Wait), Count: v.Count})
	if err != nil {
		return err
	}
	return c.hand(res, v.Ack == "auto", func(jobs []api.Job) any { return api.Reserved{Jobs: jobs} }, as)
}

func checkReserve(v *api.Reserve) error {
	switch {
	case v.Wait > api.Duration(maxWait):
		return about("wait", api.BadValue, "the member wait is %v, and may be %v at most", v.Wait, maxWait)
	case v.Count < 1 || v.Count > maxCount:
		return about("count", api.BadValue, "the member count is %d, and must be from 1 to %d", v.Count, maxCount)
	case v.Ack != "lease" && v.Ack != "auto":
		return about("ack", api.BadValue, "the member ack is %.40q, and must be lease or auto", v.Ack)
	case len(v.Tubes) < 1 || len(v.Tubes) > maxTubes:
		return about("tubes", api.BadValue, "the member tubes has %d names, and must have from 1 to %d", len(v.Tubes), maxTubes)
	}
	for _, t := range v.Tubes {
		if err := checkTube("tubes", t); err != nil {
			return err
		}
	}
	return nil
}

// hand answers with what was reserved, unless wrap returns nil for it: then it has
// gone. Until the answer has been written, the jobs are nobody's: if the client is
// known to have hung up, they are ready again at once. If that becomes known later, or
// never, they are when their time ends, as those of a client that has failed at its
// work.
func (c *call) hand(res *manage.Reservation, auto bool, wrap func([]api.Job) any, as shape) error {
	ctx := c.r.Context()
	if ctx.Err() != nil {
		res.Return()
		return context.Cause(ctx)
	}
	if auto {
		if err := res.Delete(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	} else {
		res.Lease()
	}
	jobs := make([]api.Job, 0, len(res.Jobs))
	for i := range res.Jobs {
		j := heldOf(&res.Jobs[i], as)
		if auto {
			j.At, j.TimeLeft = nil, 0
		}
		jobs = append(jobs, j)
	}
	v := wrap(jobs)
	if v == nil {
		return queue.ErrNotFound
	}
	if err := c.h.send(c.w, http.StatusOK, api.JSON, encode(v)); err != nil && !auto {
		res.Return() // what has arrived is no answer: its end is missing
	}
	return nil
}

// reserveJob reserves one job by its id.
func (c *call) reserveJob() error {
	p := c.params()
	as := p.shape(maxBytes)
	id, err := c.onJob(p)
	if err != nil {
		return err
	}
	if err := c.accepts(api.JSON); err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	res, err := c.m.ReserveJob(c.r.Context(), id)
	if err != nil {
		return err
	}
	if len(res.Jobs) == 0 { // deleted since, or its body cannot be read
		res.Return()
		return problem(api.NotFound, "%s is not there any more, or its body cannot be read", c.what)
	}
	return c.hand(res, false, one, as)
}

// one returns the only job, or nil if it has been deleted in the meantime, or its
// time has run out.
func one(jobs []api.Job) any {
	if len(jobs) == 0 {
		return nil
	}
	return jobs[0]
}

// onLease reads what a call about a lease has: a JSON object, unless v is nil.
func (c *call) onLease(v any) (lease string, err error) {
	if err = c.noParams(); err != nil {
		return "", err
	}
	if v == nil {
		err = c.noBody()
	} else {
		err = c.json(v, maxSmall, true)
	}
	return c.r.PathValue("lease"), err
}

func (c *call) deleteLease() error {
	lease, err := c.onLease(nil)
	if err != nil {
		return err
	}
	if err := c.m.DeleteLease(c.r.Context(), lease); err != nil {
		return err
	}
	return c.done()
}

func (c *call) release() error {
	var v api.Release
	lease, err := c.onLease(&v)
	if err != nil {
		return err
	}
	if err := checkSeconds("delay", v.Delay); err != nil {
		return err
	}
	if err := c.m.Release(c.r.Context(), lease, v.Pri, time.Duration(v.Delay)); err != nil {
		return err
	}
	return c.done()
}

func (c *call) bury() error {
	var v api.Bury
	lease, err := c.onLease(&v)
	if err != nil {
		return err
	}
	if err := c.m.Bury(c.r.Context(), lease, v.Pri); err != nil {
		return err
	}
	return c.done()
}

func (c *call) touch() error {
	lease, err := c.onLease(nil)
	if err != nil {
		return err
	}
	id, at, err := c.m.Touch(c.r.Context(), lease)
	if err != nil {
		return err
	}
	return c.ok(api.Lease{ID: id, Lease: lease, At: instant(at)})
}
