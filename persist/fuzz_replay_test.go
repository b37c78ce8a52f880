package persist_test

import (
	"bytes"
	"errors"
	"flag"
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

var update = flag.Bool("update", false, "write the golden journals anew; only for a new version of the format")

const golden = "testdata/golden/v1"

// goldenNow is when the golden journals are recovered.
const goldenNow = int64(1e18) + int64(time.Hour)

// goldens are journals of version 1, as they were written once. They must be
// read for ever.
var goldens = []struct {
	name    string
	stopped bool
	torn    bool
	make    func(t *testing.T) *faultFS
}{
	{"cleaned", false, false, func(t *testing.T) *faultFS {
		g := newRig(t, persist.SyncLater, 4096)
		g.everyState()
		for range 120 { // until what is above has been copied
			g.must(g.engine.Delete(g.now, g.client, g.must2(g.putBody(0, bytes.Repeat([]byte("x"), 40)))))
			g.turn()
		}
		g.everyState()
		g.releaseSome(10)
		g.turn()
		if s := g.journal.Stats(); s.Oldest < 2 || s.Segments < 2 || s.Copied == 0 {
			t.Fatalf("got %+v, want segments that were cleaned", s)
		}
		return g.fs
	}},
	{"stopped", true, false, func(t *testing.T) *faultFS {
		g := newRig(t, persist.SyncAlways, 4096)
		g.everyState()
		g.must(g.journal.Finish((*persist.Batch).WriteSync))
		g.must(g.journal.Close())
		return g.fs
	}},
	{"checked", true, false, func(t *testing.T) *faultFS { // bodies are in the journal alone, and have checksums
		g := newRigUnder(t, persist.SyncAlways, 4096, queue.Limits{Bodies: queue.InJournal})
		g.everyState()
		for range 120 {
			g.must(g.engine.Delete(g.now, g.client, g.must2(g.putBody(0, bytes.Repeat([]byte("x"), 40)))))
			g.turn()
		}
		g.everyState()
		if s := g.journal.Stats(); s.Oldest < 2 || s.Copied == 0 {
			t.Fatalf("got %+v, want segments that were cleaned", s)
		}
		g.must(g.journal.Finish((*persist.Batch).WriteSync))
		g.must(g.journal.Close())
		return g.fs
	}},
	{"moved", true, false, func(t *testing.T) *faultFS {
		g := newRig(t, persist.SyncAlways, 4096)
		g.everyState()
		g.turn()
		for id := range g.engine.NextID() {
			_ = g.engine.Move(g.now, id, []byte([]string{"default", "elsewhere", "mail"}[id%3]))
			_ = g.engine.Change(g.now, id, queue.Change{Pri: new(uint32(id))})
		}
		g.turn()
		g.must(g.journal.Finish((*persist.Batch).WriteSync))
		g.must(g.journal.Close())
		return g.fs
	}},
	{"torn", false, true, func(t *testing.T) *faultFS {
		g := newRig(t, persist.SyncLater, 4096)
		g.everyState()
		g.fs.inject = func(o op, _ string) *fault {
			if o == opWrite {
				return &fault{part: 0.6}
			}
			return nil
		}
		g.must2(g.putBody(0, bytes.Repeat([]byte("torn"), 50)))
		if g.turn() {
			t.Fatal("the torn write has not failed")
		}
		return g.fs.kill()
	}},
}

// everyState makes jobs in every state and with all there is to a job.
func (g *rig) everyState() {
	put := func(tube string, pri uint32, delay, ttr time.Duration, body string) uint64 {
		g.now += int64(time.Second)
		g.engine.Use(g.client, []byte(tube))
		d, err := g.engine.Begin(g.now, g.client, pri, delay, ttr, uint32(len(body)))
		g.must(err)
		copy(g.engine.Body(&d), body)
		return g.must2(g.engine.Insert(g.now, &d))
	}
	put("default", 0, 0, time.Second, "")
	put("mail", 4294967295, 0, 4294967295*time.Second, "ready")
	put("mail", 1024, 365*24*time.Hour, time.Minute, "delayed")
	put(strings.Repeat("n", 200), 5, 10*time.Minute, time.Minute, "delayed, and then ready")
	g.turn()
	buried := []uint64{put("mail", 1, 0, time.Minute, "buried last"), put("mail", 1, 0, time.Minute, "buried first"), put("mail", 1, 0, time.Minute, "kicked")}
	for _, i := range []int{2, 1, 0} {
		g.reserve(buried[i])
		g.must(g.engine.Bury(g.client, buried[i], uint32(i)))
	}
	g.must(g.engine.KickJob(g.now, buried[2]))
	g.turn()
	released := put("work", 1, 0, time.Minute, "released")
	g.reserve(released)
	g.must(g.engine.Release(g.now, g.client, released, 77, 100*time.Hour+1))
	g.must(g.engine.Delete(g.now, g.client, put("work", 1, 0, time.Minute, "deleted")))
	late := put("work", 1, 0, 30*time.Second, "timed out")
	g.reserve(late)
	g.now += int64(time.Minute)
	for g.engine.Advance(g.now, 100) {
	}
	g.reserve(late)
	g.must(g.engine.Release(g.now, g.client, late, 2, 0))
	put("work", 1, 0, time.Minute, strings.Repeat("long ", 300))
	g.turn()
	g.must(g.engine.Pause(g.now, []byte("mail"), 1000*time.Hour))
	g.must(g.engine.Pause(g.now, []byte("default"), time.Minute))
	g.turn()
	g.engine.Use(g.client, []byte("default"))
	g.must(g.err)
}

func TestGolden(t *testing.T) {
	for _, k := range goldens {
		t.Run(k.name, func(t *testing.T) {
			dir := filepath.Join(golden, k.name)
			if *update {
				writeGolden(t, dir, k.make(t))
			}
			files, err := persist.OS{}.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			r, err := persist.Recover(files, fsLoader{persist.OS{}, dir}, func() *queue.Engine { return queue.New(goldenNow) }, goldenNow)
			if err != nil {
				t.Fatal(err)
			}
			if r.Stopped != k.stopped || (r.Cut != nil) != k.torn {
				t.Errorf("got Stopped %v, Cut %v, want %v, %v", r.Stopped, r.Cut, k.stopped, k.torn)
			}
			got := fmt.Sprintf("next id %d\nburials %d\n", r.Engine.NextID(), r.Engine.Burials())
			got += strings.Join(jobsOf(r.Engine), "\n") + "\n"
			name := filepath.Join(dir, "jobs.txt")
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s, want\n%s", got, want)
			}
		})
	}
}

