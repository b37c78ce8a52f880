package proto

import (
	"strings"
	"testing"
)

// The tables of this file are run by TestDecoder and TestDecoderSplit.

// Every command in its plain form, one for each row of the grammar.
var plain = []decoding{
	{in: "put 1 2 3 4\r\nbody\r\n", want: `put pri=1 delay=2 ttr=3 size=4; body "body"`},
	{in: "peek 7\r\n", want: "peek id=7"},
	{in: "peek-ready\r\n", want: "peek-ready"},
	{in: "peek-delayed\r\n", want: "peek-delayed"},
	{in: "peek-buried\r\n", want: "peek-buried"},
	{in: "reserve-with-timeout 7\r\n", want: "reserve-with-timeout timeout=7"},
	{in: "reserve-job 7\r\n", want: "reserve-job id=7"},
	{in: "reserve\r\n", want: "reserve"},
	{in: "delete 7\r\n", want: "delete id=7"},
	{in: "release 7 8 9\r\n", want: "release id=7 pri=8 delay=9"},
	{in: "bury 7 8\r\n", want: "bury id=7 pri=8"},
	{in: "kick 7\r\n", want: "kick count=7"},
	{in: "kick-job 7\r\n", want: "kick-job id=7"},
	{in: "touch 7\r\n", want: "touch id=7"},
	{in: "stats-job 7\r\n", want: "stats-job id=7"},
	{in: "stats-tube t\r\n", want: `stats-tube tube="t"`},
	{in: "stats\r\n", want: "stats"},
	{in: "use t\r\n", want: `use tube="t"`},
	{in: "watch t\r\n", want: `watch tube="t"`},
	{in: "ignore t\r\n", want: `ignore tube="t"`},
	{in: "list-tubes-watched\r\n", want: "list-tubes-watched"},
	{in: "list-tube-used\r\n", want: "list-tube-used"},
	{in: "list-tubes\r\n", want: "list-tubes"},
	{in: "quit\r\n", want: "quit"},
	{in: "pause-tube t 7\r\n", want: `pause-tube delay=7 tube="t"`},
	{in: "capabilities\r\n", want: "capabilities"},
	{in: "ping\r\n", want: "ping"},
	{in: "list-jobs t ready 7 8\r\n", want: `list-jobs id=7 count=8 tube="t" state="ready"`},
	{in: "reserve-batch 7 8\r\n", want: "reserve-batch count=7 timeout=8"},
	{in: "delete-batch 7 8\r\n", want: "delete-batch count=2 ids=[7 8]"},
	{in: "flush-tube t\r\n", want: `flush-tube tube="t"`},
	{in: "truncate t\r\n", want: `truncate tube="t"`},
	{in: "delete-tube t\r\n", want: `delete-tube tube="t"`},
	{in: "drain\r\n", want: "drain"},
	{in: "undrain\r\n", want: "undrain"},
}

