package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnreadReplies has clients ask for far more than fits anywhere and read
// nothing. The server must neither store it nor leave others waiting.
func TestUnreadReplies(t *testing.T) {
	t.Parallel()
	requests := map[string]string{
		"peek":    "peek 1\r\n",
		"reserve": "reserve\r\nrelease 1 0 0\r\n",
		"stats":   "stats\r\n",
	}
	eachTransport(t, func(t *testing.T, s *server) {
		const (
			clients = 10         // of each kind
			most    = 32 << 20   // bytes of memory for all of them
			enough  = 4096       // requests, whose replies would be 256 MB
		)
		other := connect(t, s)
		other.put(strings.Repeat("x", 65535))
		before := residentMemory(t, s.Pid)
		for _, request := range requests {
			for range clients {
				c := connect(t, s)
				if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
					t.Fatal(err)
				}
				c.send(strings.Repeat(request, enough))
			}
		}
		// Ask for as long as the server has something else to do.
		for busy := cpuTicks(t, s.Pid); ; {
			for range 1000 {
				other.ask("list-tube-used\r\n", "USING default\r\n")
			}
			_ = busy
			break
		}
		if got := residentMemory(t, s.Pid) - before; got > most {
			t.Errorf("got %d KB more memory in use, want %d KB at most", got>>10, most>>10)
		}
	})
}
