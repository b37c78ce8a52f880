package proto

import (
	"fmt"
	"strings"
	"testing"
)

// The tables of this file are run by TestDecoder and TestDecoderSplit.

// What is accepted of the commands that beanstalkd does not have.
var added = []decoding{
	// They are whole words.
	{in: "pingx\r\n", want: unknown},
	{in: "ping \r\n", want: "BAD_FORMAT(ping)"},
	{in: "ping x\r\n", want: "BAD_FORMAT(ping)"},
	{in: "pin\r\n", want: unknown},
	{in: "drained\r\n", want: unknown},
	{in: "undrain 1\r\n", want: "BAD_FORMAT(undrain)"},
	{in: "capabilitiesx\r\n", want: unknown},
	{in: "truncated t\r\n", want: unknown},
	{in: "PING\r\n", want: unknown},

	{in: "flush-tube\r\n", want: "BAD_FORMAT(flush-tube)"},
	{in: "flush-tube \r\n", want: "BAD_FORMAT(flush-tube)"},
	{in: "flush-tube   t\r\n", want: `flush-tube tube="t"`},
	{in: "flush-tube t \r\n", want: "BAD_FORMAT(flush-tube)"},
	{in: "flush-tube -t\r\n", want: "BAD_FORMAT(flush-tube)"},
	{in: "flush-tube a b\r\n", want: "BAD_FORMAT(flush-tube)"},
	{in: "truncate " + name200 + "\r\n", want: `truncate tube="` + name200 + `"`},
	{in: "truncate " + name201 + "\r\n", want: "BAD_FORMAT(truncate)"},
	{in: "delete-tube\r\n", want: "BAD_FORMAT(delete-tube)"},
	{in: "delete-tubex t\r\n", want: unknown},

	{in: "reserve-batch\r\n", want: "BAD_FORMAT(reserve-batch)"},
	{in: "reserve-batchx\r\n", want: "BAD_FORMAT(reserve)"},
	{in: "reserve-batch 0\r\n", want: "BAD_FORMAT(reserve-batch)"},
	{in: "reserve-batch 1\r\n", want: "reserve-batch count=1"},
	{in: "reserve-batch 1000 2147483647\r\n", want: "reserve-batch count=1000 timeout=2147483647"},
	{in: "reserve-batch 1001\r\n", want: "BAD_FORMAT(reserve-batch)"},
	{in: "reserve-batch 1 2147483648\r\n", want: "BAD_FORMAT(reserve-batch)"},
	{in: "reserve-batch 1 -1\r\n", want: "BAD_FORMAT(reserve-batch)", lax: true},
	{in: "reserve-batch 1 2 3\r\n", want: "BAD_FORMAT(reserve-batch)"},
	{in: "reserve-batch 1 \r\n", want: "BAD_FORMAT(reserve-batch)"},

	{in: "delete-batch\r\n", want: "BAD_FORMAT(delete-batch)"},
	{in: "delete-batch \r\n", want: "BAD_FORMAT(delete-batch)"},
	{in: "delete-batch 1\r\n", want: "delete-batch count=1 ids=[1]"},
	{in: "delete-batch  1   1 18446744073709551615\r\n", want: "delete-batch count=3 ids=[1 1 18446744073709551615]"},
	{in: "delete-batch 18446744073709551616\r\n", want: "BAD_FORMAT(delete-batch)"},
	{in: "delete-batch 1 x\r\n", want: "BAD_FORMAT(delete-batch)"},
	{in: "delete-batch 1 2 \r\n", want: "BAD_FORMAT(delete-batch)"},
	{in: "delete-batch 1,2\r\n", want: "BAD_FORMAT(delete-batch)"},

	{in: "list-jobs\r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t\r\n", want: `list-jobs tube="t"`},
	{in: "list-jobs t all\r\n", want: `list-jobs tube="t" state="all"`},
	{in: "list-jobs t all 18446744073709551615\r\n", want: `list-jobs id=18446744073709551615 tube="t" state="all"`},
	{in: "list-jobs t all 0 1000\r\n", want: `list-jobs count=1000 tube="t" state="all"`},
	{in: "list-jobs t all 0 1001\r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t all 0 0\r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t all x\r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t all 0 1 1\r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t \r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs t all \r\n", want: "BAD_FORMAT(list-jobs)"},
	{in: "list-jobs -t\r\n", want: "BAD_FORMAT(list-jobs)"},
}

// What beanstalkd says of them.
var strict = []decoding{
	{in: "ping\r\ncapabilities\r\ndrain\r\nundrain\r\nstats\r\n", strict: true,
		want: unknown + "; " + unknown + "; " + unknown + "; " + unknown + "; stats"},
	{in: "flush-tube t\r\ntruncate t\r\ndelete-tube t\r\n", strict: true, want: unknown + "; " + unknown + "; " + unknown},
	{in: "list-jobs t\r\ndelete-batch 1 2\r\n", strict: true, want: unknown + "; " + unknown},
	{in: "reserve-batch 2\r\nreserve-batch\r\n", strict: true, want: "BAD_FORMAT(reserve); BAD_FORMAT(reserve)"},
	{in: batch(1000, 5) + next, strict: true, want: badLine + "; stats; quit"},
}

