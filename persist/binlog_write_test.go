package persist_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"spoked/persist"
	"spoked/queue"
)

// disk keeps the files that a writer makes. It fails if told to.
type disk struct {
	files   [][]byte
	open    int
	largest int    // bytes of a write
	failing string // "create", "write" or "close"
}

type diskFile struct {
	d *disk
	n int
}

var errDisk = errors.New("the disk is out")

func (d *disk) create(index int) (io.WriteCloser, error) {
	if d.failing == "create" {
		return nil, errDisk
	}
	d.files = append(d.files, nil)
	d.open++
	if index != len(d.files) || d.open > 1 {
		return nil, fmt.Errorf("file %d made, with %d there and %d open", index, len(d.files), d.open)
	}
	return diskFile{d, index - 1}, nil
}

func (f diskFile) Write(b []byte) (int, error) {
	if f.d.failing == "write" {
		return 0, errDisk
	}
	f.d.largest = max(f.d.largest, len(b))
	f.d.files[f.n] = append(f.d.files[f.n], b...)
	return len(b), nil
}

func (f diskFile) Close() error {
	f.d.open--
	if f.d.failing == "close" {
		return errDisk
	}
	return nil
}

// write writes files of at most size bytes.
func write(t *testing.T, size int64, jobs []queue.Record, nextID uint64) [][]byte {
	t.Helper()
	d := new(disk)
	w := persist.NewBinlogWriter(d.create, size)
	for i := range jobs {
		if err := w.Job(&jobs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(nextID); err != nil {
		t.Fatal(err)
	}
	if d.open != 0 {
		t.Fatalf("%d files left open", d.open)
	}
	return d.files
}

// randomJobs returns n jobs such as an engine may have, the buried ones in the
// order of burial.
func randomJobs(random *rand.Rand, n int) []queue.Record {
	jobs := make([]queue.Record, n)
	burials := uint64(0)
	for i, id := range random.Perm(n) {
		j := queue.Record{
			ID:      1 + uint64(id)*3,
			Tube:    []string{"default", "a", strings.Repeat("n", 200)}[random.IntN(3)],
			State:   []queue.State{queue.Ready, queue.Delayed, queue.Buried}[random.IntN(3)],
			Pri:     random.Uint32(),
			Created: random.Int64N(2e18),
			Delay:   random.Int64N(1<<32) * second,
			TTR:     (1 + random.Int64N(1<<32-1)) * second,

			Reserves: random.Uint32N(100),
			Timeouts: random.Uint32N(100),
			Releases: random.Uint32N(100),
			Buries:   1 + random.Uint32N(100),
			Kicks:    random.Uint32N(100),

			Body: make([]byte, random.IntN(50)),
		}
		for k := range j.Body {
			j.Body[k] = byte(random.Uint32())
		}
		switch j.State {
		case queue.Delayed:
			j.At = random.Int64N(3e18)
		case queue.Buried:
			burials++
			j.Burial = burials
		}
		jobs[i] = j
	}
	return jobs
}

// What is written reads as what it was, but for the count of burials, to which
// beanstalkd adds one.
func TestBinlogRoundTrip(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 0))
		jobs := randomJobs(random, random.IntN(100))
		size := random.Int64N(3000)
		nextID := 1 + random.Uint64N(400)
		files := write(t, size, jobs, nextID)
		for i, data := range files {
			if int64(len(data)) > size && read(t, data).nextID > 1 && len(data) > 4+84+200+50+2 {
				t.Errorf("seed %d: file %d has %d bytes, more than %d", seed, i+1, len(data), size)
			}
		}
		got := read(t, files...)
		if len(got.problems) > 0 {
			t.Errorf("seed %d: %q", seed, got.problems)
		}
		for i, j := range jobs {
			if j.State == queue.Buried {
				jobs[i].Buries--
			}
			nextID = max(nextID, j.ID+1)
		}
		if got.nextID != nextID {
			t.Errorf("seed %d: NextID %d, want %d", seed, got.nextID, nextID)
		}
		if len(got.jobs) != len(jobs) {
			t.Fatalf("seed %d: %d jobs, want %d", seed, len(got.jobs), len(jobs))
		}
		for i := range jobs {
			if !reflect.DeepEqual(got.jobs[i], jobs[i]) {
				t.Errorf("seed %d:\n got %+v\nwant %+v", seed, got.jobs[i], jobs[i])
			}
		}
	}
}

