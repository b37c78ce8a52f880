package session

import (
	"math/bits"
	"time"

	"spoked/persist"
	"spoked/proto"
	"spoked/queue"
)

// A Service is what the sessions of a server share. Neither it nor any of its
// sessions may be used concurrently with another.
type Service struct {
	opts    Options
	engine  *queue.Engine
	started int64                // instant
	counted [proto.NumOps]uint64 // commands, for stats
	tally   *Tally               // or nil

	cmd     proto.Command    // scratch: each Feed decodes into it
	now     int64            // instant of what is being done
	deliver func(queue.Wake) // the method wake; a value made once
	yield   bool             // the present Feed is to end
	woken   []*Session       // got output outside of their own Feed
	eager   []*Session       // whose commands are to go on, now that they have been woken
	listing []*Session       // whose lists are being made, in turns,
	listAt  int64            // from this instant on
	extra   int              // commands that the present one counts as, besides itself
	self    *Session         // its HalfClose is under way
	spare   [][]byte         // output buffers in nobody's use,
	spares  int              // and how many bytes they have
}

// Options say how a Service serves.
type Options struct {
	MaxJobSize uint32 // largest body in bytes
	Compat112  bool   // where beanstalkd 1.12 and 1.13 differ, do as 1.12
	Strict     bool   // know no command that beanstalkd does not know
	Host       Host
	About      About

	// Engine is what the sessions share; if it is nil, a new one. Journal,
	// unless nil, is where its effects are recorded.
	Engine  *queue.Engine
	Journal Journal

	// Limits are those of a new engine.
	Limits queue.Limits

	// Trace, unless nil, is told of each command executed or refused and its
	// reply. The command is "" for a reply that ends a wait, and the reply is
	// empty where a wait begins. Both are borrowed.
	Trace func(s *Session, command string, reply []byte)
}

// Journal is what sessions need to know of a journal. It counts batches of
// what is recorded, and later these are settled: only then may a reply leave
// that depends on them.
type Journal interface {
	// Newest returns the number of the newest batch that has anything in it.
	Newest() uint64
	// Pending reports whether anything about a job is not settled.
	Pending(id uint64) bool
	Stats() persist.Stats

	// Body returns the body of a job that is in the journal alone, and false if
	// it cannot be had at once. It is borrowed until the next call.
	Body(j queue.Job) ([]byte, bool)
	// Fetch has then called later with it, which is borrowed. The error is
	// queue.ErrNotFound if there is no such job any more.
	Fetch(j queue.Job, then func(body []byte, err error))
}

// About is what the reply to capabilities says of the server.
type About struct {
	Server, Version string
	HTTP            string // address of the HTTP API; "" if there is none
}

// Host is what the reply to stats says of the process and its machine.
type Host struct {
	PID                        int
	ID                         string // 16 hex digits, random
	Hostname, Version, Machine string // as uname has them
	BinlogMaxSize              int64  // bytes

	Usage func() (user, system time.Duration) // CPU time used so far
}

// The limits of a session's output.
const (
	// outputLimit is from how many bytes of output on no further command is
	// executed. A client that does not read its replies holds no more than
	// this and one reply.
	outputLimit = 64 << 10

	newBuffer  = 512     // bytes
	keepSpares = 4 << 20 // bytes of buffers that wait to be used again
)

// NewService returns a service that begins at the instant now.
func NewService(now int64, opts Options) *Service {
	v := &Service{opts: opts, engine: opts.Engine, started: now}
	if v.engine == nil {
		v.engine = queue.New(now)
		v.engine.SetLimits(opts.Limits)
	}
	v.deliver = v.wake
	return v
}

// SetMaxJobSize bounds the bodies of the puts that are decoded from now on.
func (v *Service) SetMaxJobSize(n uint32) { v.opts.MaxJobSize = n }

// SetTrace replaces Options.Trace.
func (v *Service) SetTrace(f func(s *Session, command string, reply []byte)) { v.opts.Trace = f }

// Engine returns the engine that the sessions share.
func (v *Service) Engine() *queue.Engine { return v.engine }

// Advance lets happen what is due at or before now, and goes on with long
// commands, about limit steps at most. It reports whether there is more.
func (v *Service) Advance(now int64, limit int) (more bool) {
	v.now = now
	more = v.engine.Advance(now, limit)
	v.tell()
	v.goOnListing(limit)
	return more || v.mayList()
}

