package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// reserve watches the tubes, and waits. When ctx ends meanwhile, the connection is
// closed: what the server had in hand for it is ready again.
func (l *wireLink) reserve(ctx context.Context, tubes []string, wait time.Duration) (held, error) {
	if err := l.watch(tubes); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	line := "reserve"
	if wait >= 0 {
		line = fmt.Sprintf("reserve-with-timeout %d", (wait+time.Second-1)/time.Second)
	}
	r, err := l.DoWithin(wait, line, nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case r.Word == "TIMED_OUT":
		return nil, nil
	case r.Word != "RESERVED":
		return nil, wrong("reserve", r)
	}
	return l.hold(ctx, r)
}

// hold finds out about a job that was reserved.
func (l *wireLink) hold(ctx context.Context, r wire.Reply) (held, error) {
	j, err := l.job(ctx, r.Uint(0), false)
	if err != nil {
		return nil, err
	}
	j.Content, j.Size = api.Bytes(r.Body), uint32(len(r.Body))
	return &wireHeld{l, j}, nil
}

// watch has the connection watch these tubes and no other.
func (l *wireLink) watch(tubes []string) error {
	if slices.Equal(l.watched, tubes) {
		return nil
	}
	for _, name := range tubes {
		if _, err := l.want("WATCHING", "watch "+name, nil); err != nil {
			return fmt.Errorf("tube %s: %w", name, err)
		}
	}
	if !slices.Contains(tubes, "default") {
		if _, err := l.want("WATCHING", "ignore default", nil); err != nil {
			return err
		}
	}
	l.watched = slices.Clone(tubes)
	return nil
}

// wireHeld is a job that is reserved for as long as its connection is there.
type wireHeld struct {
	l *wireLink
	j *api.Job
}

func (h *wireHeld) job() *api.Job { return h.j }

// do sends a command about the job; it is no longer reserved if that is not found.
func (h *wireHeld) do(word, line string) error {
	_, err := h.l.want(word, line, nil)
	if isReply(err, "NOT_FOUND") {
		return notFound("the reservation has ended: its time to run was over, or the job has been deleted")
	}
	return err
}

func (h *wireHeld) touch(context.Context) error {
	return h.do("TOUCHED", fmt.Sprintf("touch %d", h.j.ID))
}

func (h *wireHeld) remove(context.Context) error {
	return h.do("DELETED", fmt.Sprintf("delete %d", h.j.ID))
}

func (h *wireHeld) release(_ context.Context, pri *uint32, delay time.Duration) error {
	return h.do("RELEASED", fmt.Sprintf("release %d %d %d", h.j.ID, orPri(pri, h.j), delay/time.Second))
}

func (h *wireHeld) bury(_ context.Context, pri *uint32) error {
	return h.do("BURIED", fmt.Sprintf("bury %d %d", h.j.ID, orPri(pri, h.j)))
}

// orPri returns the priority that is given, or else the job's.
func orPri(pri *uint32, j *api.Job) uint32 {
	if pri != nil {
		return *pri
	}
	return j.Pri
}

// longestPoll is how long a reserve over the API waits before it asks again.
const longestPoll = 30 * time.Second

func (l *apiLink) reserve(ctx context.Context, tubes []string, wait time.Duration) (held, error) {
	for from := time.Now(); ; {
		poll := longestPoll
		if wait >= 0 {
			poll = min(poll, max(0, wait-time.Since(from)))
		}
		jobs, err := l.patient.Reserve(ctx, api.Reserve{Tubes: tubes, Wait: api.Duration(poll)})
		if err != nil {
			return nil, err
		}
		if len(jobs) > 0 {
			h := &apiHeld{l, &jobs[0]}
			return h, h.exact(ctx)
		}
		if wait >= 0 && time.Since(from) >= wait {
			return nil, nil
		}
	}
}

// apiHeld is a job that is reserved under a lease.
type apiHeld struct {
	l *apiLink
	j *api.Job
}

func (h *apiHeld) job() *api.Job { return h.j }

// exact makes the body what it is, byte for byte: JSON comes in its compact form, which
// is as long only if it is the same.
func (h *apiHeld) exact(ctx context.Context) (err error) {
	body := h.j.Content.Bytes()
	if len(body) != int(h.j.Size) {
		body, err = h.l.patient.Body(ctx, h.j.ID)
	}
	if err != nil {
		return errors.Join(err, h.release(context.WithoutCancel(ctx), nil, 0))
	}
	h.j.Content = api.Bytes(body)
	return nil
}

func (h *apiHeld) touch(ctx context.Context) error {
	_, err := h.l.client.Touch(ctx, h.j.Lease)
	return err
}

func (h *apiHeld) remove(ctx context.Context) error { return h.l.client.DeleteLease(ctx, h.j.Lease) }

func (h *apiHeld) release(ctx context.Context, pri *uint32, delay time.Duration) error {
	return h.l.client.Release(ctx, h.j.Lease, api.Release{Pri: pri, Delay: api.Duration(delay)})
}

func (h *apiHeld) bury(ctx context.Context, pri *uint32) error {
	return h.l.client.Bury(ctx, h.j.Lease, api.Bury{Pri: pri})
}
