package httpapi

import (
	"time"
	"unicode/utf8"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

// instant returns an instant of the engine.
func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// jobOf returns the JSON of a job.
func jobOf(s *queue.JobStats, body []byte, size uint32, as shape) api.Job {
	j := api.Job{
		ID: s.ID, Tube: s.Tube, State: s.State.String(), Pri: s.Pri,
		Created: instant(s.Created), Age: api.Duration(s.Age), Delay: api.Duration(s.Delay), TTR: api.Duration(s.TTR),
		Reserves: s.Reserves, Timeouts: s.Timeouts, Releases: s.Releases, Buries: s.Buries, Kicks: s.Kicks,
		Size: size,
	}
	if s.At != 0 {
		j.At, j.TimeLeft = new(instant(s.At)), api.Duration(max(0, s.TimeLeft))
	}
	j.Content, j.Truncated = as.content(body, size)
	return j
}

// listedOf returns the JSON of a job in a list.
func listedOf(l *manage.Listed, as shape) api.Job {
	j := jobOf(&l.JobStats, l.Body, l.Size, as)
	j.Unsearched = l.Unsearched
	return j
}

// heldOf returns the JSON of a job that was reserved.
func heldOf(h *manage.Held, as shape) api.Job {
	j := jobOf(&h.JobStats, h.Body, uint32(len(h.Body)), as)
	j.Lease = h.Lease
	return j
}

// countsOf returns the JSON of numbers of jobs.
func countsOf(n [queue.NumStates]int, urgent int) api.Counts {
	return api.Counts{
		Ready: n[queue.Ready], Urgent: urgent, Delayed: n[queue.Delayed],
		Reserved: n[queue.Reserved], Buried: n[queue.Buried],
	}
}

// tubeOf returns the JSON of a tube.
func tubeOf(s *queue.TubeStats) api.Tube {
	t := api.Tube{
		Name: s.Name, Jobs: countsOf(s.Jobs, s.Urgent), TotalJobs: s.TotalJobs, Deletes: s.Deletes,
		Using: s.Using, Watching: s.Watching, Waiting: s.Waiting, Pauses: s.Pauses,
	}
	if s.Pause > 0 {
		t.Pause = &api.Pause{For: api.Duration(s.Pause), Left: api.Duration(max(0, s.PauseLeft))}
	}
	return t
}

// trimRune returns the beginning of text that was cut off without half a
// character at its end.
func trimRune(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}
