package bench

import (
	"fmt"
	"time"
)

// usage is what processes have used of the machine.
type usage struct {
	client, server time.Duration // CPU time
	resident       int64         // bytes, of the server
}

// readUsage measures this process and, unless pid is 0, the server's.
func readUsage(pid int) (usage, error) {
	u := usage{client: ownTime()}
	if pid == 0 {
		return u, nil
	}
	var err error
	if u.server, err = serverTime(pid); err == nil {
		u.resident, err = residentBytes(pid)
	}
	if err != nil {
		return u, fmt.Errorf("process %d cannot be measured: %w", pid, err)
	}
	return u, nil
}
