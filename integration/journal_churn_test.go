//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var churn = flag.Int("churn", 0, "how many jobs TestJournalChurn puts, reserves, releases and deletes, beside 100,000 delayed ones; 0: few, beside 100")

// TestJournalChurn has jobs come and go beside others that stay: the journal
// must not take more of the disk than twice what the jobs need and two
// segments.
func TestJournalChurn(t *testing.T) {
	t.Parallel()
	const (
		body     = 100
		pipeline = 32
		conns    = 8
		need     = 20 + 2 + len("churn") + body // bytes of a job, as docs/durability.md counts
		longest  = 6 * time.Minute
	)
	modes := syncModes
	if *churn > 0 {
		modes = []string{"-f 50"} // the default
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cycles, stay, segment := 20_000, 100, 1<<20
			switch {
			case *churn > 0:
				cycles, stay, segment = *churn, 100_000, 10<<20
			case mode != "-f 50" || testing.Short():
				cycles = 5_000
			}
			dir := t.TempDir()
			s := startJournal(t, dir, fmt.Sprint(mode, " -s ", segment))
			c := connect(t, s)
			c.use("churn")
			text := strings.Repeat("x", body)
			for left := stay; left > 0; left -= min(left, 1000) {
				sendAside(c, strings.Repeat(fmt.Sprintf("put 0 1000000 60 %d\r\n%s\r\n", body, text), min(left, 1000)))
				for range min(left, 1000) {
					c.inserted()
				}
			}

			var done, cyclesDone atomic.Int64
			var trips []time.Duration // of the puts
			var mu sync.Mutex
			errs := make(chan error, conns)
			begin := time.Now()
			var group sync.WaitGroup
			for range conns {
				conn, err := net.Dial("tcp", s.Addr)
				if err != nil {
					t.Fatal(err)
				}
				group.Go(func() {
					defer conn.Close()
					own, err := cycle(conn, text, pipeline, func() bool {
						cyclesDone.Add(pipeline)
						return cyclesDone.Load() < int64(cycles) && time.Since(begin) < longest
					})
					if err != nil {
						errs <- err
					}
					mu.Lock()
					trips = append(trips, own...)
					mu.Unlock()
				})
			}
			go func() {
				group.Wait()
				done.Store(1)
			}()
			// What is in progress needs room as well.
			bound := int64(2*(stay+conns*pipeline)*need + 2*segment)
			most, samples, over := int64(0), 0, 0
			for done.Load() == 0 {
				n, ok := diskUse(t, filepath.Join(dir, "journal"))
				if ok {
					most = max(most, n)
					samples++
					if n > bound {
						over++
					}
				}
				time.Sleep(time.Millisecond)
			}
			took := time.Since(begin)
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			if most > bound {
				t.Errorf("got %d bytes on disk, want %d at most; %d of %d samples were more", most, bound, over, samples)
			}
			slices.Sort(trips)
			if len(trips) == 0 {
				t.Fatal("nothing was put")
			}
			strict := 2*stay*need + 2*segment
			t.Logf("%d cycles in %v, puts in pipelines of %d: p50 %v, p99.9 %v, longest %v; %d samples of the disk, most %d, which is %.3f of 2 x live + 2 segments (%d)",
				cyclesDone.Load(), took.Round(time.Millisecond), pipeline, trips[len(trips)/2], trips[len(trips)*999/1000], trips[len(trips)-1],
				samples, most, float64(most)/float64(strict), strict)
			if err := c.stats().differ(stats{"current-jobs-delayed": strconv.Itoa(stay), "current-jobs-ready": "0"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// cycle puts, reserves, releases, reserves and deletes jobs in pipelines until
// goOn says no, and returns how long each pipeline of puts took.
func cycle(conn net.Conn, body string, pipeline int, goOn func() bool) (trips []time.Duration, err error) {
	in := bufio.NewReaderSize(conn, 64<<10)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		return nil, err
	}
	if err := exchange(conn, in, "use churn\r\nwatch churn\r\nignore default\r\n", "USING churn\r\nWATCHING 2\r\nWATCHING 1\r\n"); err != nil {
		return nil, err
	}
	puts := bytes.Repeat(fmt.Appendf(nil, "put 1 0 600 %d\r\n%s\r\n", len(body), body), pipeline)
	reserves := bytes.Repeat([]byte("reserve-with-timeout 10\r\n"), pipeline)
	ids := make([][]byte, pipeline)
	var out []byte
	ask := func(request []byte, reply string) error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		for i := range pipeline {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			rest, ok := bytes.CutPrefix(line, []byte(reply))
			if !ok {
				return fmt.Errorf("got %q, want %s", line, reply)
			}
			if reply == "RESERVED " {
				id, _, _ := bytes.Cut(rest, []byte(" "))
				ids[i] = append(ids[i][:0], id...)
				if _, err := in.Discard(len(body) + len("\r\n")); err != nil {
					return err
				}
			}
		}
		return nil
	}
	each := func(verb, more, reply string) error {
		out = out[:0]
		for _, id := range ids {
			out = append(out, verb...)
			out = append(out, id...)
			out = append(out, more...)
		}
		return ask(out, reply)
	}
	for {
		begin := time.Now()
		err := ask(puts, "INSERTED ")
		trips = append(trips, time.Since(begin))
		if err == nil {
			err = ask(reserves, "RESERVED ")
		}
		if err == nil {
			err = each("release ", " 1 0\r\n", "RELEASED\r\n")
		}
		// Those that are deleted may be others'; there are as many.
		if err == nil {
			err = ask(reserves, "RESERVED ")
		}
		if err == nil {
			err = each("delete ", "\r\n", "DELETED\r\n")
		}
		if err != nil || !goOn() {
			return trips, err
		}
	}
}

// diskUse returns how many bytes the files in dir have together, and false if
// they were changing.
func diskUse(t *testing.T, dir string) (sum int64, ok bool) {
	look := func() (files map[string]int64) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		files = map[string]int64{}
		for _, e := range entries {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = info.Size()
		}
		return files
	}
	first, second := look(), look()
	if first == nil || len(first) != len(second) {
		return 0, false
	}
	for name, size := range first {
		if second[name] != size {
			return 0, false
		}
		sum += size
	}
	return sum, true
}
