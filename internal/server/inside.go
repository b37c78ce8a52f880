package server

import (
	"context"
	"math"

	"spoked/queue"
)

// What follows is the way in for whoever is in the process and no connection: it
// uses the engine under the server's mutex, like a turn, and may attach clients of
// its own to it, whose Data is a session.Guest.

// never is a batch that is not settled ever.
const never = math.MaxUint64

// Do runs f while nobody else uses the engine, now being the instant, after what
// was due by then has happened. What follows from it is recorded, and sent to the
// clients that it concerns. It returns the batch of the journal that an answer
// depends on which tells of it: give none before Await.
//
// f holds up everybody: it should take microseconds, and must not block, nor call
// the server. When Serve has ended f is not called, and Await returns an error.
func (s *Server) Do(f func(e *queue.Engine, now int64)) (batch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.failure != nil {
		return never
	}
	now := s.clock.now()
	if s.started {
		s.serving.pass(now)
	}
	batch = s.service.Do(now, f)
	if s.started {
		s.serving.follow(now)
	}
	return batch
}

// View runs f as Do does, for an f that changes nothing and attaches nobody, and
// calls f always. It lets no time pass in the engine, which may be late by a turn.
func (s *Server) View(f func(e *queue.Engine, now int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.service.Engine(), s.clock.now())
}

// Newest returns the newest batch of the journal: what View has shown may depend on
// it.
func (s *Server) Newest() (batch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.opts.Journal; j != nil {
		return j.Newest()
	}
	return 0
}

// Await blocks until an answer may be given that depends on that batch of the
// journal, which Do has returned. It returns the error of ctx if that ends before,
// that of the journal if it fails, and ErrServerClosed if the server has ended.
func (s *Server) Await(ctx context.Context, batch uint64) error {
	for {
		settled, err := s.settles(batch)
		if settled == nil {
			return err
		}
		select {
		case <-settled:
		case <-s.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settles returns a channel that is closed when more is settled, or nil if batch
// is, or never will be.
func (s *Server) settles(batch uint64) (more chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failure != nil:
		return nil, s.failure
	case batch != never && s.maySend(batch):
		return nil, nil
	case s.ended || batch == never:
		return nil, ErrServerClosed
	}
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return s.more, nil
}

// Fetch returns a copy of the body of a job, which may be in the journal alone:
// then it blocks until that has been read, or ctx ends. The error is
// queue.ErrNotFound if there is no such job any more, and ErrServerClosed if the
// server has ended.
func (s *Server) Fetch(ctx context.Context, j queue.Job) ([]byte, error) {
	type result struct {
		body []byte
		err  error
	}
	fetched := make(chan result, 1)
	then := func(body []byte, err error) { fetched <- result{append([]byte{}, body...), err} }
	if err := s.fetch(j.ID, then); err != nil {
		return nil, err
	}
	select {
	case r := <-fetched:
		return r.body, r.err
	case <-s.over:
		return nil, ErrServerClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetch has then called with the body of the job, at once or later.
func (s *Server) fetch(id uint64, then func(body []byte, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.service.Engine().Peek(id)
	if err != nil {
		return err
	}
	if j.Stored == 0 {
		then(j.Body, nil)
		return nil
	}
	if body, ok := s.opts.Journal.Body(j); ok {
		then(body, nil)
		return nil
	}
	if s.ended || !s.started {
		return ErrServerClosed
	}
	s.opts.Journal.Fetch(j, then)
	return nil
}

// begin has what was done before Serve recorded, and seen to.
func (s *Server) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	s.serving.follow(s.clock.now())
}

// settled tells those who wait for the journal that it has settled more. The mutex
// is held.
func (s *Server) settled() {
	s.serving.settled()
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
}

// end tells that Serve does nothing more.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.finish()
}

// finish tells those who wait that nothing will come any more. The mutex is held.
func (s *Server) finish() {
	select {
	case <-s.over:
	default:
		close(s.over)
	}
}
