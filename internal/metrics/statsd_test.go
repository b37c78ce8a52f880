package metrics

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"spoked/queue"
)

// daemon is a StatsD daemon, as far as it listens.
type daemon struct {
	t    *testing.T
	conn net.PacketConn
}

func startDaemon(t *testing.T) *daemon {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &daemon{t, conn}
}

// await reads until every metric wanted has been sent, and returns all that were:
// the last of each gauge, and of each counter the sum.
func (d *daemon) await(want ...string) map[string]float64 {
	d.t.Helper()
	got := map[string]float64{}
	packet := make([]byte, 64<<10)
	missing := func() (left []string) {
		for _, name := range want {
			if _, ok := got[name]; !ok {
				left = append(left, name)
			}
		}
		return left
	}
	for len(missing()) > 0 {
		if err := d.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			d.t.Fatal(err)
		}
		n, _, err := d.conn.ReadFrom(packet)
		if err != nil {
			d.t.Fatalf("waiting for %v: %v", missing(), err)
		}
		if n > 1432 {
			d.t.Errorf("got a packet of %d bytes", n)
		}
		for line := range strings.SplitSeq(string(packet[:n]), "\n") {
			name, rest, ok1 := strings.Cut(line, ":")
			text, kind, ok2 := strings.Cut(rest, "|")
			value, err := strconv.ParseFloat(text, 64)
			if !ok1 || !ok2 || err != nil || value < 0 {
				d.t.Fatalf("got %q", line)
			}
			switch kind {
			case "g":
				got[name] = value
			case "c":
				got[name] += value
			default:
				d.t.Fatalf("got %q", line)
			}
		}
	}
	return got
}

// TestStatsD has jobs put while a daemon listens, and one collection after the
// other sent.
func TestStatsD(t *testing.T) {
	d := startDaemon(t)
	f := newFake(t)
	f.put("before", 3)
	f.put("default", 1)
	f.work("default", 0, time.Minute) // which is not told
	m := f.metrics(t, 10)
	var p pusher
	if err := p.gather(m, nil); err != nil {
		t.Fatal(err)
	}
	f.put("default", 7)
	f.put("a.b:c|d/e", 1) // as no tube could be called
	f.work("default", 2*time.Second, 4*time.Second)
	if err := p.push(m, d.conn.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	got := d.await("spoked.tube_jobs.a_b_c_d_e.ready", "spoked.tube_waiting.default", "spoked.process_cpu_seconds")
	for name, want := range map[string]float64{
		"spoked.tube_jobs.default.ready":      6,
		"spoked.tube_jobs.before.ready":       3,
		"spoked.tube_jobs.a_b_c_d_e.ready":    1,
		"spoked.jobs.ready":                   10,
		"spoked.jobs_put":                     8, // not the three
		"spoked.jobs_deleted":                 1,
		"spoked.tube_jobs_put.before":         0,
		"spoked.tube_run_seconds.default.sum": 4,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("got %s %v (%v), want %v", name, value, ok, want)
		}
	}
	for name := range got {
		if strings.Contains(name, "info") {
			t.Errorf("got %s, which is text", name)
		}
	}
	if median := got["spoked.tube_run_seconds.default.p50"]; median < 3 || median > 4 {
		t.Errorf("got a median of %v s, want a bit less than 4", median)
	}

	// Nothing happens any more.
	if err := p.push(m, d.conn.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	got = d.await("spoked.jobs_put", "spoked.process_cpu_seconds")
	if got["spoked.jobs_put"] != 0 || got["spoked.tube_run_seconds.default.count"] != 0 {
		t.Errorf("got %v", got)
	}
	if _, ok := got["spoked.tube_run_seconds.default.p50"]; ok {
		t.Error("got a median of no values")
	}
}

// TestStatsDGoesOn has a daemon told for a while, and says so once when there is
// no such daemon.
func TestStatsDGoesOn(t *testing.T) {
	d := startDaemon(t)
	f := newFake(t)
	core, logged := observer.New(zap.WarnLevel)
	f.log = zap.New(core)
	m := f.metrics(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		m.PushStatsD(ctx, d.conn.LocalAddr().String(), time.Millisecond)
		close(ended)
	}()
	for range 3 {
		d.await("spoked.jobs.ready")
	}
	cancel()
	<-ended
	if logged.Len() != 0 {
		t.Errorf("got %v logged", logged.All())
	}

	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		for logged.Len() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	m.PushStatsD(ctx, "nowhere.invalid:8125", time.Millisecond)
	if n := logged.FilterMessage("sending metrics to StatsD").Len(); n != 1 {
		t.Errorf("got %d warnings, want one", n)
	}
}

// TestStatNames has names that could be no others.
func TestStatNames(t *testing.T) {
	if got, want := (queue.State(queue.Ready)).String(), "ready"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for in, want := range map[string]string{"a": "a", "a.b": "a_b", "A-1_": "A-1_", "ä b": "__b", "": ""} {
		if got := plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
