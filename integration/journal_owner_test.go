//go:build unix

package integration

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
)

// An owner is a client with a tube of its own. It sends commands without
// waiting for the replies, because it knows what they will be.
type owner struct {
	number int
	tube   string
	seq    int    // of the last put
	base   *world // after all that was acknowledged
	ahead  *world // after all that was sent
	flight []deed // sent and not acknowledged

	acknowledged int
}

// world is all that is in an owner's tube.
type world struct {
	jobs    map[int]*ownJob // by the number of their put
	paused  bool
	burials int
}

// ownJob is a job as it must be.
type ownJob struct {
	seq    int
	id     int // 0 as long as the put has not been answered
	body   string
	pri    uint32
	delay  int
	state  string
	burial int

	reserves, releases, buries, kicks int
	recorded                          int // reserves at the last change that was recorded
}

// deed is a command.
type deed struct {
	verb  string
	seq   int // job
	id    int
	pri   uint32
	delay int // or a number
	body  string
}

func newOwner(number int) *owner {
	w := &world{jobs: map[int]*ownJob{}}
	return &owner{number: number, tube: fmt.Sprint("own-", number), base: w, ahead: w.copy()}
}

func (w *world) copy() *world {
	c := &world{jobs: map[int]*ownJob{}, paused: w.paused, burials: w.burials}
	for seq, j := range w.jobs {
		job := *j
		c.jobs[seq] = &job
	}
	return c
}

// line returns d as it is sent.
func (d *deed) line() string {
	switch d.verb {
	case "put":
		return fmt.Sprintf("put %d %d 100000 %d\r\n%s\r\n", d.pri, d.delay, len(d.body), d.body)
	case "reserve":
		return "reserve-with-timeout 0\r\n"
	case "release":
		return fmt.Sprintf("release %d %d %d\r\n", d.id, d.pri, d.delay)
	case "bury":
		return fmt.Sprintf("bury %d %d\r\n", d.id, d.pri)
	case "kick":
		return fmt.Sprintf("kick %d\r\n", d.delay)
	case "pause-tube":
		return fmt.Sprintf("pause-tube own-%d %d\r\n", d.id, d.delay)
	}
	return fmt.Sprintf("%s %d\r\n", d.verb, d.id)
}

// do does d, which must be possible, and returns the reply.
func (w *world) do(d *deed) string {
	j := w.jobs[d.seq]
	switch d.verb {
	case "put":
		j = &ownJob{seq: d.seq, id: d.id, body: d.body, pri: d.pri, delay: d.delay, state: "ready"}
		if d.delay > 0 {
			j.state = "delayed"
		}
		w.jobs[d.seq] = j
		return fmt.Sprintf("INSERTED %d\r\n", d.id)
	case "reserve":
		if j = w.best(); j == nil {
			return "TIMED_OUT\r\n"
		}
		return j.reserve()
	case "reserve-job":
		if j.state != "ready" {
			j.recorded = j.reserves
		}
		return j.reserve()
	case "delete":
		delete(w.jobs, d.seq)
		return "DELETED\r\n"
	case "touch":
		return "TOUCHED\r\n"
	case "release":
		j.state, j.pri, j.delay = "ready", d.pri, d.delay
		if d.delay > 0 {
			j.state = "delayed"
		}
		j.releases++
		j.recorded = j.reserves
		return "RELEASED\r\n"
	case "bury":
		w.burials++
		j.state, j.pri, j.burial = "buried", d.pri, w.burials
		j.buries++
		j.recorded = j.reserves
		return "BURIED\r\n"
	case "kick-job":
		j.kick()
		return "KICKED\r\n"
	case "kick":
		buried := w.buried()
		n := min(d.delay, len(buried))
		for _, j := range buried[:n] {
			j.kick()
		}
		return fmt.Sprintf("KICKED %d\r\n", n)
	case "pause-tube":
		w.paused = d.delay > 0
		return "PAUSED\r\n"
	}
	panic(d.verb)
}

func (j *ownJob) reserve() string {
	j.state = "reserved"
	j.reserves++
	return fmt.Sprintf("RESERVED %d %d\r\n%s\r\n", j.id, len(j.body), j.body)
}

func (j *ownJob) kick() {
	j.state = "ready"
	j.kicks++
	j.recorded = j.reserves
}

// best returns the job that is reserved next, or nil.
func (w *world) best() (best *ownJob) {
	if w.paused {
		return nil
	}
	for _, j := range w.jobs {
		if j.state == "ready" && (best == nil || cmp.Or(cmp.Compare(j.pri, best.pri), cmp.Compare(j.seq, best.seq)) < 0) {
			best = j
		}
	}
	return best
}

