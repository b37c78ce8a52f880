package journal

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// Stat is what there is to say about a journal at a glance.
type Stat struct {
	Dir      string `json:"dir"` // of the segments
	InUse    bool   `json:"in_use"`
	Stopped  bool   `json:"stopped"`        // the server was stopped and had not crashed
	Torn     *Torn  `json:"torn,omitempty"` // the log ends in the middle of a write
	Segments int    `json:"segments"`       // files, those included that are ready to be used
	Oldest   uint64 `json:"oldest"`         // number of a segment; 0 if there is none
	Newest   uint64 `json:"newest"`         // of the one that is being written to
	Disk     int64  `json:"disk_bytes"`     // of all files
	Used     int64  `json:"used_bytes"`     // of the log
	Live     int64  `json:"live_bytes"`     // that the jobs would need alone
	NextID   uint64 `json:"next_id"`

	Jobs  JobCounts  `json:"jobs"`
	Tubes []TubeStat `json:"tubes"` // that have jobs or are paused, by name
}

// Torn is where a log ends that was being written to.
type Torn struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

// torn returns where the log of r is torn, or nil.
func (p place) torn(r *persist.Recovery) *Torn {
	if r.Cut == nil {
		return nil
	}
	return &Torn{filepath.Join(p.dir, r.Cut.File), r.Cut.Offset}
}

// JobCounts counts jobs by state. Reserved ones count as ready, because that is
// what they are after a restart.
type JobCounts struct {
	Ready   int `json:"ready"`
	Delayed int `json:"delayed"`
	Buried  int `json:"buried"`
}

// Total returns how many jobs there are.
func (c JobCounts) Total() int { return c.Ready + c.Delayed + c.Buried }

// TubeStat is what there is to say about a tube.
type TubeStat struct {
	Name        string     `json:"name"`
	Jobs        JobCounts  `json:"jobs"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
}

// ReadStat looks at the journal in dir as of the instant now. A server may be
// using it: then what it says was so a moment ago. It needs some 150 bytes of
// memory for each job. O(bytes).
func ReadStat(dir string, now int64) (*Stat, error) {
	p, err := findPlace(dir)
	if err != nil {
		return nil, err
	}
	var s *Stat
	err = p.look(func() (err error) {
		s, err = p.stat(now)
		return err
	})
	return s, err
}

func (p place) stat(now int64) (*Stat, error) {
	busy, err := p.inUse()
	if err != nil {
		return nil, err
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	r, err := p.excerpt(files, now, 0)
	if err != nil {
		return nil, err
	}
	s := &Stat{
		Dir: p.dir, InUse: busy, Stopped: r.Stopped && !busy,
		Segments: len(numbers(files)), Live: r.Live(), NextID: r.Engine.NextID(),
		Jobs: countsOf(r.Engine.Stats().Jobs), Tubes: tubeStats(r.Engine, now),
	}
	s.Oldest, s.Newest, s.Used = r.Log()
	for _, f := range files {
		s.Disk += f.Size
	}
	if !busy {
		s.Torn = p.torn(r)
	}
	return s, nil
}

func countsOf(jobs [queue.NumStates]int) JobCounts {
	return JobCounts{jobs[queue.Ready] + jobs[queue.Reserved], jobs[queue.Delayed], jobs[queue.Buried]}
}

func tubeStats(e *queue.Engine, now int64) []TubeStat {
	list := []TubeStat{}
	for name := range e.Tubes() {
		st, err := e.TubeStats(now, []byte(name))
		if err != nil {
			continue
		}
		t := TubeStat{Name: name, Jobs: countsOf(st.Jobs)}
		if pause, ok := e.PauseOf(name); ok {
			until := time.Unix(0, pause.Until).UTC()
			t.PausedUntil = &until
		}
		if t.PausedUntil != nil || t.Jobs.Total() > 0 {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b TubeStat) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// CheckReport is what came of a check.
type CheckReport struct {
	Dir      string    `json:"dir"` // of the segments
	OK       bool      `json:"ok"`
	Problems []Problem `json:"problems"`
	Segments int       `json:"segments"`
	Frames   int       `json:"frames"`  // whole writes
	Records  int       `json:"records"` // in them
	Jobs     int       `json:"jobs"`
}

// Check reads everything in the journal in dir, which nobody may be using, and
// restores it as of the instant now as a server would. It is OK if one can be
// started with it and nothing is lost but what a crash may leave at the end.
// O(bytes), and memory for the jobs.
func Check(dir string, now int64) (*CheckReport, error) {
	p, release, err := takePlace(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	look := persist.NewSalvage(nil, now)
	if err := p.salvage(files, look); err != nil {
		return nil, err
	}
	c := &CheckReport{Dir: p.dir, OK: true, Problems: p.problems(look.Finish())}
	c.Segments, c.Frames, c.Records = look.Found()
	for _, problem := range c.Problems {
		c.OK = c.OK && problem.Tail
	}
	return c, c.restore(p, now)
}

// restore does what a server does when it starts.
func (c *CheckReport) restore(p place, now int64) error {
	r, err := recoverDir(persist.OS{}, p.dir, now, queue.Limits{Bodies: queue.InJournal}, nil)
	if damage, ok := asDamage(err); ok {
		if c.OK { // or else it is known already
			c.fail(Problem{File: damage.File, From: damage.Offset, To: damage.Offset, What: damage.Err.Error()})
		}
		return nil
	}
	if err != nil {
		return err
	}
	c.Jobs = r.Engine.Len()
	if err := r.Engine.Check(); err != nil {
		c.fail(Problem{File: p.dir, What: "the jobs that are restored contradict each other: " + err.Error()})
	}
	return nil
}

func (c *CheckReport) fail(p Problem) {
	c.OK = false
	c.Problems = append(c.Problems, p)
}
