package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// apiLink is a link over the API.
type apiLink struct {
	client  *api.Client // for calls that are answered at once
	patient *api.Client // for those that wait, or stream
	url     string
}

func (l *apiLink) close() {}

func (l *apiLink) remove(ctx context.Context, ids []uint64, each func(uint64, error)) error {
	return l.each(ctx, ids, l.client.Delete, each)
}

func (l *apiLink) kickJobs(ctx context.Context, ids []uint64, each func(uint64, error)) error {
	return l.each(ctx, ids, l.client.KickJob, each)
}

// each makes a call for each id. Only an error that the server has not answered with
// ends it.
func (l *apiLink) each(ctx context.Context, ids []uint64, call func(context.Context, uint64) error, each func(uint64, error)) error {
	for _, id := range ids {
		err := call(ctx, id)
		e, ok := errors.AsType[*api.Error](err)
		switch {
		case err == nil:
			each(id, nil)
		case !ok || e.Kind() == api.Unauthorized || e.Kind() == api.Forbidden:
			return err
		case e.Kind() == api.NotFound:
			each(id, notFound("job %d: not there", id))
		default:
			each(id, fmt.Errorf("job %d: %w", id, err))
		}
	}
	return nil
}

func (l *apiLink) kick(ctx context.Context, tube string, count uint32) (int, error) {
	n, err := l.patient.Kick(ctx, tube, count)
	if api.Is(err, api.NotFound) { // over the wire, use makes it
		return 0, nil
	}
	return n, err
}

func (l *apiLink) job(ctx context.Context, id uint64, body bool) (*api.Job, error) {
	j, err := l.client.Job(ctx, id)
	if api.Is(err, api.NotFound) {
		return nil, notFound("job %d: not there", id)
	}
	if err != nil {
		return nil, err
	}
	return l.withBody(ctx, j, body)
}

// withBody returns the job with its whole body, byte for byte, or without any.
func (l *apiLink) withBody(ctx context.Context, j *api.Job, body bool) (*api.Job, error) {
	j.Content, j.Truncated = api.Content{}, false
	if body {
		b, err := l.patient.Body(ctx, j.ID)
		if err != nil {
			return nil, err
		}
		j.Content = api.Bytes(b)
	}
	return j, nil
}

func (l *apiLink) peek(ctx context.Context, tube, state string) (*api.Job, error) {
	for {
		j, err := l.client.Peek(ctx, tube, state)
		if api.Is(err, api.NotFound) {
			return nil, notFound("tube %s has no %s job", tube, state)
		}
		if err != nil {
			return nil, err
		}
		if j, err = l.withBody(ctx, j, true); !api.Is(err, api.NotFound) {
			return j, err
		}
	}
}

func (l *apiLink) tube(ctx context.Context, name string) (*api.Tube, error) {
	t, err := l.client.Tube(ctx, name)
	if api.Is(err, api.NotFound) {
		return nil, notFound("tube %s: not there: no job is in it, and no client uses or watches it", name)
	}
	return t, err
}

func (l *apiLink) tubes(ctx context.Context, prefix string, each func(*api.Tube) error) error {
	q := api.TubesQuery{Prefix: prefix, Limit: 1000, Oldest: true}
	for {
		page, err := l.client.Tubes(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Tubes {
			if err := each(&page.Tubes[i]); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

func (l *apiLink) pause(ctx context.Context, tube string, d time.Duration) (err error) {
	if d > 0 {
		_, err = l.client.Pause(ctx, tube, api.Duration(d))
	} else {
		_, err = l.client.Resume(ctx, tube)
	}
	if api.Is(err, api.NotFound) {
		return notFound("tube %s: not there: no job is in it, and no client uses or watches it", tube)
	}
	return err
}

func (l *apiLink) drain(ctx context.Context, on bool) error {
	if on {
		return l.client.Drain(ctx)
	}
	return l.client.Undrain(ctx)
}

func (l *apiLink) stats(ctx context.Context) (wire.Dict, any, error) {
	s, err := l.client.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	return statusDict(s), s, nil
}

func (l *apiLink) ping(ctx context.Context) (string, error) {
	s, err := l.client.Status(ctx)
	if err != nil {
		return "", err
	}
	return s.Name + " " + s.Version + ", " + s.Protocol + ", " + s.State, nil
}

// put streams the jobs of a source, and takes the results while it does.
func (l *apiLink) put(ctx context.Context, s *source, each func(outcome) error) error {
	var mu sync.Mutex
	var under []*newJob // sent and not answered, in order
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		for {
			j, err := s.next()
			if err != nil {
				w.Close() // those before it are put
				sent <- ignoreEOF(err)
				return
			}
			delay, ttr := api.Duration(j.delay), api.Duration(j.ttr)
			line, err := json.Marshal(api.Put{Tube: j.tube, Pri: &j.pri, Delay: delay, TTR: &ttr, Content: api.Bytes(j.body)})
			if err == nil {
				j.size, j.body = len(j.body), nil
				mu.Lock()
				under = append(under, j)
				mu.Unlock()
				_, err = w.Write(append(line, '\n'))
			}
			if err != nil {
				w.CloseWithError(err)
				sent <- err
				return
			}
		}
	}()
	err := l.patient.PutMany(ctx, "", r, func(res api.PutResult) error {
		mu.Lock()
		if len(under) == 0 {
			mu.Unlock()
			return errors.New("the server answers more jobs than it was sent")
		}
		j := under[0]
		under = under[1:]
		mu.Unlock()
		o := outcome{newJob: j, id: res.ID}
		if res.Error != nil {
			o.err = res.Error
		}
		return each(o)
	})
	r.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	if len(under) > 0 {
		return fmt.Errorf("the server has not said what came of the last %d jobs", len(under))
	}
	return nil
}
