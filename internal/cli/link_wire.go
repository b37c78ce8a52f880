package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// wireLink is a link over the wire, to any server that speaks the protocol.
type wireLink struct {
	*wire.Conn
	watched []string // nil for what a connection begins with
}

func (l *wireLink) close() { l.Close() }

// replyError is the error of a reply that is not the one that was hoped for.
type replyError struct {
	command string
	reply   wire.Reply
}

func (e *replyError) Error() string {
	switch e.reply.Word {
	case "DRAINING":
		return "the server is draining: it takes no jobs until `spoked undrain`, or until it is started anew"
	case "JOB_TOO_BIG":
		return "the job is larger than the server takes (its option -z)"
	case "OUT_OF_MEMORY":
		return "the server has no room for it"
	case "UNKNOWN_COMMAND":
		return "the server does not know the command " + e.command
	case "NOT_FOUND":
		return "it is not there"
	}
	return fmt.Sprintf("the server answers %s to %s", e.reply, e.command)
}

// isReply reports whether err is a reply with that word.
func isReply(err error, word string) bool {
	e, ok := errors.AsType[*replyError](err)
	return ok && e.reply.Word == word
}

// want sends a command that is to be answered with word.
func (l *wireLink) want(word, line string, body []byte) (wire.Reply, error) {
	r, err := l.Do(line, body)
	if err == nil && r.Word != word {
		err = wrong(line, r)
	}
	return r, err
}

// wrong returns the error of a reply to a line.
func wrong(line string, r wire.Reply) error {
	command, _, _ := strings.Cut(line, " ")
	return &replyError{command, r}
}

// each sends a line for each id, and tells what came of them. Nothing but word is
// success; NOT_FOUND becomes missing.
func (l *wireLink) each(ids []uint64, command, word, missing string, each func(uint64, error)) error {
	lines := make([]string, len(ids))
	for i, id := range ids {
		lines[i] = command + " " + strconv.FormatUint(id, 10)
	}
	return l.All(lines, func(i int, r wire.Reply) error {
		switch r.Word {
		case word:
			each(ids[i], nil)
		case "NOT_FOUND":
			each(ids[i], notFound("job %d: %s", ids[i], missing))
		default:
			each(ids[i], fmt.Errorf("job %d: %w", ids[i], wrong(command, r)))
		}
		return nil
	})
}

func (l *wireLink) remove(_ context.Context, ids []uint64, each func(uint64, error)) error {
	return l.each(ids, "delete", "DELETED", "not there, or reserved by another client", each)
}

func (l *wireLink) kickJobs(_ context.Context, ids []uint64, each func(uint64, error)) error {
	return l.each(ids, "kick-job", "KICKED", "not there, or neither buried nor delayed", each)
}

func (l *wireLink) kick(_ context.Context, tube string, count uint32) (int, error) {
	if _, err := l.want("USING", "use "+tube, nil); err != nil {
		return 0, err
	}
	r, err := l.DoWithin(-1, fmt.Sprintf("kick %d", count), nil)
	if err == nil && r.Word != "KICKED" {
		err = wrong("kick", r)
	}
	return int(r.Uint(0)), err
}

func (l *wireLink) job(_ context.Context, id uint64, body bool) (*api.Job, error) {
	var content []byte
	if body {
		r, err := l.want("FOUND", fmt.Sprintf("peek %d", id), nil)
		if isReply(err, "NOT_FOUND") {
			return nil, notFound("job %d: not there", id)
		}
		if err != nil {
			return nil, err
		}
		content = r.Body
	}
	r, err := l.want("OK", fmt.Sprintf("stats-job %d", id), nil)
	if isReply(err, "NOT_FOUND") {
		return nil, notFound("job %d: not there", id)
	}
	if err != nil {
		return nil, err
	}
	j := jobOf(wire.Mapping(r.Body))
	if body {
		j.Content, j.Size = api.Bytes(content), uint32(len(content))
	}
	return j, nil
}

