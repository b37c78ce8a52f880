package persist_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"spoked/persist"
	"spoked/queue"
)

// newLong makes a journal of four segments or more, in which the jobs 1 to n
// have been put, and what is before the last segment is known to be synced.
func newLong(t *testing.T) (w *written, segments uint64, n uint64) {
	w = newWritten(t)
	for segments < 4 {
		w.put(strings.Repeat("x", 500))
		w.sync()
		segments = w.keep.Stats().Head
	}
	n = w.put(strings.Repeat("x", 500))
	w.end()
	return w, segments, n
}

// salvage reads the directory, and returns what is lost and the ids of the
// jobs.
func (w *written) salvage() (lost []persist.Loss, ids []uint64) {
	w.t.Helper()
	files, err := persist.OS{}.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	e := queue.New(w.now)
	s, look := persist.NewSalvage(e, w.now), persist.NewSalvage(nil, w.now)
	for _, f := range files {
		n, ok := persist.SegmentNumber(f.Name)
		if !ok {
			continue
		}
		data, err := os.ReadFile(w.path(n))
		if err == nil {
			err = s.Read(n, data)
		}
		if err == nil {
			err = look.Read(n, data)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	lost = s.Finish()
	if looked := look.Finish(); !slices.Equal(looked, lost) {
		w.t.Errorf("without an engine: lost %v, with one %v", looked, lost)
	}
	if err := e.Check(); err != nil {
		w.t.Error(err)
	}
	for r := range e.Jobs() {
		ids = append(ids, r.ID)
	}
	return lost, ids
}

// idsIn returns the ids of the jobs that are recorded in the frames of s that
// in is true of.
func idsIn(t *testing.T, s *persist.Inspection, in func(persist.Span) bool) (ids []uint64) {
	t.Helper()
	err := s.Each(func(e *persist.Entry) error {
		for _, f := range s.Frames {
			if e.Kind == persist.EntryJob && f.From < e.Offset && e.Offset < f.To && in(f) {
				ids = append(ids, e.Job.ID)
			}
		}
		return nil
	}, func(rest persist.Span, err error) { t.Errorf("lost %v: %v", rest, err) })
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestSalvage damages a journal, and wants to hear of exactly that, and to have
// every job whose frame is whole.
func TestSalvage(t *testing.T) {
	everything := func(persist.Span) bool { return true }
	tests := []struct {
		name   string
		damage func(w *written, last uint64) (lost []persist.Loss, gone []uint64)
	}{
		{"nothing", func(*written, uint64) ([]persist.Loss, []uint64) { return nil, nil }},
		{"a byte in the middle", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			s := w.inspect(2)
			f := s.Frames[2]
			w.edit(2, flip(f.From+40))
			return []persist.Loss{{File: persist.SegmentName(2), Span: f, What: "no whole frame, though others follow"}},
				idsIn(w.t, s, func(g persist.Span) bool { return f == g })
		}},
		{"two places", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			a, b := w.inspect(1), w.inspect(3)
			f, g := a.Frames[1], b.Frames[0]
			w.edit(1, wipe(f))
			w.edit(3, flip(g.From))
			return []persist.Loss{
					{File: persist.SegmentName(1), Span: f, What: "no whole frame, though others follow"},
					{File: persist.SegmentName(3), Span: g, What: "no whole frame, though others follow"},
				}, append(idsIn(w.t, a, func(x persist.Span) bool { return x == f }),
					idsIn(w.t, b, func(x persist.Span) bool { return x == g })...)
		}},
		{"the end of a segment is zeros", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			s := w.inspect(2)
			lost := persist.Span{From: s.Frames[3].From, To: s.End}
			w.edit(2, wipe(lost))
			return []persist.Loss{{File: persist.SegmentName(2), Span: lost, What: "no whole frame, though others follow"}},
				idsIn(w.t, s, func(f persist.Span) bool { return f.From >= lost.From })
		}},
		{"a segment is missing", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			gone := idsIn(w.t, w.inspect(2), everything)
			if err := os.Remove(w.path(2)); err != nil {
				w.t.Fatal(err)
			}
			return []persist.Loss{{File: persist.SegmentName(2), What: "the segment is missing"}}, gone
		}},
		{"the first two segments are missing", func(w *written, _ uint64) (lost []persist.Loss, gone []uint64) {
			for n := range uint64(2) {
				gone = append(gone, idsIn(w.t, w.inspect(n+1), everything)...)
				lost = append(lost, persist.Loss{File: persist.SegmentName(n + 1), What: "the segment is missing"})
				if err := os.Remove(w.path(n + 1)); err != nil {
					w.t.Fatal(err)
				}
			}
			return lost, gone
		}},
		{"a header", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			w.edit(2, flip(9, 18))
			return []persist.Loss{{
				File: persist.SegmentName(2), Span: persist.Span{From: 0, To: 32},
				What: "the header is damaged; what follows can be read nevertheless",
			}}, nil
		}},
		{"a file of zeros", func(w *written, _ uint64) ([]persist.Loss, []uint64) {
			s := w.inspect(3)
			w.edit(3, wipe(persist.Span{From: 0, To: s.Size}))
			return []persist.Loss{{
				File: persist.SegmentName(3), Span: persist.Span{From: 0, To: s.Size},
				What: "the header is damaged, and without it nothing else can be read",
			}}, idsIn(w.t, s, everything)
		}},
		{"a torn tail", func(w *written, last uint64) ([]persist.Loss, []uint64) {
			s := w.inspect(last)
			f := s.Frames[len(s.Frames)-1]
			w.edit(last, wipe(persist.Span{From: f.To - 20, To: f.To}))
			return []persist.Loss{{File: persist.SegmentName(last), Span: f, What: "no whole frame at the end", Tail: true}},
				idsIn(w.t, s, func(x persist.Span) bool { return x == f })
		}},
		{"zeros in the last segment, in what was synced", func(w *written, last uint64) ([]persist.Loss, []uint64) {
			s := w.inspect(last)
			f := s.Frames[0]
			w.edit(last, wipe(f))
			return []persist.Loss{{File: persist.SegmentName(last), Span: f, What: "no whole frame, though others follow"}},
				idsIn(w.t, s, func(x persist.Span) bool { return x == f })
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, last, n := newLong(t)
			want, gone := test.damage(w, last)
			lost, ids := w.salvage()
			if !slices.Equal(lost, want) {
				t.Errorf("lost\n%v\nwant\n%v", lost, want)
			}
			if len(want) > 0 && want[0].Bytes() > 32 && len(gone) == 0 {
				t.Error("the damage hits no job")
			}
			var kept []uint64
			for id := uint64(1); id <= n; id++ {
				if !slices.Contains(gone, id) {
					kept = append(kept, id)
				}
			}
			if !slices.Equal(ids, kept) {
				t.Errorf("got jobs %v\nwant %v", ids, kept)
			}
			_, err := recoverFrom(persist.OS{}, w.dir, w.now)
			harmless := !slices.ContainsFunc(want, func(l persist.Loss) bool { return !l.Tail })
			if harmless && err != nil {
				t.Errorf("only the tail is lost, and yet: %v", err)
			}
		})
	}
}