var recognition = []decoding{
	// A prefix with a space wants its space.
	{in: "put\r\n", want: unknown},
	{in: "putx\r\n", want: unknown},
	{in: "peek\r\n", want: unknown},
	{in: "peek-foo\r\n", want: unknown},
	{in: "delete\r\n", want: unknown},
	{in: "release\r\n", want: unknown},
	{in: "bury\r\n", want: unknown},
	{in: "kick\r\n", want: unknown},
	{in: "kick-job\r\n", want: unknown},
	{in: "kick-jobx\r\n", want: unknown},
	{in: "touch\r\n", want: unknown},
	{in: "use\r\n", want: unknown},
	{in: "watch\r\n", want: unknown},
	{in: "ignore\r\n", want: unknown},
	{in: "list-tube\r\n", want: unknown},
	{in: "pause\r\n", want: unknown},
	{in: "delete\t1\r\n", want: unknown},

	// Without it, a shorter row may claim the line.
	{in: "reserve-job\r\n", want: "BAD_FORMAT(reserve)"},
	{in: "reserve-with-timeout\r\n", want: "BAD_FORMAT(reserve)"},
	{in: "stats-job\r\n", want: "BAD_FORMAT(stats)"},
	{in: "stats-tube\r\n", want: "BAD_FORMAT(stats)"},
	{in: "pause-tube\r\n", want: "BAD_FORMAT(pause-tube)"},

	// The rows without arguments want the exact length.
	{in: "reservex\r\n", want: "BAD_FORMAT(reserve)"},
	{in: "reserve \r\n", want: "BAD_FORMAT(reserve)"},
	{in: "statsx\r\n", want: "BAD_FORMAT(stats)"},
	{in: "stats \r\n", want: "BAD_FORMAT(stats)"},
	{in: "peek-readyx\r\n", want: "BAD_FORMAT(peek-ready)"},
	{in: "peek-ready \r\n", want: "BAD_FORMAT(peek-ready)"},
	{in: "peek-delayed \r\n", want: "BAD_FORMAT(peek-delayed)"},
	{in: "peek-buried \r\n", want: "BAD_FORMAT(peek-buried)"},
	{in: "list-tubesx\r\n", want: "BAD_FORMAT(list-tubes)"},
	{in: "list-tubes \r\n", want: "BAD_FORMAT(list-tubes)"},
	{in: "list-tube-used \r\n", want: "BAD_FORMAT(list-tube-used)"},
	{in: "list-tube-usedx\r\n", want: "BAD_FORMAT(list-tube-used)"},
	{in: "list-tubes-watched \r\n", want: "BAD_FORMAT(list-tubes-watched)"},
	{in: "list-tubes-watchedx\r\n", want: "BAD_FORMAT(list-tubes-watched)"},

	// Save for quit.
	{in: "quit \r\n", want: "quit"},
	{in: "quitx\r\n", want: "quit"},
	{in: "quit now\r\n", want: "quit"},

	{in: " stats\r\n", want: unknown},
	{in: "PUT 0 0 0 0\r\n", want: unknown},
	{in: "Stats\r\n", want: unknown},
	{in: "\xff\xfe\r\n", want: unknown},
	{in: "zzz\r\n", want: unknown},
}

