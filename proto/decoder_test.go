package proto

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A decoding is a client's input and the events that come of it, written as by
// describe. Unless it says otherwise the limit for a body is 10 bytes.
type decoding struct {
	in   string
	want string
	max  uint32
	lax  bool

	strict bool
}

func (c decoding) decoder() *Decoder {
	if c.max == 0 {
		c.max = 10
	}
	return &Decoder{MaxJobSize: c.max, Lax: c.lax, Strict: c.strict}
}

const (
	badLine = "BAD_FORMAT(none)"
	unknown = "UNKNOWN_COMMAND(none)"
)

// padded is a good command of n bytes before its CRLF: kick ignores the spaces.
func padded(n int) string {
	return "kick 1" + strings.Repeat(" ", n-len("kick 1")) + "\r\n"
}

const next = "stats\r\nquit\r\n"

var lines = []decoding{
	{in: "", want: ""},
	{in: "stats", want: ""},
	{in: "stats\r", want: ""},
	{in: "stats\r\nreserve\r\nquit\r\n", want: "stats; reserve; quit"},
	{in: "\r\n", want: unknown},

	// LF alone ends nothing.
	{in: "stats\n", want: ""},
	{in: "list-tube-used\nlist-tube-used\r\n", want: "BAD_FORMAT(list-tube-used)"},
	{in: "kick 1\nstats\r\nquit\r\n", want: "kick count=1; quit"},

	// Both sides of the limit, and of its multiples.
	{in: padded(221) + next, want: "kick count=1; stats; quit"},
	{in: padded(222) + next, want: "kick count=1; stats; quit"},
	{in: padded(223) + next, want: badLine + "; quit"},
	{in: padded(224) + next, want: badLine + "; stats; quit"},
	{in: padded(225) + next, want: badLine + "; stats; quit"},
	{in: padded(446) + next, want: badLine + "; stats; quit"},
	{in: padded(447) + next, want: badLine + "; quit"},
	{in: padded(448) + next, want: badLine + "; stats; quit"},
	{in: padded(670) + next, want: badLine + "; stats; quit"},
	{in: padded(671) + next, want: badLine + "; quit"},
	{in: padded(672) + next, want: badLine + "; stats; quit"},
	{in: padded(223) + padded(222) + next, want: badLine + "; quit"}, // the LF makes it one too long
	{in: padded(223) + padded(221) + next, want: badLine + "; stats; quit"},
	{in: strings.Repeat("x", 224), want: ""},
	{in: strings.Repeat("x", 224) + "\r\n", want: badLine},

	// Only the first CR of a block counts.
	{in: "stats\r\r\n", want: ""},
	{in: "stats\r\r\n" + next, want: ""},
	{in: "a\rb" + strings.Repeat("x", 217) + "\r\n" + next, want: badLine + "; quit"},
	{in: "a\rb" + strings.Repeat("x", 221) + "\r\n" + next, want: badLine + "; stats; quit"},
	{in: strings.Repeat("x", 224) + "a\rb\r\n" + next, want: ""},
	{in: strings.Repeat("x", 224) + "a\rb" + strings.Repeat("x", 221) + "\r\n" + next, want: badLine + "; stats; quit"},
	{in: strings.Repeat("x", 223) + "\rx\r\n" + next, want: badLine + "; stats; quit"},

	// NUL comes before everything else, but behind the length of the line.
	{in: "\x00\r\n", want: badLine},
	{in: "stats\x00\r\n", want: badLine},
	{in: "nonsense\x00\r\n", want: badLine},
	{in: "quit\x00\r\n", want: badLine},
	{in: "put 0 0 0 1\x00\r\nx\r\n", want: badLine + "; " + unknown},
	{in: "kick 1 \x00" + strings.Repeat("x", 300) + "\r\n" + next, want: badLine + "; stats; quit"},
}

