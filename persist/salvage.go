package persist

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"spoked/queue"
)

// A Loss is a part of a journal that cannot be read.
type Loss struct {
	File string
	Span // of the file; empty for a segment that is not there at all
	What string

	// Tail says that it can be where a log ends that was not synced when the
	// system crashed: a server cuts the log there, and says so. It then does
	// not read what is behind it, whole or not.
	Tail bool
}

// String returns the loss as FILE:FROM-TO: WHAT.
func (l Loss) String() string {
	if l.Bytes() == 0 {
		return fmt.Sprintf("%s: %s", l.File, l.What)
	}
	return fmt.Sprintf("%s:%d-%d: %s (%d bytes)", l.File, l.From, l.To, l.What, l.Bytes())
}

// A Salvage goes through a journal, damaged or not, and finds out what can be
// read and what cannot. Segments must be passed to it in ascending order.
type Salvage struct {
	replay *replay // nil if it only looks

	segments  []surveyed
	malformed []Loss // in whole frames
	first     uint64 // number of the oldest segment that counts
	synced    int64  // position
	stopped   bool   // the log ends on purpose
	frames    int
	records   int
}

// surveyed is what is remembered of a segment.
type surveyed struct {
	number uint64
	size   int64
	err    error // nothing could be read
	header error
	end    int64
	torn   int64
	frames int
	gaps   []Span
	first  *mark
}

// NewSalvage returns a Salvage that replays what it reads, as of the instant
// now, into e, which must be new; if e is nil, it only looks.
func NewSalvage(e *queue.Engine, now int64) *Salvage {
	s := &Salvage{}
	if e != nil {
		s.replay = newReplay(e.Restore(now))
	}
	return s
}

// Read takes in data, the bytes of segment number, of which it keeps nothing.
// An error is that of an engine without memory. O(bytes).
func (s *Salvage) Read(number uint64, data []byte) error {
	in, err := Inspect(number, data)
	if err != nil {
		s.segments = append(s.segments, surveyed{number: number, size: int64(len(data)), err: err})
		return nil
	}
	s.segments = append(s.segments, surveyed{
		number: number, size: in.Size, header: in.Header, end: in.End, torn: in.Torn,
		frames: len(in.Frames), gaps: in.Gaps, first: in.first,
	})
	s.first = max(s.first, in.oldest)
	s.synced = max(s.synced, in.synced)
	if len(in.Frames) > 0 {
		s.stopped = in.stopped
	}
	s.frames += len(in.Frames)
	to := &segment{number: number}
	return in.each(func(_ Span, _ int64, e *entry) error {
		s.records++
		if s.replay == nil {
			return nil
		}
		return s.replay.apply(e, to)
	}, func(rest Span, err error) {
		s.malformed = append(s.malformed, Loss{File: SegmentName(number), Span: rest, What: err.Error()})
	})
}

// Unreadable takes note that segment number could not be read because of err.
func (s *Salvage) Unreadable(number uint64, err error) {
	s.segments = append(s.segments, surveyed{number: number, err: err})
}

// Found returns how much could be read.
func (s *Salvage) Found() (segments, frames, records int) {
	return len(s.segments), s.frames, s.records
}

// Finish returns what could not be read, in the order of the journal. If the
// Salvage has an engine, that is ready for use.
func (s *Salvage) Finish() []Loss {
	if s.replay != nil {
		s.replay.restorer.Finish()
	}
	// What is behind the last segment that has frames was made and not used.
	last := len(s.segments) - 1
	for last >= 0 && s.segments[last].frames == 0 && s.segments[last].err == nil {
		last--
	}
	var losses []Loss
	expect := s.first
	var start int64 // position of the segment
	for i := range s.segments {
		seg := &s.segments[i]
		if seg.number < s.first {
			continue // it has been evacuated
		}
		if i <= last {
			losses = append(losses, missing(expect, seg.number)...)
		}
		expect = seg.number + 1
		if seg.first != nil && seg.first.position > 0 {
			start = seg.first.position
		}
		var next *surveyed
		if i < last {
			next = &s.segments[i+1]
		}
		losses = append(losses, s.lossesIn(seg, start, next)...)
		start += endOf(seg, next)
	}
	losses = append(losses, s.malformed...)
	slices.SortStableFunc(losses, compareLosses)
	return losses
}

func compareLosses(a, b Loss) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.From, b.From))
}

// missing returns the loss of the segments from number first up to end.
func missing(first, end uint64) (losses []Loss) {
	if first == 0 {
		return nil // nobody knows what the first one was
	}
	for n := first; n < end; n++ {
		losses = append(losses, Loss{File: SegmentName(n), What: errMissing.Error()})
	}
	return losses
}

// endOf returns where the log goes on from seg to next, which may be nil.
func endOf(seg, next *surveyed) int64 {
	if next != nil && next.number == seg.number+1 && next.first != nil && next.first.previous > 0 {
		return next.first.previous
	}
	return seg.end
}

// lossesIn returns what is lost in seg, which begins at the position start of
// the log; next is the segment behind it if the log goes on there.
func (s *Salvage) lossesIn(seg *surveyed, start int64, next *surveyed) (losses []Loss) {
	name := SegmentName(seg.number)
	if seg.err != nil {
		return []Loss{{File: name, Span: Span{0, seg.size}, What: seg.err.Error()}}
	}
	tail := func(at int64) bool { return start+at >= s.synced && seg.header == nil }
	lose := func(span Span, what string) {
		// A server that stops has written everything.
		losses = append(losses, Loss{File: name, Span: span, What: what, Tail: tail(span.From) && !s.stopped})
	}
	for _, gap := range seg.gaps {
		if gap.From == 0 {
			losses = append(losses, Loss{File: name, Span: gap, What: seg.header.Error() + "; what follows can be read nevertheless"})
			continue
		}
		lose(gap, "no whole frame, though others follow")
	}
	switch end := endOf(seg, next); {
	case end > seg.end:
		lose(Span{seg.end, end}, "no whole frame, though others follow")
	case seg.torn > 0 && next == nil:
		losses = append(losses, Loss{File: name, Span: Span{seg.end, seg.torn}, What: "no whole frame at the end", Tail: tail(seg.end)})
	case seg.torn > 0:
		lose(Span{seg.end, seg.torn}, "no whole frame, though others follow")
	}
	return losses
}
