package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spoked/internal/server"
	"spoked/queue"
)

// fill has c put so many jobs, with bodies of a byte.
func fill(t *testing.T, c *client, jobs int) {
	t.Helper()
	const batch = 1000
	one := strings.Repeat("put 0 0 60 1\r\nx\r\n", batch)
	for n := 0; n < jobs; n += batch {
		c.send(t, one)
		for range batch {
			line, err := c.in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "INSERTED ") {
				t.Fatalf("put: got %q, %v", line, err)
			}
		}
	}
}

// To empty a tube of many jobs takes many turns, between which others are served.
func TestLongFlush(t *testing.T) {
	const jobs = 100_000
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a, b := p.dial(t), p.dial(t)
		for _, c := range []struct{ command, want string }{
			{"flush-tube big", fmt.Sprintf("FLUSHED %d\r\n", jobs)},
			{"truncate big", fmt.Sprintf("TRUNCATED %d\r\n", jobs)},
			{"delete-tube big", "DELETED\r\n"},
		} {
			a.mustAsk(t, "use big\r\n", "USING big\r\n")
			fill(t, a, jobs)
			a.mustAsk(t, "pause-tube big 1000\r\n", "PAUSED\r\n")
			a.send(t, c.command+"\r\nping\r\n")
			b.mustAsk(t, "use b\r\nwatch b\r\n", "USING b\r\nWATCHING 2\r\n")
			b.mustAsk(t, "ping\r\n", "PONG\r\n")
			a.mustAsk(t, "", c.want+"PONG\r\n")
			b.mustAsk(t, "ignore b\r\n", "WATCHING 1\r\n")
			a.mustAsk(t, "pause-tube big 0\r\nlist-jobs big\r\n", "PAUSED\r\nOK 7\r\n---\n[]\n\r\n")
		}
	})
}

// A flush goes on when its client has gone, and when the server stops.
func TestFlushOutlivesItsClient(t *testing.T) {
	const jobs = 50_000
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a := p.dial(t)
		fill(t, a, jobs)
		a.send(t, "flush-tube default\r\n")
		a.Close()
		b := p.dial(t)
		await(t, func() (err error) {
			p.View(func(e *queue.Engine, _ int64) {
				if n := e.Len(); n > 0 {
					err = fmt.Errorf("got %d jobs left", n)
				}
			})
			return err
		})
		b.mustAsk(t, "list-jobs default\r\n", "OK 7\r\n---\n[]\n\r\n")
	})
}

// A list is made of a tube with few jobs among many, in portions, and clients that
// want several are served in turns.
func TestLongList(t *testing.T) {
	const jobs = 100_000
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a := p.dial(t)
		fill(t, a, jobs)
		a.mustAsk(t, "use few\r\nput 0 0 60 1\r\nx\r\n", fmt.Sprintf("USING few\r\nINSERTED %d\r\n", jobs+1))
		var others []*client
		for range 5 {
			c := p.dial(t)
			c.send(t, strings.Repeat("list-jobs few buried\r\n", 3))
			others = append(others, c)
		}
		gone := p.dial(t)
		gone.send(t, "list-jobs few\r\n")
		gone.Close()
		half := p.dial(t)
		half.send(t, "list-jobs few\r\n")
		if err := half.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for _, c := range others {
			c.mustAsk(t, "", strings.Repeat("OK 7\r\n---\n[]\n\r\n", 3))
		}
		got, err := io.ReadAll(half.in)
		if want := fmt.Sprintf("\n- id: %d\n  state: ready\n", jobs+1); err != nil || !bytes.Contains(got, []byte(want)) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}

// A batch has no more bodies than a megabyte, and one.
func TestBatchIsBounded(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		c := p.dial(t)
		body := strings.Repeat("b", 60_000)
		var want strings.Builder
		fmt.Fprintf(&want, "RESERVED_BATCH 18\r\n")
		for id := 1; id <= 30; id++ {
			c.mustAsk(t, "put 0 0 60 60000\r\n"+body+"\r\n", fmt.Sprintf("INSERTED %d\r\n", id))
			if id <= 18 { // 18 * 60000 is the first to be more than 1 << 20
				fmt.Fprintf(&want, "RESERVED %d 60000\r\n%s\r\n", id, body)
			}
		}
		c.mustAsk(t, "reserve-batch 100\r\n", want.String())
		c.mustAsk(t, "delete-batch 18 19\r\n", "DELETED_BATCH 2 0\r\n")
	})
}

// A batch waits for all bodies.
func TestBatchWhoseBodiesAreRead(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		a, c := p.dial(t), p.dial(t)
		a.mustAsk(t, "put 1 0 60 3\r\none\r\nput 2 0 60 3\r\ntwo\r\nput 3 0 60 5\r\nthree\r\n", "INSERTED 1\r\nINSERTED 2\r\nINSERTED 3\r\n")
		d.hold(true)
		c.send(t, "reserve-batch 5\r\nlist-tube-used\r\n")
		d.wantReads(t, 1)
		a.mustAsk(t, "flush-tube nothing\r\nping\r\n", "FLUSHED 0\r\nPONG\r\n")
		c.silent(t)
		d.hold(false)
		c.mustAsk(t, "delete-batch 3 2 1\r\n",
			"RESERVED_BATCH 3\r\nRESERVED 1 3\r\none\r\nRESERVED 2 3\r\ntwo\r\nRESERVED 3 5\r\nthree\r\nUSING default\r\nDELETED_BATCH 3 0\r\n")
		p.end(t, j)
	})
}