// buried returns the buried jobs in the order of burial.
func (w *world) buried() (list []*ownJob) {
	for _, j := range w.jobs {
		if j.state == "buried" {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b *ownJob) int { return cmp.Compare(a.burial, b.burial) })
	return list
}

// work sends commands and reads replies until the connection ends.
func (o *owner) work(k *killing, conn net.Conn, in *bufio.Reader, r *rand.Rand) error {
	o.acknowledged = 0
	request := fmt.Sprintf("use %[1]s\r\nwatch %[1]s\r\nignore default\r\n", o.tube)
	if err := exchange(conn, in, request, "USING "+o.tube+"\r\nWATCHING 2\r\nWATCHING 1\r\n"); err != nil {
		return err
	}
	for {
		const most = 64 // in flight
		var b strings.Builder
		for n := 1 + r.IntN(32); n > 0 && len(o.flight) < most; n-- {
			d := o.choose(r)
			o.flight = append(o.flight, d)
			o.ahead.do(&d)
			b.WriteString(d.line())
		}
		if _, err := io.WriteString(conn, b.String()); err != nil {
			return err
		}
		for n := 1 + r.IntN(len(o.flight)); n > 0; n-- {
			if err := o.hear(in); err != nil {
				return err
			}
			o.acknowledged++
			k.ack()
		}
	}
}

