package persist_test

import (
	"bytes"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// limitMixes are the limits that the generations of a simulation have.
var limitMixes = [][]queue.Limits{
	{{}},
	{{}},
	{{Bodies: queue.InJournal}},
	{{Bodies: queue.InMemoryIfRoom}},
	{{Bodies: queue.InMemoryIfRoom, Memory: 1 << 20}},
	{{}, {Bodies: queue.InJournal}, {Bodies: queue.InMemoryIfRoom, Memory: 1 << 20}},
}

// farDelay returns none, or one for which a job is cold if bodies may be in
// the journal.
func (s *crashSim) farDelay() time.Duration {
	if s.limits.Bodies == queue.AlwaysInMemory && len(s.mix.limits) == 1 || s.r.IntN(2) == 0 {
		return 0
	}
	return time.Duration(590+s.r.IntN(100)) * time.Second
}

// look has a client look at jobs: what it is given must be what was put.
func (s *crashSim) look(c *queue.Client) {
	for _, peek := range []func() (queue.Job, error){
		func() (queue.Job, error) { return s.engine.Peek(s.anyJob()) },
		func() (queue.Job, error) { return s.engine.PeekReady(c) },
		func() (queue.Job, error) { return s.engine.PeekDelayed(c) },
		func() (queue.Job, error) { return s.engine.PeekBuried(c) },
	} {
		j, err := peek()
		if err != nil {
			continue
		}
		body, want := j.Body, s.current.jobs[j.ID].Body
		if j.Stored > 0 {
			s.count("looked at a body in the journal alone")
			body = s.bodyOf(j)
		}
		if !bytes.Equal(body, want) {
			s.failf("job %d: got a body of %d bytes, want %d others", j.ID, len(body), len(want))
		}
	}
}

// bodyOf returns the body of a job that is in the journal alone.
func (s *crashSim) bodyOf(j queue.Job) []byte {
	b, from := s.journal.Unwritten(j.Place), "memory"
	if b == nil {
		b, from = s.bytesAt(j.Place, persist.ReadSize(int(j.Stored))), "the file"
	}
	body, err := persist.BodyIn(b, j.ID, int(j.Stored))
	if err != nil {
		s.failf("the body of job %d, %d bytes in %s at %+v: %v\nfiles: %s", j.ID, j.Stored, from, j.Place, err, s.listing())
	}
	s.count("body read from %s", from)
	return body
}

// bytesAt returns n bytes of a segment's file as it was written, or as many as
// there are.
func (s *crashSim) bytesAt(p queue.Place, n int) []byte {
	node := s.fs.files["d/"+persist.SegmentName(uint64(p.Segment))]
	if node == nil || int(p.Offset) > len(node.data) {
		return nil
	}
	return node.data[p.Offset:min(int(p.Offset)+n, len(node.data))]
}

// wholeRecord returns what has been recovered of a job, with its body.
func (s *crashSim) wholeRecord(r *queue.Record) queue.Record {
	c := recordOf(r)
	if c.Stored > 0 {
		body, err := persist.BodyIn(s.bytesAt(c.Place, persist.ReadSize(int(c.Stored))), c.ID, int(c.Stored))
		if err != nil {
			s.failf("the body of job %d, %d bytes at %+v: %v\nfiles: %s", c.ID, c.Stored, c.Place, err, s.listing())
		}
		c.Body, c.Stored = bytes.Clone(body), 0
	}
	return c
}
