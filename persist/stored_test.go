package persist_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
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

func (s *crashSim) bytesAt(p queue.Place, n int) []byte { return s.fs.bytesAt(p, n) }

// bytesAt returns n bytes of a segment's file as it was written, or as many as
// there are.
func (f *faultFS) bytesAt(p queue.Place, n int) []byte {
	node := f.files["d/"+persist.SegmentName(uint64(p.Segment))]
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

// hearCopies enters what cleaning has recorded in b, behind what else there is.
func (s *crashSim) hearCopies(b *persist.Batch) {
	jobs := s.journal.JobsIn(b)
	copied := s.journal.Stats().Copied
	n := int(copied - s.copied)
	if n > len(jobs) {
		s.failf("cleaning has copied %d jobs, and %d are recorded", n, len(jobs))
	}
	s.copied = copied
	for _, j := range jobs[len(jobs)-n:] {
		r, ok := s.engine.Describe(j.ID)
		if !ok {
			s.failf("cleaning has copied job %d, which is no more", j.ID)
		}
		e := effect{kind: 'j', job: recordOf(r)}
		e.job.Place, e.job.Body, e.job.Stored = j.Place, s.current.jobs[j.ID].Body, 0
		if !bytes.Equal(j.Body, e.job.Body) {
			s.failf("cleaning has copied a body of %d bytes for job %d, want %d others", len(j.Body), j.ID, len(e.job.Body))
		}
		s.hear(e)
	}
	s.total["copied"] += n
}

// jobsOf is what the function jobsOf returns when all bodies are in memory.
func (f *faultFS) jobsOf(t testing.TB, e *queue.Engine) []string {
	t.Helper()
	jobs := jobsOf(e)
	i := 0
	for r := range e.Jobs() {
		c := *r
		if c.Stored > 0 {
			body, err := persist.BodyIn(f.bytesAt(c.Place, persist.ReadSize(int(c.Stored))), c.ID, int(c.Stored))
			if err != nil {
				t.Fatalf("the body of job %d, %d bytes at %+v: %v", c.ID, c.Stored, c.Place, err)
			}
			c.Body, c.Stored, c.Place = nil, 0, queue.Place{}
			jobs[i] = fmt.Sprintf("%+v %q", c, body)
		}
		i++
	}
	return jobs
}

// readAll reads the bodies of all jobs that are in the journal alone, all of
// which has been written.
func (g *rig) readAll() { g.fs.jobsOf(g.t, g.engine) }

// Reading back.

// pagedRig returns a rig of which all bodies are in the journal alone.
func pagedRig(t testing.TB, mode persist.Sync, size int64) *rig {
	return newRigUnder(t, mode, size, queue.Limits{Bodies: queue.InJournal})
}

// A body is found in memory until the batch that it is in has been settled,
// however many batches have been cut, and in the file from when it is written.
func TestUnwritten(t *testing.T) {
	g := pagedRig(t, persist.SyncLater, 4096)
	type item struct {
		id   uint64
		body []byte
	}
	var items []item
	var batches []*persist.Batch
	is := func(when string, settled int) {
		t.Helper()
		for i, x := range items {
			j, err := g.engine.Peek(x.id)
			if err != nil || int(j.Stored) != len(x.body) {
				t.Fatalf("%s: Peek: got %+v, %v", when, j, err)
			}
			b := g.journal.Unwritten(j.Place)
			if (b == nil) != (i/5 < settled) {
				t.Fatalf("%s: job %d: got %d bytes in memory", when, x.id, len(b))
			}
			if b == nil {
				b = g.fs.bytesAt(j.Place, persist.ReadSize(len(x.body)))
			}
			if got, err := persist.BodyIn(b, x.id, len(x.body)); err != nil || !bytes.Equal(got, x.body) {
				t.Fatalf("%s: job %d: got %d bytes, %v", when, x.id, len(got), err)
			}
		}
	}
	for n := range 4 {
		for range 5 {
			body := bytes.Repeat([]byte{byte('a' + len(items))}, 1+g.r.IntN(2000))
			items = append(items, item{g.must2(g.putBody(0, body)), body})
			is("put", 0)
		}
		if batches = append(batches, g.journal.Cut()); batches[n] == nil {
			t.Fatal("Cut: got nil")
		}
		is("cut", 0)
	}
	for n, b := range batches {
		g.must(b.Write())
		is("written", n)
		g.journal.Settle(b)
		is("settled", n+1)
	}
}

// What cleaning needs to copy and is wrong in the file ends the journal, with
// the place of it. Nothing is taken for copied that has not been.
func TestCleaningOfDamage(t *testing.T) {
	for _, mode := range []persist.Sync{persist.SyncAlways, persist.SyncLater} {
		for _, tt := range []struct {
			name string
			at   func(b []byte, p queue.Place) int
			err  string
		}{
			{"of a body", func(b []byte, p queue.Place) int { return int(p.Offset) + bytes.IndexByte(b[p.Offset:], 'b') + 3 }, "checksum"},
			{"of a kind", func(_ []byte, p queue.Place) int { return int(p.Offset) }, "not the job's record"},
			{"of a length", func(_ []byte, p queue.Place) int { return int(p.Offset) + 1 }, ""},
		} {
			t.Run(fmt.Sprint(tt.name, "/", mode), func(t *testing.T) {
				g := pagedRig(t, mode, 4096)
				bad := g.must2(g.putBody(0, bytes.Repeat([]byte("b"), 100)))
				others := []uint64{g.must2(g.putBody(0, bytes.Repeat([]byte("o"), 100)))}
				g.turn()
				j, err := g.engine.Peek(bad)
				g.must(err)
				name := "d/" + persist.SegmentName(uint64(j.Place.Segment))
				data := g.fs.files[name].data
				data[tt.at(data, j.Place)] ^= 0x55
				for range 300 {
					id := g.must2(g.put(0, 200))
					if !g.turn() {
						break
					}
					g.must(g.engine.Delete(g.now, g.client, id))
				}
				var damage *persist.DamageError
				if !errors.As(g.err, &damage) {
					t.Fatalf("got error %v, want a DamageError", g.err)
				}
				if damage.File != name || damage.Offset != int64(j.Place.Offset) || !strings.Contains(damage.Err.Error(), tt.err) {
					t.Errorf("got %v, want one of %s at %d with %q", damage, name, j.Place.Offset, tt.err)
				}
				if now, err := g.engine.Peek(bad); err != nil || now.Place != j.Place {
					t.Errorf("Peek: got %+v, %v, want it where it was", now, err)
				}
				for _, id := range others {
					if _, err := g.engine.Peek(id); err != nil {
						t.Errorf("Peek %d: %v", id, err)
					}
				}
				if _, err := recoverFrom(g.fs.kill(), "d", g.now); !errors.As(err, &damage) {
					t.Errorf("Recover: got %v, want a DamageError", err)
				}
			})
		}
	}
}

// A body that cannot be read for want of a file descriptor is read later.
func TestCleaningWithoutDescriptors(t *testing.T) {
	g := pagedRig(t, persist.SyncAlways, 4096)
	g.must2(g.putBody(0, bytes.Repeat([]byte("b"), 100)))
	short := true
	g.fs.inject = func(o op, name string) *fault {
		if o == opReadFile && short {
			return &fault{err: syscall.EMFILE}
		}
		return nil
	}
	work := func() {
		for range 300 {
			g.must(g.engine.Delete(g.now, g.client, g.must2(g.put(0, 200))))
			if !g.turn() {
				t.Fatal(g.err)
			}
		}
	}
	work()
	if s := g.journal.Stats(); s.Oldest != 1 {
		t.Fatalf("got %+v, want nothing cleaned", s)
	}
	short = false
	work()
	if s := g.journal.Stats(); s.Oldest == 1 {
		t.Errorf("got %+v, want the first segments cleaned", s)
	}
	g.readAll()
}

// A snapshot of a journal, with bodies nowhere else, is whole while segments are
// cleaned.
func TestSnapshotOfStoredBodies(t *testing.T) {
	g := pagedRig(t, persist.SyncAlways, 4096)
	for range 50 {
		g.must2(g.putBody(0, bytes.Repeat([]byte("b"), g.r.IntN(300))))
		g.must(g.engine.Delete(g.now, g.client, g.must2(g.put(0, 200))))
		g.turn()
	}
	want := g.fs.jobsOf(t, g.engine)
	files := g.journal.Snapshot()
	for range 300 {
		g.must(g.engine.Delete(g.now, g.client, g.must2(g.put(0, 200))))
		g.turn()
	}
	g.must(g.err)
	copied := newFaultFS()
	for _, f := range files {
		copied.files["d/"+f.Name] = &inode{data: g.fs.files["d/"+f.Name].data[:f.Size]}
	}
	r, err := recoverFrom(copied, "d", g.now)
	g.must(err)
	if got := jobsOf(r.Engine); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	g.journal.Unpin()
	for range 100 {
		g.turn()
	}
	g.must(g.err)
	if got := g.fs.jobsOf(t, g.engine); !slices.Equal(got, want) {
		t.Errorf("after the snapshot: got %v, want %v", got, want)
	}
}

// FuzzBodyIn looks for a body in anything. What is found is what was looked
// for, unless the checksum says otherwise.
func FuzzBodyIn(f *testing.F) {
	g := pagedRig(f, persist.SyncLater, 4096)
	for _, size := range []int{1, 50, 64, 1000} {
		id := g.must2(g.putBody(0, bytes.Repeat([]byte("b"), size)))
		j, err := g.engine.Peek(id)
		g.must(err)
		b := g.journal.Unwritten(j.Place)
		f.Add(bytes.Clone(b), id, size)
		f.Add(bytes.Clone(b[:len(b)-1]), id, size)
		f.Add(bytes.Clone(b), id+1, size)
	}
	f.Fuzz(func(t *testing.T, b []byte, id uint64, size int) {
		body, err := persist.BodyIn(b, id, size)
		if err != nil {
			return
		}
		if len(body) != size {
			t.Fatalf("got %d bytes, want %d", len(body), size)
		}
		if size > 0 && !bytes.Contains(b, body) {
			t.Fatal("the body is not part of what was read")
		}
		if len(b) > persist.ReadSize(size) {
			again, err := persist.BodyIn(b[:persist.ReadSize(size)], id, size)
			if err == nil && !bytes.Equal(again, body) {
				t.Fatal("less of it has another body")
			}
		}
	})
}