// When its client hangs up meanwhile, all its jobs are for others.
func TestClientLeavesWhileABatchIsRead(t *testing.T) {
	for name, leave := range map[string]func(*client) error{
		"close": func(c *client) error { return c.Close() },
		"reset": func(c *client) error {
			return errors.Join(c.Conn.(*net.TCPConn).SetLinger(0), c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, opts server.Options) {
				p, d, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InJournal})
				a, c := p.dial(t), p.dial(t)
				a.mustAsk(t, "put 1 0 600 3\r\none\r\nput 2 0 600 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
				d.hold(true)
				c.send(t, "reserve-batch 5\r\nlist-tube-used\r\n")
				d.wantReads(t, 1)
				if err := leave(c); err != nil {
					t.Fatal(err)
				}
				d.hold(false)
				wantState(t, a, "ready")
				got := ""
				for got != "RESERVED_BATCH 2\r\n" { // the end of a client is noticed in its time
					a.send(t, "reserve-batch 5 1\r\n")
					var err error
					if got, err = a.in.ReadString('\n'); err != nil || got != "RESERVED_BATCH 0\r\n" && got != "RESERVED_BATCH 2\r\n" {
						t.Fatalf("got %q, %v", got, err)
					}
				}
				a.mustAsk(t, "", "RESERVED 1 3\r\none\r\nRESERVED 2 3\r\ntwo\r\n")
				p.end(t, j)
			})
		})
	}
}

// A batch that has waited is answered with the first job that came, wherever its body
// is by then.
func TestBatchThatWaits(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, _, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		c := p.dial(t)
		c.send(t, "reserve-batch 5 20\r\n")
		c.silent(t)
		p.dial(t).mustAsk(t, "put 1 0 2 3\r\none\r\nput 2 0 60 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
		c.mustAsk(t, "ping\r\n", "RESERVED_BATCH 1\r\nRESERVED 1 3\r\none\r\nPONG\r\n")
		p.end(t, j)
	})
}

// A job that somebody deletes meanwhile is not in the batch.
func TestJobOfABatchGoesWhileItIsRead(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		a, c := p.dial(t), p.dial(t)
		a.mustAsk(t, "put 1 0 60 3\r\none\r\nput 2 0 60 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
		d.hold(true)
		c.send(t, "reserve-batch 5\r\n")
		d.wantReads(t, 1)
		a.mustAsk(t, "flush-tube default\r\n", "FLUSHED 2\r\n")
		d.hold(false)
		// The first may have been read before, or not.
		line, err := c.in.ReadString('\n')
		switch {
		case err != nil:
			t.Error(err)
		case line == "RESERVED_BATCH 1\r\n", line == "RESERVED_BATCH 2\r\n":
		case line != "RESERVED_BATCH 0\r\n":
			t.Errorf("got %q", line)
		}
		p.end(t, j)
	})
}

// A job of which the body is damaged is buried, and the others are in the batch; if
// there are none, the client is told.
func TestDamagedBodyInABatch(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		dir := t.TempDir()
		p, _, j := keepingUnder(t, opts, dir, time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		c := p.dial(t)
		body := strings.Repeat("b", 50)
		c.mustAsk(t, "put 1 0 60 50\r\n"+body+"\r\nput 2 0 60 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
		damage(t, dir, body)
		c.mustAsk(t, "reserve-batch 9\r\n", "RESERVED_BATCH 1\r\nRESERVED 2 3\r\ntwo\r\n")
		wantState(t, c, "buried")
		c.mustAsk(t, "kick-job 1\r\nreserve-batch 9\r\n", "KICKED\r\nINTERNAL_ERROR\r\n")
		wantState(t, c, "buried")
		p.end(t, j)
	})
}

// With -f 0 no reply leaves that tells of what is not synced.
func TestAddedCommandsWaitForTheSync(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), 0)
		a := p.dial(t)
		for id := range 4 {
			a.mustAsk(t, "put 0 0 60 1\r\nx\r\n", fmt.Sprintf("INSERTED %d\r\n", id+1))
		}
		for _, c := range []struct{ command, want string }{
			{"delete-batch 1 9", "DELETED_BATCH 1 1\r\n"},
			{"flush-tube default", "FLUSHED 3\r\n"},
		} {
			d.be(true, nil, nil)
			a.send(t, c.command+"\r\n")
			a.silent(t)
			d.be(false, nil, nil)
			a.mustAsk(t, "", c.want)
		}
		p.end(t, j)
	})
}

