package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatOf(t *testing.T) {
	const text = "---\ncurrent-jobs-ready: 12\nversion: \"1.13\"\n"
	if n, err := statOf(text, "current-jobs-ready"); n != 12 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := statOf(text, "jobs-ready"); err == nil {
		t.Error("a part of a name is taken for the name")
	}
}

func TestTurn(t *testing.T) {
	m := &measurer{servers: []string{ours, theirs}}
	if a, b := m.turn(1), m.turn(2); a[0] != ours || b[0] != theirs || len(b) != 2 {
		t.Errorf("got %v, then %v", a, b)
	}
}

// Every series has cases, each of which can be told from the others.
func TestCases(t *testing.T) {
	for _, s := range allSeries() {
		for _, quick := range []bool{false, true} {
			cases := s.cases(quick)
			if len(cases) == 0 || s.rounds == 0 || s.limit == 0 {
				t.Errorf("%s: incomplete", s.name)
			}
			seen := map[string]bool{}
			for _, c := range cases {
				key := c.name + " " + number(c.x)
				if seen[key] {
					t.Errorf("%s: %s twice", s.name, key)
				}
				seen[key] = true
			}
		}
	}
}

// The limits of the series add up to less than what the whole report may take.
func TestLimits(t *testing.T) {
	var sum time.Duration
	for _, s := range allSeries() {
		sum += s.limit
	}
	if sum > 10*time.Minute {
		t.Errorf("the series may take %v", sum)
	}
}

func TestRunComplains(t *testing.T) {
	m := &measurer{log: io.Discard}
	err := m.run(context.Background(), t.TempDir(), "connections,nonsense")
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
	if err := command(context.Background(), []string{"paint"}, io.Discard); err == nil {
		t.Error("an unknown command is no error")
	}
}

// pipe returns a conn, and what the server at its other end has received; the server
// answers with the replies whatever comes.
func pipe(t *testing.T, replies string) (*conn, func() string) {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	received := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(server)
		received <- string(b)
	}()
	go io.WriteString(server, replies)
	return &conn{client, bufio.NewReader(client)}, func() string { client.Close(); return <-received }
}

func TestConn(t *testing.T) {
	c, received := pipe(t, "INSERTED 1\r\nINSERTED 2\r\nRESERVED 1 3\r\nxxx\r\nRESERVED 2 3\r\nxxx\r\nBURIED\r\nBURIED\r\n")
	if err := c.put(2, 3, 9); err != nil {
		t.Fatal(err)
	}
	ids, err := c.reserve(2)
	if err != nil || !slices.Equal(ids, []string{"1", "2"}) {
		t.Fatalf("got %v, %v", ids, err)
	}
	if err := c.bury(ids); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("put 0 9 3600 3\r\nxxx\r\n", 2) + strings.Repeat("reserve-with-timeout 0\r\n", 2) + "bury 1 0\r\nbury 2 0\r\n"
	if got := received(); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestWatchTubes(t *testing.T) {
	c, received := pipe(t, "WATCHING 2\r\nWATCHING 3\r\n")
	if err := c.watchTubes(2); err != nil {
		t.Fatal(err)
	}
	if got, want := received(), "watch report-0\r\nwatch report-1\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestConnRefused(t *testing.T) {
	c, _ := pipe(t, "INSERTED 1\r\nOUT_OF_MEMORY\r\n")
	err := c.put(100_000, 100, 0)
	if err == nil || !strings.Contains(err.Error(), "OUT_OF_MEMORY") {
		t.Errorf("got %v", err)
	}
}