// TestSalvageTail has a gap where what is said to be synced ends: it can be what a crash
// leaves, but not if the log goes on to where a server has stopped.
func TestSalvageTail(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		w := newWritten(t)
		w.put("one")
		w.sync()
		w.put("two")
		w.put("three")
		if stopped {
			if err := w.keep.Finish((*persist.Batch).Write); err != nil {
				t.Fatal(err)
			}
		}
		w.end()
		f := w.inspect(1).Frames[1]
		w.edit(1, flip(f.To-1))
		lost, ids := w.salvage()
		want := persist.Loss{File: persist.SegmentName(1), Span: f, What: "no whole frame, though others follow", Tail: !stopped}
		if !slices.Equal(lost, []persist.Loss{want}) || !slices.Equal(ids, []uint64{1, 3}) {
			t.Errorf("stopped %v: lost %v and got jobs %v, want %v, 1 and 3", stopped, lost, ids, want)
		}
	}
}

// TestSalvageBringsBack has a job come back of which the end is lost.
func TestSalvageBringsBack(t *testing.T) {
	w := newWritten(t)
	w.put("one")
	w.put("two")
	if err := w.queue.Delete(w.now, w.user, 1); err != nil {
		t.Fatal(err)
	}
	w.turn()
	w.put("three")
	w.end()
	if _, ids := w.salvage(); !slices.Equal(ids, []uint64{2, 3}) {
		t.Errorf("got jobs %v, want 2 and 3", ids)
	}
	w.edit(1, flip(w.inspect(1).Frames[2].To-1))
	lost, ids := w.salvage()
	if !slices.Equal(ids, []uint64{1, 2, 3}) || len(lost) != 1 {
		t.Errorf("got jobs %v, lost %v, want 1, 2 and 3", ids, lost)
	}
}

// TestSalvageAfterCleaning has old segments gone because they are not needed.
func TestSalvageAfterCleaning(t *testing.T) {
	w := newWritten(t)
	for w.keep.Stats().Oldest < 3 {
		id := w.put(strings.Repeat("x", 500))
		if id > 2 {
			if err := w.queue.Delete(w.now, w.user, id); err != nil {
				t.Fatal(err)
			}
			w.turn()
		}
		w.sync()
		if id > 1000 {
			t.Fatal("nothing is cleaned")
		}
	}
	w.put("the last")
	w.end()
	if err := os.WriteFile(w.path(1), []byte("an old segment that is not needed"), 0o600); err != nil {
		t.Fatal(err)
	}
	lost, ids := w.salvage()
	var want []uint64
	for r := range w.queue.Jobs() {
		want = append(want, r.ID)
	}
	if len(lost) > 0 || !slices.Equal(ids, want) {
		t.Errorf("lost %v and got jobs %v, want %v", lost, ids, want)
	}
}

func TestLossString(t *testing.T) {
	tests := []struct {
		loss persist.Loss
		want string
	}{
		{persist.Loss{File: "a", What: "is missing"}, "a: is missing"},
		{persist.Loss{File: "a", Span: persist.Span{From: 3, To: 10}, What: "torn"}, "a:3-10: torn (7 bytes)"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(test.loss); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
