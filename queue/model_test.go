package queue_test

import (
	"slices"
	"time"

	"spoked/queue"
)

// A model is what the engine must behave like: the rules of beanstalkd 1.13
// in their plainest form. Every question is answered by looking at all jobs
// or all clients, and nothing is remembered that can be found out so. It
// differs from beanstalkd only where the engine means to: of the waiting
// clients the one that has waited longest is served, and delayed jobs that
// are due at the same instant become ready in the order in which they were
// put or released.
type model struct {
	now      int64
	lastID   uint64
	draining bool

	tubes   []*modelTube // in the order in which they are listed
	jobs    []*modelJob  // in the order in which they came into the states they are in
	clients []*modelClient
	waiting []*modelClient // oldest first
	wakes   []wake

	total, deletes, reserves, timeouts, connections uint64
}

type modelTube struct {
	name                                       string
	drafts                                     int
	total, deletes, reserves, timeouts, pauses uint64
	pause                                      time.Duration // 0 if not paused
	resume                                     int64         // when the pause ends
}

type modelJob struct {
	queue.JobStats // but for Age and TimeLeft
	body           string
	tube           *modelTube
	owner          *modelClient // if it is reserved
	created        int64
	since          int64 // if it is reserved
	deadline       int64 // if it is delayed or reserved
}

type modelClient struct {
	name             int
	used             *modelTube
	watched          []*modelTube
	producer, worker bool
	engine           *queue.Client // the same in the other world
	attached         bool

	hurry  bool  // while it waits: not for ever,
	giveUp int64 // but until then
}

// wake says how the waiting of a client ended.
type wake struct {
	client  int
	outcome queue.Outcome
	job     view
}

// view is a queue.Job that can be kept and compared. The zero view is none.
type view struct {
	id   uint64
	body string
}

func newModel(now int64) *model {
	m := &model{now: now}
	m.tube("default")
	return m
}

func viewOf(j *modelJob) view {
	if j == nil {
		return view{}
	}
	return view{j.ID, j.body}
}

// Tubes and clients.

func (m *model) find(name string) *modelTube {
	for _, t := range m.tubes {
		if t.name == name {
			return t
		}
	}
	return nil
}

func (m *model) tube(name string) *modelTube {
	if t := m.find(name); t != nil {
		return t
	}
	t := &modelTube{name: name}
	m.tubes = append(m.tubes, t)
	return t
}

// drop removes t if nothing keeps it.
func (m *model) drop(t *modelTube) {
	if t.name == "default" || t.drafts > 0 {
		return
	}
	for _, c := range m.clients {
		if c.used == t || slices.Contains(c.watched, t) {
			return
		}
	}
	for _, j := range m.jobs {
		if j.tube == t {
			return
		}
	}
	m.tubes = swapRemove(m.tubes, t)
}

// swapRemove removes v from s. The last element takes its place.
func swapRemove[T comparable](s []T, v T) []T {
	last := len(s) - 1
	s[slices.Index(s, v)] = s[last]
	return s[:last]
}

func remove[T comparable](s []T, v T) []T {
	return slices.DeleteFunc(s, func(x T) bool { return x == v })
}

func (m *model) connect(name int) *modelClient {
	c := &modelClient{name: name, used: m.tubes[0], watched: []*modelTube{m.tubes[0]}}
	m.clients = append(m.clients, c)
	m.connections++
	return c
}

func (m *model) disconnect(c *modelClient) {
	m.waiting = remove(m.waiting, c)
	for _, j := range slices.Clone(m.jobs) {
		if j.owner == c {
			m.makeReady(j)
		}
	}
	for len(c.watched) > 0 {
		t := c.watched[0]
		c.watched = swapRemove(c.watched, t)
		m.drop(t)
	}
	m.clients = remove(m.clients, c)
	m.drop(c.used)
}

func (m *model) use(c *modelClient, name string) {
	old := c.used
	c.used = m.tube(name)
	m.drop(old)
}

func (m *model) watch(c *modelClient, name string) {
	if t := m.tube(name); !slices.Contains(c.watched, t) {
		c.watched = append(c.watched, t)
	}
}

func (m *model) ignore(c *modelClient, name string) error {
	t := m.find(name)
	if !slices.Contains(c.watched, t) {
		return nil
	}
	if len(c.watched) == 1 {
		return queue.ErrNotIgnored
	}
	c.watched = swapRemove(c.watched, t)
	m.drop(t)
	return nil
}

func (m *model) pauseTube(name string, delay time.Duration) error {
	t := m.find(name)
	if t == nil {
		return queue.ErrNotFound
	}
	t.pauses++
	t.pause, t.resume = delay, m.now+int64(delay)
	m.dispatch()
	return nil
}

// The order of jobs.

// first returns the job of t in state s that is served, becomes ready, or is
// kicked before the others, or nil.
func (m *model) first(t *modelTube, s queue.State) *modelJob {
	var first *modelJob
	for _, j := range m.jobs {
		if j.tube == t && j.State == s && (first == nil || j.before(first)) {
			first = j
		}
	}
	return first
}

