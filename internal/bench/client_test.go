package bench

import (
	"io"
	"strings"
	"testing"
	"time"
)

// wire is a transport without a server: what is to be read is what a test has put
// there, in pieces of a size.
type wire struct {
	in    string
	piece int
	sent  int // bytes
}

func (w *wire) dial(int) error { return nil }

func (w *wire) send(_ int, p []byte) error {
	w.sent += len(p)
	return nil
}

func (w *wire) unsent(int) bool { return false }

func (w *wire) read(_ int, p []byte) (int, error) {
	if w.in == "" {
		return 0, nil
	}
	n := copy(p[:min(len(p), w.piece)], w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) wait(time.Duration) ([]event, error) { return nil, io.EOF }
func (w *wire) close(int)                           {}
func (w *wire) shut()                               {}

// onWire returns a run of one client that has begun its first step.
func onWire(t *testing.T, w *wire, scenario string, pipeline int) (*run, *client) {
	t.Helper()
	o := small("127.0.0.1:1", scenario)
	o.Connections, o.Pipeline, o.Count, o.Time = 1, pipeline, 0, time.Hour
	s, _ := findScenario(scenario)
	r, err := newRun(&o, &s, o.Server)
	if err != nil {
		t.Fatal(err)
	}
	r.tr.shut()
	r.tr = w
	r.started = len(r.clients)
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	return r, &r.clients[0]
}

// TestPieces cuts replies everywhere.
func TestPieces(t *testing.T) {
	body := strings.Repeat("RESERVED 1 2\r\n", 10) // is not to be taken for a reply
	steps := []string{
		"INSERTED 1\r\nINSERTED 22\r\nINSERTED 333\r\n",
		"RESERVED 1 0\r\n\r\nRESERVED 22 140\r\n" + body + "\r\nRESERVED 333 3\r\n\r\n\n\r\n",
		"DELETED\r\nDELETED\r\nDELETED\r\n",
		"INSERTED 4\r\nINSERTED 5\r\nINSERTED 6\r\n",
		"RESERVED 4 1\r\nx\r\nTIMED_OUT\r\nTIMED_OUT\r\n",
		"DELETED\r\n",
		"INSERTED 7\r\nOUT_OF_MEMORY\r\nINSERTED 8\r\n",
		"TIMED_OUT\r\nTIMED_OUT\r\nTIMED_OUT\r\n", // nothing to be deleted
	}
	for piece := 1; piece < 400; piece++ {
		w := &wire{piece: piece}
		r, c := onWire(t, w, "work", 3)
		for i, replies := range steps {
			for rest := replies; rest != ""; {
				n := min(piece, len(rest))
				w.in, rest = rest[:n], rest[n:]
				if err := r.serve(c); err != nil {
					t.Fatalf("in pieces of %d, %q: %v", piece, replies, err)
				}
			}
			if got, want := c.step, (i+1)%3; i < 7 && got != want || i == 7 && got != 0 {
				t.Fatalf("in pieces of %d, after %q: got step %d", piece, replies, got)
			}
		}
		if r.commands != 22 || r.inserted != 8 || r.deleted != 4 || r.errors != 6 || r.firstError != "TIMED_OUT" {
			t.Fatalf("in pieces of %d: got %d commands, %d inserted, %d deleted, %d errors", piece, r.commands, r.inserted, r.deleted, r.errors)
		}
		if got := r.latency.TotalCount(); got != 22 {
			t.Fatalf("got %d latencies, want 22", got)
		}
	}
}

// TestStampsInPieces cuts stamped jobs everywhere.
func TestStampsInPieces(t *testing.T) {
	for piece := 1; piece < 60; piece++ {
		w := &wire{piece: piece}
		r, c := onWire(t, w, "fanout", 1)
		stamp := make([]byte, stampSize)
		r.stamp(stamp, 0, 0)
		r.stamp(stamp, 0, 0)
		for rest := "RESERVED 1 19\r\n" + string(stamp) + "\r\n\n\r\n"; rest != ""; {
			n := min(piece, len(rest))
			w.in, rest = rest[:n], rest[n:]
			if err := r.serve(c); err != nil {
				t.Fatal(err)
			}
		}
		if r.received != 1 || r.seen[0] != 2 || c.step != 1 || string(c.own) != "delete 1\r\n" {
			t.Fatalf("in pieces of %d: got %d received, step %d, %q", piece, r.received, c.step, c.own)
		}
	}
}

// TestAllocations wants no memory to be allocated for a command.
func TestAllocations(t *testing.T) {
	const pipeline = 16
	for _, scenario := range []string{"put", "work", "tubes"} {
		w := &wire{piece: 1 << 20}
		r, c := onWire(t, w, scenario, pipeline)
		replies := map[step]string{
			stepPut:     strings.Repeat("INSERTED 123456\r\n", pipeline),
			stepUsePut:  strings.Repeat("USING tube\r\nINSERTED 123456\r\n", pipeline),
			stepReserve: strings.Repeat("RESERVED 123456 5\r\nhello\r\n", pipeline),
			stepDelete:  strings.Repeat("DELETED\r\n", pipeline),
		}
		round := func() {
			for range 3 {
				w.in = replies[c.role.steps[c.step]]
				if err := r.serve(c); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 10 {
			round()
		}
		if got := testing.AllocsPerRun(100, round); got != 0 {
			t.Errorf("%s: got %v allocations in three batches, want none", scenario, got)
		}
	}
}

func TestRing(t *testing.T) {
	q := ring{slots: make([]int32, 3)}
	next, want := int32(0), int32(0)
	for _, n := range []int{3, 1, 2, 3, 2, 1} {
		for range n {
			q.push(next)
			next++
		}
		for q.n > 0 {
			if got := q.pop(); got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
			want++
		}
	}
}
