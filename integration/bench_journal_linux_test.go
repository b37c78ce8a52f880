package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkJournalSynced has jobs put that must be on the disk before the reply.
func BenchmarkJournalSynced(b *testing.B) {
	contend := contenders(b)
	for i := range contend {
		contend[i].journal, contend[i].args = true, []string{"-f", "0"}
	}
	compare(b, contend, []load{
		{Conns: 1, Pipeline: 1, Body: 16, Steps: putOnly},
		{Conns: 2, Pipeline: 1, Body: 16, Steps: putOnly},
		{Conns: 8, Pipeline: 1, Body: 16, Steps: putOnly},
		{Conns: 64, Pipeline: 1, Body: 16, Steps: putOnly},
		{Conns: 512, Pipeline: 1, Body: 16, Steps: putOnly},
		{Conns: 64, Pipeline: 32, Body: 16, Steps: putOnly},
	})
}

// journalLoads are put, reserve, delete at depth 1 and in a pipeline.
var journalLoads = []load{
	{Conns: 1, Pipeline: 1, Body: 16},
	{Conns: 8, Pipeline: 1, Body: 16},
	{Conns: 64, Pipeline: 1, Body: 16},
	{Conns: 512, Pipeline: 1, Body: 16},
	{Conns: 64, Pipeline: 32, Body: 16},
}

// BenchmarkJournalDefault compares spoked with a journal, as it is by default,
// with a beanstalkd that has none.
func BenchmarkJournalDefault(b *testing.B) {
	contend := contenders(b)
	contend[0].journal = true
	compare(b, contend, journalLoads)
}

// BenchmarkJournalAdds compares spoked with a journal with one without.
func BenchmarkJournalAdds(b *testing.B) {
	path := spokedPath(b)
	compare(b, [2]contender{{name: "journal", path: path, journal: true}, {name: "none", path: path}}, journalLoads)
}

// BenchmarkRestart has servers killed that have a journal with many ready jobs,
// and tells how many they restore in a second, counted from their start to
// their first reply.
func BenchmarkRestart(b *testing.B) {
	sizes := []int{1_000_000}
	if !testing.Short() {
		sizes = append(sizes, 10_000_000)
	}
	contend := contenders(b)
	t := newTable("x-rate", "spoked-jobs/s", "beanstalkd-jobs/s", "spoked-B/job-resident", "spoked-B/job-disk", "beanstalkd-B/job-disk")
	for _, jobs := range sizes {
		b.Run(fmt.Sprintf("jobs=%d/body=100", jobs), func(b *testing.B) {
			var rate [len(contend)][]float64
			var resident float64
			var disk [len(contend)]float64
			for b.Loop() {
				var dirs [len(contend)]string
				for i, c := range contend {
					dirs[i] = b.TempDir()
					c.args = []string{"-b", dirs[i]}
					s := c.start(b)
					applyLoad(b, s, load{Conns: 4, Pipeline: 250, Body: 100, Steps: putOnly}, jobs)
					stopServer(b, s)
					disk[i] = diskBytes(b, dirs[i]) / float64(jobs)
				}
				for range max(1, *rounds) {
					for i, c := range contend {
						c.args = []string{"-b", dirs[i]}
						begin := time.Now()
						s := c.start(b)
						awaitStat(b, s, "current-jobs-ready", jobs)
						rate[i] = append(rate[i], float64(jobs)/time.Since(begin).Seconds())
						if i == 0 {
							resident = residentBytes(b, s) / float64(jobs)
						}
						stopServer(b, s)
					}
				}
			}
			t.row(b,
				median(len(rate[0]), func(k int) float64 { return rate[0][k] / rate[1][k] }),
				median(len(rate[0]), func(k int) float64 { return rate[0][k] }),
				median(len(rate[1]), func(k int) float64 { return rate[1][k] }),
				resident, disk[0], disk[1])
		})
	}
	t.print(b)
}

// BenchmarkJournalSize tells how many bytes of files a job has.
func BenchmarkJournalSize(b *testing.B) {
	const jobs = 1_000_000
	contend := contenders(b)
	t := newTable("spoked-B/job", "beanstalkd-B/job")
	for _, body := range []int{16, 256} {
		b.Run(fmt.Sprintf("body=%d", body), func(b *testing.B) {
			var disk [len(contend)]float64
			for b.Loop() {
				for i, c := range contend {
					dir := b.TempDir()
					c.args = []string{"-b", dir}
					s := c.start(b)
					applyLoad(b, s, load{Conns: 64, Pipeline: 1, Body: body, Steps: putOnly}, jobs)
					disk[i] = diskBytes(b, dir) / jobs
					stopServer(b, s)
				}
			}
			t.row(b, disk[0], disk[1])
		})
	}
	t.print(b)
}

// diskBytes returns how many bytes the files below dir have.
func diskBytes(tb testing.TB, dir string) float64 {
	tb.Helper()
	var sum int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // gone in the meantime
		}
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return float64(sum)
}
