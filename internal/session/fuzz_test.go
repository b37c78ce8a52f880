package session_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// phrases are what FuzzSession has clients say: every command, in forms that
// are likely to meet the same few jobs and tubes, and some that are wrong.
var phrases = []string{
	"put 0 0 1 3\r\nabc\r\n", "put 5 0 10 0\r\n\r\n", "put 2000 1 1 1\r\nx\r\n", "put 1 3 5 2\r\nxyz\r\n",
	"put 0 0 1 11\r\ntoo big...!\r\n", "put 0 0 1 5\r\nab", "put 1 2 3 4 \r\n", "put 0 4294967295 4294967295 1\r\nx\r\n",
	"reserve\r\n", "reserve-with-timeout 0\r\n", "reserve-with-timeout 1\r\n", "reserve-with-timeout 2147483647\r\n",
	"reserve-job 1\r\n", "reserve-job 2\r\n", "reserve-job 3\r\n",
	"delete 1\r\n", "delete 2\r\n", "delete 3\r\n", "delete 4\r\n",
	"release 1 0 0\r\n", "release 2 7 1\r\n", "release 3 0 3600\r\n",
	"bury 1 0\r\n", "bury 2 9\r\n", "touch 1\r\n", "touch 3\r\n",
	"kick 1\r\n", "kick 100\r\n", "kick-job 1\r\n", "kick-job 3\r\n",
	"peek 1\r\n", "peek-ready\r\n", "peek-delayed\r\n", "peek-buried\r\n",
	"use a\r\n", "use b\r\n", "use default\r\n", "watch a\r\n", "watch b\r\n", "watch c\r\n", "ignore default\r\n", "ignore a\r\n", "ignore b\r\n",
	"pause-tube a 1\r\n", "pause-tube default 2\r\n", "pause-tube a 0\r\n",
	"stats\r\n", "stats-job 1\r\n", "stats-tube a\r\n", "list-tubes\r\n", "list-tube-used\r\n", "list-tubes-watched\r\n",
	"capabilities\r\n", "ping\r\n", "list-jobs a\r\n", "list-jobs default all 1 1\r\n", "list-jobs b buried\r\n",
	"reserve-batch 2\r\n", "reserve-batch 3 1\r\n", "reserve-batch 1 2147483647\r\n", "reserve-batch 0\r\n",
	"delete-batch 1 2 3\r\n", "delete-batch 3" + strings.Repeat(" 1", 300) + "\r\n", "flush-tube a\r\n", "truncate default\r\n",
	"delete-tube a\r\n", "delete-tube b\r\n", "drain\r\n", "undrain\r\n",
	"quit\r\n", "\r\n", "\x00\r\n", "a\rb\r\n", "nonsense\r\n", string(bytes.Repeat([]byte("y"), 230)) + "\r\n",
}

// FuzzSession has three clients say what the input picks, hang up, come back
// and let time pass. Two services are told the same, one in small pieces: the
// answers must be the same, and all invariants hold after each move. In the
// end, when all clients are gone and all jobs deleted, nothing must be left.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 0, 1, 8, 200, 3, 0, 15})
	f.Add([]byte{0, 34, 1, 37, 1, 40, 1, 8, 0, 0, 220, 1, 1, 19, 0, 30})
	f.Fuzz(func(t *testing.T, input []byte) {
		input = input[:min(len(input), 400)]
		whole, pieces := newVirtual([]string{"-z", "10"}, false, 0), newVirtual([]string{"-z", "10"}, false, 3)
		for len(input) >= 2 {
			a, b := input[0], input[1]
			input = input[2:]
			for _, v := range []*virtual{whole, pieces} {
				if err := v.move(a, b); err != nil {
					t.Fatal(err)
				}
			}
			for name, c := range whole.clients {
				if other := pieces.clients[name]; !bytes.Equal(c.out, other.out) || c.closed != other.closed {
					t.Fatalf("client %s was told %q, and in pieces %q", name, c.out, other.out)
				}
			}
		}
		for _, v := range []*virtual{whole, pieces} {
			v.closeAll()
			if err := v.empty(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// move is one step of FuzzSession.
func (v *virtual) move(a, b byte) error {
	name := string(rune('x' + a%3))
	if c := v.clients[name]; c == nil || c.closed {
		delete(v.clients, name)
		if err := v.Open(name); err != nil {
			return err
		}
	}
	switch {
	case a < 200:
		return v.Send(name, []byte(phrases[int(b)%len(phrases)]))
	case a < 230:
		return v.Advance(time.Duration(b) * 50 * time.Millisecond)
	case a < 240:
		return v.Advance(time.Duration(b) * time.Hour)
	case a < 248:
		return v.Close(name)
	default:
		return v.Shut(name)
	}
}

// empty deletes all jobs, and fails if anything is left then.
func (v *virtual) empty() error {
	e := v.service.Engine()
	c := e.Connect()
	for id := range uint64(1000) {
		_ = e.Delete(v.now, c, id) // most do not exist
	}
	e.Disconnect(v.now, c)
	s := e.Stats()
	if tubes := slices.Collect(e.Tubes()); s.Connections != 0 || s.Jobs != [4]int{} || len(tubes) != 1 {
		return fmt.Errorf("left: %+v, tubes %q", s, tubes)
	}
	if err := v.Advance(time.Minute); err != nil { // the default tube may be paused
		return err
	}
	if at, ok := v.service.Next(); ok {
		return fmt.Errorf("something will happen at %d, with nothing left", at)
	}
	return e.Check()
}
