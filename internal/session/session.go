package session

import (
	"math"
	"time"

	"spoked/proto"
	"spoked/queue"
)

// A Session is one client's conversation.
type Session struct {
	Owner any // the caller's

	// Backlog is for the caller to set while the client waits and
	// has sent more behind it. When its wait ends by another client's command,
	// that client's Feed ends, so that the caller can let the two take turns.
	Backlog bool

	id      uint64
	service *Service
	client  *queue.Client
	decoder proto.Decoder
	out     []byte // replies not yet taken; nil if none
	needs   uint64 // batch of the journal that they depend on, or those before

	draft  queue.Draft // of the put whose body is arriving
	filled uint32      // bytes of its body that have arrived

	under  ongoing // what has been begun and goes on when the engine has woken the client; or nil
	busy   bool    // the body of a job is being read, which is to be sent, or a list is being made
	list   *list   // that is being made
	closed bool

	halfClosed bool // the client sends no more
	quit       bool // the client said so
}

// NewSession begins a conversation. Close must end it.
func (v *Service) NewSession(owner any) *Session {
	s := &Session{
		Owner:   owner,
		id:      v.engine.Stats().TotalConnections + 1,
		service: v,
		client:  v.engine.Connect(),
		decoder: v.NewDecoder(),
	}
	s.client.Data = s
	return s
}

// NewDecoder returns a decoder that reads commands as those of the sessions do.
func (v *Service) NewDecoder() proto.Decoder {
	return proto.Decoder{MaxJobSize: v.opts.MaxJobSize, Lax: v.opts.Compat112, Strict: v.opts.Strict}
}

// ID returns the session's number, counted from 1.
func (s *Session) ID() uint64 { return s.id }

// Close ends the conversation: what the client had reserved becomes ready,
// and a put of which the body has not arrived is dropped.
func (s *Session) Close(now int64) {
	s.closed, s.service.now = true, now
	if s.Receiving() {
		s.service.engine.Abandon(&s.draft)
	}
	s.service.engine.Disconnect(now, s.client)
	s.service.tell()
	if s.out != nil {
		s.service.Recycle(s.out)
		s.out = nil
	}
}

// Closed reports whether the conversation has ended.
func (s *Session) Closed() bool { return s.closed }

// Waiting reports whether the client waits in a reserve, or for a command that
// takes long. Its next command is not executed, and should not be read, before
// that has ended.
func (s *Session) Waiting() bool { return s.client.Waiting() || s.busy }

// Busy reports whether the client waits for a command that takes long, or bodies
// that are being read, and will be answered soon.
func (s *Session) Busy() bool { return s.client.Busy() || s.busy }

// Full reports whether so much output is waiting to be taken that no command
// is executed.
func (s *Session) Full() bool { return len(s.out) >= outputLimit }

// Quit reports whether the client has said quit: the connection is to be
// closed when the output has been sent.
func (s *Session) Quit() bool { return s.quit }

// HasOutput reports whether there are replies to be taken.
func (s *Session) HasOutput() bool { return len(s.out) > 0 }

// Needs returns the number of the newest batch of the journal that any reply
// depends on that has been taken, or can be.
func (s *Session) Needs() uint64 { return s.needs }

// need has the replies wait for all that has been recorded.
func (s *Session) need() {
	if j := s.service.opts.Journal; j != nil {
		s.needs = j.Newest()
	}
}

// needJob has the replies wait for what has been recorded of a job.
func (s *Session) needJob(id uint64) {
	if j := s.service.opts.Journal; j != nil && j.Pending(id) {
		s.needs = j.Newest()
	}
}

// TakeOutput returns the replies that are to be sent, which become the
// caller's, to be given back to Service.Recycle. It returns nil if there are
// none.
func (s *Session) TakeOutput() []byte {
	out := s.out
	s.out = nil
	return out
}

