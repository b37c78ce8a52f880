package proto

import (
	"fmt"
	"strings"
	"testing"
)

func TestReplies(t *testing.T) {
	const most = 1<<64 - 1
	for _, c := range []struct{ got, want string }{
		{string(AppendInserted(nil, most)), "INSERTED 18446744073709551615\r\n"},
		{string(AppendReserved(nil, 7, []byte("a\r\nb"))), "RESERVED 7 4\r\na\r\nb\r\n"},
		{string(AppendReserved(nil, 7, nil)), "RESERVED 7 0\r\n\r\n"},
		{string(AppendFound(nil, 7, []byte("hello"))), "FOUND 7 5\r\nhello\r\n"},
		{string(AppendKicked(nil, 0)), "KICKED 0\r\n"},
		{string(AppendUsing(nil, "default")), "USING default\r\n"},
		{string(AppendWatching(nil, 2)), "WATCHING 2\r\n"},
		{string(AppendWatching([]byte(Deleted), 2)), "DELETED\r\nWATCHING 2\r\n"},
		{string(AppendFlushed(nil, 1000000)), "FLUSHED 1000000\r\n"},
		{string(AppendTruncated(nil, 0)), "TRUNCATED 0\r\n"},
		{string(AppendReservedBatch(nil, 1000)), "RESERVED_BATCH 1000\r\n"},
		{string(AppendDeletedBatch(nil, 3, 2)), "DELETED_BATCH 3 2\r\n"},
		{StatusOK.Reply(), ""},
		{BadFormat.Reply(), "BAD_FORMAT\r\n"},
		{UnknownCommand.Reply(), "UNKNOWN_COMMAND\r\n"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestYAML(t *testing.T) {
	y := BeginYAML([]byte(Touched))
	y.Quoted("name", "default")
	y.Uint("total-jobs", 1<<64-1)
	y.Int("time-left", -1)
	y.Bare("draining", "false")
	y.Micros("rusage-utime", 12_000_034)
	y.Micros("rusage-stime", 999_999)
	got := string(y.End())

	text := "---\n" +
		"name: \"default\"\n" +
		"total-jobs: 18446744073709551615\n" +
		"time-left: -1\n" +
		"draining: false\n" +
		"rusage-utime: 12.000034\n" +
		"rusage-stime: 0.999999\n"
	if want := fmt.Sprintf("TOUCHED\r\nOK %d\r\n%s\r\n", len(text), text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestYAMLOfItems(t *testing.T) {
	y := BeginYAML(nil)
	y.Bare("server", "spoked")
	y.List("commands")
	y.Item("ping")
	if got, want := string(y.End()), "OK 36\r\n---\nserver: spoked\ncommands:\n- ping\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	y = BeginYAML(nil)
	for range 2 {
		y.Next()
		y.Uint("id", 7)
		y.Bare("state", "ready")
	}
	item := "- id: 7\n  state: ready\n"
	if got, want := string(y.End()), "OK 50\r\n---\n"+item+item+"\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	y = BeginYAML(nil)
	y.None()
	if got, want := string(y.End()), "OK 7\r\n---\n[]\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The length is right for every number of digits, also if the text has to move.
func TestYAMLLength(t *testing.T) {
	y := BeginYAML(nil)
	if got, want := string(y.End()), "OK 4\r\n---\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	y = BeginYAML(nil)
	y.Item("default")
	if got, want := string(y.End()), "OK 14\r\n---\n- default\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	const overhead = len("---\n- \n")
	for _, n := range []int{9, 10, 99, 100, 999, 1000, 9999, 10000, 1 << 20} {
		name := strings.Repeat("n", n-overhead)
		y := BeginYAML([]byte(Paused))
		y.Item(name)
		want := fmt.Sprintf("PAUSED\r\nOK %d\r\n---\n- %s\n\r\n", n, name)
		if got := string(y.End()); got != want {
			t.Errorf("length %d: got %.40q, want %.40q", n, got, want)
		}
	}
}

func TestReplyAllocs(t *testing.T) {
	dst := make([]byte, 0, 4096)
	name, body := strings.Repeat("n", 200), []byte("hello")
	got := testing.AllocsPerRun(100, func() {
		out := AppendInserted(dst, 1<<40)
		out = AppendReserved(out, 1<<40, body)
		out = AppendUsing(out, name)
		y := BeginYAML(out) // two digits
		y.Uint("id", 1<<40)
		out = y.End()
		y = BeginYAML(out) // four digits
		for range 6 {
			y.Item(name)
		}
		y.Quoted("name", name)
		y.Micros("rusage-utime", 1)
		y.End()
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkAppendReserved(b *testing.B) {
	dst := make([]byte, 0, 128)
	body := []byte("0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		AppendReserved(dst, 123456, body)
	}
}

func BenchmarkYAML(b *testing.B) {
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		y := BeginYAML(dst)
		for range 14 {
			y.Uint("current-jobs-ready", 123456)
		}
		y.End()
	}
}
