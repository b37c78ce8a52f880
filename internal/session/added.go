package session

import (
	"bytes"

	"spoked/proto"
	"spoked/queue"
)

// The commands of this server's own are below, but for those that have a file for
// themselves: reserve-batch and list-jobs.

// ongoing is a command of which the engine wakes the client that has sent it, and
// which then has more to do before it is answered.
type ongoing interface {
	// woken takes note of a wake. It must not call the engine.
	woken(s *Session, w queue.Wake)
	// goOn does what comes then.
	goOn(s *Session, now int64)
}

func ping(s *Session, _ int64, _ *proto.Command) { s.reply(proto.Pong) }

func drain(s *Session, _ int64, _ *proto.Command) {
	s.service.Drain()
	s.reply(proto.Draining)
}

func undrain(s *Session, _ int64, _ *proto.Command) {
	s.service.Undrain()
	s.reply(proto.NotDraining)
}

// capabilities says what server this is, and what it has beyond beanstalkd.
func capabilities(s *Session, _ int64, _ *proto.Command) {
	opts := &s.service.opts
	y := proto.BeginYAML(s.out)
	y.Bare("server", opts.About.Server)
	y.Quoted("version", opts.About.Version)
	protocol := version113
	if opts.Compat112 {
		protocol = version112
	}
	y.Quoted("protocol", "beanstalkd "+protocol)
	if opts.About.HTTP != "" {
		y.Quoted("http", opts.About.HTTP)
	}
	y.List("commands")
	for op := range proto.Op(proto.NumOps) {
		if op.Added() {
			y.Item(op.String())
		}
	}
	s.out = y.End()
}

func deleteBatch(s *Session, now int64, cmd *proto.Command) {
	deleted := 0
	for id := range cmd.IDs() {
		if s.service.engine.Delete(now, s.client, id) == nil {
			deleted++
		}
	}
	s.service.extra = int(cmd.Count)
	s.out = proto.AppendDeletedBatch(s.out, deleted, int(cmd.Count)-deleted)
}

// clearing is a flush-tube, a truncate or a delete-tube that takes long.
type clearing struct {
	op      proto.Op
	tube    []byte
	cleared uint32
}

// clearTube deletes the jobs of a tube in whatever state.
func clearTube(s *Session, now int64, cmd *proto.Command) {
	n, done, err := s.service.engine.Clear(now, s.client, cmd.Tube, queue.AllStates)
	switch {
	case err != nil && cmd.Op == proto.OpDeleteTube:
		s.done(err, "")
	case done || err != nil: // there is nothing in a tube that is not there
		s.cleared(now, cmd.Op, cmd.Tube, n)
	default:
		s.under = &clearing{op: cmd.Op, tube: bytes.Clone(cmd.Tube)}
	}
}

func (c *clearing) woken(_ *Session, w queue.Wake) { c.cleared = w.Count }

func (c *clearing) goOn(s *Session, now int64) {
	s.under = nil
	s.cleared(now, c.op, c.tube, c.cleared)
	s.need()
}

// cleared replies to op, which has deleted n jobs of a tube.
func (s *Session) cleared(now int64, op proto.Op, tube []byte, n uint32) {
	switch op {
	case proto.OpFlushTube:
		s.out = proto.AppendFlushed(s.out, int(n))
	case proto.OpTruncate:
		s.out = proto.AppendTruncated(s.out, int(n))
	case proto.OpDeleteTube:
		s.done(s.resume(now, tube), proto.Deleted)
	}
}

// resume ends the pause of a tube, if there are such a tube and a pause.
func (s *Session) resume(now int64, tube []byte) error {
	e := s.service.engine
	if t, err := e.TubeStats(now, tube); err != nil || t.Pause == 0 {
		return nil
	}
	return e.Pause(now, tube, 0)
}
