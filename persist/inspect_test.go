package persist_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// written is a journal in a directory that can be damaged.
type written struct {
	t     *testing.T
	dir   string
	now   int64
	queue *queue.Engine
	keep  *persist.Journal
	user  *queue.Client
}

// newWritten makes an empty journal with segments of 4 KiB.
func newWritten(t *testing.T) *written {
	t.Helper()
	w := &written{t: t, dir: t.TempDir(), now: 1_700_000_000_000_000_000}
	w.queue = queue.New(w.now)
	var err error
	w.keep, err = persist.Open(persist.OS{}, persist.Options{
		Dir: w.dir, SegmentSize: persist.MinSegmentSize, Seed: 1,
	}, &persist.Recovery{Engine: w.queue})
	if err != nil {
		t.Fatal(err)
	}
	w.user = w.queue.Connect()
	return w
}

// turn ends a turn: what was done is a frame of its own.
func (w *written) turn() {
	w.t.Helper()
	b := w.keep.Cut()
	if b == nil {
		w.t.Fatal("nothing to be written")
	}
	if err := b.Write(); err != nil {
		w.t.Fatal(err)
	}
	w.keep.Settle(b)
	for c := w.keep.Chore(); c != nil; c = w.keep.Chore() {
		if err := w.keep.Done(c, c.Run()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// put puts a job in a turn.
func (w *written) put(body string) uint64 {
	w.t.Helper()
	d, err := w.queue.Begin(w.now, w.user, 5, 0, time.Minute, uint32(len(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	copy(w.queue.Body(&d), body)
	id, err := w.queue.Insert(w.now, &d)
	if err != nil {
		w.t.Fatal(err)
	}
	w.turn()
	return id
}

// sync makes all that follows say that what was there is durable.
func (w *written) sync() {
	if p := w.keep.Unsynced(); p != nil {
		w.keep.Synced(p.Position)
	}
}

// end lets go of the files, as a crash does.
func (w *written) end() { w.keep.Abandon() }

func (w *written) path(number uint64) string {
	return filepath.Join(w.dir, persist.SegmentName(number))
}

// edit changes the bytes of a segment.
func (w *written) edit(number uint64, f func([]byte) []byte) {
	w.t.Helper()
	data, err := os.ReadFile(w.path(number))
	if err == nil {
		err = os.WriteFile(w.path(number), f(data), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *written) inspect(number uint64) *persist.Inspection {
	w.t.Helper()
	data, err := os.ReadFile(w.path(number))
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := persist.Inspect(number, data)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// flip returns an edit that changes a bit at each of the offsets.
func flip(offsets ...int64) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, at := range offsets {
			b[at] ^= 0x10
		}
		return b
	}
}

// wipe returns an edit that fills a span with zeros.
func wipe(span persist.Span) func([]byte) []byte {
	return func(b []byte) []byte {
		clear(b[span.From:span.To])
		return b
	}
}

func TestInspectEntries(t *testing.T) {
	w := newWritten(t)
	w.queue.Use(w.user, []byte("emails"))
	id := w.put("hello")
	if _, err := w.queue.ReserveJob(w.now, w.user, id); err != nil {
		t.Fatal(err)
	}
	if err := w.queue.Bury(w.user, id, 7); err != nil {
		t.Fatal(err)
	}
	if err := w.queue.Pause(w.now, []byte("emails"), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if err := w.queue.Delete(w.now, w.user, id); err != nil {
		t.Fatal(err)
	}
	w.turn()
	w.end()

	var got []string
	err := w.inspect(1).Each(func(e *persist.Entry) error {
		s := fmt.Sprintf("%s %d", e.Kind, e.Job.ID)
		switch e.Kind {
		case persist.EntryJob:
			s += fmt.Sprintf(" %s %v %d %q", e.Job.Tube, e.Job.State, e.Job.Pri, e.Job.Body)
		case persist.EntryChange:
			s += fmt.Sprintf(" %v %d", e.Job.State, e.Job.Pri)
		case persist.EntryPause:
			s = fmt.Sprintf("%s %s %v", e.Kind, e.Pause.Tube, time.Duration(e.Pause.Length))
		case persist.EntryMark:
			s = fmt.Sprintf("%s %d %d", e.Kind, e.Mark.NextID, e.Mark.First)
		}
		got = append(got, s)
		return nil
	}, func(rest persist.Span, err error) { t.Errorf("lost %v: %v", rest, err) })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mark 2 1", `job 1 emails ready 5 "hello"`, "change 1 buried 7", "pause emails 1h0m0s", "end 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestInspectDamage damages a segment of five frames.
func TestInspectDamage(t *testing.T) {
	w := newWritten(t)
	for i := range 5 {
		w.put(strings.Repeat(string(rune('a'+i)), 100))
	}
	w.end()
	whole := w.inspect(1)
	if len(whole.Frames) != 5 || len(whole.Gaps) > 0 || whole.Torn > 0 || whole.Header != nil {
		t.Fatalf("got %+v of a segment that is not damaged", whole)
	}
	f := whole.Frames
	header := persist.Span{From: 0, To: f[0].From}
	data, err := os.ReadFile(w.path(1))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		edit   func([]byte) []byte
		frames []persist.Span
		gaps   []persist.Span
		torn   int64
	}{
		{"a body", flip(f[1].To - 1), []persist.Span{f[0], f[2], f[3], f[4]}, []persist.Span{f[1]}, 0},
		{"a length", flip(f[2].From + 6), []persist.Span{f[0], f[1], f[3], f[4]}, []persist.Span{f[2]}, 0},
		{"two frames that are neighbours", flip(f[1].From, f[2].From), []persist.Span{f[0], f[3], f[4]}, []persist.Span{{From: f[1].From, To: f[2].To}}, 0},
		{"zeros", wipe(f[1]), []persist.Span{f[0], f[2], f[3], f[4]}, []persist.Span{f[1]}, 0},
		{"the first frame", flip(f[0].From + 1), f[1:], []persist.Span{f[0]}, 0},
		{"the last frame", flip(f[4].To - 1), f[:4], nil, f[4].To},
		{"the beginning of the last frame", flip(f[4].From), f[:4], nil, f[4].To},
		{"cut off", func(b []byte) []byte { return b[:f[4].To-7] }, f[:4], nil, f[4].To - 7},
		{"the header's checksum", flip(header.To - 1), f, []persist.Span{header}, 0},
		{"the header's number", flip(8), f, []persist.Span{header}, 0},
		{"the salt", flip(16, 22), f, []persist.Span{header}, 0},
		{"the salt and a frame", flip(16, 22, f[0].To-1), f[1:], []persist.Span{header, f[0]}, 0},
		{"a block of zeros in front", wipe(persist.Span{From: 0, To: f[1].From + 3}), f[2:], []persist.Span{header, {From: f[0].From, To: f[1].To}}, 0},
	}
	for _, test := range tests {
		s, err := persist.Inspect(1, test.edit(bytes.Clone(data)))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if !slices.Equal(s.Frames, test.frames) || !slices.Equal(s.Gaps, test.gaps) || s.Torn != test.torn {
			t.Errorf("%s: got frames %v gaps %v torn %d, want %v, %v, %d", test.name, s.Frames, s.Gaps, s.Torn, test.frames, test.gaps, test.torn)
		}
		if got, want := s.Header != nil, slices.Contains(test.gaps, header); got != want {
			t.Errorf("%s: got an error of the header %v: %v, want %v", test.name, got, s.Header, want)
		}
		records := 0
		err = s.Each(func(e *persist.Entry) error {
			if stray := len(s.Gaps) > 0 && s.Gaps[len(s.Gaps)-1] != header && e.Offset > s.Gaps[len(s.Gaps)-1].To; e.Stray != stray {
				t.Errorf("%s: the record at %d: got stray %v, want %v", test.name, e.Offset, e.Stray, stray)
			}
			records++
			return nil
		}, func(rest persist.Span, err error) { t.Errorf("%s: lost %v: %v", test.name, rest, err) })
		if err != nil || records < len(test.frames) {
			t.Errorf("%s: read %d records of %d frames: %v", test.name, records, len(test.frames), err)
		}
	}
}

func TestInspectNothing(t *testing.T) {
	w := newWritten(t)
	w.put("one")
	w.end()
	data, err := os.ReadFile(w.path(1))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		number uint64
		data   []byte
		want   string
	}{
		{"empty", 1, nil, "the header is cut off"},
		{"cut off", 1, data[:31], "the header is cut off"},
		{"zeros", 1, make([]byte, 4096), "the header is damaged, and without it nothing else can be read"},
		{"no salt, and one frame that nothing confirms", 1, flip(17, 23)(bytes.Clone(data)), "the header is damaged, and without it nothing else can be read"},
		{"another", 2, data, "this is segment 1 under another name"},
	}
	for _, test := range tests {
		if _, err := persist.Inspect(test.number, test.data); err == nil || err.Error() != test.want {
			t.Errorf("%s: got error %v, want %s", test.name, err, test.want)
		}
	}
}

// TestInspectSalt has one frame, which the salt in a damaged header confirms.
func TestInspectSalt(t *testing.T) {
	w := newWritten(t)
	w.put("one")
	w.end()
	w.edit(1, flip(31))
	if s := w.inspect(1); len(s.Frames) != 1 || s.Header == nil {
		t.Errorf("got %v, %v, want a frame behind a damaged header", s.Frames, s.Header)
	}
}

// TestSnapshotWhileWriting takes a snapshot while a batch is being written and
// the next filled: neither is in it.
func TestSnapshotWhileWriting(t *testing.T) {
	w := newWritten(t)
	dir, now := t.TempDir(), w.now
	w.end()
	w.queue = queue.New(now)
	var err error
	w.keep, err = persist.Open(persist.OS{}, persist.Options{
		Dir: dir, SegmentSize: persist.MinSegmentSize, Sync: persist.SyncAlways, Seed: 1,
	}, &persist.Recovery{Engine: w.queue})
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	w.user = w.queue.Connect()
	w.put("settled")
	want := w.keep.Snapshot()
	pause := func(length time.Duration) {
		if err := w.queue.Pause(now, []byte("default"), length); err != nil {
			t.Fatal(err)
		}
	}
	pause(time.Hour)
	if w.keep.Cut() == nil {
		t.Fatal("nothing to be written")
	}
	pause(2 * time.Hour)
	if got := w.keep.Snapshot(); len(want) != 1 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRecoverExcerpt compares with what Recover restores.
func TestRecoverExcerpt(t *testing.T) {
	w := newWritten(t)
	w.put("")
	gone := w.put("to be deleted")
	w.put(strings.Repeat("x", 1000))
	if err := w.queue.Delete(w.now, w.user, gone); err != nil {
		t.Fatal(err)
	}
	w.turn()
	w.end()
	files, err := persist.OS{}.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := persist.RecoverExcerpt(files, fsLoader{persist.OS{}, w.dir}, func() *queue.Engine { return queue.New(w.now) }, w.now, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for j := range r.Engine.Jobs() {
		got = append(got, fmt.Sprintf("%d %q %d", j.ID, j.Body, r.BodySize(j.ID)))
	}
	if want := []string{`1 "" 0`, `3 "xxx" 1000`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.Live(), w.keep.Stats().Live; got != want {
		t.Errorf("got %d bytes live, want %d", got, want)
	}
	if oldest, newest, used := r.Log(); oldest != 1 || newest != 1 || used != w.inspect(1).End {
		t.Errorf("got the log in segments %d to %d with %d bytes, want 1 to 1 with %d", oldest, newest, used, w.inspect(1).End)
	}
}