// Do runs f, which uses the engine at the instant now as it likes, and tells
// clients what has come of it. It returns the batch of the journal that an answer
// which depends on that has to wait for; 0 without a journal.
func (v *Service) Do(now int64, f func(e *queue.Engine, now int64)) (batch uint64) {
	v.now = now
	f(v.engine, now)
	v.tell()
	if j := v.opts.Journal; j != nil {
		return j.Newest()
	}
	return 0
}

// Unfinished reports whether Advance has something to do that waits for nothing.
func (v *Service) Unfinished() bool { return v.engine.Unfinished() }

// Next returns an instant no later than the earliest at which Advance has
// something to do, and false if it has nothing to wait for.
func (v *Service) Next() (at int64, ok bool) {
	at, ok = v.engine.Next()
	if len(v.listing) > 0 && (!ok || v.listAt < at) {
		return v.listAt, true
	}
	return at, ok
}

// Drain has all further puts refused.
func (v *Service) Drain() { v.engine.Drain() }

// Undrain has puts taken again.
func (v *Service) Undrain() { v.engine.Undrain() }

// Stirred reports whether TakeWoken has anything to tell.
func (v *Service) Stirred() bool { return len(v.woken) > 0 }

// TakeWoken calls f for each session that has been given output since the
// last call other than by its own Feed or HalfClose.
func (v *Service) TakeWoken(f func(*Session)) {
	for i := 0; i < len(v.woken); i++ {
		f(v.woken[i])
	}
	clear(v.woken)
	v.woken = v.woken[:0]
}

// Count returns how many commands with that op there have been, as stats counts
// them.
func (v *Service) Count(op proto.Op) uint64 { return v.counted[op] }

// A Tally counts the commands that are executed.
type Tally struct {
	counts [proto.NumOps]uint32
	ops    uint64 // set of those that are not 0
}

// SetTally has further commands counted by t, or if that is nil, not.
func (v *Service) SetTally(t *Tally) { v.tally = t }

func (t *Tally) add(op proto.Op) {
	t.counts[op]++
	t.ops |= 1 << op
}

// Empty reports whether no commands have been counted.
func (t *Tally) Empty() bool { return t.ops == 0 }

// Take calls f for each op of which there have been commands, n of them, and
// forgets them. O(such ops).
func (t *Tally) Take(f func(op proto.Op, n uint32)) {
	for ; t.ops != 0; t.ops &= t.ops - 1 {
		op := proto.Op(bits.TrailingZeros64(t.ops))
		f(op, t.counts[op])
		t.counts[op] = 0
	}
}

// A Guest is who has attached a client to the engine that no session has, as its
// Data. It is told how the client's waits end.
type Guest interface {
	// Woken is called while the engine is in use, which it must not call. The
	// body of w.Job is borrowed until it returns.
	Woken(now int64, w queue.Wake)
}

// tell tells clients what has come of a command.
func (v *Service) tell() {
	v.engine.TakeWakes(v.deliver)
	for len(v.eager) > 0 {
		s := v.eager[0]
		if v.eager = v.eager[1:]; len(v.eager) == 0 {
			v.eager = nil
		}
		begin := s.open()
		s.under.goOn(s, v.now)
		v.given(s, begin)
		v.engine.TakeWakes(v.deliver)
	}
}

// given tells of the output from begin on, with which a command of s is answered that
// has taken its time.
func (v *Service) given(s *Session, begin int) {
	if f := v.opts.Trace; f != nil {
		f(s, "", s.out[begin:])
	}
	if s != v.self && len(s.out) > begin {
		v.rouse(s)
	}
}

// wake tells a client how its wait has ended.
func (v *Service) wake(w queue.Wake) {
	s, ok := w.Client.Data.(*Session)
	if !ok {
		w.Client.Data.(Guest).Woken(v.now, w)
		return
	}
	if s.under != nil {
		s.under.woken(s, w)
		v.eager = append(v.eager, s)
		return
	}
	begin := s.open()
	s.answer(w)
	v.given(s, begin)
}

// rouse notes that s has got output other than by its own Feed.
func (v *Service) rouse(s *Session) {
	v.woken = append(v.woken, s)
	if s.Backlog {
		s.Backlog = false
		v.yield = true
	}
}

// buffer returns an empty output buffer.
func (v *Service) buffer() []byte {
	n := len(v.spare)
	if n == 0 {
		return make([]byte, 0, newBuffer)
	}
	b := v.spare[n-1]
	v.spare = v.spare[:n-1]
	v.spares -= cap(b)
	return b
}

// Recycle takes back a buffer that TakeOutput returned.
func (v *Service) Recycle(b []byte) {
	if cap(b) > 0 && v.spares+cap(b) <= keepSpares {
		v.spares += cap(b)
		v.spare = append(v.spare, b[:0])
	}
}
