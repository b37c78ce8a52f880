package session

import (
	"iter"
	"time"

	"spoked/persist"
	"spoked/proto"
	"spoked/queue"
)

// The version that stats reports is the beanstalkd whose protocol this is:
// client libraries compare it.
const (
	version112 = "1.12"
	version113 = "1.13"
)

// commandCounts are the counters of stats, in its order. reserve-job and
// kick-job have none, and quit is never counted.
var commandCounts = [...]proto.Op{
	proto.OpPut, proto.OpPeek, proto.OpPeekReady, proto.OpPeekDelayed, proto.OpPeekBuried,
	proto.OpReserve, proto.OpReserveWithTimeout, proto.OpDelete, proto.OpRelease,
	proto.OpUse, proto.OpWatch, proto.OpIgnore, proto.OpBury, proto.OpKick, proto.OpTouch,
	proto.OpStats, proto.OpStatsJob, proto.OpStatsTube,
	proto.OpListTubes, proto.OpListTubeUsed, proto.OpListTubesWatched, proto.OpPauseTube,
}

// text writes a string that beanstalkd quotes since 1.13.
func (s *Session) text(y *proto.YAML, key, value string) {
	if s.service.opts.Compat112 {
		y.Bare(key, value)
		return
	}
	y.Quoted(key, value)
}

// secondsLeft returns the whole seconds that are left of a time. All commands
// that arrive together have one instant, but in beanstalkd a moment always
// passes between a put and the stats-job behind it, so that of 5 seconds 4
// are left.
func secondsLeft(d time.Duration) int64 { return int64((d - 1) / time.Second) }

func jobCounts(y *proto.YAML, urgent int, jobs [queue.NumStates]int) {
	y.Uint("current-jobs-urgent", uint64(urgent))
	y.Uint("current-jobs-ready", uint64(jobs[queue.Ready]))
	y.Uint("current-jobs-reserved", uint64(jobs[queue.Reserved]))
	y.Uint("current-jobs-delayed", uint64(jobs[queue.Delayed]))
	y.Uint("current-jobs-buried", uint64(jobs[queue.Buried]))
}

func stats(s *Session, now int64, _ *proto.Command) {
	v := s.service
	st := v.engine.Stats()
	host := &v.opts.Host
	var user, system time.Duration
	if host.Usage != nil {
		user, system = host.Usage()
	}
	version := version113
	if v.opts.Compat112 {
		version = version112
	}

	y := proto.BeginYAML(s.out)
	jobCounts(&y, st.Urgent, st.Jobs)
	for _, op := range commandCounts {
		y.Uint("cmd-"+op.String(), v.counted[op])
	}
	y.Uint("job-timeouts", st.Timeouts)
	y.Uint("total-jobs", st.TotalJobs)
	y.Uint("max-job-size", uint64(v.opts.MaxJobSize))
	y.Uint("current-tubes", uint64(st.Tubes))
	y.Uint("current-connections", uint64(st.Connections))
	y.Uint("current-producers", uint64(st.Producers))
	y.Uint("current-workers", uint64(st.Workers))
	y.Uint("current-waiting", uint64(st.Waiting))
	y.Uint("total-connections", st.TotalConnections)
	y.Int("pid", int64(host.PID))
	y.Quoted("version", version)
	y.Micros("rusage-utime", user.Microseconds())
	y.Micros("rusage-stime", system.Microseconds())
	y.Uint("uptime", uint64((now-v.started)/int64(time.Second)))
	var kept persist.Stats
	if j := v.opts.Journal; j != nil {
		kept = j.Stats()
	}
	y.Uint("binlog-oldest-index", kept.Oldest)
	y.Uint("binlog-current-index", kept.Head)
	y.Uint("binlog-records-migrated", kept.Copied)
	y.Uint("binlog-records-written", kept.Written)
	y.Int("binlog-max-size", host.BinlogMaxSize)
	if v.engine.Draining() {
		y.Bare("draining", "true")
	} else {
		y.Bare("draining", "false")
	}
	y.Bare("id", host.ID)
	s.text(&y, "hostname", host.Hostname)
	s.text(&y, "os", host.Version)
	s.text(&y, "platform", host.Machine)
	s.out = y.End()
}

func statsTube(s *Session, now int64, cmd *proto.Command) {
	st, err := s.service.engine.TubeStats(now, cmd.Tube)
	if err != nil {
		s.reply(proto.NotFound)
		return
	}
	y := proto.BeginYAML(s.out)
	s.text(&y, "name", st.Name)
	jobCounts(&y, st.Urgent, st.Jobs)
	y.Uint("total-jobs", st.TotalJobs)
	y.Uint("current-using", uint64(st.Using))
	y.Uint("current-watching", uint64(st.Watching))
	y.Uint("current-waiting", uint64(st.Waiting))
	y.Uint("cmd-delete", st.Deletes)
	y.Uint("cmd-pause-tube", st.Pauses)
	y.Uint("pause", uint64(st.Pause/time.Second))
	y.Int("pause-time-left", secondsLeft(st.PauseLeft))
	s.out = y.End()
}

func statsJob(s *Session, now int64, cmd *proto.Command) {
	st, err := s.service.engine.JobStats(now, cmd.ID)
	if err != nil {
		s.reply(proto.NotFound)
		return
	}
	y := proto.BeginYAML(s.out)
	y.Uint("id", st.ID)
	s.text(&y, "tube", st.Tube)
	y.Bare("state", st.State.String())
	y.Uint("pri", uint64(st.Pri))
	y.Int("age", int64(st.Age/time.Second))
	y.Int("delay", int64(st.Delay/time.Second))
	y.Int("ttr", int64(st.TTR/time.Second))
	y.Int("time-left", secondsLeft(st.TimeLeft))
	y.Uint("file", uint64(st.Segment))
	y.Uint("reserves", uint64(st.Reserves))
	y.Uint("timeouts", uint64(st.Timeouts))
	y.Uint("releases", uint64(st.Releases))
	y.Uint("buries", uint64(st.Buries))
	y.Uint("kicks", uint64(st.Kicks))
	s.out = y.End()
}

func listTubes(s *Session, _ int64, _ *proto.Command) { s.listNames(s.service.engine.Tubes()) }

func listTubesWatched(s *Session, _ int64, _ *proto.Command) { s.listNames(s.client.Watched()) }

func (s *Session) listNames(names iter.Seq[string]) {
	y := proto.BeginYAML(s.out)
	for name := range names {
		y.Item(name)
	}
	s.out = y.End()
}