// The bytes that beanstalkd itself would write for such jobs.
func TestBinlogWriterBytes(t *testing.T) {
	ready := put(7)
	delayed := put(8).with(func(l *logged) { l.delay, l.deadline, l.state = 9*second, l.created+9*second, logDelayed })
	buried := put(9).with(func(l *logged) { l.counts, l.state = [5]uint32{1, 2, 3, 4, 5}, logBuried })
	never := put(10).with(func(l *logged) { l.state = logBuried })
	jobs := read(t, binlog(ready, delayed, buried, never)).jobs
	jobs[2].Buries++
	jobs[0].TTR = 0
	ready.ttr = second
	last := logged{tube: "default", id: 19, ttr: second, created: 1, state: logReady}
	eleventh := last.with(func(l *logged) { l.id = 11 })
	for _, c := range []struct {
		size   int64
		nextID uint64
		want   [][]byte
	}{
		{1 << 20, 0, [][]byte{binlog(ready, delayed, buried, never)}},
		{1 << 20, 11, [][]byte{binlog(ready, delayed, buried, never)}},
		{1 << 20, 12, [][]byte{binlog(ready, delayed, buried, never, eleventh, eleventh.delete())}},
		{1 << 20, 20, [][]byte{binlog(ready, delayed, buried, never, last, last.delete())}},
		{int64(len(binlog(ready, delayed))), 1, [][]byte{binlog(ready, delayed), binlog(buried), binlog(never)}},
		{int64(len(binlog(buried, never))), 1, [][]byte{binlog(ready, delayed), binlog(buried, never)}},
		{int64(len(binlog(ready, delayed))) - 1, 1, [][]byte{binlog(ready), binlog(delayed), binlog(buried), binlog(never)}},
		{0, 20, [][]byte{binlog(ready), binlog(delayed), binlog(buried), binlog(never), binlog(last), binlog(last.delete())}},
	} {
		got := write(t, c.size, slices.Clone(jobs), c.nextID)
		if !slices.EqualFunc(got, c.want, bytes.Equal) {
			t.Errorf("files of %d bytes, next id %d:\n got %q\nwant %q", c.size, c.nextID, got, c.want)
		}
	}
	if got := write(t, 1000, nil, 1); len(got) > 0 {
		t.Errorf("files for nothing: %q", got)
	}
}

// What is to be written does not gather in memory.
func TestBinlogWriterBuffer(t *testing.T) {
	d := new(disk)
	w := persist.NewBinlogWriter(d.create, 1<<30)
	job := queue.Record{Tube: "default", Body: make([]byte, 1000)}
	for job.ID < 1000 {
		job.ID++
		if err := w.Job(&job); err != nil {
			t.Fatal(err)
		}
	}
	if most := 70_000; d.largest == 0 || d.largest > most {
		t.Errorf("%d bytes written at once, want at most %d", d.largest, most)
	}
	if err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d.files...); len(got.jobs) != 1000 || len(got.problems) > 0 {
		t.Errorf("%d jobs and problems %q, want 1000", len(got.jobs), got.problems)
	}
}

func TestBinlogWriterRefuses(t *testing.T) {
	for name, change := range map[string]func(*queue.Record){
		"id 0":                      func(r *queue.Record) { r.ID = 0 },
		"highest id":                func(r *queue.Record) { r.ID = 1<<64 - 1 },
		"no tube":                   func(r *queue.Record) { r.Tube = "" },
		"long tube":                 func(r *queue.Record) { r.Tube = strings.Repeat("n", 201) },
		"space in tube":             func(r *queue.Record) { r.Tube = "a b" },
		"reserved":                  func(r *queue.Record) { r.State = queue.Reserved },
		"before 1970":               func(r *queue.Record) { r.Created = -1 },
		"negative delay":            func(r *queue.Record) { r.Delay = -1 },
		"long delay":                func(r *queue.Record) { r.Delay = 1 << 32 * second },
		"negative TTR":              func(r *queue.Record) { r.TTR = -1 },
		"long TTR":                  func(r *queue.Record) { r.TTR = 1 << 32 * second },
		"delayed until before 1970": func(r *queue.Record) { r.State, r.At = queue.Delayed, -1 },
	} {
		d := new(disk)
		w := persist.NewBinlogWriter(d.create, 1000)
		good := queue.Record{ID: 1, Tube: "default"}
		bad := good
		change(&bad)
		if err := w.Job(&bad); err == nil || !strings.Contains(err.Error(), "cannot be written to a binlog") {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(w.Job(&good), w.Close(1)); err != nil {
			t.Errorf("%s: then %v", name, err)
		}
		if got := read(t, d.files...).ids(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("%s: then jobs %d", name, got)
		}
	}
}

func TestBinlogWriterFailure(t *testing.T) {
	for _, failing := range []string{"create", "write", "close"} {
		for at := range 3 {
			d := new(disk)
			w := persist.NewBinlogWriter(d.create, 0)
			job := queue.Record{ID: 1, Tube: "default"}
			for i := range 3 {
				if i == at {
					d.failing = failing
				}
				w.Job(&job)
				job.ID++
			}
			files := len(d.files)
			if err := w.Job(&job); !errors.Is(err, errDisk) {
				t.Errorf("%s fails at %d: then Job returns %v", failing, at, err)
			}
			if err := w.Close(9); !errors.Is(err, errDisk) {
				t.Errorf("%s fails at %d: then Close returns %v", failing, at, err)
			}
			if d.open > 0 || at < 2 && len(d.files) != files {
				t.Errorf("%s fails at %d: %d files left open, %d made after it", failing, at, d.open, len(d.files)-files)
			}
		}
	}
}
