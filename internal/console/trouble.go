package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"spoked/internal/history"
	"spoked/queue"
)

// trouble is a tube in which something is not as it should be.
type trouble struct {
	*history.Tube
	Signs []sign // the worst first
	score float64
}

// sign is what is wrong with a tube, in a word and in words, and the address of
// what there is to see about it.
type sign struct {
	Kind   string // growing, old, buried, idle, paused, timeouts
	Word   string
	Text   string
	Link   string
	weight float64
}

// When something is trouble.
const (
	oldAge      = time.Minute
	growthShare = 0.02 // of the backlog, a minute
	growthLeast = 0.5  // jobs a second
	timeoutRate = 0.02 // a second
)

// signsOf returns what is wrong with a tube in a sample.
func signsOf(t *history.Tube, s *history.Snapshot) (signs []sign) {
	ready, buried := t.Jobs[queue.Ready], t.Jobs[queue.Buried]
	add := func(kind, word, link string, weight float64, format string, args ...any) {
		signs = append(signs, sign{kind, word, fmt.Sprintf(format, args...), link, weight})
	}
	age := time.Duration(0)
	if t.Oldest != 0 {
		age = time.Duration(s.Instant - t.Oldest)
	}
	if ready > 0 && t.Pause > 0 {
		add("paused", "paused", tubePath(t.Name), 2+math.Log10(float64(ready)+1),
			"Paused for another %s, with %s ready.", duration(t.PauseLeft), count(ready, "job"))
	} else if ready > 0 && (t.Watching == 0 || s.Stats.Workers == 0) { // every connection watches default
		w := "No worker watches it, and %s ready."
		if t.Jobs[queue.Reserved] > 0 {
			w = "No worker watches it any more, and %s ready."
		}
		add("idle", "no workers", query("/workers", "q", t.Name), 6+math.Log10(float64(ready)+1), w, countIs(ready))
	}
	if t.Growth >= growthLeast && t.Growth*60 >= growthShare*float64(ready) && t.Puts > t.Deleted && t.Pause == 0 && ready > 0 {
		add("growing", "growing", tubePath(t.Name, "state", "ready"), 4+math.Log10(t.Growth+1),
			"Grows by %s a second: %s come in, %s are done.", jobsRate(t.Growth), rate(t.Puts), rate(t.Deleted))
	}
	if age >= oldAge && ready > 0 && t.Pause == 0 {
		add("old", "old", tubePath(t.Name, "state", "ready"), 3+math.Log10(age.Minutes()+1),
			"Its oldest ready job was put %s ago.", duration(age))
	}
	if buried > 0 {
		add("buried", "buried", tubePath(t.Name, "state", "buried"), 3+math.Log10(float64(buried)+1),
			"%s buried: workers gave up on them.", countIs(buried))
	}
	if t.TimedOut >= timeoutRate {
		add("timeouts", "time-outs", tubePath(t.Name, "state", "reserved"), 3.5+math.Log10(t.TimedOut+1),
			"%s a minute are not done within their time to run.", jobsRate(t.TimedOut*60))
	}
	slices.SortStableFunc(signs, func(a, b sign) int { return cmp.Compare(b.weight, a.weight) })
	return signs
}

func countIs(n int) string {
	if n == 1 {
		return "1 job is"
	}
	return number(n) + " jobs are"
}

func jobsRate(v float64) string {
	if s := rate(v); s == "1" {
		return "1 job"
	} else {
		return s + " jobs"
	}
}

// troubled returns the tubes that are in trouble, the worst first, at most so
// many, and how many there are.
func troubled(s *history.Snapshot, most int) (list []trouble, all int) {
	for _, t := range s.Tubes {
		signs := signsOf(t, s)
		if len(signs) == 0 {
			continue
		}
		score := 0.0
		for _, k := range signs {
			score += k.weight
		}
		list = append(list, trouble{t, signs, score})
	}
	slices.SortFunc(list, func(a, b trouble) int {
		// About equally bad ones keep their places, so that the list can be read.
		return cmp.Or(cmp.Compare(math.Round(b.score), math.Round(a.score)), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), most)], len(list)
}