// A long line is read whole also behind a reserve that waits, where a client's commands
// are executed in turns with others'.
func TestLongLineBehindAWait(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a, b := p.dial(t), p.dial(t)
		long := "delete-batch" + strings.Repeat(" 18446744073709551615", 999)
		a.send(t, "reserve\r\n"+long+" 1\r\nping\r\n"+long+"\r\nping\r\n")
		a.silent(t)
		b.mustAsk(t, "put 0 0 60 1\r\nx\r\n"+long+"\r\nput 0 0 60 1\r\ny\r\n", "INSERTED 1\r\nDELETED_BATCH 0 999\r\nINSERTED 2\r\n")
		a.mustAsk(t, "reserve\r\n", "RESERVED 1 1\r\nx\r\nDELETED_BATCH 1 999\r\nPONG\r\nDELETED_BATCH 0 999\r\nPONG\r\nRESERVED 2 1\r\ny\r\n")
	})
}

// Batches that are sent ahead do not keep others waiting: each job counts as a command
// of the turn.
func TestManyBatches(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a, b := p.dial(t), p.dial(t)
		a.send(t, strings.Repeat("delete-batch"+strings.Repeat(" 7", 1000)+"\r\n", 100))
		b.mustAsk(t, "ping\r\n", "PONG\r\n")
		a.mustAsk(t, "", strings.Repeat("DELETED_BATCH 0 1000\r\n", 100))
	})
}

// A batch is complete also if it comes from so many tubes that the first reserve has to
// wait until their list is ready.
func TestBatchFromManyTubes(t *testing.T) {
	const tubes, jobs = 4000, 500
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		a, b := p.dial(t), p.dial(t)
		var watches, watched, puts, put, want strings.Builder
		fmt.Fprintf(&want, "RESERVED_BATCH %d\r\n", jobs)
		for n := range tubes {
			fmt.Fprintf(&watches, "watch t%d\r\n", n)
			fmt.Fprintf(&watched, "WATCHING %d\r\n", n+2)
		}
		a.send(t, watches.String())
		a.mustAsk(t, "", watched.String())
		for id := 1; id <= jobs; id++ {
			n := id * 7 % tubes
			fmt.Fprintf(&puts, "use t%d\r\nput 0 0 60 1\r\nx\r\n", n)
			fmt.Fprintf(&put, "USING t%d\r\nINSERTED %d\r\n", n, id)
			fmt.Fprintf(&want, "RESERVED %d 1\r\nx\r\n", id)
		}
		b.send(t, puts.String())
		b.mustAsk(t, "", put.String())
		a.mustAsk(t, "reserve-batch 1000 5\r\n", want.String())
		a.mustAsk(t, "reserve-batch 1000\r\n", "RESERVED_BATCH 0\r\n")
	})
}

// Clients take batches and hang up, before they have read the reply, within it and behind
// it. In the end each job has been deleted once.
func TestBatchesAndHangUps(t *testing.T) {
	const jobs, workers = 1000, 6
	for _, limits := range []queue.Limits{{}, {Bodies: queue.InJournal}} {
		t.Run(fmt.Sprint(limits.Bodies), func(t *testing.T) {
			eachTransport(t, func(t *testing.T, opts server.Options) {
				p, _, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, limits)
				fill(t, p.dial(t), jobs)
				var deleted atomic.Int64
				var group sync.WaitGroup
				for w := range workers {
					random := rand.New(rand.NewPCG(uint64(w), 1))
					group.Go(func() {
						for deleted.Load() < jobs {
							n, err := takeBatch(p.addr, random)
							if err != nil {
								t.Error(err)
								return
							}
							deleted.Add(int64(n))
						}
					})
				}
				group.Wait()
				p.View(func(e *queue.Engine, _ int64) {
					if n := e.Len(); n != 0 || deleted.Load() != jobs {
						t.Errorf("%d jobs are left, and %d were deleted", n, deleted.Load())
					}
				})
				p.end(t, j)
			})
		})
	}
}

// takeBatch reserves a batch, and hangs up at a random moment, or deletes the jobs, and
// returns how many.
func takeBatch(addr string, random *rand.Rand) (deleted int, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "reserve-batch %d 1\r\n", 1+random.IntN(100))
	if random.IntN(3) == 0 {
		return 0, nil
	}
	var n int
	if _, err := fmt.Fscanf(in, "RESERVED_BATCH %d\r\n", &n); err != nil {
		return 0, err
	}
	command := "delete-batch"
	for range n {
		if random.IntN(200) == 0 {
			return 0, nil
		}
		var id, size int
		if _, err := fmt.Fscanf(in, "RESERVED %d %d\r\nx\r\n", &id, &size); err != nil {
			return 0, err
		}
		command += fmt.Sprint(" ", id)
	}
	if n == 0 {
		return 0, nil
	}
	fmt.Fprintf(conn, "%s\r\n", command)
	var missed int
	if _, err := fmt.Fscanf(in, "DELETED_BATCH %d %d\r\n", &deleted, &missed); err != nil || missed > 0 {
		return 0, fmt.Errorf("%d of %d were not found (%v)", missed, n, err)
	}
	return deleted, nil
}
