package wire_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/internal/wire"
)

// patience is how long to wait for what should happen at once.
const patience = 20 * time.Second

// scripted listens, and answers each line with what answer says; "" hangs up.
func scripted(t *testing.T, answer func(line string) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					reply := answer(lines.Text())
					if reply == "" {
						return
					}
					io.WriteString(conn, reply)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, ctx context.Context, addr string, timeout time.Duration) *wire.Conn {
	t.Helper()
	c, err := wire.Dial(ctx, addr, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestReplies(t *testing.T) {
	replies := map[string]string{
		"a": "INSERTED 7\r\n",
		"b": "OK 5\r\nhello\r\n",
		"c": "RESERVED 3 0\r\n\r\n",
		"d": "NOT_FOUND\r\n",
	}
	addr := scripted(t, func(line string) string { return replies[line] })
	c := dial(t, t.Context(), addr, patience)
	var got []string
	err := c.All([]string{"a", "b", "c", "d"}, func(i int, r wire.Reply) error {
		got = append(got, fmt.Sprintf("%d %s %d %q %v", i, r, r.Uint(0), r.Body, r.Body == nil))
		return nil
	})
	want := []string{`0 INSERTED 7 7 "" true`, `1 OK 5 5 "hello" false`, `2 RESERVED 3 0 3 "" false`, `3 NOT_FOUND 0 "" true`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if r := (wire.Reply{Args: []string{"x"}}); r.Uint(0) != 0 || r.Uint(1) != 0 {
		t.Error("got a number of what is none")
	}
}

// TestNonsense has servers that do not speak the protocol, or not to the end.
func TestNonsense(t *testing.T) {
	tests := []struct{ reply, want string }{
		{"hello\n", "does not speak beanstalkd's protocol"},
		{"\r\n", "does not speak beanstalkd's protocol"},
		{"OK\r\n", "does not speak beanstalkd's protocol"},
		{"OK -1\r\n", "does not speak beanstalkd's protocol"},
		{"OK 99999999999999999999\r\n", "does not speak beanstalkd's protocol"},
		{"OK 3\r\nhello\r\n", "a body that is longer than it says"},
		{strings.Repeat("x", 1<<17), "a line that does not end"},
		{"", "it has closed the connection"},
	}
	for _, test := range tests {
		addr := scripted(t, func(string) string { return test.reply })
		_, err := dial(t, t.Context(), addr, patience).Do("stats", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%.20q: got %v, want %q", test.reply, err, test.want)
		}
	}
}

// TestSilence has a server that says nothing, or only half of something.
func TestSilence(t *testing.T) {
	for _, reply := range []string{"OK 10\r\nhalf", "OK"} {
		addr := scripted(t, func(string) string { return reply })
		_, err := dial(t, t.Context(), addr, 50*time.Millisecond).Do("stats", nil)
		if _, ok := errors.AsType[*wire.UnreachableError](err); !ok || !strings.Contains(err.Error(), "no answer within 50ms") {
			t.Errorf("%q: got %v", reply, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := dial(t, ctx, addr, 0)
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := c.DoWithin(-1, "reserve", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%q: got %v, want that it was canceled", reply, err)
		}
	}
}

func TestDialNobody(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:1", "unix:/nowhere/at/all", "nonsense"} {
		_, err := wire.Dial(t.Context(), addr, patience)
		if e, ok := errors.AsType[*wire.UnreachableError](err); !ok || e.Addr != addr || errors.Unwrap(e) == nil {
			t.Errorf("%s: got %v", addr, err)
		}
	}
}

func TestYAML(t *testing.T) {
	if got, want := wire.List([]byte("---\n- default\n- \"quo\\\"ted\"\n- a:b\n")), []string{"default", `quo"ted`, "a:b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	d := wire.Mapping([]byte("---\nname: \"a\"\nn: 17\nempty:\nlist:\n- x\n- y: z\nlast: 1.13\n"))
	want := wire.Dict{{Name: "name", Value: "a"}, {Name: "n", Value: "17"}, {Name: "empty"}, {Name: "list"}, {Name: "last", Value: "1.13"}}
	if !slices.Equal(d, want) {
		t.Errorf("got %q, want %q", d, want)
	}
	if d.Get("n") != "17" || d.Uint("n") != 17 || d.Uint("name") != 0 || d.Get("none") != "" {
		t.Errorf("got other values of %q", d)
	}
	all := wire.Mappings([]byte("---\n- id: 1\n  state: ready\n- id: 2\n"))
	if len(all) != 2 || all[0].Get("state") != "ready" || all[1].Uint("id") != 2 {
		t.Errorf("got %q", all)
	}
}