// hear reads the reply to the first command that is in flight.
func (o *owner) hear(in *bufio.Reader) error {
	d := &o.flight[0]
	if d.verb == "put" {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(line, "INSERTED %d\r\n", &d.id); err != nil {
			return fmt.Errorf("put: got %q", line)
		}
		if j := o.ahead.jobs[d.seq]; j != nil {
			j.id = d.id
		}
		o.base.do(d)
		o.flight = o.flight[1:]
		return nil
	}
	next := o.base
	var want string
	if d.verb == "reserve" { // base must not have it done before the reply is there
		want = next.copyOfBest()
	}
	if want == "" {
		want = map[string]string{
			"reserve": "TIMED_OUT\r\n", "delete": "DELETED\r\n", "touch": "TOUCHED\r\n", "release": "RELEASED\r\n",
			"bury": "BURIED\r\n", "kick-job": "KICKED\r\n", "pause-tube": "PAUSED\r\n",
		}[d.verb]
	}
	switch j := next.jobs[d.seq]; d.verb {
	case "reserve-job":
		job := *j
		want = job.reserve()
	case "kick":
		want = fmt.Sprintf("KICKED %d\r\n", min(d.delay, len(next.buried())))
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(in, got)
	if err != nil && strings.HasPrefix(want, string(got[:n])) {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%.60q: got %.200q (%v), want %.200q", d.line(), got[:n], err, want)
	}
	next.do(d)
	o.flight = o.flight[1:]
	return nil
}

// copyOfBest returns the reply to a reserve, or "" if there is nothing.
func (w *world) copyOfBest() string {
	j := w.best()
	if j == nil {
		return ""
	}
	job := *j
	return job.reserve()
}

// choose returns a command that can be sent now.
func (o *owner) choose(r *rand.Rand) deed {
	const many = 120 // jobs
	w := o.ahead
	var reserved, idle, aside []*ownJob
	for _, seq := range slices.Sorted(maps.Keys(w.jobs)) {
		switch j := w.jobs[seq]; {
		case j.id == 0:
		case j.state == "reserved":
			reserved = append(reserved, j)
		case j.state == "ready":
			idle = append(idle, j)
		default:
			aside = append(aside, j)
		}
	}
	pick := func(list ...[]*ownJob) *ownJob {
		all := slices.Concat(list...)
		if len(all) == 0 {
			return nil
		}
		return all[r.IntN(len(all))]
	}
	pri, delay := uint32(r.IntN(5)), 0
	if r.IntN(3) == 0 {
		delay = 100000 + r.IntN(1000)
	}
	for {
		var j *ownJob
		verb := ""
		switch n := r.IntN(100); {
		case n < 25:
			if len(w.jobs) < many {
				return o.newPut(r, pri, delay)
			}
			continue
		case n < 45:
			return deed{verb: "reserve"}
		case n < 50:
			verb, j = "reserve-job", pick(idle, aside)
		case n < 62:
			verb, j = "release", pick(reserved)
		case n < 74:
			verb, j = "bury", pick(reserved)
		case n < 78:
			verb, j = "touch", pick(reserved)
		case n < 82:
			verb, j = "kick-job", pick(aside)
		case n < 85:
			if len(w.buried()) == 0 {
				continue // delayed ones would be kicked
			}
			return deed{verb: "kick", delay: 1 + r.IntN(10)}
		case n < 87:
			pause := 0
			if !w.paused && r.IntN(2) == 0 {
				pause = 100000
			}
			return deed{verb: "pause-tube", id: o.number, delay: pause}
		default:
			verb, j = "delete", pick(reserved, idle, aside)
		}
		if j != nil {
			return deed{verb: verb, seq: j.seq, id: j.id, pri: pri, delay: delay}
		}
	}
}

func (o *owner) newPut(r *rand.Rand, pri uint32, delay int) deed {
	o.seq++
	size := r.IntN(600)
	if r.IntN(100) == 0 {
		size = r.IntN(65500)
	}
	body := fmt.Sprintf("%d-%d-", o.number, o.seq)
	body += strings.Repeat("\r\n\x00"+strconv.Itoa(o.seq), size/4+1)[:max(0, size-len(body))]
	return deed{verb: "put", seq: o.seq, pri: pri, delay: delay, body: body}
}

// recover finds out how much of what was in flight has been done, and goes on
// from there. It is an error if found is none of the worlds that there can be.
func (o *owner) recover(found map[int]*restored, c *client) (done int, err error) {
	tube := stats{"pause": "0"}
	paused := false
	for _, name := range c.tubes() {
		if name == o.tube {
			tube = c.statsOf("stats-tube " + o.tube + "\r\n")
			paused = tube["pause"] != "0"
		}
	}
	c.use(o.tube)
	c.send("peek-buried\r\n")
	first := c.line()
	if first != "NOT_FOUND\r\n" {
		var id, size int
		if _, err := fmt.Sscanf(first, "FOUND %d %d\r\n", &id, &size); err != nil {
			return 0, fmt.Errorf("peek-buried: got %q", first)
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(size+len("\r\n"))); err != nil {
			return 0, err
		}
		first = strconv.Itoa(id)
	}
	c.use("default")

	// A kick of several jobs is a record for each, and may have got as far as
	// any of them.
	var flight []deed
	for _, d := range o.flight {
		for d.verb == "kick" && d.delay > 1 {
			d.delay--
			flight = append(flight, deed{verb: "kick", delay: 1})
		}
		flight = append(flight, d)
	}

	w := o.base
	least := error(nil)
	for n := 0; ; n++ {
		err := w.differ(found, paused, first)
		if err == nil {
			break
		}
		if least == nil || len(err.Error()) < len(least.Error()) {
			least = fmt.Errorf("with %d of %d in flight done: %w", n, len(flight), err)
		}
		if n == len(flight) {
			return 0, least
		}
		d := flight[n]
		if got := found[d.seq]; d.verb == "put" && got != nil {
			d.id = got.id
		}
		w.do(&d)
		done = n + 1
	}
	for seq, j := range w.jobs {
		got := found[seq]
		j.id = got.id
		if j.state == "reserved" {
			j.state = "ready"
		}
		j.reserves, _ = strconv.Atoi(got.stats["reserves"])
		j.recorded = j.reserves
	}
	o.base, o.ahead, o.flight = w, w.copy(), nil
	return done, nil
}

// differ returns an error that says where found, in a tube that is paused or
// not and where the job that was buried first is that, is not w after a crash.
func (w *world) differ(found map[int]*restored, paused bool, first string) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for seq, j := range w.jobs {
		got := found[seq]
		switch {
		case got == nil:
			add("job %d (put %d) is lost", j.id, seq)
			continue
		case j.id != 0 && got.id != j.id:
			add("job %d (put %d) has become %d", j.id, seq, got.id)
		case got.body != j.body:
			add("job %d: got body %s, want %s", j.id, excerpt(got.body, j.body), excerpt(j.body, got.body))
		}
		want := stats{
			"pri": fmt.Sprint(j.pri), "delay": fmt.Sprint(j.delay), "state": j.state, "ttr": "100000", "timeouts": "0",
			"releases": fmt.Sprint(j.releases), "buries": fmt.Sprint(j.buries), "kicks": fmt.Sprint(j.kicks),
		}
		if j.state == "reserved" {
			want["state"] = "ready"
		}
		if err := got.stats.differ(want); err != nil {
			add("job %d (put %d): %w", j.id, seq, err)
		}
		if n, err := strconv.Atoi(got.stats["reserves"]); err != nil || n < j.recorded || n > j.reserves {
			add("job %d (put %d): got %s reserves, want %d to %d", j.id, seq, got.stats["reserves"], j.recorded, j.reserves)
		}
	}
	for seq, got := range found {
		if w.jobs[seq] == nil {
			add("job %d (put %d) is there, which was deleted or not put", got.id, seq)
		}
	}
	if paused != w.paused {
		add("paused: got %v, want %v", paused, w.paused)
	}
	if buried := w.buried(); len(errs) == 0 {
		want := "NOT_FOUND\r\n"
		if len(buried) > 0 {
			want = strconv.Itoa(found[buried[0].seq].id)
		}
		if first != want {
			add("got %s buried first, want %s", first, want)
		}
	}
	return errors.Join(errs...)
}
