package persist_test

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// nowhere is a file system that keeps nothing.
type nowhere struct{}

func (nowhere) ReadDir(string) ([]persist.FileInfo, error) { return nil, nil }
func (nowhere) ReadFile(string, []byte) ([]byte, error)    { return nil, nil }
func (nowhere) Create(string) (persist.File, error)        { return nowhereFile{}, nil }
func (nowhere) Open(string) (persist.File, error)          { return nowhereFile{}, nil }
func (nowhere) OpenRead(string) (persist.Reader, error)    { return nil, fs.ErrNotExist }
func (nowhere) Rename(string, string) error                { return nil }
func (nowhere) Remove(string) error                        { return nil }
func (nowhere) Mkdir(string) error                         { return nil }
func (nowhere) SyncDir(string) error                       { return nil }

type nowhereFile struct{}

func (nowhereFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nowhereFile) Sync() error                            { return nil }
func (nowhereFile) Allocate(int64) error                   { return nil }
func (nowhereFile) Truncate(int64) error                   { return nil }
func (nowhereFile) Close() error                           { return nil }

func openNowhere(b *testing.B) *persist.Journal {
	r, err := persist.Recover(nil, fsLoader{}, func() *queue.Engine { return queue.New(1) }, 1)
	if err != nil {
		b.Fatal(err)
	}
	j, err := persist.Open(nowhere{}, persist.Options{SegmentSize: 10 << 20}, r)
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// settle cuts a batch and does what a server does with it, and the chores.
func settle(b *testing.B, j *persist.Journal) {
	if batch := j.Cut(); batch != nil {
		if err := batch.Write(); err != nil {
			b.Fatal(err)
		}
		end := batch.End
		j.Settle(batch)
		j.Synced(end)
	}
	for c := j.Chore(); c != nil; c = j.Chore() {
		if err := j.Done(c, c.Run()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJob says what a record costs a server, by how many make a batch:
// jobs of 100 bytes, half of which end.
func BenchmarkJob(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batches of %d", batch), func(b *testing.B) {
			j := openNowhere(b)
			r := queue.Record{Tube: "default", Created: 1e18, TTR: int64(time.Minute), Body: make([]byte, 100)}
			b.ReportAllocs()
			for i := range b.N {
				if i%2 == 0 {
					r.ID++
					r.Created += 1000
					j.Room(r.Tube, len(r.Body))
					j.Job(&r)
				} else {
					j.End(&r)
				}
				if i%batch == batch-1 {
					settle(b, j)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/record")
		})
	}
}

// fullOf returns a journal with n jobs of 100 bytes.
func fullOf(b *testing.B, n int) *faultFS {
	g := newRig(b, persist.SyncNever, 10<<20)
	for i := range n {
		g.now += 1000
		g.must2(g.put(0, 100))
		if i%64 == 63 && !g.turn() {
			b.Fatal(g.err)
		}
	}
	if !g.turn() {
		b.Fatal(g.err)
	}
	return g.fs
}

func BenchmarkReadSegment(b *testing.B) {
	files := fullOf(b, 60_000)
	data := files.files["d/"+persist.SegmentName(1)].data
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := persist.ReadSegment(1, data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecover says what a job of 100 bytes costs at the start.
func BenchmarkRecover(b *testing.B) {
	const jobs = 500_000
	files := fullOf(b, jobs)
	b.ReportAllocs()
	for b.Loop() {
		r, err := recoverFrom(files, "d", 2e18)
		if err != nil {
			b.Fatal(err)
		}
		if got := r.Engine.Stats().Jobs[queue.Ready]; got != jobs {
			b.Fatalf("got %d jobs, want %d", got, jobs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/jobs, "ns/job")
}
