package journal

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"spoked/persist"
	"spoked/queue"
)

// A Field is a name and a value, which is a string, a number, a bool, a
// time.Time, a time.Duration or a Body.
type Field struct {
	Name  string
	Value any
}

// A Body is the beginning of a job's body.
type Body struct {
	Data []byte // borrowed
	Size int    // bytes of all of it
}

// Dump calls f for each record of the journal in dir, in order, and problem for
// what cannot be read. Of bodies it passes no more than the first most bytes. A
// server may be using the journal: segments that it removes in the meantime
// are left out. The fields are borrowed. O(bytes), with the memory for a
// segment. An error may be one of f's, which end it.
func Dump(dir string, most int, f func([]Field) error, problem func(Problem)) error {
	p, err := findPlace(dir)
	if err != nil {
		return err
	}
	busy, err := p.inUse()
	if err != nil {
		return err
	}
	files, err := p.files()
	if err != nil {
		return err
	}
	for _, n := range numbers(files) {
		if err := p.dumpSegment(n, busy, most, f, problem); err != nil {
			return err
		}
	}
	return nil
}

func (p place) dumpSegment(number uint64, busy bool, most int, f func([]Field) error, problem func(Problem)) error {
	name := filepath.Join(p.dir, persist.SegmentName(number))
	s, size, err := inspectFile(name, number)
	for try := 1; busy && try < lookTries && (err != nil || len(s.Gaps) > 0); try++ {
		// It may have been written to, or made another, while it was read.
		time.Sleep(lookPause)
		s, size, err = inspectFile(name, number)
	}
	if busy && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		problem(Problem{File: name, To: size, What: err.Error()})
		return nil
	}
	gaps := s.Gaps
	tellGaps := func(before int64) {
		for ; len(gaps) > 0 && gaps[0].From < before; gaps = gaps[1:] {
			what := "no whole frame, though others follow"
			if gaps[0].From == 0 {
				what = s.Header.Error()
			}
			problem(Problem{File: name, From: gaps[0].From, To: gaps[0].To, What: what})
		}
	}
	var fields []Field
	err = s.Each(func(e *persist.Entry) error {
		tellGaps(e.Offset)
		fields = appendEntry(fields[:0], e, most)
		return f(fields)
	}, func(rest persist.Span, err error) {
		tellGaps(rest.From)
		problem(Problem{File: name, From: rest.From, To: rest.To, What: err.Error()})
	})
	if err == nil && s.Torn > 0 && !busy {
		problem(Problem{File: name, From: s.End, To: s.Torn, What: "no whole frame at the end", Tail: true})
	}
	return err
}

// inspectFile looks for what there is in a segment's file, and returns its size
// as far as it is known.
func inspectFile(name string, number uint64) (*persist.Inspection, int64, error) {
	data, err := readWhatCan(name)
	if err != nil {
		return nil, 0, err
	}
	s, err := persist.Inspect(number, data)
	return s, int64(len(data)), err
}

// appendEntry appends the fields of e.
func appendEntry(b []Field, e *persist.Entry, most int) []Field {
	b = append(b,
		Field{"segment", e.Segment}, Field{"offset", e.Offset}, Field{"kind", e.Kind.String()})
	if e.Stray {
		b = append(b, Field{"stray", true})
	}
	switch e.Kind {
	case persist.EntryJob:
		return appendJob(b, &e.Job, len(e.Job.Body), most, true)
	case persist.EntryChange:
		return appendJob(b, &e.Job, 0, 0, false)
	case persist.EntryMove:
		return append(appendJob(b, &e.Job, 0, 0, false), Field{"tube", e.Job.Tube})
	case persist.EntryEnd:
		return append(b, Field{"id", e.Job.ID})
	case persist.EntryPause:
		b = append(b, Field{"tube", e.Pause.Tube}, Field{"length", time.Duration(e.Pause.Length)})
		if e.Pause.Length > 0 {
			b = append(b, Field{"until", instant(e.Pause.Until)})
		}
		return b
	case persist.EntryMark:
		m := &e.Mark
		return append(b, Field{"next_id", m.NextID}, Field{"burials", m.Burials}, Field{"first", m.First},
			Field{"position", m.Position}, Field{"previous", m.Previous}, Field{"stopped", m.Stopped})
	}
	return append(b, Field{"bytes", e.Size})
}

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// appendJob appends the fields of a job, or what can change of one.
func appendJob(b []Field, r *queue.Record, size, most int, whole bool) []Field {
	b = append(b, Field{"id", r.ID})
	if whole {
		b = append(b, Field{"tube", r.Tube})
	}
	b = append(b, Field{"state", r.State.String()}, Field{"pri", r.Pri})
	if whole {
		b = append(b, Field{"created", instant(r.Created)}, Field{"ttr", time.Duration(r.TTR)})
	}
	b = append(b, Field{"delay", time.Duration(r.Delay)})
	switch r.State {
	case queue.Delayed:
		b = append(b, Field{"at", instant(r.At)})
	case queue.Buried:
		b = append(b, Field{"burial", r.Burial})
	}
	b = append(b, Field{"reserves", r.Reserves}, Field{"timeouts", r.Timeouts}, Field{"releases", r.Releases},
		Field{"buries", r.Buries}, Field{"kicks", r.Kicks})
	if whole {
		b = append(b, Field{"body", Body{r.Body[:min(len(r.Body), most)], size}})
	}
	return b
}

// DumpJobs calls f for each job in the journal in dir, as of the instant now,
// in the order of their ids. Of bodies it passes no more than the first most
// bytes. A server may be using the journal. The fields are borrowed. O(bytes);
// it needs some 150 bytes of memory for each job, and those of its body that
// are passed. An error may be one of f's, which end it.
func DumpJobs(dir string, now int64, most int, f func([]Field) error) error {
	p, err := findPlace(dir)
	if err != nil {
		return err
	}
	var r *persist.Recovery
	err = p.look(func() error {
		files, err := p.files()
		if err == nil {
			r, err = p.excerpt(files, now, most)
		}
		return err
	})
	if err != nil {
		return err
	}
	var fields []Field
	for job := range r.Engine.Jobs() {
		fields = appendJob(fields[:0], job, r.BodySize(job.ID), most, true)
		if err := f(fields); err != nil {
			return err
		}
	}
	return nil
}
