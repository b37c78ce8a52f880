//go:build unix

package integration

import (
	"fmt"
	"testing"
)

// TestIdleOwners has clients reserve a job and then say no more. Their jobs
// must all come back, whatever they did before they fell silent: beanstalkd
// forgets some of them after a DEADLINE_SOON.
func TestIdleOwners(t *testing.T) {
	t.Parallel()
	patterns := []struct {
		name string
		ttr  int // seconds

		request, reply string // after the job was reserved
		touch          bool   // after that
	}{
		{"silent", 1, "", "", false},
		{"deadline soon", 1, "reserve\r\n", "DEADLINE_SOON\r\n", false},
		{"deadline soon, touch", 1, "reserve-with-timeout 1000\r\n", "DEADLINE_SOON\r\n", true},
		{"wait, deadline soon", 2, "reserve-with-timeout 1000\r\n", "DEADLINE_SOON\r\n", false},
		{"wait, deadline soon, touch", 2, "reserve-with-timeout 1000\r\n", "DEADLINE_SOON\r\n", true},
		{"wait, timed out, touch", 3, "reserve-with-timeout 1\r\n", "TIMED_OUT\r\n", true},
	}
	eachTransport(t, func(t *testing.T, s *server) {
		for i, pattern := range patterns {
			t.Run(pattern.name, func(t *testing.T) {
				t.Parallel()
				owners, ids := make([]*client, 10), make([]int, 10)
				for j := range owners {
					owners[j] = connect(t, s)
					owners[j].send(fmt.Sprintf("use o-%[1]d-%[2]d\r\nwatch o-%[1]d-%[2]d\r\nignore default\r\n"+
						"put 0 0 %[3]d 1\r\nx\r\nreserve\r\n%[4]s", i, j, pattern.ttr, pattern.request))
				}
				for j, c := range owners {
					c.expect(fmt.Sprintf("USING o-%d-%d\r\nWATCHING 2\r\nWATCHING 1\r\n", i, j))
					ids[j] = c.inserted()
					c.expect(fmt.Sprintf("RESERVED %d 1\r\nx\r\n%s", ids[j], pattern.reply))
					if pattern.touch {
						c.send(fmt.Sprintf("touch %d\r\n", ids[j]))
						c.line() // TOUCHED, unless this test is slow
					}
				}
				probe := connect(t, s)
				for _, id := range ids {
					await(t, func() error {
						return probe.statsOf(fmt.Sprintf("stats-job %d\r\n", id)).differ(stats{"state": "ready", "timeouts": "1"})
					})
				}
			})
		}
	})
}
