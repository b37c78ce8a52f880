package session

import (
	"time"

	"spoked/proto"
	"spoked/queue"
)

const (
	// firstLooks is how many jobs list-jobs looks at when it is read, in the measure
	// of Engine.Find, and looksPerStep how many for a step of an Advance, if that
	// was not enough: to look through a million takes some 20 ms.
	firstLooks   = 1024
	looksPerStep = 4

	// listPause is how long everybody is left alone after such a step, which takes an
	// eighth of that, or less: whoever looks at a queue must not slow it down.
	listPause = int64(700 * time.Microsecond)

	// usualList is how many jobs a list has if the command does not say.
	usualList = 100
)

// A list is a list-jobs under way.
type list struct {
	query queue.Query
	after uint64 // the id that it has come to
	left  int    // jobs that it may have more
	empty bool
	yaml  proto.YAML
}

func listJobs(s *Session, now int64, cmd *proto.Command) {
	states, ok := statesOf(string(cmd.State))
	if !ok {
		s.reply(proto.BadFormat.Reply())
		return
	}
	if _, err := s.service.engine.TubeStats(now, cmd.Tube); err != nil {
		s.done(err, "")
		return
	}
	l := &list{
		query: queue.Query{Tube: string(cmd.Tube), States: states},
		after: cmd.ID, left: int(cmd.Count), empty: true, yaml: proto.BeginYAML(nil),
	}
	if l.left == 0 {
		l.left = usualList
	}
	s.service.extra = firstLooks / 256
	if l.look(s.service.engine, now, firstLooks) {
		s.out = append(s.out, l.end()...)
		return
	}
	s.busy = true
	s.list = l
	if len(s.service.listing) == 0 {
		s.service.listAt = max(s.service.listAt, now+listPause)
	}
	s.service.listing = append(s.service.listing, s)
}

// statesOf returns the states that a word stands for.
func statesOf(word string) (states queue.StateSet, ok bool) {
	if word == "" || word == "all" {
		return queue.AllStates, true
	}
	for state := range queue.NumStates {
		if word == state.String() {
			return queue.States(state), true
		}
	}
	return 0, false
}

// look goes on, and reports whether the list is complete.
func (l *list) look(e *queue.Engine, now int64, work int) (done bool) {
	last, end := e.Find(now, &l.query, l.after, work, func(f *queue.Found) bool {
		l.add(f)
		l.left--
		return l.left > 0
	})
	l.after = last
	return end || l.left == 0
}

func (l *list) add(f *queue.Found) {
	y := &l.yaml
	l.empty = false
	y.Next()
	y.Uint("id", f.ID)
	y.Bare("state", f.State.String())
	y.Uint("pri", uint64(f.Pri))
	y.Int("age", int64(f.Age/time.Second))
	y.Int("delay", int64(f.Delay/time.Second))
	y.Int("ttr", int64(f.TTR/time.Second))
	y.Int("time-left", secondsLeft(f.TimeLeft))
	y.Uint("reserves", uint64(f.Reserves))
	y.Uint("size", uint64(f.Job.Stored)+uint64(len(f.Job.Body)))
}

func (l *list) end() []byte {
	if l.empty {
		l.yaml.None()
	}
	return l.yaml.End()
}

// mayList reports whether goOnListing has anything to do.
func (v *Service) mayList() bool { return len(v.listing) > 0 && v.listAt <= v.now }

// goOnListing goes on with the list that has waited longest, so that nobody is held
// up by more than a portion of one, and not before it is time.
func (v *Service) goOnListing(limit int) {
	if !v.mayList() {
		return
	}
	v.listAt = v.now + listPause
	s := v.listing[0]
	if v.listing = v.listing[1:]; len(v.listing) == 0 {
		v.listing = nil
	}
	switch {
	case s.closed:
	case s.list.look(v.engine, v.now, limit*looksPerStep):
		l := s.list
		s.list, s.busy = nil, false
		s.need()
		begin := s.open()
		s.out = append(s.out, l.end()...)
		v.given(s, begin)
	default:
		v.listing = append(v.listing, s)
	}
}