// before reports whether j comes before k, which has been in their state for
// longer.
func (j *modelJob) before(k *modelJob) bool {
	switch j.State {
	case queue.Ready:
		return j.Pri < k.Pri || j.Pri == k.Pri && j.ID < k.ID
	case queue.Delayed:
		return j.deadline < k.deadline
	default:
		return false
	}
}

// Who gets a job.

// dispatch gives jobs to waiting clients for as long as there is a job in a
// tube that a waiting client watches and that is not paused. The smallest of
// these goes first, and to the client that has waited longest for its tube.
func (m *model) dispatch() {
	for {
		var job *modelJob
		var client *modelClient
		for _, t := range m.tubes {
			c, j := m.oldestWaiting(t), m.first(t, queue.Ready)
			if c != nil && j != nil && t.pause == 0 && (job == nil || j.before(job)) {
				job, client = j, c
			}
		}
		if job == nil {
			return
		}
		m.give(job, client)
		m.wake(client, queue.Given, job)
	}
}

func (m *model) oldestWaiting(t *modelTube) *modelClient {
	for _, c := range m.waiting {
		if slices.Contains(c.watched, t) {
			return c
		}
	}
	return nil
}

func (m *model) wake(c *modelClient, o queue.Outcome, j *modelJob) {
	m.waiting = remove(m.waiting, c)
	m.wakes = append(m.wakes, wake{c.name, o, viewOf(j)})
}

func (m *model) reserve(c *modelClient, timeout time.Duration) (view, queue.Outcome) {
	c.worker = true
	var best *modelJob
	for _, t := range c.watched {
		if j := m.first(t, queue.Ready); j != nil && t.pause == 0 && (best == nil || j.before(best)) {
			best = j
		}
	}
	switch {
	case best != nil:
		m.give(best, c)
		return viewOf(best), queue.Given
	case m.soon(c):
		return view{}, queue.DeadlineSoon
	case timeout == 0:
		return view{}, queue.TimedOut
	}
	c.hurry, c.giveUp = timeout > 0, m.now+int64(timeout)
	m.waiting = append(m.waiting, c)
	return view{}, queue.Waiting
}

// soon reports whether c holds a job that has at most a second left.
func (m *model) soon(c *modelClient) bool {
	for _, j := range m.jobs {
		if j.owner == c && m.now >= j.deadline-int64(time.Second) {
			return true
		}
	}
	return false
}

func (m *model) stopWaiting(c *modelClient) {
	if slices.Contains(m.waiting, c) {
		m.wake(c, queue.TimedOut, nil)
	}
}

// The states of a job.