func writeGolden(t *testing.T, dir string, files *faultFS) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, n := range files.files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), n.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Fuzzing.

// pack makes one string of segments: number and length before each.
func pack(segments map[uint64][]byte, numbers ...uint64) (b []byte) {
	for _, n := range numbers {
		b = append(b, byte(n), byte(len(segments[n])), byte(len(segments[n])>>8))
		b = append(b, segments[n]...)
	}
	return b
}

// FuzzReplay recovers from segments that are anything. The checksums are made
// right on demand, so that what is behind them is reached.
func FuzzReplay(f *testing.F) {
	for _, k := range goldens {
		files, err := filepath.Glob(filepath.Join(golden, k.name, "*.segment"))
		if err != nil || len(files) == 0 {
			f.Fatalf("no golden journal %s: %v", k.name, err)
		}
		segments, numbers := map[uint64][]byte{}, []uint64{}
		for _, name := range files {
			n, _ := persist.SegmentNumber(filepath.Base(name))
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			segments[n] = bytes.TrimRight(data, "\x00")
			numbers = append(numbers, n)
		}
		f.Add(pack(segments, numbers...), true)
		f.Add(pack(segments, numbers...), false)
		f.Add(pack(segments, numbers[0]), true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(replayAny)
}

// sizesOf is jobsOf with the sizes of bodies in place of these: a checksum of
// one may be wrong.
func sizesOf(e *queue.Engine) (jobs []string) {
	for r := range e.Jobs() {
		c := *r
		c.Body, c.Stored, c.Place = nil, 0, queue.Place{}
		jobs = append(jobs, fmt.Sprintf("%+v %d", c, r.Size()))
	}
	return jobs
}

func replayAny(t *testing.T, b []byte, seal bool) {
	files := newFaultFS()
	for len(b) >= 3 {
		n := min(int(b[1])|int(b[2])<<8, len(b)-3)
		data := slices.Clone(b[3 : 3+n])
		if seal {
			persist.Reseal(uint64(b[0]), data)
		}
		files.files["d/"+persist.SegmentName(uint64(b[0]))] = &inode{data: data}
		b = b[3+n:]
	}
	r, err := recoverFrom(files, "d", goldenNow)
	if err != nil {
		return
	}
	if err := r.Engine.Check(); err != nil {
		t.Fatal(err)
	}
	// Where bodies are does not matter.
	stored, err := recoverUnder(files, "d", goldenNow, queue.Limits{Bodies: queue.InJournal})
	if err != nil {
		t.Fatalf("recovered, but not without bodies in memory: %v", err)
	}
	if err := stored.Engine.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := sizesOf(stored.Engine), sizesOf(r.Engine); !slices.Equal(got, want) {
		t.Fatalf("with bodies in the journal: got\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// It can be gone on with, and the next recovery has the same.
	want := jobsOf(r.Engine)
	if r.Engine.NextID() > 1<<62 {
		return // no more ids
	}
	j, err := persist.Open(files, persist.Options{Dir: "d", SegmentSize: 4096, Seed: 1}, r)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	j.Abandon()
	again, err := recoverFrom(files, "d", goldenNow)
	if err != nil {
		t.Fatalf("recovered, and then: %v", err)
	}
	if got := jobsOf(again.Engine); !slices.Equal(got, want) {
		t.Fatalf("recovered again: got\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if again.Cut != nil {
		t.Fatalf("recovered again: got Cut %v, want nil", again.Cut)
	}
}
