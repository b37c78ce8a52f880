package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/internal/journal"
	"spoked/queue"
)

// belt is a journal in which at the end of each turn the jobs are the newest
// ten of those that were ever put: a turn puts some and deletes as many.
type belt struct {
	*live
	newest uint64
}

const beltLength = 10

func (b *belt) turn(n int) {
	b.live.turn(func(e *queue.Engine) {
		for range n {
			b.newest = b.put(e, "belt", 0, strings.Repeat("x", 300))
			if b.newest > beltLength {
				if err := e.Delete(b.now, b.user, b.newest-beltLength); err != nil {
					b.t.Error(err)
				}
			}
		}
	})
}

// onBelt returns the newest job in a directory, and complains unless the jobs
// there are those at the end of a turn.
func onBelt(t *testing.T, dir string) (newest uint64) {
	t.Helper()
	l := start(t, journal.Options{Dir: dir, Never: true})
	defer l.stop()
	var ids []uint64
	l.look(func(e *queue.Engine) {
		for r := range e.Jobs() {
			ids = append(ids, r.ID)
		}
	})
	for i, id := range ids {
		if id != ids[0]+uint64(i) {
			t.Fatalf("got jobs %v", ids)
		}
	}
	if len(ids) != beltLength {
		t.Fatalf("got %d jobs, want %d: %v", len(ids), beltLength, ids)
	}
	return ids[beltLength-1]
}

// look is turn for who only looks.
func (l *live) look(f func(e *queue.Engine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.j.Engine())
}

// TestBackup makes copies while others write, and wants each to be the journal
// as it was at the end of a turn, with all that was settled before.
func TestBackup(t *testing.T) {
	for name, opts := range map[string]journal.Options{
		"always": {},
		"later":  {Interval: 5 * time.Millisecond},
		"never":  {Never: true},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Dir = t.TempDir()
			b := &belt{live: start(t, opts)}
			b.turn(beltLength)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						b.turn(1 + i%5)
					}
				}
			}()
			top := t.TempDir()
			for i := range 5 {
				before := b.known()
				dest := filepath.Join(top, fmt.Sprint(i))
				copied, err := b.j.Backup(t.Context(), dest)
				if err != nil {
					t.Fatal(err)
				}
				var after uint64
				b.look(func(*queue.Engine) { after = b.newest })
				if c, err := journal.Check(dest, time.Now().UnixNano()); err != nil || !c.OK || len(c.Problems) > 0 {
					t.Errorf("the copy: %+v, %v", c, err)
				}
				got := onBelt(t, dest)
				if got < before || got > after {
					t.Errorf("the copy ends with job %d, want one from %d to %d", got, before, after)
				}
				if copied.Segments == 0 || copied.Bytes < beltLength*300 {
					t.Errorf("got %+v", copied)
				}
			}
			close(stop)
			<-stopped
			b.stop()
			if got := onBelt(t, opts.Dir); got != b.newest {
				t.Errorf("the journal itself ends with job %d, want %d", got, b.newest)
			}
			if c, err := journal.Check(opts.Dir, time.Now().UnixNano()); err != nil || !c.OK || len(c.Problems) > 0 {
				t.Errorf("the journal itself: %+v, %v", c, err)
			}
		})
	}
}

// known returns a job, waiting until all that was recorded up to it is
// settled: a client may have been told of it.
func (b *belt) known() (id uint64) {
	b.t.Helper()
	var batch uint64
	b.look(func(*queue.Engine) { id, batch = b.newest, b.j.Newest() })
	for limit := time.Now().Add(patience); b.j.Settled() < batch; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			b.t.Fatal("nothing is settled")
		}
	}
	return id
}

// TestBackupFreesSegments wants segments to be removed again that a copy has
// held on to.
func TestBackupFreesSegments(t *testing.T) {
	dir := t.TempDir()
	b := &belt{live: start(t, journal.Options{Dir: dir, Never: true})}
	defer b.stop()
	b.turn(beltLength)
	if _, err := b.j.Backup(t.Context(), filepath.Join(t.TempDir(), "copy")); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b.turn(5)
		if _, err := os.Stat(segmentPath(dir, 1)); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the first segment is still there")
		}
	}
}

func TestBackupRefused(t *testing.T) {
	dir, top := t.TempDir(), t.TempDir()
	l := start(t, journal.Options{Dir: dir, Never: true})
	full := filepath.Join(top, "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller has gone"))
	l.turn(func(e *queue.Engine) { l.put(e, "default", 0, "a job") })
	tests := []struct {
		ctx        context.Context
		dest, want string
	}{
		{t.Context(), "relative", "is not an absolute path"},
		{t.Context(), full, "is not empty"},
		{t.Context(), filepath.Join(top, "a", "b"), "no such file"},
		{late, filepath.Join(top, "late"), "the caller has gone"},
	}
	for _, test := range tests {
		if _, err := l.j.Backup(test.ctx, test.dest); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", test.dest, err, test.want)
		}
	}
	l.stop()
	if _, err := l.j.Backup(t.Context(), filepath.Join(top, "stopped")); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("after the end: got error %v", err)
	}
	entries, err := os.ReadDir(top)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v left, %v, want full alone", entries, err)
	}
}

// TestBackupStopped copies what no server uses.
func TestBackupStopped(t *testing.T) {
	dir, dest := filled(t), filepath.Join(t.TempDir(), "copy")
	before := contents(t, filepath.Join(dir, "journal"))
	copied, err := journal.BackupStopped(t.Context(), dir, dest)
	if err != nil {
		t.Fatal(err)
	}
	if copied.Segments != len(before) {
		t.Errorf("got %+v, want %d segments", copied, len(before))
	}
	if got, want := jobsOf(t, dest), jobsOf(t, dir); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