var numbers = []decoding{
	// Ids have 64 bits.
	{in: "delete 0\r\n", want: "delete"},
	{in: "delete 18446744073709551615\r\n", want: "delete id=18446744073709551615"},
	{in: "delete 18446744073709551616\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 18446744073709551620\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 184467440737095516150\r\n", want: "BAD_FORMAT(delete)"},
	{in: "peek 184467440737095516150000000000000000000000000000\r\n", want: "BAD_FORMAT(peek)"},
	{in: "delete " + strings.Repeat("0", 200) + "7\r\n", want: "delete id=7"},

	// Spaces before, but nothing else, and nothing at all behind.
	{in: "delete    7\r\n", want: "delete id=7"},
	{in: "delete \t7\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete \r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete   \r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 7 \r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 7\t\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete +7\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete -7\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 0x7\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 7.0\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete 7\xff\r\n", want: "BAD_FORMAT(delete)"},
	{in: "delete foo111\r\n", want: "BAD_FORMAT(delete)"},
	{in: "stats-job 111ABC\r\n", want: "BAD_FORMAT(stats-job)"},
	{in: "stats-job 111 222\r\n", want: "BAD_FORMAT(stats-job)"},
	{in: "peek x\r\n", want: "BAD_FORMAT(peek)"},
	{in: "reserve-job x\r\n", want: "BAD_FORMAT(reserve-job)"},
	{in: "kick-job 7 \r\n", want: "BAD_FORMAT(kick-job)"},
	{in: "touch a111\r\n", want: "BAD_FORMAT(touch)"},

	// The rest have 32.
	{in: "bury 1 4294967295\r\n", want: "bury id=1 pri=4294967295"},
	{in: "bury 1 4294967296\r\n", want: "BAD_FORMAT(bury)"},
	{in: "bury 1\r\n", want: "BAD_FORMAT(bury)"},
	{in: "bury 1 \r\n", want: "BAD_FORMAT(bury)"},
	{in: "bury 1 2 3\r\n", want: "BAD_FORMAT(bury)"},
	{in: "bury 1   2\r\n", want: "bury id=1 pri=2"},
	{in: "bury 1\t2\r\n", want: "BAD_FORMAT(bury)"},
	{in: "bury 1,2\r\n", want: "BAD_FORMAT(bury)"},
	{in: "release 1 2 4294967295\r\n", want: "release id=1 pri=2 delay=4294967295"},
	{in: "release 1 2 4294967296\r\n", want: "BAD_FORMAT(release)"},
	{in: "release 1 4294967296 0\r\n", want: "BAD_FORMAT(release)"},
	{in: "release 1 2\r\n", want: "BAD_FORMAT(release)"},
	{in: "release 1 2 3 \r\n", want: "BAD_FORMAT(release)"},
	{in: "pause-tube t 4294967295\r\n", want: `pause-tube delay=4294967295 tube="t"`},
	{in: "pause-tube t 4294967296\r\n", want: "BAD_FORMAT(pause-tube)"},

	// kick is C's strtoul, cut to 32 bits.
	{in: "kick 0\r\n", want: "kick"},
	{in: "kick 1x\r\n", want: "kick count=1"},
	{in: "kick 5 6\r\n", want: "kick count=5"},
	{in: "kick 5 \r\n", want: "kick count=5"},
	{in: "kick  \t\n\v\f5\r\n", want: "kick count=5"},
	{in: "kick +5\r\n", want: "kick count=5"},
	{in: "kick -1\r\n", want: "kick count=4294967295"},
	{in: "kick -0\r\n", want: "kick"},
	{in: "kick 0x10\r\n", want: "kick"},
	{in: "kick 4294967295\r\n", want: "kick count=4294967295"},
	{in: "kick 4294967296\r\n", want: "kick"},
	{in: "kick 4294967297\r\n", want: "kick count=1"},
	{in: "kick 18446744073709551615\r\n", want: "kick count=4294967295"},
	{in: "kick 18446744073709551616\r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick -18446744073709551615\r\n", want: "kick count=1"},
	{in: "kick -18446744073709551616\r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick \r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick x\r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick -\r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick - 5\r\n", want: "BAD_FORMAT(kick)"},
	{in: "kick +-5\r\n", want: "BAD_FORMAT(kick)"},

	// reserve-with-timeout has 31 bits, and ignores what follows.
	{in: "reserve-with-timeout 0\r\n", want: "reserve-with-timeout"},
	{in: "reserve-with-timeout   5\r\n", want: "reserve-with-timeout timeout=5"},
	{in: "reserve-with-timeout 0x\r\n", want: "reserve-with-timeout"},
	{in: "reserve-with-timeout 0 foo\r\n", want: "reserve-with-timeout"},
	{in: "reserve-with-timeout 5 \r\n", want: "reserve-with-timeout timeout=5"},
	{in: "reserve-with-timeout 2147483647\r\n", want: "reserve-with-timeout timeout=2147483647"},
	{in: "reserve-with-timeout 2147483648\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout 4294967296\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout -1\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout +1\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout \t1\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout \r\n", want: "BAD_FORMAT(reserve-with-timeout)"},
	{in: "reserve-with-timeout x\r\n", want: "BAD_FORMAT(reserve-with-timeout)"},

	// In 1.12 it was C's strtol, cut to 32 bits.
	{in: "reserve-with-timeout 0 foo\r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout \r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout x\r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout -\r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout \t+5\r\n", want: "reserve-with-timeout timeout=5", lax: true},
	{in: "reserve-with-timeout -1\r\n", want: "reserve-with-timeout timeout=-1", lax: true},
	{in: "reserve-with-timeout -2\r\n", want: "reserve-with-timeout timeout=-1", lax: true},
	{in: "reserve-with-timeout 2147483647\r\n", want: "reserve-with-timeout timeout=2147483647", lax: true},
	{in: "reserve-with-timeout 2147483648\r\n", want: "reserve-with-timeout timeout=-1", lax: true},
	{in: "reserve-with-timeout 4294967295\r\n", want: "reserve-with-timeout timeout=-1", lax: true},
	{in: "reserve-with-timeout 4294967296\r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout -4294967295\r\n", want: "reserve-with-timeout timeout=1", lax: true},
	{in: "reserve-with-timeout 9223372036854775807\r\n", want: "reserve-with-timeout timeout=-1", lax: true},
	{in: "reserve-with-timeout 9223372036854775808\r\n", want: "BAD_FORMAT(reserve-with-timeout)", lax: true},
	{in: "reserve-with-timeout -9223372036854775808\r\n", want: "reserve-with-timeout", lax: true},
	{in: "reserve-with-timeout -9223372036854775809\r\n", want: "BAD_FORMAT(reserve-with-timeout)", lax: true},
	{in: "reserve-with-timeout 99999999999999999999\r\n", want: "BAD_FORMAT(reserve-with-timeout)", lax: true},
}

var (
	name200 = strings.Repeat("n", 200)
	name201 = strings.Repeat("n", 201)
)