// batch is a delete-batch with ids of so many digits.
func batch(ids, digits int) string {
	return "delete-batch" + strings.Repeat(" "+strings.Repeat("9", digits), ids) + "\r\n"
}

// batchOf is a delete-batch of n bytes, with its CRLF, and one id.
func batchOf(n int) string {
	return "delete-batch" + strings.Repeat(" ", n-len("delete-batch7\r\n")) + "7\r\n"
}

// A delete-batch may be longer than any other line.
var long = []decoding{
	{in: batch(100, 5) + next, want: "delete-batch count=100 ids=99999..99999; stats; quit"},
	{in: batch(1000, 19) + next, want: "delete-batch count=1000 ids=9999999999999999999..9999999999999999999; stats; quit"},
	{in: batch(1001, 1) + next, want: "BAD_FORMAT(delete-batch); stats; quit"},
	{in: batchOf(MaxLine-1) + next, want: "delete-batch count=1 ids=[7]; stats; quit"},
	{in: batchOf(MaxLine) + next, want: "delete-batch count=1 ids=[7]; stats; quit"},
	{in: batchOf(MaxLine+1) + next, want: "delete-batch count=1 ids=[7]; stats; quit"}, // its CR is the last byte of the block
	{in: batchOf(MaxLine+2) + next, want: "delete-batch count=1 ids=[7]; stats; quit"},
	{in: batchOf(MaxLongLine) + next, want: "delete-batch count=1 ids=[7]; stats; quit"},
	{in: batchOf(MaxLongLine+2) + next, want: badLine + "; stats; quit"},
	{in: batchOf(MaxLongLine+2*MaxLine) + next, want: badLine + "; stats; quit"},
	{in: "delete-batch" + strings.Repeat(" ", 300) + "1\x00\r\n" + next, want: badLine + "; stats; quit"},

	// The first CR counts.
	{in: "delete-batch 1\r" + strings.Repeat(" ", 300) + "2\r\n" + next, want: badLine + "; stats; quit"},
	{in: "delete-batch" + strings.Repeat(" ", 300) + "2\r3\r\n" + next, want: badLine + "; stats; quit"},
	{in: "delete-batch" + strings.Repeat(" ", 300) + "2\r\r\n" + next, want: badLine + "; stats; quit"},
	{in: "delete-batch" + strings.Repeat(" ", MaxLine-len("delete-batch")-1) + "\r1\r\n" + next, want: badLine + "; stats; quit"},

	// No other line may.
	{in: "delete-batc" + strings.Repeat("h", 300) + "\r\n" + next, want: badLine + "; stats; quit"},
	{in: "delete-batchx" + strings.Repeat(" ", 300) + "1\r\n" + next, want: badLine + "; stats; quit"},
	{in: strings.Repeat("x", MaxLine) + batch(100, 5) + next, want: badLine + "; stats; quit"},
	{in: "delete-tube" + strings.Repeat(" ", 300) + "t\r\n" + next, want: badLine + "; stats; quit"},
}

// All that beanstalkd knows is read alike by a strict decoder.
func TestStrictDecoder(t *testing.T) {
	for _, cases := range [][]decoding{plain[:OpPauseTube], lines, recognition, numbers, names, puts} {
		for _, c := range cases {
			c.strict = true
			if got := decode(t, c.decoder(), c.in); got != c.want {
				t.Errorf("decode(%.60q, strict)\n got %s\nwant %s", c.in, got, c.want)
			}
		}
	}
}

func TestAdded(t *testing.T) {
	for op := range Op(NumOps + 1) {
		if got, want := op.Added(), op > OpPauseTube && op < NumOps; got != want {
			t.Errorf("%v: got %t, want %t", op, got, want)
		}
	}
}

// What is held of a long line is let go of with the next one.
func TestLongLineIsLetGo(t *testing.T) {
	var d Decoder
	want := "delete-batch count=100 ids=99999..99999; stats"
	if got := decode(t, &d, append(pieces(batch(100, 5), 50), "stats\r\n")...); got != want || d.block.long != nil {
		t.Errorf("got %s, want %s; %d bytes held", got, want, len(d.block.long))
	}
}

func ExampleCommand_IDs() {
	var d Decoder
	var cmd Command
	d.Next([]byte("delete-batch 3 1 4\r\n"), &cmd)
	for id := range cmd.IDs() {
		fmt.Println(id)
	}
	// Output:
	// 3
	// 1
	// 4
}