func (m *model) job(id uint64) *modelJob {
	for _, j := range m.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// held returns the job with that id if c has reserved it, or nil.
func (m *model) held(c *modelClient, id uint64) *modelJob {
	if j := m.job(id); j != nil && j.owner == c {
		return j
	}
	return nil
}

func (m *model) enter(j *modelJob, s queue.State, owner *modelClient) {
	m.jobs = append(remove(m.jobs, j), j)
	j.State, j.owner = s, owner
}

func (m *model) makeReady(j *modelJob) {
	m.enter(j, queue.Ready, nil)
	m.dispatch()
}

func (m *model) makeReadyAfter(j *modelJob, delay time.Duration) {
	delay = queue.Round(delay)
	j.Delay = delay
	if delay == 0 {
		m.makeReady(j)
		return
	}
	m.enter(j, queue.Delayed, nil)
	j.deadline = m.now + int64(delay)
}

func (m *model) give(j *modelJob, c *modelClient) {
	m.enter(j, queue.Reserved, c)
	j.Reserves++
	j.tube.reserves++
	m.reserves++
	j.since = m.now
	j.deadline = m.now + int64(j.TTR)
}

// begin returns a job that is not yet there: it is none of m.jobs.
func (m *model) begin(c *modelClient, pri uint32, delay, ttr time.Duration, body string) *modelJob {
	c.producer = true
	c.used.drafts++
	m.lastID++
	j := &modelJob{tube: c.used, created: m.now, body: body}
	j.ID, j.Tube, j.Pri, j.Delay, j.TTR = m.lastID, c.used.name, pri, queue.Round(delay), queue.Round(max(ttr, time.Second))
	return j
}

func (m *model) insert(j *modelJob) (uint64, error) {
	if m.draining {
		m.abandon(j)
		return 0, queue.ErrDraining
	}
	j.tube.drafts--
	j.tube.total++
	m.total++
	m.makeReadyAfter(j, j.Delay)
	return j.ID, nil
}

func (m *model) abandon(j *modelJob) {
	j.tube.drafts--
	m.drop(j.tube)
}

func (m *model) reserveJob(c *modelClient, id uint64) (view, error) {
	j := m.job(id)
	if j == nil || j.State == queue.Reserved {
		return view{}, queue.ErrNotFound
	}
	c.worker = true
	m.give(j, c)
	return viewOf(j), nil
}

func (m *model) delete(c *modelClient, id uint64) error {
	j := m.job(id)
	if j == nil || j.State == queue.Reserved && j.owner != c {
		return queue.ErrNotFound
	}
	m.jobs = remove(m.jobs, j)
	j.tube.deletes++
	m.deletes++
	m.drop(j.tube)
	return nil
}

func (m *model) release(c *modelClient, id uint64, pri uint32, delay time.Duration) error {
	j := m.held(c, id)
	if j == nil {
		return queue.ErrNotFound
	}
	j.Pri = pri
	j.Releases++
	m.makeReadyAfter(j, delay)
	return nil
}

func (m *model) bury(c *modelClient, id uint64, pri uint32) error {
	j := m.held(c, id)
	if j == nil {
		return queue.ErrNotFound
	}
	j.Pri = pri
	j.Buries++
	m.enter(j, queue.Buried, nil)
	return nil
}

func (m *model) touch(c *modelClient, id uint64) error {
	j := m.held(c, id)
	if j == nil {
		return queue.ErrNotFound
	}
	j.deadline = m.now + int64(j.TTR)
	return nil
}

func (m *model) kick(c *modelClient, n uint32) (kicked uint32) {
	from := queue.Delayed
	if m.first(c.used, queue.Buried) != nil {
		from = queue.Buried
	}
	for ; kicked < n; kicked++ {
		j := m.first(c.used, from)
		if j == nil {
			break
		}
		j.Kicks++
		m.makeReady(j)
	}
	return kicked
}

func (m *model) kickJob(id uint64) error {
	j := m.job(id)
	if j == nil || j.State != queue.Buried && j.State != queue.Delayed {
		return queue.ErrNotFound
	}
	j.Kicks++
	m.makeReady(j)
	return nil
}

// Time.

// advance lets happen what is due, in the order in which it is, even if all
// of it is late.
func (m *model) advance(now int64) {
	m.now = now
	for {
		at, happen := m.next()
		if happen == nil || at > now {
			return
		}
		happen()
	}
}

// next returns what will happen next by itself and when, or nil.
func (m *model) next() (at int64, happen func()) {
	may := func(t int64, f func()) {
		if happen == nil || t < at {
			at, happen = t, f
		}
	}
	for _, j := range m.jobs {
		if j.State == queue.Delayed {
			may(j.deadline, func() { m.makeReady(j) })
		}
	}
	for _, t := range m.tubes {
		if t.pause > 0 {
			may(t.resume, func() { t.pause = 0; m.dispatch() })
		}
	}
	for _, c := range m.waiting {
		for _, j := range m.jobs {
			if j.owner == c {
				may(j.deadline-int64(time.Second), func() { m.wake(c, queue.DeadlineSoon, nil) })
			}
		}
		if c.hurry {
			may(c.giveUp, func() { m.wake(c, queue.TimedOut, nil) })
		}
	}
	for _, j := range m.jobs {
		if j.State == queue.Reserved { // its deadline is still in time
			may(j.deadline+1, func() { j.Timeouts++; m.timeouts++; j.tube.timeouts++; m.makeReady(j) })
		}
	}
	return at, happen
}

// Statistics.

func (m *model) stats() queue.Stats {
	s := queue.Stats{
		TotalJobs:        m.total,
		Deletes:          m.deletes,
		Reserves:         m.reserves,
		Timeouts:         m.timeouts,
		Tubes:            len(m.tubes),
		Waiting:          len(m.waiting),
		TotalConnections: m.connections,
	}
	for _, j := range m.jobs {
		s.Jobs[j.State]++
		if j.urgent() {
			s.Urgent++
		}
	}
	for _, c := range m.clients {
		if !c.attached {
			s.Connections++
		}
		if c.producer {
			s.Producers++
		}
		if c.worker {
			s.Workers++
		}
	}
	return s
}

func (j *modelJob) urgent() bool { return j.State == queue.Ready && j.Pri < 1024 }

func (m *model) tubeStats(t *modelTube) queue.TubeStats {
	s := queue.TubeStats{
		Name:      t.name,
		TotalJobs: t.total,
		Deletes:   t.deletes,
		Reserves:  t.reserves,
		Timeouts:  t.timeouts,
		Pauses:    t.pauses,
		Pause:     t.pause,
	}
	if t.pause > 0 {
		s.PauseLeft = time.Duration(t.resume - m.now)
	}
	for _, j := range m.jobs {
		if j.tube == t {
			s.Jobs[j.State]++
			if j.urgent() {
				s.Urgent++
			}
		}
	}
	for _, c := range m.clients {
		if c.used == t {
			s.Using++
		}
		if slices.Contains(c.watched, t) {
			s.Watching++
			if slices.Contains(m.waiting, c) {
				s.Waiting++
			}
		}
	}
	return s
}

func (m *model) jobStats(j *modelJob) queue.JobStats {
	s := j.JobStats
	s.Age = time.Duration(m.now - j.created)
	s.Created = j.created
	if j.State == queue.Delayed || j.State == queue.Reserved {
		s.TimeLeft = time.Duration(j.deadline - m.now)
		s.At = j.deadline
	}
	if j.owner != nil {
		s.Owner, s.Since = j.owner.engine, j.since
	}
	return s
}
