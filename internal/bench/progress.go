package bench

import "time"

// Progress is how far a run has come.
type Progress struct {
	Scenario string
	Server   string
	// Doing is "connecting", "warming up", "measuring", "waiting for jobs" or
	// "removing jobs".
	Doing    string
	Elapsed  time.Duration // since measuring began
	Commands int           // answered since
	Rate     float64       // commands a second, since the last time
}

// tellProgress tells of it, and notes when to do so again.
func (r *run) tellProgress(now int64) {
	p := Progress{Scenario: r.scenario.Name, Server: r.target.String(), Commands: r.commands, Doing: "measuring"}
	switch r.phase {
	case setup:
		p.Doing = "connecting"
	case warming:
		p.Doing = "warming up"
	case draining:
		p.Doing = "waiting for jobs"
	}
	if r.phase >= measuring {
		p.Elapsed = time.Duration(now - r.began)
	}
	if d := now - r.told; r.commands >= r.toldCommands && d > 0 {
		p.Rate = float64(r.commands-r.toldCommands) * 1e9 / float64(d)
	}
	r.told, r.toldCommands, r.nextTick = now, r.commands, now+int64(progressEvery)
	r.progress(p)
}