// jobOf reads what stats-job says, or an item of list-jobs.
func jobOf(d wire.Dict) *api.Job {
	secs := func(name string) api.Duration { return api.Duration(time.Duration(d.Uint(name)) * time.Second) }
	j := &api.Job{
		ID:       d.Uint("id"),
		Tube:     d.Get("tube"),
		State:    d.Get("state"),
		Pri:      uint32(d.Uint("pri")),
		Created:  time.Now().Add(-time.Duration(secs("age"))).Truncate(time.Second),
		Age:      secs("age"),
		Delay:    secs("delay"),
		TTR:      secs("ttr"),
		TimeLeft: secs("time-left"),
		Reserves: uint32(d.Uint("reserves")),
		Timeouts: uint32(d.Uint("timeouts")),
		Releases: uint32(d.Uint("releases")),
		Buries:   uint32(d.Uint("buries")),
		Kicks:    uint32(d.Uint("kicks")),
		Size:     uint32(d.Uint("size")),
	}
	if j.State == "delayed" || j.State == "reserved" {
		at := time.Now().Add(time.Duration(j.TimeLeft)).Truncate(time.Second)
		j.At = &at
	}
	return j
}

func (l *wireLink) peek(ctx context.Context, tube, state string) (*api.Job, error) {
	if _, err := l.want("USING", "use "+tube, nil); err != nil {
		return nil, err
	}
	for {
		r, err := l.want("FOUND", "peek-"+state, nil)
		if isReply(err, "NOT_FOUND") {
			return nil, notFound("tube %s has no %s job", tube, state)
		}
		if err != nil {
			return nil, err
		}
		j, err := l.job(ctx, r.Uint(0), false)
		if err == nil {
			j.Content, j.Size = api.Bytes(r.Body), uint32(len(r.Body))
			return j, nil
		}
		if !isNotFound(err) { // else somebody has deleted it meanwhile
			return nil, err
		}
	}
}

func (l *wireLink) tube(_ context.Context, name string) (*api.Tube, error) {
	r, err := l.want("OK", "stats-tube "+name, nil)
	if isReply(err, "NOT_FOUND") {
		return nil, notFound("tube %s: not there: no job is in it, and no client uses or watches it", name)
	}
	if err != nil {
		return nil, err
	}
	return tubeOf(wire.Mapping(r.Body)), nil
}

// tubeOf reads what stats-tube says.
func tubeOf(d wire.Dict) *api.Tube {
	n := func(name string) int { return int(d.Uint(name)) }
	t := &api.Tube{
		Name: d.Get("name"),
		Jobs: api.Counts{
			Ready: n("current-jobs-ready"), Urgent: n("current-jobs-urgent"), Delayed: n("current-jobs-delayed"),
			Reserved: n("current-jobs-reserved"), Buried: n("current-jobs-buried"),
		},
		TotalJobs: d.Uint("total-jobs"),
		Deletes:   d.Uint("cmd-delete"),
		Using:     n("current-using"),
		Watching:  n("current-watching"),
		Waiting:   n("current-waiting"),
		Pauses:    d.Uint("cmd-pause-tube"),
	}
	if left := d.Uint("pause-time-left"); left > 0 {
		t.Pause = &api.Pause{
			For:  api.Duration(time.Duration(d.Uint("pause")) * time.Second),
			Left: api.Duration(time.Duration(left) * time.Second),
		}
	}
	return t
}

func (l *wireLink) tubes(_ context.Context, prefix string, each func(*api.Tube) error) error {
	r, err := l.want("OK", "list-tubes", nil)
	if err != nil {
		return err
	}
	var lines []string
	for _, name := range sorted(wire.List(r.Body)) {
		if strings.HasPrefix(name, prefix) {
			lines = append(lines, "stats-tube "+name)
		}
	}
	return l.All(lines, func(_ int, r wire.Reply) error {
		switch r.Word {
		case "OK":
			return each(tubeOf(wire.Mapping(r.Body)))
		case "NOT_FOUND": // it has gone meanwhile
			return nil
		}
		return wrong("stats-tube", r)
	})
}

func (l *wireLink) pause(_ context.Context, tube string, d time.Duration) error {
	if d > 0 && d < time.Second {
		d = time.Second
	}
	_, err := l.want("PAUSED", fmt.Sprintf("pause-tube %s %d", tube, d/time.Second), nil)
	if isReply(err, "NOT_FOUND") {
		return notFound("tube %s: not there: no job is in it, and no client uses or watches it", tube)
	}
	return err
}