// Feed executes the commands in in, which has just arrived, at most limit of
// them. It returns how many bytes it has dealt with and how many commands it
// has executed. That is all, unless the session is Waiting, Full, or has Quit,
// the limit is reached, or a client with a Backlog has been woken; the rest
// must be fed again, before anything else. Feed keeps no reference to in.
func (s *Session) Feed(now int64, in []byte, limit int) (n, commands int) {
	v := s.service
	cmd := &v.cmd
	v.now, v.yield = now, false
	s.decoder.MaxJobSize = v.opts.MaxJobSize // which may have been changed
	s.open()
	for n < len(in) && commands < limit && !v.yield && !s.quit && !s.Waiting() && len(s.out) < outputLimit {
		k, event := s.decoder.Next(in[n:], cmd)
		n += k
		begin := len(s.out)
		switch event {
		case proto.More:
			continue
		case proto.Chunk:
			s.fill(cmd.Data)
			continue
		case proto.Request:
			v.counted[cmd.Op]++
			if cmd.Op == proto.OpPut {
				s.beginPut(now, cmd)
				continue
			}
			verbs[cmd.Op](s, now, cmd)
			if tellsAll[cmd.Op] {
				s.need()
			}
		default:
			s.react(now, event, cmd)
		}
		commands += 1 + v.extra
		v.extra = 0
		if v.tally != nil {
			v.tally.add(executed(event, cmd))
		}
		v.tell()
		s.trace(event, cmd, begin)
	}
	if len(s.out) == 0 {
		v.Recycle(s.out)
		s.out = nil
	}
	return n, commands
}

// Receiving reports whether the body of a put is arriving.
func (s *Session) Receiving() bool { return s.draft != (queue.Draft{}) }

// NoLimit is the limit of a Feed without one.
const NoLimit = math.MaxInt

// react deals with the events that are not commands: the ends of a put, and
// lines that make no sense.
func (s *Session) react(now int64, event proto.Event, cmd *proto.Command) {
	switch event {
	case proto.BodyEnd:
		s.endPut(now, cmd.Data)
	case proto.BadTrailer:
		s.badTrailer()
	case proto.Oversized:
		s.reply(proto.JobTooBig)
	case proto.Refused:
		if cmd.Counted {
			s.service.counted[cmd.Op]++
		}
		s.reply(cmd.Status.Reply())
	}
}

// HalfClose tells that the client sends no more; all it has sent has been
// fed, or will be. A client that waits, or would have to, is answered at
// once, as by beanstalkd 1.13.
func (s *Session) HalfClose(now int64) {
	if s.halfClosed {
		return
	}
	s.halfClosed, s.service.now = true, now
	s.service.engine.StopWaiting(s.client)
	s.service.self = s
	s.service.tell()
	s.service.self = nil
}

// beginPut makes room for the body that follows, unless it is too big, when
// the decoder drops it.
func (s *Session) beginPut(now int64, cmd *proto.Command) {
	if cmd.Size > s.service.opts.MaxJobSize {
		return
	}
	s.draft, _ = s.service.engine.Begin(now, s.client, cmd.Pri, seconds(cmd.Delay), seconds(cmd.TTR), cmd.Size)
	s.filled = 0
}

// fill takes in the next part of a body, or drops it if there was no memory.
func (s *Session) fill(data []byte) {
	if !s.Receiving() {
		return
	}
	copy(s.service.engine.Body(&s.draft)[s.filled:], data)
	s.filled += uint32(len(data))
}

func (s *Session) badTrailer() {
	if !s.Receiving() {
		s.reply(proto.OutOfMemory) // beanstalkd does not look at what it drops
		return
	}
	s.service.engine.Abandon(&s.draft)
	s.reply(proto.ExpectedCRLF)
}

func (s *Session) endPut(now int64, data []byte) {
	if !s.Receiving() {
		s.reply(proto.OutOfMemory)
		return
	}
	s.fill(data)
	id, err := s.service.engine.Insert(now, &s.draft)
	switch err {
	case nil:
	case queue.ErrDraining:
		s.reply(proto.Draining)
		return
	default:
		s.reply(proto.OutOfMemory)
		return
	}
	s.need()
	// A client that waited for the job has it by now: beanstalkd 1.13 answers
	// INSERTED after that too.
	s.out = proto.AppendInserted(s.out, id)
}

// open makes sure that there is an output buffer, and returns how long it is.
func (s *Session) open() (length int) {
	if s.out == nil {
		s.out = s.service.buffer()
	}
	return len(s.out)
}

func (s *Session) reply(text string) { s.out = append(s.out, text...) }

// trace tells of the output from begin on, and of the command behind event.
func (s *Session) trace(event proto.Event, cmd *proto.Command, begin int) {
	f := s.service.opts.Trace
	if f == nil {
		return
	}
	f(s, executed(event, cmd).String(), s.out[begin:])
}

// executed returns the command that ends with event: the ends of a put leave cmd as
// it was.
func executed(event proto.Event, cmd *proto.Command) proto.Op {
	if event != proto.Request && event != proto.Refused {
		return proto.OpPut
	}
	return cmd.Op
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