var names = []decoding{
	{in: "use A-Za-z0-9-+/;.$_()-\r\n", want: `use tube="A-Za-z0-9-+/;.$_()-"`},
	{in: "use " + name200 + "\r\n", want: `use tube="` + name200 + `"`},
	{in: "use " + name201 + "\r\n", want: "BAD_FORMAT(use)"},
	{in: "watch " + name201 + "\r\n", want: "BAD_FORMAT(watch)"},
	{in: "ignore " + name201 + "\r\n", want: "BAD_FORMAT(ignore)"},
	{in: "stats-tube " + name201 + "\r\n", want: "BAD_FORMAT(stats-tube)"},
	{in: "use -a\r\n", want: "BAD_FORMAT(use)"},
	{in: "use -\r\n", want: "BAD_FORMAT(use)"},
	{in: "use \r\n", want: "BAD_FORMAT(use)"},
	{in: "use  a\r\n", want: "BAD_FORMAT(use)"},
	{in: "use a \r\n", want: "BAD_FORMAT(use)"},
	{in: "use a b\r\n", want: "BAD_FORMAT(use)"},
	{in: "use a,b\r\n", want: "BAD_FORMAT(use)"},
	{in: "watch a:b\r\n", want: "BAD_FORMAT(watch)"},
	{in: "ignore a@b\r\n", want: "BAD_FORMAT(ignore)"},
	{in: "stats-tube a#\r\n", want: "BAD_FORMAT(stats-tube)"},
	{in: "use \xc3\xa9\r\n", want: "BAD_FORMAT(use)"},
	{in: "use \t\r\n", want: "BAD_FORMAT(use)"},

	// pause-tube alone is lax about spaces, and counts what it then refuses.
	{in: "pause-tubefoo 5\r\n", want: `pause-tube delay=5 tube="foo"`},
	{in: "pause-tube   foo   5\r\n", want: `pause-tube delay=5 tube="foo"`},
	{in: "pause-tube foo 5 \r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo 5x\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo:5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo\t5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube foo -5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube 5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube :foo 5\r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube -foo 5\r\n", want: "BAD_FORMAT(pause-tube, counted)"},
	{in: "pause-tube-foo 5\r\n", want: "BAD_FORMAT(pause-tube, counted)"},
	{in: "pause-tube -foo 5 \r\n", want: "BAD_FORMAT(pause-tube)"},
	{in: "pause-tube " + name200 + " 4294967295\r\n", want: `pause-tube delay=4294967295 tube="` + name200 + `"`},
	{in: "pause-tube " + name201 + " 5\r\n", want: "BAD_FORMAT(pause-tube, counted)"},
}

func TestGrammar(t *testing.T) {
	for i, r := range grammar {
		if want := Op(i + 1); r.op != want {
			t.Errorf("row %d is of Op %d, want %d", i, r.op, want)
		}
		// Or the end of the line would go unseen.
		if last := r.steps[len(r.steps)-1]; last != atEnd && last != ignoreRest && last != validName {
			t.Errorf("%q: the line may not end with step %d", r.prefix, last)
		}
		if got := new(Decoder).find([]byte(r.prefix)); got == nil || got.op != r.op {
			t.Errorf("%q: an earlier row hides this one", r.prefix)
		}
	}
	if got, want := len(plain), len(grammar); got != want {
		t.Errorf("%d plain commands are tested, want %d", got, want)
	}
}

func TestOpString(t *testing.T) {
	for i, c := range plain {
		word, _, _ := strings.Cut(strings.TrimSuffix(c.in, "\r\n"), " ")
		if got := Op(i + 1).String(); got != word {
			t.Errorf("Op(%d): got %q, want %q", i+1, got, word)
		}
	}
	for _, op := range []Op{OpNone, NumOps, 255} {
		if got := op.String(); got != "none" {
			t.Errorf("Op(%d): got %q, want none", op, got)
		}
	}
}

func TestValidTube(t *testing.T) {
	for _, c := range []struct {
		name string
		want bool
	}{
		{"", false}, {"a", true}, {"-", false}, {"-a", false}, {"a-", true}, {"+a", true},
		{name200, true}, {name201, false}, {"a b", false}, {"a\x00", false}, {"é", false},
	} {
		if got := ValidTube([]byte(c.name)); got != c.want {
			t.Errorf("ValidTube(%q): got %t, want %t", c.name, got, c.want)
		}
	}
	const members = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()"
	for b := range 256 {
		got := ValidTube([]byte{'x', byte(b)})
		if want := strings.IndexByte(members, byte(b)) >= 0; got != want {
			t.Errorf("byte %#x: got %t, want %t", b, got, want)
		}
	}
}
