package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"spoked/internal/server"
)

// command returns the figures of the command with that name.
func command(t *testing.T, f *server.Figures, name string) *server.CommandFigures {
	t.Helper()
	for i := range f.Commands {
		if f.Commands[i].Name == name {
			return &f.Commands[i]
		}
	}
	t.Fatalf("no figures of %s", name)
	return nil
}

// figuresOf waits until as many latencies are known as commands, and returns the
// figures then.
func (p *process) figuresOf(t *testing.T, latencies bool) (f server.Figures) {
	t.Helper()
	await(t, func() error {
		f = p.Figures()
		for i := range f.Commands {
			if c := &f.Commands[i]; latencies && c.Latency.Count != c.Count {
				return fmt.Errorf("%s: got %d latencies of %d", c.Name, c.Latency.Count, c.Count)
			}
		}
		return nil
	})
	return f
}

// Commands, turns and connections are counted; times only if they are asked for.
func TestFigures(t *testing.T) {
	for _, latencies := range []bool{false, true} {
		t.Run(fmt.Sprintf("latencies %v", latencies), func(t *testing.T) {
			eachTransport(t, func(t *testing.T, opts server.Options) {
				p := serve(t, opts)
				if latencies {
					p.KeepTimes(1)
				}
				begin := time.Now()
				for range 3 {
					c := p.dial(t)
					for range 100 {
						c.mustAsk(t, "put 0 0 60 1\r\na\r\nreserve\r\n", "INSERTED ")
						for range 3 {
							if _, err := c.in.ReadString('\n'); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				f := p.figuresOf(t, latencies)
				took := time.Since(begin)
				for _, name := range []string{"put", "reserve"} {
					if c := command(t, &f, name); c.Count != 300 || latencies && c.Latency.Sum > float64(300*took) {
						t.Errorf("%s: got %d, latencies %+v", name, c.Count, c.Latency)
					}
				}
				if c := command(t, &f, "kick"); c.Count != 0 || c.Latency.Count != 0 {
					t.Errorf("kick: got %+v", c)
				}
				var all server.LoopFigures
				for _, l := range f.Loops {
					all.Connections += l.Connections
					all.Turns += l.Turns
					all.Latency.Merge(&l.Latency)
					all.Longest = max(all.Longest, l.Longest)
				}
				if all.Connections != 3 || all.Turns < 3 || (all.Latency.Count > 0) != latencies || (all.Longest > 0) != latencies || all.Longest > took {
					t.Errorf("loops: got %d connections, %d turns, %d of %d ns, longest %v",
						all.Connections, all.Turns, all.Latency.Count, int(all.Latency.Sum), all.Longest)
				}
				if f.Uptime <= 0 || f.Uptime > time.Since(f.Started) || f.Journal != nil {
					t.Errorf("got %+v", f.Uptime)
				}
			})
		})
	}
}

// A latency has the time that the journal takes only where the turn itself waits.
func TestFiguresOfTheJournal(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "later": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, opts server.Options) {
				p, _, j := keeping(t, opts, t.TempDir(), interval)
				p.dial(t).mustAsk(t, "put 0 0 60 1\r\na\r\n", "INSERTED 1\r\n")
				await(t, func() error {
					if f := p.Figures().Journal; f.Newest == 0 || f.Settled < f.Newest || f.Syncs.Count == 0 || f.Written == 0 || f.Failed {
						return fmt.Errorf("got newest %d, settled %d, %d syncs, %d records", f.Newest, f.Settled, f.Syncs.Count, f.Written)
					}
					return nil
				})
				if err := p.Await(context.Background(), p.Figures().Journal.Newest); err != nil {
					t.Error(err)
				}
				p.end(t, j)
			})
		})
	}
}

// Times can be asked for later: what has been executed before has none.
func TestFiguresLater(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		c := p.dial(t)
		begin := time.Now()
		ask := func() {
			for range 100 {
				c.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
			}
		}
		ask()
		p.KeepTimes(1)
		ask()
		await(t, func() error {
			f := p.Figures()
			// Who has been served at the very moment may count as before.
			if got := command(t, &f, "list-tube-used"); got.Count != 200 || got.Latency.Count < 99 || got.Latency.Count > 101 {
				return fmt.Errorf("got %d commands, %d with a latency", got.Count, got.Latency.Count)
			}
			for _, l := range f.Loops {
				if l.Longest > time.Since(begin) {
					t.Errorf("got a turn of %v", l.Longest)
				}
			}
			return nil
		})
	})
}