func (l *wireLink) drain(_ context.Context, on bool) error {
	command, word := "drain", "DRAINING"
	if !on {
		command, word = "undrain", "NOT_DRAINING"
	}
	_, err := l.want(word, command, nil)
	if isReply(err, "UNKNOWN_COMMAND") && on {
		return fmt.Errorf("%w: it is not spoked, or one with --strict; the signal USR1 does the same", err)
	}
	if isReply(err, "UNKNOWN_COMMAND") {
		return fmt.Errorf("%w: it is not spoked, or one with --strict; a drain lasts until it is started anew", err)
	}
	return err
}

func (l *wireLink) stats(context.Context) (wire.Dict, any, error) {
	r, err := l.want("OK", "stats", nil)
	if err != nil {
		return nil, nil, err
	}
	d := wire.Mapping(r.Body)
	return d, dictJSON(d), nil
}

func (l *wireLink) ping(ctx context.Context) (string, error) {
	r, err := l.Do("ping", nil)
	if err != nil {
		return "", err
	}
	d, _, err := l.stats(ctx)
	if err != nil {
		return "", err
	}
	version := "beanstalkd's protocol " + d.Get("version")
	if r.Word == "PONG" {
		version = "spoked, " + version
	}
	return version, nil
}

// put has another goroutine send jobs while it reads what came of those before, so
// that a million of them take no round trip each. The reply to the first use of a
// tube is waited for, so that no job gets into the tube before it. When it fails, the
// goroutine may be left waiting for input.
func (l *wireLink) put(ctx context.Context, s *source, each func(outcome) error) error {
	const ahead = 4096 // jobs that are under way
	sent, done, stop := make(chan *newJob, ahead), make(chan error, 1), make(chan struct{})
	go func() {
		done <- l.sendPuts(s, sent, stop)
		close(sent)
	}()
	if err := l.takePuts(ctx, sent, each); err != nil {
		close(stop)
		l.Close()
		return err
	}
	return <-done
}

// sendPuts sends jobs until there are no more, or stop is closed.
func (l *wireLink) sendPuts(s *source, sent chan<- *newJob, stop <-chan struct{}) error {
	used, known := "", map[string]bool{}
	hand := func(j *newJob) bool {
		select {
		case sent <- j:
			return true
		default:
		}
		if l.Flush() != nil {
			return false
		}
		select {
		case sent <- j:
			return true
		case <-stop:
			return false
		}
	}
	for {
		if !s.ready() {
			if err := l.Flush(); err != nil {
				return err
			}
		}
		j, err := s.next()
		if err != nil {
			return errors.Join(ignoreEOF(err), l.Flush())
		}
		if j.tube != used {
			use := &newJob{tube: j.tube, using: make(chan struct{})}
			if err := l.Send("use "+j.tube, nil); err != nil {
				return err
			}
			if !hand(use) {
				return nil
			}
			if !known[j.tube] {
				if err := l.Flush(); err != nil {
					return err
				}
				select {
				case <-use.using:
				case <-stop:
					return nil
				}
				known[j.tube] = true
			}
			used = j.tube
		}
		line := fmt.Sprintf("put %d %d %d %d", j.pri, j.delay/time.Second, j.ttr/time.Second, len(j.body))
		if err := l.Send(line, j.body); err != nil {
			return err
		}
		j.size, j.body = len(j.body), nil
		if !hand(j) {
			return nil
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// takePuts reads a reply for each of what was sent.
func (l *wireLink) takePuts(ctx context.Context, sent <-chan *newJob, each func(outcome) error) error {
	for {
		var j *newJob
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j = <-sent:
		}
		if j == nil {
			return nil
		}
		r, err := l.Receive(0)
		if err != nil {
			return err
		}
		if j.using != nil {
			if r.Word != "USING" {
				return fmt.Errorf("tube %s: %w", j.tube, wrong("use", r)) // what was sent behind it is for that tube
			}
			close(j.using)
			continue
		}
		o := outcome{newJob: j, id: r.Uint(0)}
		switch r.Word {
		case "INSERTED":
		case "BURIED":
			o.err = fmt.Errorf("the server had no room to make job %d ready, and has buried it", o.id)
		default:
			o.err = wrong("put", r)
		}
		if err := each(o); err != nil {
			return err
		}
	}
}