var puts = []decoding{
	{in: "put 0 0 0 0\r\n\r\n", want: `put; body ""`},
	{in: "put 0 0 0 1\r\n", want: "put size=1"},
	{in: "put 0 0 0 1\r\nx", want: `put size=1; partial "x"`},
	{in: "put 0 0 0 1\r\nx\r", want: `put size=1; partial "x"`},
	{in: "put 0 0 0 9\r\nquit\r\n\r\x00\n\r\nquit\r\n", want: `put size=9; body "quit\r\n\r\x00\n"; quit`},
	{in: "put  1   2  3    4\r\nbody\r\n", want: `put pri=1 delay=2 ttr=3 size=4; body "body"`},
	{in: "put 4294967295 4294967295 4294967295 0\r\n\r\n", want: `put pri=4294967295 delay=4294967295 ttr=4294967295; body ""`},

	// Malformed: not counted, and the body is not consumed.
	{in: "put \r\n", want: "BAD_FORMAT(put)"},
	{in: "put 0 0 0\r\n", want: "BAD_FORMAT(put)"},
	{in: "put 0 0 0 \r\n", want: "BAD_FORMAT(put)"},
	{in: "put 4294967296 0 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put 0 4294967296 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put 0 0 4294967296 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put 0 0 0 4294967296\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put -1 0 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put 0 -1 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put 0\t0 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},
	{in: "put foo 0 0 4\r\nquit\r\n", want: "BAD_FORMAT(put); quit"},

	// Something behind the last number: counted, and the body is not consumed.
	{in: "put 0 0 0 4 \r\nquit\r\n", want: "BAD_FORMAT(put, counted); quit"},
	{in: "put 0 0 0 4b\r\nquit\r\n", want: "BAD_FORMAT(put, counted); quit"},
	{in: "put 0 0 0 4 5\r\nquit\r\n", want: "BAD_FORMAT(put, counted); quit"},

	// Too big beats that, and the body is consumed, whatever its trailer.
	{in: "put 0 0 0 10\r\n0123456789\r\n", want: `put size=10; body "0123456789"`},
	{in: "put 0 0 0 11\r\ndelete 9999\r\nstats\r\n", want: "put size=11; oversized; stats"},
	{in: "put 0 0 0 11 x\r\ndelete 9999\r\nstats\r\n", want: "put size=11; oversized; stats"},
	{in: "put 0 0 0 11b\r\ndelete 9999!!stats\r\n", want: "put size=11; oversized; stats"},
	{in: "put 0 0 0 11\r\ndelete 9999\r", want: "put size=11"},
	{in: "put 0 0 0 4294967295\r\nquit\r\n", want: "put size=4294967295"},
	{in: "put 0 0 0 65535\r\n" + strings.Repeat("x", 65535) + "\r\nquit\r\n", max: 65534, want: "put size=65535; oversized; quit"},

	// A wrong trailer consumes two bytes, and what comes next is a line.
	{in: "put 0 0 0 4\r\nbodyxxstats\r\n", want: "put size=4; bad trailer; stats"},
	{in: "put 0 0 0 4\r\nbody\r\r\nstats\r\n", want: "put size=4; bad trailer; " + unknown},
	{in: "put 0 0 0 4\r\nbody\n\rstats\r\n", want: "put size=4; bad trailer; stats"},
	{in: "put 0 0 0 4\r\nbodyx\nstats\r\n", want: "put size=4; bad trailer; stats"},
	{in: "put 0 0 0 4\r\ntoolong\r\nstats\r\n", want: "put size=4; bad trailer; " + unknown + "; stats"},
	{in: "put 0 0 0 4\r\nab\r\nstats\r\n", want: "put size=4; bad trailer; " + unknown},
	{in: "put 0 0 0 0\r\nxxstats\r\n", want: "put; bad trailer; stats"},
	// The CR of one trailer is not mistaken for that of the next.
	{in: "put 0 0 0 0\r\n\r\rput 0 0 0 0\r\nx\nstats\r\n", want: "put; bad trailer; put; bad trailer; stats"},
}

var decodings = map[string][]decoding{
	"plain": plain, "lines": lines, "recognition": recognition,
	"numbers": numbers, "names": names, "puts": puts,
	"added": added, "strict": strict, "long": long,
}

// eachDecoding runs f for all the tables above.
func eachDecoding(t *testing.T, f func(t *testing.T, c decoding)) {
	for group, cases := range decodings {
		t.Run(group, func(t *testing.T) {
			for _, c := range cases {
				f(t, c)
			}
		})
	}
}

func TestDecoder(t *testing.T) {
	eachDecoding(t, func(t *testing.T, c decoding) {
		if got := decode(t, c.decoder(), c.in); got != c.want {
			t.Errorf("decode(%.60q, lax %t)\n got %s\nwant %s", c.in, c.lax, got, c.want)
		}
	})
}

// The events do not depend on how the input is cut.
func TestDecoderSplit(t *testing.T) {
	eachDecoding(t, func(t *testing.T, c decoding) {
		// Of a big body only the two ends are worth cutting everywhere.
		for i := range len(c.in) {
			if i > 1000 && i < len(c.in)-100 {
				continue
			}
			if got := decode(t, c.decoder(), c.in[:i], c.in[i:]); got != c.want {
				t.Fatalf("decode(%.60q, cut at %d)\n got %s\nwant %s", c.in, i, got, c.want)
			}
		}
		if got := decode(t, c.decoder(), strings.Split(c.in, "")...); got != c.want {
			t.Fatalf("decode(%.60q, byte by byte)\n got %s\nwant %s", c.in, got, c.want)
		}
	})
}

// All the commands on one connection: nothing of one is left for the next.
func TestDecoderPipeline(t *testing.T) {
	var in, want []string
	for range 3 {
		for _, c := range plain {
			in = append(in, c.in)
			want = append(want, c.want)
		}
	}
	all := strings.Join(in, "")
	for size := 1; size < 300; size += 7 {
		got := decode(t, &Decoder{MaxJobSize: 10}, pieces(all, size)...)
		if want := strings.Join(want, "; "); got != want {
			t.Fatalf("pieces of %d\n got %s\nwant %s", size, got, want)
		}
	}
}

// A put whose body is all there is two events, and the body is not copied.
func TestDecoderWholePut(t *testing.T) {
	in := []byte("put 1 0 60 5\r\nhello\r\n")
	d := Decoder{MaxJobSize: 5}
	var cmd Command

	n, ev := d.Next(in, &cmd)
	if want := len("put 1 0 60 5\r\n"); n != want || ev != Request {
		t.Fatalf("got %d, %v, want %d, Request", n, ev, want)
	}
	m, ev := d.Next(in[n:], &cmd)
	if want := len("hello\r\n"); m != want || ev != BodyEnd {
		t.Fatalf("got %d, %v, want %d, BodyEnd", m, ev, want)
	}
	if &cmd.Data[0] != &in[n] {
		t.Error("the body was copied")
	}
	if cmd.Op != OpPut || cmd.Pri != 1 || cmd.TTR != 60 {
		t.Errorf("BodyEnd changed the put: %+v", cmd)
	}
}

// The largest size that can be sent, with its trailer, needs more than 32 bits.
// The 4 GiB take no time, since a Decoder does not look at a body.
func TestDecoderLargestPut(t *testing.T) {
	piece := make([]byte, 1<<24)
	for _, limit := range []uint32{0, 1<<32 - 1} {
		d := Decoder{MaxJobSize: limit}
		var cmd Command
		d.Next([]byte("put 0 0 0 4294967295\r\n"), &cmd)
		left := int64(cmd.Size)
		for left > 0 {
			n, ev := d.Next(piece[:min(left, int64(len(piece)))], &cmd)
			if ev != More && ev != Chunk {
				t.Fatalf("limit %d: %v with %d bytes to come", limit, ev, left)
			}
			left -= int64(n)
		}
		want := BodyEnd
		if limit == 0 {
			want = Oversized
		}
		if n, ev := d.Next([]byte("\r\nquit\r\n"), &cmd); n != 2 || ev != want {
			t.Errorf("limit %d: got %d, %v, want 2, %v", limit, n, ev, want)
		}
	}
}

func TestDecoderSize(t *testing.T) {
	if got, most := reflect.TypeFor[Decoder]().Size(), uintptr(24); got > most {
		t.Errorf("a Decoder takes %d bytes, want at most %d", got, most)
	}
	d := Decoder{MaxJobSize: 10}
	decode(t, &d, "stats\r\n", "put 0 0 0 4\r\n", "bo", "dy", "\r", "\n", "quit\r\n")
	if d.block != nil {
		t.Error("a buffer was allocated though no line was split")
	}
}

func TestDecoderAllocs(t *testing.T) {
	var in []byte
	for _, c := range plain {
		in = append(in, c.in...)
	}
	in = append(in, long[0].in...)
	d := Decoder{MaxJobSize: 10}
	var cmd Command
	if got := testing.AllocsPerRun(100, func() { drain(&d, in, &cmd) }); got != 0 {
		t.Errorf("whole: got %v allocations, want 0", got)
	}
	// The first run, which is not measured, allocates the buffer.
	in = in[:len(in)-len(long[0].in)]
	got := testing.AllocsPerRun(100, func() {
		for i := range in {
			drain(&d, in[i:i+1], &cmd)
		}
	})
	if got != 0 {
		t.Errorf("byte by byte: got %v allocations, want 0", got)
	}
}

// FuzzDecoder feeds the same bytes whole and in pieces, under the invariants
// that decode checks after every call.
func FuzzDecoder(f *testing.F) {
	seed := uint64(1)
	for _, cases := range decodings {
		for _, c := range cases {
			if len(c.in) < 1000 {
				f.Add([]byte(c.in), seed, c.decoder().MaxJobSize, c.lax, c.strict)
				seed++
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, limit uint32, lax, strict bool) {
		whole := decode(t, &Decoder{MaxJobSize: limit, Lax: lax, Strict: strict}, string(in))

		random := rand.New(rand.NewPCG(seed, 0))
		var cuts []string
		for rest := string(in); rest != ""; {
			n := 1 + random.IntN(min(len(rest), 1+random.IntN(300)))
			cuts = append(cuts, rest[:n])
			rest = rest[n:]
		}
		if got := decode(t, &Decoder{MaxJobSize: limit, Lax: lax, Strict: strict}, cuts...); got != whole {
			t.Errorf("decode(%q)\n got %s\nwant %s", cuts, got, whole)
		}
	})
}

// decode feeds the inputs to d one after the other and describes the events. It
// fails the test if d breaks a promise of Next. Every input is overwritten as
// soon as it is consumed, so nothing of it can be read later unnoticed.
func decode(t *testing.T, d *Decoder, inputs ...string) string {
	t.Helper()
	var (
		events []string
		cmd    Command
		body   []byte
		inPut  bool
	)
	for _, input := range inputs {
		in := []byte(input)
		for {
			n, ev := d.Next(in, &cmd)
			switch {
			case n < 0 || n > len(in):
				t.Fatalf("%v consumed %d of %d bytes", ev, n, len(in))
			case ev == More && n != len(in):
				t.Fatalf("More, but %d of %d bytes consumed", n, len(in))
			case ev != More && n == 0:
				t.Fatalf("%v consumed nothing", ev)
			case ev == Chunk && len(cmd.Data) == 0:
				t.Fatal("empty Chunk")
			case d.held >= MaxLine, d.block != nil && len(d.block.long) > MaxLongLine:
				t.Fatalf("%d bytes held, or %d", d.held, len(d.block.long))
			case ev == Request && slices.Collect(cmd.IDs()) == nil != (cmd.Op != OpDeleteBatch):
				t.Fatalf("%v has ids %v", cmd.Op, slices.Collect(cmd.IDs()))
			}
			switch ev {
			case Request, Refused:
				events = append(events, describe(ev, &cmd))
				body, inPut = nil, ev == Request && cmd.Op == OpPut
			case Chunk:
				body = append(body, cmd.Data...)
			case BodyEnd:
				body, inPut = append(body, cmd.Data...), false
				if len(body) != int(cmd.Size) {
					t.Fatalf("got %d bytes of body, want %d", len(body), cmd.Size)
				}
				events = append(events, fmt.Sprintf("body %q", body))
			case BadTrailer:
				events, inPut = append(events, "bad trailer"), false
			case Oversized:
				events, inPut = append(events, "oversized"), false
				if len(body) > 0 {
					t.Fatal("an oversized body was shown")
				}
			}
			for i := range n {
				in[i] = 0xAA
			}
			in = in[n:]
			if ev == More {
				break
			}
		}
	}
	if inPut && len(body) > 0 {
		events = append(events, fmt.Sprintf("partial %q", body))
	}
	return strings.Join(events, "; ")
}

// describe writes a Request or Refused as the tables do: the command's word
// and its arguments that are not zero.
func describe(ev Event, cmd *Command) string {
	var b strings.Builder
	if ev == Refused {
		fmt.Fprintf(&b, "%s(%v", strings.TrimSuffix(cmd.Status.Reply(), "\r\n"), cmd.Op)
		if cmd.Counted {
			b.WriteString(", counted")
		}
		b.WriteString(")")
	} else {
		b.WriteString(cmd.Op.String())
	}
	for _, arg := range []struct {
		name  string
		value int64
	}{
		{"pri", int64(cmd.Pri)}, {"delay", int64(cmd.Delay)}, {"ttr", int64(cmd.TTR)},
		{"size", int64(cmd.Size)}, {"count", int64(cmd.Count)}, {"timeout", cmd.Timeout},
	} {
		if arg.name == "pri" && cmd.ID != 0 {
			fmt.Fprintf(&b, " id=%d", cmd.ID)
		}
		if arg.value != 0 {
			fmt.Fprintf(&b, " %s=%d", arg.name, arg.value)
		}
	}
	if cmd.Tube != nil {
		fmt.Fprintf(&b, " tube=%q", cmd.Tube)
	}
	if cmd.State != nil {
		fmt.Fprintf(&b, " state=%q", cmd.State)
	}
	if ids := slices.Collect(cmd.IDs()); len(ids) > 3 {
		fmt.Fprintf(&b, " ids=%d..%d", ids[0], ids[len(ids)-1])
	} else if len(ids) > 0 {
		fmt.Fprintf(&b, " ids=%v", ids)
	}
	return b.String()
}

// pieces cuts s into pieces of size bytes.
func pieces(s string, size int) []string {
	var all []string
	for len(s) > size {
		all = append(all, s[:size])
		s = s[size:]
	}
	return append(all, s)
}

// drain decodes all of in for nothing.
func drain(d *Decoder, in []byte, cmd *Command) {
	for {
		n, ev := d.Next(in, cmd)
		if ev == More {
			return
		}
		in = in[n:]
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"reserve-with-timeout", "reserve-with-timeout 0\r\n"},
		{"delete", "delete 123456\r\n"},
		{"put", "put 1 0 100 16\r\n0123456789abcdef\r\n"},
		{"pause-tube", "pause-tube default 60\r\n"},
		{"unknown", "peek-nothing\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			// As it comes from a busy client: many commands in one read.
			const pipelined = 64
			in := bytes.Repeat([]byte(c.in), pipelined)
			d := Decoder{MaxJobSize: DefaultMaxJobSize}
			var cmd Command
			b.ReportAllocs()
			b.SetBytes(int64(len(c.in)))
			left := in
			for b.Loop() {
				n, ev := d.Next(left, &cmd)
				left = left[n:]
				if ev == Request && cmd.Op == OpPut {
					n, _ = d.Next(left, &cmd)
					left = left[n:]
				}
				if len(left) == 0 {
					left = in
				}
			}
		})
	}
	b.Run("skip", func(b *testing.B) {
		in := bytes.Repeat([]byte("x"), 1<<16)
		d := Decoder{}
		var cmd Command
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			d.Next(in, &cmd)
		}
	})
}
