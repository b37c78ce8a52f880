//go:build unix

package integration

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanstalkd/go-beanstalk"
)

// eachServer runs f against a spoked of each kind, and against beanstalkd.
func eachServer(t *testing.T, f func(t *testing.T, s *server)) {
	eachTransport(t, f)
	t.Run("beanstalkd", func(t *testing.T) {
		t.Parallel()
		f(t, startServer(t, referencePath(t)))
	})
}

// TestGoClient makes every call that go-beanstalk has.
func TestGoClient(t *testing.T) {
	t.Parallel()
	calls := []struct {
		name string
		f    func(t *testing.T, c *beanstalk.Conn)
	}{
		{"put, reserve, delete", goPutReserveDelete},
		{"reserve job", goReserveJob},
		{"release, bury, touch", goReleaseBuryTouch},
		{"kick", goKick},
		{"peek", goPeek},
		{"tube set", goTubeSet},
		{"pause", goPause},
		{"stats", goStats},
		{"list tubes", goListTubes},
		{"errors", goErrors},
		{"deadline", goDeadline},
	}
	eachServer(t, func(t *testing.T, s *server) {
		for _, call := range calls {
			t.Run(call.name, func(t *testing.T) { call.f(t, dialGo(t, s)) })
		}
		t.Run("not ignored", func(t *testing.T) {
			_, _, err := beanstalk.NewTubeSet(dialGo(t, s)).Reserve(0)
			wantErr(t, "reserve of no tube", err, beanstalk.ErrNotIgnored)
		})
		t.Run("bad put", func(t *testing.T) {
			c := dialGo(t, s)
			_, err := c.Put([]byte("no-command"), 1, math.MaxInt64, 0)
			wantErr(t, "put with a delay too long", err, beanstalk.ErrBadFormat)
			// Its body was a line, and the client is one reply behind from now on.
			_, err = c.Stats()
			wantErr(t, "stats", err, beanstalk.ErrUnknown)
		})
	})
}

// TestGoClientDraining is not part of TestGoClient because draining is for good.
func TestGoClientDraining(t *testing.T) {
	t.Parallel()
	s := startServer(t, spokedPath(t))
	c := dialGo(t, s)
	id := goPut(t, &c.Tube, "before")
	if err := syscall.Kill(s.Pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		got, err := c.Stats()
		return errors.Join(err, stats(got).differ(stats{"draining": "true"}))
	})
	_, err := c.Put([]byte("after"), 0, 0, time.Minute)
	wantErr(t, "put", err, beanstalk.ErrDraining)
	wantErr(t, "delete", c.Delete(id), nil)
}

func dialGo(t *testing.T, s *server) *beanstalk.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := beanstalk.NewConn(conn)
	t.Cleanup(func() { c.Close() })
	return c
}

