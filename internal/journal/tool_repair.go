package journal

import (
	"errors"
	"fmt"

	"spoked/persist"
	"spoked/queue"
)

// asDamage returns the damage that err is about, if it is.
func asDamage(err error) (*persist.DamageError, bool) {
	return errors.AsType[*persist.DamageError](err)
}

// RepairReport is what came of a repair.
type RepairReport struct {
	Dir      string    `json:"dir"` // of the segments
	New      string    `json:"new"`
	Segments int       `json:"segments"`
	Frames   int       `json:"frames"`  // whole writes
	Records  int       `json:"records"` // in them
	Jobs     int       `json:"jobs"`
	NextID   uint64    `json:"next_id"`
	Lost     []Problem `json:"lost"`
	Bytes    int64     `json:"lost_bytes"` // without those of files that are not there
}

// Repair makes a journal in the directory dest, which must not exist or be
// empty, of all that can be read of the one in dir, which nobody may be using,
// as of the instant now. What was behind something that is lost is kept. A job
// that was deleted in what is lost may be back, and one that was put in it, and
// not copied since, is gone. O(bytes), and memory for all jobs and their bodies.
func Repair(dir, dest string, segmentSize, now int64) (*RepairReport, error) {
	p, release, err := takePlace(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	e := queue.New(now)
	s := persist.NewSalvage(e, now)
	if err := p.salvage(files, s); err != nil {
		return nil, err
	}
	r := &RepairReport{Dir: p.dir, New: dest, Lost: p.problems(s.Finish()), NextID: e.NextID()}
	r.Segments, r.Frames, r.Records = s.Found()
	r.Jobs = e.Len()
	for _, l := range r.Lost {
		r.Bytes += l.Bytes()
	}
	if r.Frames == 0 && len(r.Lost) > 0 {
		return nil, fmt.Errorf("nothing of the journal can be read: %s: %s", r.Lost[0].File, r.Lost[0].What)
	}
	return r, makeJournal(dest, func(segments string) error {
		return writeWhole(persist.OS{}, segments, e, segmentSize, uint64(now))
	})
}
