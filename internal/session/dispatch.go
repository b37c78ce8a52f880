package session

import (
	"time"

	"spoked/proto"
	"spoked/queue"
)

// verbs says what each command does. Each has been found well formed and has
// been counted; put, whose body is still to come, is not among them.
var verbs = [proto.NumOps]func(s *Session, now int64, cmd *proto.Command){
	proto.OpUse:                use,
	proto.OpReserve:            reserve,
	proto.OpReserveWithTimeout: reserveWithTimeout,
	proto.OpReserveJob:         reserveJob,
	proto.OpDelete:             deleteJob,
	proto.OpRelease:            release,
	proto.OpBury:               bury,
	proto.OpTouch:              touch,
	proto.OpWatch:              watch,
	proto.OpIgnore:             ignore,
	proto.OpPeek:               peek,
	proto.OpPeekReady:          peekReady,
	proto.OpPeekDelayed:        peekDelayed,
	proto.OpPeekBuried:         peekBuried,
	proto.OpKick:               kick,
	proto.OpKickJob:            kickJob,
	proto.OpStats:              stats,
	proto.OpStatsJob:           statsJob,
	proto.OpStatsTube:          statsTube,
	proto.OpListTubes:          listTubes,
	proto.OpListTubeUsed:       listTubeUsed,
	proto.OpListTubesWatched:   listTubesWatched,
	proto.OpPauseTube:          pauseTube,
	proto.OpQuit:               quit,

	proto.OpCapabilities: capabilities,
	proto.OpPing:         ping,
	proto.OpListJobs:     listJobs,
	proto.OpReserveBatch: reserveBatch,
	proto.OpDeleteBatch:  deleteBatch,
	proto.OpFlushTube:    clearTube,
	proto.OpTruncate:     clearTube,
	proto.OpDeleteTube:   clearTube,
	proto.OpDrain:        drain,
	proto.OpUndrain:      undrain,
}

// tellsAll says of which commands the reply can depend on anything that has
// been recorded: they change jobs, or count them. Those that give a job, see
// to that themselves, and the others say nothing about jobs.
var tellsAll = [proto.NumOps]bool{
	proto.OpDelete:    true,
	proto.OpRelease:   true,
	proto.OpBury:      true,
	proto.OpKick:      true,
	proto.OpKickJob:   true,
	proto.OpStats:     true,
	proto.OpStatsJob:  true,
	proto.OpStatsTube: true,
	proto.OpListTubes: true,
	proto.OpPauseTube: true,

	proto.OpListJobs:    true,
	proto.OpDeleteBatch: true,
	proto.OpFlushTube:   true,
	proto.OpTruncate:    true,
	proto.OpDeleteTube:  true,
}

// done replies with text, or as err says.
func (s *Session) done(err error, text string) {
	switch err {
	case nil:
		s.reply(text)
	case queue.ErrNotIgnored:
		s.reply(proto.NotIgnored)
	case queue.ErrOutOfMemory:
		s.reply(proto.OutOfMemory)
	default:
		s.reply(proto.NotFound)
	}
}

// found replies to a peek.
func (s *Session) found(j queue.Job, err error) {
	if err != nil {
		s.need() // it may have gone a moment ago
		s.reply(proto.NotFound)
		return
	}
	s.send(j, false)
}

// answer replies to a reserve, nothing while it waits, or to a kick that took
// long.
func (s *Session) answer(w queue.Wake) {
	switch j := w.Job; w.Outcome {
	case queue.Given:
		s.send(j, true)
	case queue.DeadlineSoon:
		s.reply(proto.DeadlineSoon)
	case queue.TimedOut:
		s.reply(proto.TimedOut)
	case queue.Kicked:
		s.need()
		s.out = proto.AppendKicked(s.out, int(w.Count))
	}
}

func reserve(s *Session, now int64, _ *proto.Command) { s.reserve(now, queue.Forever) }

func reserveWithTimeout(s *Session, now int64, cmd *proto.Command) {
	if cmd.Timeout == proto.Forever {
		s.reserve(now, queue.Forever)
		return
	}
	s.reserve(now, time.Duration(cmd.Timeout)*time.Second)
}

func (s *Session) reserve(now int64, timeout time.Duration) {
	if s.halfClosed {
		timeout = 0
	}
	j, outcome := s.service.engine.Reserve(now, s.client, timeout)
	if outcome == queue.Given {
		s.send(j, true)
		return
	}
	s.answer(queue.Wake{Outcome: outcome})
}

func reserveJob(s *Session, now int64, cmd *proto.Command) {
	j, err := s.service.engine.ReserveJob(now, s.client, cmd.ID)
	if err != nil {
		s.need()
		s.done(err, "")
		return
	}
	s.send(j, true)
}

func deleteJob(s *Session, now int64, cmd *proto.Command) {
	s.done(s.service.engine.Delete(now, s.client, cmd.ID), proto.Deleted)
}

func release(s *Session, now int64, cmd *proto.Command) {
	s.done(s.service.engine.Release(now, s.client, cmd.ID, cmd.Pri, seconds(cmd.Delay)), proto.Released)
}

func bury(s *Session, _ int64, cmd *proto.Command) {
	s.done(s.service.engine.Bury(s.client, cmd.ID, cmd.Pri), proto.Buried)
}

func touch(s *Session, now int64, cmd *proto.Command) {
	s.done(s.service.engine.Touch(now, s.client, cmd.ID), proto.Touched)
}

func use(s *Session, _ int64, cmd *proto.Command) {
	s.service.engine.Use(s.client, cmd.Tube)
	s.out = proto.AppendUsing(s.out, s.client.Used())
}

func watch(s *Session, _ int64, cmd *proto.Command) {
	s.service.engine.Watch(s.client, cmd.Tube)
	s.out = proto.AppendWatching(s.out, s.client.Watching())
}

func ignore(s *Session, _ int64, cmd *proto.Command) {
	if err := s.service.engine.Ignore(s.client, cmd.Tube); err != nil {
		s.done(err, "")
		return
	}
	s.out = proto.AppendWatching(s.out, s.client.Watching())
}

func peek(s *Session, _ int64, cmd *proto.Command) { s.found(s.service.engine.Peek(cmd.ID)) }

func peekReady(s *Session, _ int64, _ *proto.Command) {
	s.found(s.service.engine.PeekReady(s.client))
}

func peekDelayed(s *Session, _ int64, _ *proto.Command) {
	s.found(s.service.engine.PeekDelayed(s.client))
}

func peekBuried(s *Session, _ int64, _ *proto.Command) {
	s.found(s.service.engine.PeekBuried(s.client))
}

func kick(s *Session, now int64, cmd *proto.Command) {
	if n, done := s.service.engine.Kick(now, s.client, cmd.Count); done {
		s.out = proto.AppendKicked(s.out, int(n))
	}
}

func kickJob(s *Session, now int64, cmd *proto.Command) {
	s.done(s.service.engine.KickJob(now, cmd.ID), proto.Kicked)
}

func pauseTube(s *Session, now int64, cmd *proto.Command) {
	s.done(s.service.engine.Pause(now, cmd.Tube, seconds(cmd.Delay)), proto.Paused)
}

func listTubeUsed(s *Session, _ int64, _ *proto.Command) {
	s.out = proto.AppendUsing(s.out, s.client.Used())
}

func quit(s *Session, _ int64, _ *proto.Command) { s.quit = true }