// goPut puts a ready job with priority 5 and a ttr of a minute.
func goPut(t *testing.T, tube *beanstalk.Tube, body string) (id uint64) {
	t.Helper()
	id, err := tube.Put([]byte(body), 5, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// goTube returns a tube that only this test uses and, on its connection,
// watches.
func goTube(t *testing.T, c *beanstalk.Conn) *beanstalk.Tube {
	t.Helper()
	name := "t" + strconv.FormatUint(rand.Uint64(), 36)
	c.TubeSet = *beanstalk.NewTubeSet(c, name)
	return beanstalk.NewTube(c, name)
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantJob compares what a call has returned with a job.
func wantJob(t *testing.T, what string, id uint64, body []byte, err error, wantID uint64, want string) {
	t.Helper()
	if err != nil || id != wantID || string(body) != want {
		t.Errorf("%s: got job %d %q (%v), want %d %q", what, id, body, err, wantID, want)
	}
}

// wantStats compares some of the stats that a call has returned.
func wantStats(t *testing.T, what string, got map[string]string, err error, want stats) {
	t.Helper()
	if err := errors.Join(err, stats(got).differ(want)); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func goPutReserveDelete(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	for _, want := range []string{"hello", "", "a\r\nb", strings.Repeat("x", 65535)} {
		put := goPut(t, tube, want)
		id, body, err := c.Reserve(time.Minute)
		wantJob(t, "reserve", id, body, err, put, want)
		wantErr(t, "delete", c.Delete(id), nil)
		wantErr(t, "delete again", c.Delete(id), beanstalk.ErrNotFound)
	}
}

func goReserveJob(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	goPut(t, tube, "first")
	put := goPut(t, tube, "second")
	body, err := c.ReserveJob(put)
	wantJob(t, "reserve-job", put, body, err, put, "second")
	_, err = c.ReserveJob(put)
	wantErr(t, "reserve-job again", err, beanstalk.ErrNotFound)
}

func goReleaseBuryTouch(t *testing.T, c *beanstalk.Conn) {
	put := goPut(t, goTube(t, c), "x")
	_, _, err := c.Reserve(0)
	wantErr(t, "reserve", err, nil)
	wantErr(t, "touch", c.Touch(put), nil)
	wantErr(t, "release", c.Release(put, 7, 0), nil)
	wantErr(t, "release again", c.Release(put, 7, 0), beanstalk.ErrNotFound)
	_, _, err = c.Reserve(0)
	wantErr(t, "reserve", err, nil)
	wantErr(t, "bury", c.Bury(put, 8), nil)
	wantErr(t, "bury again", c.Bury(put, 8), beanstalk.ErrNotFound)
	wantErr(t, "touch of a buried job", c.Touch(put), beanstalk.ErrNotFound)
	got, err := c.StatsJob(put)
	wantStats(t, "stats-job", got, err, stats{
		"state": "buried", "pri": "8", "reserves": "2", "releases": "1", "buries": "1", "kicks": "0", "timeouts": "0",
	})
	wantErr(t, "kick-job", c.KickJob(put), nil)
	wantErr(t, "kick-job again", c.KickJob(put), beanstalk.ErrNotFound)
	_, _, err = c.Reserve(0)
	wantErr(t, "reserve", err, nil)
	wantErr(t, "release with delay", c.Release(put, 9, time.Hour), nil)
	got, err = c.StatsJob(put)
	wantStats(t, "stats-job", got, err, stats{"state": "delayed", "pri": "9", "delay": "3600", "kicks": "1"})
}

func goKick(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	for range 3 {
		_, err := tube.Put([]byte{}, 0, time.Hour, time.Minute)
		wantErr(t, "put", err, nil)
	}
	for _, want := range []int{2, 1, 0} {
		if got, err := tube.Kick(2); got != want || err != nil {
			t.Errorf("kick: got %d (%v), want %d", got, err, want)
		}
	}
}

func goPeek(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	for what, peek := range map[string]func() (uint64, []byte, error){
		"peek-ready": tube.PeekReady, "peek-delayed": tube.PeekDelayed, "peek-buried": tube.PeekBuried,
	} {
		_, _, err := peek()
		wantErr(t, what, err, beanstalk.ErrNotFound)
	}

	buried := goPut(t, tube, "buried")
	_, _, err := c.Reserve(0)
	wantErr(t, "reserve", err, nil)
	wantErr(t, "bury", c.Bury(buried, 0), nil)
	ready := goPut(t, tube, "ready")
	delayed, err := tube.Put([]byte("delayed"), 0, time.Hour, time.Minute)
	wantErr(t, "put", err, nil)

	id, body, err := tube.PeekReady()
	wantJob(t, "peek-ready", id, body, err, ready, "ready")
	id, body, err = tube.PeekDelayed()
	wantJob(t, "peek-delayed", id, body, err, delayed, "delayed")
	id, body, err = tube.PeekBuried()
	wantJob(t, "peek-buried", id, body, err, buried, "buried")
	body, err = c.Peek(delayed)
	wantJob(t, "peek", delayed, body, err, delayed, "delayed")
	_, err = c.Peek(math.MaxUint64)
	wantErr(t, "peek of no job", err, beanstalk.ErrNotFound)
}

// goTubeSet reserves from several tubes, which takes a watch and an ignore.
func goTubeSet(t *testing.T, c *beanstalk.Conn) {
	a, b := goTube(t, c), goTube(t, c)
	set := beanstalk.NewTubeSet(c, a.Name, b.Name)
	inA := goPut(t, a, "in a")
	inB, err := b.Put([]byte("in b"), 1, 0, time.Minute)
	wantErr(t, "put", err, nil)

	id, body, err := set.Reserve(0)
	wantJob(t, "reserve", id, body, err, inB, "in b")
	_, _, err = beanstalk.NewTubeSet(c, b.Name).Reserve(0)
	wantErr(t, "reserve from b", err, beanstalk.ErrTimeout)
	id, body, err = set.Reserve(0)
	wantJob(t, "reserve", id, body, err, inA, "in a")
	_, _, err = set.Reserve(time.Second) // it waits
	wantErr(t, "reserve", err, beanstalk.ErrTimeout)
}

func goPause(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	wantErr(t, "pause of no tube", tube.Pause(0), beanstalk.ErrNotFound)
	put := goPut(t, tube, "x")
	wantErr(t, "pause", tube.Pause(time.Hour), nil)
	_, _, err := c.Reserve(0)
	wantErr(t, "reserve", err, beanstalk.ErrTimeout)
	got, err := tube.Stats()
	wantStats(t, "stats-tube", got, err, stats{"pause": "3600", "pause-time-left": "3599", "cmd-pause-tube": "1"})
	wantErr(t, "end of pause", tube.Pause(0), nil)
	id, body, err := c.Reserve(patience)
	wantJob(t, "reserve", id, body, err, put, "x")
}

func goStats(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	put := goPut(t, tube, "x")
	got, err := c.Stats()
	wantStats(t, "stats", got, err, stats{
		"max-job-size": "65535", "current-jobs-urgent": got["current-jobs-ready"], "draining": "false",
	})
	got, err = tube.Stats()
	got["name"] = strings.Trim(got["name"], `"`) // quoted from 1.13 on
	wantStats(t, "stats-tube", got, err, stats{
		"name": tube.Name, "current-jobs-ready": "1", "total-jobs": "1", "current-using": "1",
		"current-watching": "0", // the client watches when it reserves
	})
	got, err = c.StatsJob(put)
	got["tube"] = strings.Trim(got["tube"], `"`)
	wantStats(t, "stats-job", got, err, stats{
		"id": strconv.FormatUint(put, 10), "tube": tube.Name, "state": "ready", "pri": "5", "ttr": "60", "time-left": "0",
	})
	_, err = beanstalk.NewTube(c, "nothing").Stats()
	wantErr(t, "stats-tube of no tube", err, beanstalk.ErrNotFound)
	_, err = c.StatsJob(math.MaxUint64)
	wantErr(t, "stats-job of no job", err, beanstalk.ErrNotFound)
}

func goListTubes(t *testing.T, c *beanstalk.Conn) {
	tube := goTube(t, c)
	goPut(t, tube, "x")
	got, err := c.ListTubes()
	if !slices.Contains(got, "default") || !slices.Contains(got, tube.Name) || err != nil {
		t.Errorf("list-tubes: got %q (%v), want default and %s", got, err, tube.Name)
	}
}

func goErrors(t *testing.T, c *beanstalk.Conn) {
	_, err := c.Put(make([]byte, 65536), 0, 0, time.Minute)
	wantErr(t, "put of a large job", err, beanstalk.ErrJobTooBig)
	wantErr(t, "release with a delay too long", c.Release(1, 0, math.MaxInt64), beanstalk.ErrBadFormat)
	_, err = beanstalk.NewTube(c, "no good").Put([]byte{}, 0, 0, 0)
	wantErr(t, "put to a tube of a bad name", err, beanstalk.ErrBadChar)
}

func goDeadline(t *testing.T, c *beanstalk.Conn) {
	_, err := goTube(t, c).Put([]byte{}, 0, 0, time.Second)
	wantErr(t, "put", err, nil)
	_, _, err = c.Reserve(0)
	wantErr(t, "reserve", err, nil)
	_, _, err = c.Reserve(time.Hour)
	wantErr(t, "reserve with a ttr about to end", err, beanstalk.ErrDeadline)
}

// TestGoClientsTogether has producers and workers share tubes, and the workers
// do with a job whatever one can, and crash. Still each job must be deleted by
// exactly one of them, and never be held by two.
func TestGoClientsTogether(t *testing.T) {
	eachServer(t, func(t *testing.T, s *server) {
		const producers, workers, each = 4, 12, 250
		w := &workshop{
			addr:  s.Addr,
			tubes: []string{"alpha", "beta", "gamma", "delta"},
		}
		w.left.Store(producers * each)
		seeds := random(t)
		var group sync.WaitGroup
		run := func(f func(r *rand.Rand) error) {
			r := rand.New(rand.NewPCG(seeds.Uint64(), 0))
			group.Go(func() {
				if err := f(r); err != nil {
					w.left.Store(0) // let the others stop
					t.Error(err)
				}
			})
		}
		for range producers {
			run(func(r *rand.Rand) error { return w.produce(r, each) })
		}
		for range workers {
			run(w.work)
		}
		group.Wait()

		deleted := 0
		w.deleted.Range(func(_, _ any) bool { deleted++; return true })
		if want := producers * each; deleted != want {
			t.Errorf("got %d jobs deleted, want %d", deleted, want)
		}
		got, err := dialGo(t, s).Stats()
		wantStats(t, "stats", got, err, stats{
			"current-jobs-ready": "0", "current-jobs-reserved": "0", "current-jobs-delayed": "0", "current-jobs-buried": "0",
			"current-waiting": "0", "job-timeouts": "0", "total-jobs": strconv.Itoa(producers * each),
		})
	})
}

// A workshop is what the producers and workers of a test share.
type workshop struct {
	addr    string
	tubes   []string
	left    atomic.Int64 // jobs not yet deleted
	held    sync.Map     // ids of jobs that a worker has
	deleted sync.Map     // ids
}

// dial connects; with its last close the kernel tells the server at once.
func (w *workshop) dial() (*beanstalk.Conn, error) {
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return nil, err
	}
	return beanstalk.NewConn(conn), conn.(*net.TCPConn).SetLinger(0)
}

// produce puts n jobs.
func (w *workshop) produce(r *rand.Rand, n int) error {
	c, err := w.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	for range n {
		tube := beanstalk.NewTube(c, w.tubes[r.IntN(len(w.tubes))])
		if _, err := tube.Put([]byte(tube.Name), r.Uint32N(3), 0, time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// work deals with jobs until none is left.
func (w *workshop) work(r *rand.Rand) error {
	for w.left.Load() > 0 {
		if err := w.workUntilCrash(r); err != nil {
			return err
		}
	}
	return nil
}

// workUntilCrash is the life of a worker. When it ends it may hold a job.
func (w *workshop) workUntilCrash(r *rand.Rand) error {
	c, err := w.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	set := beanstalk.NewTubeSet(c, w.tubes[r.IntN(len(w.tubes))], w.tubes[r.IntN(len(w.tubes))])
	for w.left.Load() > 0 {
		id, body, err := set.Reserve(time.Duration(r.IntN(2)) * time.Second)
		if errors.Is(err, beanstalk.ErrTimeout) {
			return nil // see what other tubes have
		}
		if err != nil {
			return err
		}
		if !set.Name[string(body)] {
			return fmt.Errorf("job %d is of %s: got it while watching %v", id, body, set.Name)
		}
		if _, twice := w.held.LoadOrStore(id, true); twice {
			return fmt.Errorf("job %d is held by two workers", id)
		}
		if crash, err := w.deal(r, c, id); crash || err != nil {
			return err
		}
	}
	return nil
}

// deal does something with a job, and says if the worker is to crash.
func (w *workshop) deal(r *rand.Rand, c *beanstalk.Conn, id uint64) (crash bool, err error) {
	action := r.IntN(10)
	if action >= 5 {
		if action > 5 {
			err = c.Touch(id)
		}
		if err := errors.Join(err, c.Delete(id)); err != nil {
			return false, fmt.Errorf("job %d: %w", id, err)
		}
		if _, twice := w.deleted.LoadOrStore(id, true); twice {
			return false, fmt.Errorf("job %d has been deleted twice", id)
		}
		w.left.Add(-1)
		return false, nil
	}
	w.held.Delete(id) // before anybody else can get it
	switch action {
	case 0:
		return true, nil
	case 1:
		err = errors.Join(c.Bury(id, r.Uint32N(3)), c.KickJob(id))
	default:
		delay := time.Duration(0)
		if r.IntN(20) == 0 {
			delay = time.Second
		}
		err = c.Release(id, r.Uint32N(3), delay)
	}
	if err != nil {
		return false, fmt.Errorf("job %d: %w", id, err)
	}
	return false, nil
}
